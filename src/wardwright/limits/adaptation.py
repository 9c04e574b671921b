"""Proposals to change a threshold, from what predictions say: values with their evidence, applied by nobody here.

    timeout(key, 30, patterns.predict(key, now_us), Bounds(low=5, high=120, step_max=10))

Rule 1: a proposal moves by `step_max` at most, within its bounds. A current value that lies outside them is moved
towards them where learning says so too, and left alone else.
Rule 2: hysteresis: what learning says is an interval of values. While the current value lies in it there is no
proposal, however far from the middle; so nothing swings about on noise.
Rule 3: a prediction that abstained proposes nothing, nor do times of fewer than EVIDENCE_MIN tries.
"""

from __future__ import annotations

from math import ceil, log, sqrt
from typing import Final, Literal, TypeAlias

import msgspec

from wardwright.limits.observed import Key
from wardwright.limits.prediction import EVIDENCE_MIN, PPM, Prediction

TIMEOUT_HEADROOM_PPM: Final = 1_500_000
"""A timeout is this much of the time in which 99 of 100 successes came."""

FAILED_PPM_MAX: Final = 50_000
"""So many calls may fail in the end, after all their attempts."""

RETRY_WORTH_PPM: Final = 200_000
"""A repeated try that succeeds more seldom is not worth making."""

DEVIATIONS: Final = 3
"""How many standard deviations a healthy target stays under its breaker's limit."""

ALLOW_PPM: Final = 950_000
"""What is allowed without asking succeeds at least so often."""

ASK: Final = 0
ALLOW: Final = 1

Threshold: TypeAlias = Literal["timeout_s", "attempts", "failure_ppm", "allow"]
"""`allow` is ASK or ALLOW."""


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody declared that a threshold may become."""

    high: int
    low: int
    step_max: int
    """The most by which one proposal moves it; at least 1."""

    def __post_init__(self) -> None:
        if self.low > self.high or self.step_max < 1:
            raise ValueError(f"no value lies in the bounds {self.low} to {self.high} by steps of {self.step_max}")


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A threshold's next value, and why. Members in alphabetical order."""

    evidence_milli: int
    """Thousandths of decayed observations behind it."""
    high: int | None
    """What learning says the value should be at most; None: it does not say."""
    key: Key
    low: int
    """What learning says the value should be at least."""
    threshold: Threshold
    to: int
    was: int
    why: str


def timeout(key: Key, now_s: int, prediction: Prediction, bounds: Bounds) -> Proposal | None:
    """A timeout from the time that successes take; longer by a step where too many were cut off to tell."""
    latency = prediction.latency
    if latency is None or latency.evidence_milli < 1000 * EVIDENCE_MIN:
        return None
    low = None if latency.p99_low_us is None else _with_headroom_s(latency.p99_low_us)
    high = None if latency.p99_high_us is None else _with_headroom_s(latency.p99_high_us)
    goal = None if latency.p99_us is None else _with_headroom_s(latency.p99_us)
    if low is None:
        low, goal = now_s + 1, None
        why = f"More than one try in a hundred was cut off by the timeout of {now_s} s."
    elif goal is None:
        why = f"About one try in a hundred was cut off; with headroom successes need {low} s or more."
    else:
        p99_ms = -(-(latency.p99_us or 0) // 1000)
        why = (
            f"99 of 100 successes need {p99_ms // 1000}.{p99_ms // 100 % 10} s at most; half as much again is headroom."
        )
    seen = msgspec.structs.replace(prediction, evidence_milli=latency.evidence_milli)
    return _proposal("timeout_s", key, now_s, (low, goal, high), bounds, seen, why)


def attempts(key: Key, now: int, repeated: Prediction, bounds: Bounds) -> Proposal | None:
    """How many tries a call may make, the first one counted, from how often *repeated* tries succeed: `repeated` is the
    prediction of a key under which tries after a failed one are learned apart."""
    worth = f"A repeated try succeeds {_percent(repeated.success_ppm)} of the time"
    if repeated.high_ppm < RETRY_WORTH_PPM:
        why = f"{worth}, which is not worth making it."
        return _proposal("attempts", key, now, (1, 1, 1), bounds, repeated, why)
    if repeated.low_ppm < RETRY_WORTH_PPM:
        return None
    told = (_attempts(repeated.high_ppm), _attempts(repeated.success_ppm), _attempts(repeated.low_ppm))
    why = f"{worth}: {told[1]} tries leave at most {_percent(FAILED_PPM_MAX)} of first failures failed."
    return _proposal("attempts", key, now, told, bounds, repeated, why)


def failure_rate(key: Key, now_ppm: int, calls_min: int, prediction: Prediction, bounds: Bounds) -> Proposal | None:
    """A breaker's limit that a target in its usual health does not reach in a window of `calls_min` calls."""
    low = _healthy_ppm(PPM - prediction.high_ppm, calls_min)
    goal = _healthy_ppm(PPM - prediction.success_ppm, calls_min)
    high = _healthy_ppm(PPM - prediction.low_ppm, calls_min)
    why = (
        f"In usual health {_percent(PPM - prediction.success_ppm)} of calls fail; "
        f"over {calls_min} calls that stays below {_percent(goal)}."
    )
    return _proposal("failure_ppm", key, now_ppm, (low, goal, high), bounds, prediction, why)


def effect(key: Key, now: int, prediction: Prediction, bounds: Bounds) -> Proposal | None:
    """ALLOW where even the lower bound of success is high enough, ASK where the upper bound is too low."""
    if prediction.low_ppm >= ALLOW_PPM:
        goal = ALLOW
        why = f"It succeeds at least {_percent(prediction.low_ppm)} of the time, so nobody needs to be asked."
    elif prediction.high_ppm < ALLOW_PPM:
        goal = ASK
        why = f"It succeeds at most {_percent(prediction.high_ppm)} of the time, so somebody should be asked."
    else:
        return None
    return _proposal("allow", key, now, (goal, goal, goal), bounds, prediction, why)


def _proposal(
    threshold: Threshold,
    key: Key,
    now: int,
    told: tuple[int, int | None, int | None],
    bounds: Bounds,
    prediction: Prediction,
    why: str,
) -> Proposal | None:
    """The next value, where the current one lies outside what was told: its least, its best and its most."""
    low, goal, high = told
    if prediction.abstained or (low <= now and (high is None or now <= high)):
        return None
    wanted = max(now + bounds.step_max, low) if goal is None else goal
    inside = min(max(wanted, bounds.low), bounds.high)
    to = min(max(inside, now - bounds.step_max), now + bounds.step_max)
    if to == now or (wanted > now) != (to > now):
        return None
    return Proposal(
        evidence_milli=prediction.evidence_milli,
        high=high,
        key=key,
        low=low,
        threshold=threshold,
        to=to,
        was=now,
        why=why,
    )


def _with_headroom_s(latency_us: int) -> int:
    """Whole seconds, rounded up, at least 1."""
    return max(-(-latency_us * TIMEOUT_HEADROOM_PPM // PPM**2), 1)


def _attempts(success_ppm: int) -> int:
    """Tries until at most FAILED_PPM_MAX of those that failed once fail in the end."""
    if success_ppm >= PPM - FAILED_PPM_MAX:
        return 2
    return 1 + ceil(log(FAILED_PPM_MAX / PPM) / log(1.0 - success_ppm / PPM))


def _healthy_ppm(failure_ppm: int, calls_min: int) -> int:
    share = min(failure_ppm, PPM // 2) / PPM  # what fails half the time has no health to speak of
    return min(round(PPM * (share + DEVIATIONS * sqrt(share * (1.0 - share) / calls_min))), PPM)


def _percent(ppm: int) -> str:
    return f"{ppm // 10_000}.{ppm // 1000 % 10} %"
