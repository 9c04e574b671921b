"""Numbers as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from wardwright.kernel.errors import WardwrightError
from wardwright.kernel.units import SECOND_US
from wardwright.kernel.usage import NANO_USD

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
DIGEST_CHARS: Final = 12
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def instant(at_us: int | None) -> str:
    """µs since the epoch as UTC, to the second.

    >>> instant(1_700_000_000_000_000)
    '2023-11-14 22:13:20Z'
    """
    if at_us is None:
        return "-"
    return (_EPOCH + timedelta(microseconds=at_us)).strftime("%Y-%m-%d %H:%M:%SZ")


def duration(us: int | None) -> str:
    """
    >>> duration(640), duration(12_340), duration(2_500_000)
    ('640 µs', '12 ms', '2.50 s')
    """
    if us is None:
        return "-"
    if us < 1000:
        return f"{us} µs"
    return f"{us // 1000} ms" if us < SECOND_US else f"{us / SECOND_US:.2f} s"


def usd(nano: int) -> str:
    """nano-USD as USD, exact to the last digit that is not zero, two digits at least.

    >>> usd(1_234_500), usd(0), usd(2_000_000_000)
    ('$0.0012345', '$0.00', '$2.00')
    """
    whole, part = divmod(nano, NANO_USD)
    return f"${whole}.{f'{part:09d}'.rstrip('0'):0<2}"


def short(digest: str | None) -> str:
    """The start of a digest: enough to name a version.

    >>> short("sha256:0123456789abcdef")
    '0123456789ab'
    """
    return "-" if digest is None else digest.removeprefix("sha256:")[:DIGEST_CHARS]


def counted(number: int, noun: str) -> str:
    """
    >>> counted(1, "file"), counted(2000, "file")
    ('1 file', '2,000 files')
    """
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"


def share(ppm: int) -> str:
    """
    >>> share(50_000)
    '5 %'
    """
    return f"{ppm / 10_000:g} %"


def seconds_of(text: str) -> int:
    """How long a text such as `90s`, `12h` or `30d` says. Raises `usage`."""
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS_S or not (number.isascii() and number.isdigit()) or not int(number):
        raise WardwrightError(
            "usage", f"`{text}` is no length of time", hint="write it as `90s`, `15m`, `12h` or `30d`"
        )
    return int(number) * _UNITS_S[unit]


def instant_of(text: str, now_us: int) -> int:
    """µs since the epoch, of `2026-01-31`, `2026-01-31T12:00:00Z`, or of how long ago, such as `2h`. Raises `usage`."""
    if text[-1:] in _UNITS_S and text[:-1].isdigit():
        return now_us - seconds_of(text) * SECOND_US
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        hint = "write `2026-01-31T12:00:00Z`, or how long ago, such as `2h`"
        raise WardwrightError("usage", f"`{text}` is no instant", hint=hint) from None
    since = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)) - _EPOCH
    return since // timedelta(microseconds=1)
