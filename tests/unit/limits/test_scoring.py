"""Scores by hand: squared error, log loss, the calibration curve, skill, abstention, and what is kept of them."""

from __future__ import annotations

from math import isqrt, sqrt

import msgspec
import pytest

from wardwright.kernel import canonical
from wardwright.limits.prediction import Z
from wardwright.limits.scoring import WINDOW, WINDOWS_MAX, Bin, Scored, Scores, Tally, report, wilson_ppm

KEY = ("t", "tool read")


def scored(ppm: int, succeeded: bool, *, abstained: bool = False, latency_us: int | None = None) -> Scored:
    return Scored(
        abstained=abstained, at_us=1, cost_nano_usd=latency_us, key=KEY, latency_us=latency_us, predicted_ppm=ppm,
        succeeded=succeeded,
    )  # fmt: skip


FOUR = [scored(900_000, True), scored(900_000, False), scored(200_000, False), scored(600_000, True)]


def test_nothing_scored_has_no_scores() -> None:
    told = report([])
    assert (told.count, told.bins, told.brier_ppm, told.log_loss_micro, told.skill_ppm, told.abstained_ppm) == (
        0, (), None, None, None, None,
    )  # fmt: skip


def test_the_brier_score_is_the_mean_squared_error() -> None:
    """(0.01 + 0.81 + 0.04 + 0.16) / 4."""
    assert report(FOUR).brier_ppm == 255_000


def test_the_log_loss_is_the_mean_surprise() -> None:
    """−(ln 0.9 + ln 0.1 + ln 0.8 + ln 0.6) / 4."""
    assert report(FOUR).log_loss_micro == pytest.approx(785_479, abs=1)


def test_a_certain_miss_is_a_finite_surprise() -> None:
    assert report([scored(1_000_000, False)]).log_loss_micro == 13_815_511


def test_skill_is_the_share_of_the_base_rates_error_that_is_avoided() -> None:
    """Half of the tries succeeded, so the base rate errs by 0.25."""
    told = report(FOUR)
    assert (told.base_ppm, told.skill_ppm) == (500_000, -20_000)
    assert report([scored(1_000_000, True), scored(0, False)]).skill_ppm == 1_000_000


def test_there_is_no_skill_where_all_tries_ended_alike() -> None:
    assert report([scored(900_000, True)] * 3).skill_ppm is None


def test_the_calibration_curve_has_the_bins_that_hold_something() -> None:
    low, high = wilson_ppm(1, 2)
    told = report(FOUR)
    assert [(one.from_ppm, one.until_ppm, one.count) for one in told.bins] == [
        (200_000, 300_000, 1), (600_000, 700_000, 1), (900_000, 1_000_000, 2),
    ]  # fmt: skip
    assert told.bins[2] == Bin(
        count=2, from_ppm=900_000, high_ppm=high, low_ppm=low, observed_ppm=500_000, predicted_ppm=900_000,
        until_ppm=1_000_000,
    )  # fmt: skip


def test_the_calibration_error_weighs_the_bins_by_their_counts() -> None:
    """(1 · 0.2 + 1 · 0.4 + 2 · 0.4) / 4."""
    assert report(FOUR).calibration_error_ppm == 350_000


def test_certainty_lies_in_the_last_bin() -> None:
    assert report([scored(1_000_000, True)]).bins[0].from_ppm == 900_000


def test_what_abstained_is_counted_and_not_scored() -> None:
    told = report([*FOUR, scored(1_000_000, False, abstained=True)])
    assert (told.abstained_ppm, told.count, told.brier_ppm) == (200_000, 4, 255_000)


def test_time_and_cost_are_those_of_every_try_that_knows_them() -> None:
    some = [scored(1, True, latency_us=10), scored(1, False, latency_us=21, abstained=True), scored(1, True)]
    told = report(some)
    assert (told.latency_us, told.cost_nano_usd) == (16, 31)


@pytest.mark.parametrize(("good", "count"), [(8, 10), (1, 3), (500, 1000)])
def test_wilsons_bounds_are_the_shares_that_lie_just_so_many_deviations_away(good: int, count: int) -> None:
    for bound in wilson_ppm(good, count):
        share = bound / 1e6
        assert abs(share - good / count) == pytest.approx(Z * sqrt(share * (1 - share) / count), rel=1e-4)


def test_wilsons_interval_stays_among_shares() -> None:
    """z² / (n + z²) where none succeeded."""
    assert wilson_ppm(0, 10) == (0, round(1e6 * Z**2 / (10 + Z**2)))
    assert wilson_ppm(10, 10) == (round(1e6 * 10 / (10 + Z**2)), 1_000_000)


def test_velocity_goes_by_the_mean_error_of_each_window() -> None:
    """Windows err by 0.36, 0.35 and so on down to 0.29, as nearly as whole ppm allow."""
    some = [scored(1_000_000 - isqrt(10**10 * (36 - window)), True) for window in range(8) for _ in range(WINDOW)]
    scores = Scores()
    for one in some:
        scores.add(one)
    assert scores.tally().windows == pytest.approx([10_000 * (36 - window) for window in range(8)], abs=2)
    told = scores.report().velocity
    assert told is not None
    assert told.fall_ppm == pytest.approx(200_000, abs=20)
    assert told.trend == "improving"


def test_the_newest_windows_are_kept() -> None:
    scores = Scores()
    for number in range(WINDOW * (WINDOWS_MAX + 3)):
        scores.add(scored(1_000_000, number < 3 * WINDOW))
    assert scores.tally().windows == (1_000_000,) * WINDOWS_MAX


@pytest.mark.parametrize("cut", [0, 1, WINDOW - 1, WINDOW, 9 * WINDOW + 7, 600])
def test_scoring_goes_on_from_what_was_kept(cut: int) -> None:
    some = [FOUR[number * number % 4] for number in range(600)]
    first, whole = Scores(), Scores()
    for one in some[:cut]:
        first.add(one)
    again = Scores(msgspec.json.decode(canonical.encode(first.tally()), type=Tally))
    for one in some[cut:]:
        again.add(one)
    for one in some:
        whole.add(one)
    assert canonical.encode(again.tally()) == canonical.encode(whole.tally())
    assert again.report() == whole.report() == report(some)
    canonical.require(whole.tally())
    canonical.require(whole.report())
