"""The Beta distribution against sums of fractions and against integration."""

from __future__ import annotations

from fractions import Fraction
from math import comb, cos, fsum, pi, sin, sqrt

import pytest

from wardwright.limits.beta import below, quantile, student

POINTS = 4000


def by_fractions(x: Fraction, a: int, b: int) -> Fraction:
    """Whole parameters make it a binomial tail."""
    n = a + b - 1
    return sum((comb(n, k) * x**k * (1 - x) ** (n - k) for k in range(a, n + 1)), Fraction(0))


def by_integration(x: float, a: float, b: float) -> float:
    """Simpson's rule over the square of a sine, which has no poles for parameters of one half and more."""

    def area(until: float) -> float:
        from_, step = 0.0, until / POINTS
        weights = (1 if n in (0, POINTS) else 4 if n % 2 else 2 for n in range(POINTS + 1))
        places = (from_ + n * step for n in range(POINTS + 1))
        return (
            step
            / 3
            * fsum(
                weight * (sin(at) ** (2 * a - 1)) * (max(cos(at), 0.0) ** (2 * b - 1))
                for weight, at in zip(weights, places, strict=True)
            )
        )

    low, high = 0.0, pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if sin(middle) ** 2 < x else (low, middle)
    return area(low) / area(pi / 2)


@pytest.mark.parametrize(("a", "b"), [(1, 1), (1, 30), (30, 1), (2, 3), (9, 2), (40, 60), (300, 20)])
@pytest.mark.parametrize("x", [Fraction(1, 1000), Fraction(1, 10), Fraction(1, 2), Fraction(93, 100)])
def test_with_whole_parameters_it_is_the_tail_of_a_binomial(a: int, b: int, x: Fraction) -> None:
    assert below(float(x), a, b) == pytest.approx(float(by_fractions(x, a, b)), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("a", "b"), [(0.5, 0.5), (0.5, 8.0), (1.5, 2.25), (12.7, 3.3), (88.8, 7.1), (1.5, 400.5)])
@pytest.mark.parametrize("x", [0.01, 0.3, 0.9])
def test_it_is_the_integral_of_its_density(a: float, b: float, x: float) -> None:
    assert below(x, a, b) == pytest.approx(by_integration(x, a, b), abs=1e-6)


@pytest.mark.parametrize(("a", "b"), [(1, 1), (0.5, 8.5), (8.5, 0.5), (3.2, 900.0), (50_000, 50_000), (99_990, 10)])
@pytest.mark.parametrize("likelihood", [0.001, 0.05, 0.5, 0.95, 0.999])
def test_a_quantile_has_its_likelihood_below_it(a: float, b: float, likelihood: float) -> None:
    x = quantile(likelihood, a, b)
    near = 2e-9
    assert below(max(x - near, 0.0), a, b) <= likelihood <= below(min(x + near, 1.0), a, b)


@pytest.mark.parametrize(("likelihood", "x"), [(0.0, 0.0), (1.0, 1.0)])
def test_all_of_it_lies_between_nought_and_one(likelihood: float, x: float) -> None:
    assert quantile(likelihood, 3, 4) == below(x, 3, 4) == x


def test_students_distribution_is_that_of_the_tables() -> None:
    two_sided = [round(student(0.1, freedom), 3) for freedom in (1, 2, 6, 30, 1000)]
    assert two_sided == [6.314, 2.920, 1.943, 1.697, 1.646]
    assert student(0.5, 2) == pytest.approx(sqrt(2 / 3))  # closed form for two degrees of freedom
