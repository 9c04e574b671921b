"""Proposals by hand: when there is one, how far it goes, what it says."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from wardwright.kernel import canonical
from wardwright.limits.adaptation import ALLOW, ASK, Bounds, Proposal, attempts, effect, failure_rate, timeout
from wardwright.limits.prediction import Latency, Prediction

KEY = ("t", "tool read")
WIDE = Bounds(low=1, high=1_000_000, step_max=1_000_000)
EITHER = Bounds(low=ASK, high=ALLOW, step_max=1)


def prediction(low: int = 900_000, point: int = 950_000, high: int = 980_000, **others: Any) -> Prediction:
    base = Prediction(
        abstained=False, cost_nano_usd=None, evidence_milli=123_000, high_ppm=high, latency=None, level="target",
        low_ppm=low, success_ppm=point,
    )  # fmt: skip
    return msgspec.structs.replace(base, **others)


def timed(low_s: float | None, p99_s: float | None, high_s: float | None, *, abstained: bool = False) -> Prediction:
    def us(seconds: float | None) -> int | None:
        return None if seconds is None else round(seconds * 1e6)

    latency = Latency(
        evidence_milli=77_000, p50_us=1, p90_us=2, p99_high_us=us(high_s), p99_low_us=us(low_s), p99_us=us(p99_s)
    )
    return prediction(latency=latency, abstained=abstained)


def to(proposal: Proposal | None) -> int | None:
    return None if proposal is None else proposal.to


# Timeouts


def test_a_timeout_is_half_as_much_again_as_99_of_100_successes_need() -> None:
    told = timeout(KEY, 60, timed(8, 10, 12), WIDE)
    assert told == Proposal(
        evidence_milli=77_000, high=18, key=KEY, low=12, threshold="timeout_s", to=15, was=60,
        why="99 of 100 successes need 10.0 s at most; half as much again is headroom.",
    )  # fmt: skip
    canonical.require(told)


@pytest.mark.parametrize("now", [12, 15, 18])
def test_a_timeout_that_learning_does_not_exclude_stays(now: int) -> None:
    assert timeout(KEY, now, timed(8, 10, 12), WIDE) is None


@pytest.mark.parametrize(("now", "wanted"), [(11, 15), (19, 15)])
def test_a_timeout_that_learning_excludes_goes_to_the_middle(now: int, wanted: int) -> None:
    assert to(timeout(KEY, now, timed(8, 10, 12), WIDE)) == wanted


@pytest.mark.parametrize(("now", "step", "next_s"), [(60, 10, 50), (22, 10, 20), (5, 3, 8), (200, 10, 190)])
def test_a_proposal_goes_one_step_within_its_bounds(now: int, step: int, next_s: int) -> None:
    assert to(timeout(KEY, now, timed(8, 10, 12), Bounds(low=20 if now > 20 else 1, high=120, step_max=step))) == next_s


@pytest.mark.parametrize(
    ("now", "bounds"), [(20, Bounds(low=20, high=99, step_max=9)), (3, Bounds(low=1, high=2, step_max=9))]
)
def test_nothing_is_proposed_that_would_go_against_the_bounds_or_against_learning(now: int, bounds: Bounds) -> None:
    assert timeout(KEY, now, timed(8, 10, 12), bounds) is None


def test_where_too_many_tries_were_cut_off_the_timeout_grows_by_a_step() -> None:
    told = timeout(KEY, 30, timed(None, None, None), Bounds(low=5, high=120, step_max=10))
    assert told is not None
    assert (told.to, told.high) == (40, None)
    assert told.why == "More than one try in a hundred was cut off by the timeout of 30 s."


def test_where_about_one_in_a_hundred_was_cut_off_a_long_timeout_stays() -> None:
    assert timeout(KEY, 30, timed(8, None, None), WIDE) is None
    assert to(timeout(KEY, 11, timed(8, None, None), Bounds(low=5, high=120, step_max=10))) == 21


def test_times_that_nobody_knows_propose_nothing() -> None:
    assert timeout(KEY, 30, prediction(), WIDE) is None


def test_times_of_few_tries_propose_nothing() -> None:
    few = timed(8, 10, 12)
    assert few.latency is not None
    few = msgspec.structs.replace(few, latency=msgspec.structs.replace(few.latency, evidence_milli=7999))
    assert timeout(KEY, 60, few, WIDE) is None


def test_a_timeout_is_not_shortened_where_the_longest_successes_may_not_have_been_seen() -> None:
    assert timeout(KEY, 60, timed(8, 10, None), WIDE) is None
    assert to(timeout(KEY, 9, timed(8, 10, None), WIDE)) == 15


# Attempts


def test_attempts_are_as_many_as_leave_one_in_twenty_failed() -> None:
    """0.5^5 < 0.05 < 0.5^4: five more than the first; at 0.4 six, at 0.6 four."""
    told = attempts(KEY, 2, prediction(400_000, 500_000, 600_000), WIDE)
    assert told is not None
    assert (told.low, told.to, told.high) == (5, 6, 7)
    assert (
        told.why == "A repeated try succeeds 50.0 % of the time: 6 tries leave at most 5.0 % of first failures failed."
    )


def test_one_repetition_is_enough_where_nearly_all_succeed() -> None:
    assert to(attempts(KEY, 5, prediction(960_000, 980_000, 990_000), WIDE)) == 2


def test_repetitions_that_never_help_are_taken_back_one_by_one() -> None:
    assert to(attempts(KEY, 4, prediction(10_000, 50_000, 150_000), Bounds(low=1, high=6, step_max=1))) == 3


def test_repetitions_that_may_or_may_not_help_stay() -> None:
    assert attempts(KEY, 4, prediction(150_000, 200_000, 250_000), WIDE) is None


# Breakers


def test_a_breaker_stays_closed_in_usual_health() -> None:
    """Of 5 per cent failures, three deviations over 100 calls: 0.05 + 3 · 0.0217945."""
    told = failure_rate(KEY, 500_000, 100, prediction(900_000, 950_000, 980_000), WIDE)
    assert told is not None
    assert (told.low, told.to, told.high) == (62_000, 115_383, 190_000)
    assert told.why == "In usual health 5.0 % of calls fail; over 100 calls that stays below 11.5 %."


def test_a_breakers_limit_within_what_learning_says_stays() -> None:
    assert failure_rate(KEY, 150_000, 100, prediction(900_000, 950_000, 980_000), WIDE) is None


def test_what_fails_most_of_the_time_has_no_usual_health() -> None:
    told = failure_rate(KEY, 100_000, 900, prediction(0, 10_000, 20_000), WIDE)
    assert to(told) == 550_000


# Asking


def test_nobody_is_asked_where_even_the_lower_bound_succeeds_often_enough() -> None:
    told = effect(KEY, ASK, prediction(951_000, 970_000, 990_000), EITHER)
    assert told is not None
    assert (told.to, told.why) == (ALLOW, "It succeeds at least 95.1 % of the time, so nobody needs to be asked.")


def test_somebody_is_asked_where_even_the_upper_bound_succeeds_too_seldom() -> None:
    told = effect(KEY, ALLOW, prediction(800_000, 850_000, 900_000), EITHER)
    assert told is not None
    assert (told.to, told.why) == (ASK, "It succeeds at most 90.0 % of the time, so somebody should be asked.")


@pytest.mark.parametrize("now", [ASK, ALLOW])
def test_what_may_be_either_stays_as_it_is(now: int) -> None:
    assert effect(KEY, now, prediction(900_000, 950_000, 980_000), EITHER) is None


def test_bounds_may_say_that_somebody_is_always_asked() -> None:
    always = Bounds(low=ASK, high=ASK, step_max=1)
    assert effect(KEY, ASK, prediction(990_000, 995_000, 999_000), always) is None


# All


def test_a_prediction_that_abstained_proposes_nothing() -> None:
    unsure = prediction(10_000, 20_000, 30_000, abstained=True)
    assert timeout(KEY, 60, timed(8, 10, 12, abstained=True), WIDE) is None
    assert attempts(KEY, 9, unsure, WIDE) is None
    assert failure_rate(KEY, 1, 100, unsure, WIDE) is None
    assert effect(KEY, ALLOW, unsure, EITHER) is None


@pytest.mark.parametrize(("low", "high", "step"), [(3, 2, 1), (1, 2, 0)])
def test_bounds_hold_some_value(low: int, high: int, step: int) -> None:
    with pytest.raises(ValueError, match="no value lies in the bounds"):
        Bounds(low=low, high=high, step_max=step)
