"""Weights: exact powers of two, doubling with each half-life."""

from __future__ import annotations

from wardwright.limits.decay import ONE, STEPS, WEIGHTS, instant, unit


def test_weights_are_the_nearest_whole_ones() -> None:
    """2·w−1 < 2·ONE·2^(step/STEPS) < 2·w+1, in whole numbers."""
    for step, weight in enumerate(WEIGHTS):
        power = (2 * ONE) ** STEPS << step
        assert (2 * weight - 1) ** STEPS < power < (2 * weight + 1) ** STEPS


def test_an_instant_a_half_life_later_has_the_same_weight_in_the_next() -> None:
    here, later = instant(1000), instant(1000 + STEPS)
    assert (later.half_life, later.weight) == (here.half_life + 1, here.weight)
    assert unit(here) == unit(later)
