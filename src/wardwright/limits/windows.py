"""Windows of time cut into slices: what is counted in one slice leaves the window together.

Rule 1: slices lie on the calendar of UTC, not on the first use, so that an instant belongs to one slice whoever asks:
usage told in any order, or told again from the journal, gives the same sums.
Rule 2: usage never leaves early. A rolling window of `age_s` is cut into SLICES, and a slice leaves when the *last*
instant in it is that old: the window covers at least its age and at most one slice, 1/64, more.
Rule 3: a calendar window has one slice, which leaves when the period ends.

Instants are µs since the epoch, UTC.
"""

from __future__ import annotations

from datetime import date
from typing import Final, NamedTuple, TypeAlias, assert_never, get_args

import msgspec

from wardwright.contracts.budget import Period, Within
from wardwright.kernel.units import SECOND_US

SLICES: Final = 64
"""Parts of a rolling window that leave one at a time."""

DAY_US: Final = 86_400 * SECOND_US

_EPOCH: Final = date(1970, 1, 1).toordinal()


class Rolling(msgspec.Struct, frozen=True):
    """The last `age_s` seconds, and up to one slice more."""

    age_s: int

    @property
    def slice_us(self) -> int:
        """How long a slice is, rounded up."""
        return -(-self.age_s * SECOND_US // SLICES)


class Calendar(msgspec.Struct, frozen=True):
    """The current day or month."""

    period: Period


Window: TypeAlias = Rolling | Calendar


class Slice(NamedTuple):
    """One slice: its number, the instants it covers, and when it leaves the window."""

    number: int
    from_us: int
    until_us: int
    leaves_us: int


def window_of(within: Within) -> Window:
    """The window that a contract asks for."""
    if within.calendar is not None:
        return Calendar(within.calendar)
    assert within.age_s is not None
    return Rolling(within.age_s)


def spelled(window: Window) -> str:
    """A window as text.

    >>> spelled(Rolling(3600)), spelled(Calendar("day"))
    ('3600s', 'day')
    """
    match window:
        case Rolling(age_s=age_s):
            return f"{age_s}s"
        case Calendar(period=period):
            return period
        case _:
            assert_never(window)


def read(text: str) -> Window | None:
    """The window behind a text of `spelled`, or None."""
    for period in get_args(Period):
        if text == period:
            return Calendar(period)
    seconds = text.removesuffix("s")
    return Rolling(int(seconds)) if seconds != text and seconds.isdecimal() and int(seconds) else None


def slice_at(window: Window, at_us: int) -> Slice:
    """The slice that holds an instant.

    >>> slice_at(Rolling(64), 2_500_000)
    Slice(number=2, from_us=2000000, until_us=3000000, leaves_us=67000000)
    """
    match window:
        case Rolling():
            width = window.slice_us
            index = at_us // width
            return Slice(index, index * width, (index + 1) * width, leaves_us(window, index))
        case Calendar(period="day"):
            index = at_us // DAY_US
            return Slice(index, index * DAY_US, (index + 1) * DAY_US, (index + 1) * DAY_US)
        case Calendar():
            day = date.fromordinal(_EPOCH + at_us // DAY_US)
            index = day.year * 12 + day.month - 1
            return Slice(index, _month_us(index), _month_us(index + 1), _month_us(index + 1))
        case _:
            assert_never(window)


def leaves_us(window: Window, index: int) -> int:
    """The instant from which a slice no longer counts."""
    match window:
        case Rolling(age_s=age_s):
            return (index + 1) * window.slice_us + age_s * SECOND_US
        case Calendar(period="day"):
            return (index + 1) * DAY_US
        case Calendar():
            return _month_us(index + 1)
        case _:
            assert_never(window)


def _month_us(index: int) -> int:
    return (date(index // 12, index % 12 + 1, 1).toordinal() - _EPOCH) * DAY_US
