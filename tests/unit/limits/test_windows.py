"""Windows: when usage leaves, and that slices say so alike for everybody."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from wardwright.contracts.budget import Within
from wardwright.kernel.units import SECOND_US
from wardwright.limits.windows import Calendar, Rolling, leaves_us, read, slice_at, spelled, window_of


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND_US


@pytest.mark.parametrize("age_s", [1, 60, 3600, 86_400, 31_622_400])
@pytest.mark.parametrize("at_us", [0, 1, 1_700_000_000_123_456])
def test_usage_leaves_a_rolling_window_at_its_age_or_up_to_a_slice_later(age_s: int, at_us: int) -> None:
    leaves = slice_at(Rolling(age_s), at_us).leaves_us

    assert at_us + age_s * SECOND_US < leaves <= at_us + age_s * SECOND_US + -(-age_s * SECOND_US // 64)


@pytest.mark.parametrize(
    ("period", "at", "leaves"),
    [
        ("day", "2026-02-28T23:59:59", "2026-03-01T00:00:00"),
        ("day", "2026-03-01T00:00:00", "2026-03-02T00:00:00"),
        ("month", "2026-12-31T23:59:59", "2027-01-01T00:00:00"),
        ("month", "2028-02-01T00:00:00", "2028-03-01T00:00:00"),
    ],
)
def test_usage_leaves_a_calendar_window_when_the_period_ends(period: str, at: str, leaves: str) -> None:
    window = Calendar("day" if period == "day" else "month")
    found = slice_at(window, us(at))

    assert found.leaves_us == us(leaves) == leaves_us(window, found.number)
    assert found.from_us <= us(at) < found.until_us == us(leaves)


@pytest.mark.parametrize(
    "within", [Within(age_s=1), Within(age_s=86_400), Within(calendar="day"), Within(calendar="month")]
)
def test_a_window_that_is_spelled_reads_back(within: Within) -> None:
    assert read(spelled(window_of(within))) == window_of(within)


@pytest.mark.parametrize("text", ["", "s", "0s", "12", "week", "-1s", "1.5s"])
def test_what_is_no_window_reads_as_none(text: str) -> None:
    assert read(text) is None
