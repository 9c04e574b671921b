"""The statistics that every figure of the report is made of."""

from __future__ import annotations

import pytest

from benchmarks.spread import Spread, percentile, spread_of


def test_the_median_of_an_odd_number_of_rounds_is_one_of_them() -> None:
    assert spread_of([9.0, 1.0, 5.0]) == Spread(median=5.0, low=1.0, high=9.0, rounds=3)


def test_the_median_of_an_even_number_of_rounds_lies_between_the_middle_two() -> None:
    assert spread_of([4.0, 1.0, 2.0, 9.0]).median == 3.0


def test_no_round_has_no_spread() -> None:
    with pytest.raises(ValueError, match="no round"):
        spread_of([])


@pytest.mark.parametrize(("share", "expected"), [(0.01, 1), (0.5, 50), (0.99, 99), (0.991, 100), (1.0, 100)])
def test_a_percentile_is_an_observed_value(share: float, expected: int) -> None:
    assert percentile(range(100, 0, -1), share) == expected


def test_the_percentile_of_one_value_is_that_value() -> None:
    assert percentile([7], 0.99) == 7


@pytest.mark.parametrize("share", [0.0, -0.5, 1.01])
def test_a_share_outside_its_range_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        percentile([1], share)


def test_no_value_has_no_percentile() -> None:
    with pytest.raises(ValueError, match="no value"):
        percentile([], 0.5)
