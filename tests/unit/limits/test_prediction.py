"""Posteriors by hand: what a level lends, what it keeps to itself, where the interval lies."""

from __future__ import annotations

import pytest

from wardwright.limits.prediction import PRIOR_STRENGTH, posterior, told_ppm


def test_nothing_seen_is_the_uniform_distribution() -> None:
    assert posterior([], 6) == (1.0, 1.0)
    assert told_ppm(1.0, 1.0) == (500_000, 50_000, 950_000)


def test_one_level_counts_its_successes_and_failures() -> None:
    assert posterior([(10.0, 7.0)], 1) == (8.0, 4.0)


def test_a_level_borrows_from_its_siblings_at_most_the_priors_strength() -> None:
    """98 of 98 others succeeded: Beta(99, 1) lends 8 at 99 in 100; its own 2 failures come on top."""
    a, b = posterior([(100.0, 98.0), (2.0, 0.0)], 2)
    assert (a, b) == pytest.approx((PRIOR_STRENGTH * 0.99, PRIOR_STRENGTH * 0.01 + 2))


def test_an_only_child_borrows_nothing_from_itself() -> None:
    """All that the tenant knows is the child's own: it stands on the uniform distribution."""
    assert posterior([(20.0, 20.0), (20.0, 20.0), (20.0, 20.0)], 3) == (21.0, 1.0)


def test_a_level_that_was_never_seen_is_its_parent_with_the_priors_strength() -> None:
    a, b = posterior([(98.0, 98.0)], 4)
    assert (a, b) == pytest.approx((7.92, 0.08))


def test_the_interval_holds_nine_tenths_of_the_posterior() -> None:
    """Beta(1, n) lies below 1 − (1 − p)^(1/n)."""
    point, low, high = told_ppm(1.0, 4.0)
    assert point == 200_000
    assert low == round(1e6 * (1 - 0.95**0.25))
    assert high == round(1e6 * (1 - 0.05**0.25))


def test_no_success_is_certain_because_all_others_succeeded() -> None:
    point, low, high = told_ppm(8.0, 0.000_008)
    assert (point, high) == (999_999, 999_999)
    assert 700_000 < low < 850_000


def test_past_the_greatest_strength_no_interval_gets_narrower() -> None:
    assert told_ppm(5e5, 5e5) == told_ppm(5e7, 5e7)
