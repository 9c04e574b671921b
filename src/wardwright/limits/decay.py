"""How observations lose weight as they age: exponential decay that does not care in which order it is told.

A weight is fixed when something is observed and grows with its instant; what is asked later is divided by the weight of
the instant that asks. So sums are added to and never multiplied, integers stay exact, and the same observations give
the same sums in any order. (Forward decay: Cormode, Shkapenyuk, Srivastava, Xu, "Forward Decay", ICDE 2009.)

Rule 1: time is cut on UTC's grid into half-lives, and each of those into STEPS. A weight is WEIGHTS[step] within its
half-life and doubles from one half-life to the next: a sum is kept for each half-life, so weights stay small.
Rule 2: what is HALF_LIVES or more half-lives behind the newest is let go: it would weigh less than a four-thousandth.
"""

from __future__ import annotations

from typing import Final, NamedTuple

STEPS: Final = 64
"""Steps of a half-life: a weight falls by 1.1 per cent from one to the next."""

HALF_LIVES: Final = 12
"""Half-lives that are kept."""

ONE: Final = 4096
"""The weight at the start of a half-life."""

WEIGHTS: Final = tuple(round(ONE * 2.0 ** (step / STEPS)) for step in range(STEPS))


class Instant(NamedTuple):
    """When something is asked: the half-life it lies in, and its weight there."""

    half_life: int
    weight: int


def instant(step: int) -> Instant:
    """The instant of a step, counted since the epoch."""
    return Instant(step // STEPS, WEIGHTS[step % STEPS])


def unit(at: Instant) -> int:
    """What one observation at that instant weighs where the oldest half-life that is kept weighs ONE to 2 · ONE.

    >>> unit(instant(5 * STEPS)) == ONE << HALF_LIVES - 1
    True
    """
    return at.weight << (HALF_LIVES - 1)
