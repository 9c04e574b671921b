"""Proposals stay within their bounds and their steps, leave alone what learning does not exclude, and come to rest."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from wardwright.limits.adaptation import Bounds, Proposal, attempts, effect, failure_rate, timeout
from wardwright.limits.prediction import Latency, Prediction

KEY = ("t", "tool read")
STEPS_MAX = 5_000

shares = st.lists(st.integers(0, 1_000_000), min_size=3, max_size=3).map(sorted)
times = st.lists(st.integers(0, 10**9) | st.just(10**12), min_size=3, max_size=3).map(sorted)
bounds = st.builds(
    lambda low, more, step: Bounds(low=low, high=low + more, step_max=step),
    st.integers(1, 300), st.integers(0, 3000), st.integers(1, 500),
)  # fmt: skip


@st.composite
def predictions(draw: st.DrawFn) -> Prediction:
    low, point, high = draw(shares)
    p99_low, p99, p99_high = (None if us == 10**12 else us for us in draw(times))
    latency = Latency(
        evidence_milli=draw(st.sampled_from([7999, 8000])), p50_us=0, p90_us=0, p99_high_us=p99_high,
        p99_low_us=p99_low, p99_us=p99,
    )  # fmt: skip
    return Prediction(
        abstained=draw(st.booleans()), cost_nano_usd=None, evidence_milli=draw(st.integers(8000, 10**6)), high_ppm=high,
        latency=draw(st.sampled_from([None, latency])), level="target", low_ppm=low, success_ppm=point,
    )  # fmt: skip


def proposed(which: str, now: int, prediction: Prediction, within: Bounds) -> Proposal | None:
    match which:
        case "timeout":
            return timeout(KEY, now, prediction, within)
        case "attempts":
            return attempts(KEY, now, prediction, within)
        case "breaker":
            return failure_rate(KEY, now, 8, prediction, within)
        case _:
            return effect(KEY, now, prediction, within)


WHICH = st.sampled_from(["timeout", "attempts", "breaker", "effect"])


@given(WHICH, st.integers(0, 4000), predictions(), bounds)
def test_a_proposal_keeps_its_bounds_and_its_step_and_has_a_reason(
    which: str, now: int, prediction: Prediction, within: Bounds
) -> None:
    told = proposed(which, now, prediction, within)
    assert told == proposed(which, now, prediction, within)
    if told is None:
        return
    assert not prediction.abstained
    assert told.was == now != told.to
    assert abs(told.to - now) <= within.step_max
    assert within.low <= told.to <= within.high or not within.low <= now <= within.high
    assert now < told.low or (told.high is not None and now > told.high)
    assert told.why.endswith(".")


@given(WHICH, st.integers(0, 4000), predictions(), bounds)
def test_proposals_come_to_rest_and_never_turn_back(
    which: str, now: int, prediction: Prediction, within: Bounds
) -> None:
    """As long as learning says the same; a timeout that cuts tries off does grow until its bound."""
    moves: list[int] = []
    for _ in range(STEPS_MAX):
        told = proposed(which, now, prediction, within)
        if told is None:
            break
        moves.append(told.to - now)
        now = told.to
    else:
        raise AssertionError("still moving")
    assume(moves)
    assert len({move > 0 for move in moves}) == 1
