"""Learning velocity by hand: the slope of a line, and whether it could be flat."""

from __future__ import annotations

from math import sqrt
from random import Random

import pytest

from wardwright.limits.velocity import WINDOWS_MIN, velocity


def test_too_few_windows_are_no_trend() -> None:
    assert velocity([100_000] * (WINDOWS_MIN - 1), 50) is None


@pytest.mark.parametrize(("step", "trend"), [(-1000, "improving"), (0, "cannot_tell"), (1000, "worsening")])
def test_a_straight_line_has_its_slope_and_no_doubt(step: int, trend: str) -> None:
    told = velocity([200_000 + step * n for n in range(10)], 100)
    assert told is not None
    assert (told.low_ppm, told.fall_ppm, told.high_ppm) == (-10 * step,) * 3
    assert (told.trend, told.windows) == (trend, 10)


def test_the_interval_is_students() -> None:
    """0, 3, 0, 3, 0, 3, 0, 3: slope 1/7; residuals leave 120/7 over six degrees of freedom; places spread by 42.

    The sum of squares is 18, of which the slope explains 42/49 = 6/7; Student's 1.943 at six degrees.
    """
    told = velocity([0, 3_000_000] * 4, 1000)
    assert told is not None
    half = 1.94318 * sqrt((18 - 6 / 7) / 6 / 42) * 1e6
    assert told.fall_ppm == round(-1e6 / 7)
    assert told.low_ppm == pytest.approx(-1e6 / 7 - half, abs=2)
    assert told.high_ppm == pytest.approx(-1e6 / 7 + half, abs=2)
    assert told.trend == "cannot_tell"


def test_nine_of_ten_intervals_hold_the_slope_that_drew_the_windows() -> None:
    """Of 1,000 independent intervals 900 hold it on average, with a deviation of 9.5."""
    luck, held = Random(3), 0
    for _ in range(1000):
        told = velocity([round(200_000 - 500 * n + luck.gauss(0, 5000)) for n in range(20)], 100)
        assert told is not None
        held += told.low_ppm <= 5000 <= told.high_ppm
    assert 860 <= held <= 940
