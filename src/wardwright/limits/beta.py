"""The Beta distribution: how likely it is to lie below a point, and the point below which it lies with a likelihood.

The regularized incomplete beta function is a continued fraction by Lentz's method; its inverse starts from Abramowitz
and Stegun 26.5.22 (or the behaviour at the ends) and is refined by Halley's, inside a bracket that only shrinks and is
halved where the slope is of no use. Both after Numerical Recipes, third edition, 6.4. Student's distribution is asked
through it (the same, 6.14.2).
"""

from __future__ import annotations

from math import exp, expm1, lgamma, log, log1p, sqrt
from typing import Final

PRECISION: Final = 1e-9
"""How near an answer of `quantile` is, absolutely."""

ROUNDS_MAX: Final = 100
"""Refinements of one quantile."""

TERMS_MAX: Final = 10_000
"""Terms of the fraction; it takes some of the square root of the larger parameter."""

_TINY: Final = 1e-300
_EPSILON: Final = 3e-14


def below(x: float, a: float, b: float) -> float:
    """How likely Beta(a, b) is to lie below x: the regularized incomplete beta function. a and b are above 0.

    >>> round(below(0.25, 1, 1), 12), round(below(0.5, 3, 3), 12)
    (0.25, 0.5)
    """
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    front = exp(a * log(x) + b * log1p(-x) - _log_beta(a, b))
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _fraction(x, a, b) / a
    return 1.0 - front * _fraction(1.0 - x, b, a) / b


def quantile(likelihood: float, a: float, b: float) -> float:
    """The point below which Beta(a, b) lies with a likelihood, within PRECISION.

    >>> round(quantile(0.05, 1, 1), 9), round(quantile(0.5, 40, 40), 9)
    (0.05, 0.5)
    """
    if likelihood <= 0.0:
        return 0.0
    if likelihood >= 1.0:
        return 1.0
    log_beta = _log_beta(a, b)
    low, high = 0.0, 1.0
    x = min(max(_guess(likelihood, a, b), _TINY), 1.0 - 1e-16)
    for _ in range(ROUNDS_MAX):
        error = below(x, a, b) - likelihood
        if error > 0.0:
            high = x
        else:
            low = x
        density = exp((a - 1.0) * log(x) + (b - 1.0) * log1p(-x) - log_beta)
        next_x = 0.5 * (low + high)
        if abs(error) < density * (high - low):  # else the slope says nothing: far out in a tail it is next to nought
            step = error / density
            bend = step * ((a - 1.0) / x - (b - 1.0) / (1.0 - x))
            refined = x - step / (1.0 - 0.5 * min(1.0, bend))
            if low <= refined <= high:
                next_x = refined
        moved = abs(next_x - x)
        x = next_x
        if moved < PRECISION:
            break
    return x


def student(likelihood: float, freedom: int) -> float:
    """The point that Student's distribution passes, upwards or downwards, with a likelihood together: two-sided.

    >>> round(student(0.1, 6), 4)
    1.9432
    """
    x = quantile(likelihood, 0.5 * freedom, 0.5)
    return sqrt(freedom * (1.0 - x) / x)


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1.0 - (a + b) * x / (a + 1.0)
    d = 1.0 / (d if abs(d) > _TINY else _TINY)
    result = d
    for term in range(1, TERMS_MAX):
        twice = 2 * term
        even = term * (b - term) * x / ((a - 1.0 + twice) * (a + twice))
        d = 1.0 + even * d
        d = 1.0 / (d if abs(d) > _TINY else _TINY)
        c = 1.0 + even / c
        c = c if abs(c) > _TINY else _TINY
        result *= d * c
        odd = -(a + term) * (a + b + term) * x / ((a + twice) * (a + 1.0 + twice))
        d = 1.0 + odd * d
        d = 1.0 / (d if abs(d) > _TINY else _TINY)
        c = 1.0 + odd / c
        c = c if abs(c) > _TINY else _TINY
        factor = d * c
        result *= factor
        if abs(factor - 1.0) <= _EPSILON:
            break
    return result


def _guess(likelihood: float, a: float, b: float) -> float:
    if a >= 1.0 and b >= 1.0:
        tail = sqrt(-2.0 * log(likelihood if likelihood < 0.5 else 1.0 - likelihood))
        normal = (2.30753 + tail * 0.27061) / (1.0 + tail * (0.99229 + tail * 0.04481)) - tail
        if likelihood < 0.5:
            normal = -normal
        pull = (normal * normal - 3.0) / 6.0
        harmonic = 2.0 / (1.0 / (2.0 * a - 1.0) + 1.0 / (2.0 * b - 1.0))
        shift = normal * sqrt(pull + harmonic) / harmonic
        shift -= (1.0 / (2.0 * b - 1.0) - 1.0 / (2.0 * a - 1.0)) * (pull + 5.0 / 6.0 - 2.0 / (3.0 * harmonic))
        return a / (a + b * exp(min(2.0 * shift, 700.0)))
    left, right = exp(a * log(a / (a + b))) / a, exp(b * log(b / (a + b))) / b
    whole = left + right
    if likelihood < left / whole:
        return float((a * whole * likelihood) ** (1.0 / a))
    return -expm1(log(b * whole * (1.0 - likelihood)) / b)
