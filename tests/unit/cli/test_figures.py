"""Numbers as people read and write them."""

from __future__ import annotations

import pytest

from wardwright.cli.figures import duration, instant, instant_of, seconds_of, short, usd
from wardwright.kernel.errors import WardwrightError

NOW = 1_800_000_000_000_000


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("2027-01-15T08:00:00Z", NOW),
        ("2027-01-15T09:00:00+01:00", NOW),
        ("2027-01-15", NOW - 8 * 3600 * 1_000_000),
        ("90s", NOW - 90 * 1_000_000),
        ("2h", NOW - 7200 * 1_000_000),
        ("1w", NOW - 604_800 * 1_000_000),
    ],
)
def test_an_instant_is_a_date_or_how_long_ago(text: str, us: int) -> None:
    assert instant_of(text, NOW) == us


@pytest.mark.parametrize("text", ["", "h", "0h", "1.5h", "-2h", "two days", "5y", "2027-13-01"])
def test_what_is_no_time_is_refused_as_usage(text: str) -> None:
    with pytest.raises(WardwrightError) as caught:
        instant_of(text, NOW)
    assert caught.value.code == "usage"
    with pytest.raises(WardwrightError):
        seconds_of(text)


def test_money_is_exact() -> None:
    assert [usd(nano) for nano in (1, 100_000_000, 1_000_000_001)] == ["$0.000000001", "$0.10", "$1.000000001"]


def test_what_is_not_known_is_a_dash() -> None:
    assert (instant(None), duration(None), short(None)) == ("-", "-", "-")
