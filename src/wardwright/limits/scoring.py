"""How good predictions were: those that were logged before a try, held against what came of it.

    scores = Scores()
    scores.add(scored)                  # in the order in which tries ended
    scores.report().brier_ppm

Rule 1: nothing is scored that was not told before. A prediction that abstained is counted, and not scored.
Rule 2: everything kept is an integer: the same scored predictions in the same order give the same bytes.
Rule 3: shares are parts per million, log loss millionths of a nat. A prediction of 0 or 1,000,000 counts as 1 or
999,999 for the log loss, which would be infinite else.

Brier score and skill: Brier 1950, Murphy 1973. Reliability diagram and expected calibration error: Naeini et al. 2015,
with bins of equal width. Intervals of frequencies: Wilson 1927.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log, sqrt
from typing import Final

import msgspec

from wardwright.limits.observed import Key
from wardwright.limits.prediction import PPM, Z
from wardwright.limits.velocity import Velocity, velocity

BINS: Final = 10
"""Of the calibration curve, equally wide."""

WINDOW: Final = 50
"""Scored predictions of one window of the learning velocity."""

WINDOWS_MAX: Final = 64
"""Windows that are kept, the newest."""


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """One prediction and what came of it."""

    abstained: bool
    at_us: int
    """When the try ended, µs since the epoch."""
    cost_nano_usd: int | None = None
    key: Key
    latency_us: int | None = None
    predicted_ppm: int
    succeeded: bool


class Bin(msgspec.Struct, frozen=True, kw_only=True):
    """Predictions of about the same likelihood. Only bins that hold some are told."""

    count: int
    from_ppm: int
    high_ppm: int
    """The observed share lies between these with nine tenths' confidence."""
    low_ppm: int
    observed_ppm: int
    """How often they came true."""
    predicted_ppm: int
    """Their mean."""
    until_ppm: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All scores of one set of predictions; None where there is nothing to tell."""

    abstained_ppm: int | None
    """The share of predictions that abstained."""
    base_ppm: int | None
    """How often tries succeeded: what somebody would predict who knows nothing else."""
    bins: tuple[Bin, ...]
    brier_ppm: int | None
    """The mean squared error: 0 is perfect, 250,000 what always saying one half earns."""
    calibration_error_ppm: int | None
    """The mean distance of predicted and observed shares over bins, weighed by their counts."""
    cost_nano_usd: int
    """Of all tries whose cost is known."""
    count: int
    """Scored predictions."""
    latency_us: int | None
    """The mean time of tries whose time is known."""
    log_loss_micro: int | None
    skill_ppm: int | None
    """The share of the base rate's squared error that predictions avoid; below 0 they are worse than it. None where
    all tries ended alike."""
    velocity: Velocity | None
    """How fast the squared error falls; None below WINDOWS_MIN windows."""


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of scores: equal scores, equal bytes. Members in alphabetical order."""

    abstained: int = 0
    bins: tuple[tuple[int, int, int], ...] = ((0, 0, 0),) * BINS
    """Count, successes and the sum of what was predicted, by bin."""
    cost_nano_usd: str = "0"
    latency_us: str = "0"
    loss_micro: str = "0"
    open: tuple[int, int] = (0, 0)
    """Count and squared errors of the window that is not full yet."""
    squares: str = "0"
    """Of errors, in ppm²."""
    timed: int = 0
    """Tries whose time is known."""
    windows: tuple[int, ...] = ()
    """Mean squared errors in ppm, the oldest first."""


class Scores:
    """The fold over scored predictions. Belongs to one thread."""

    def __init__(self, tally: Tally | None = None) -> None:
        kept = tally or Tally()
        self._abstained = kept.abstained
        self._bins = [list(one) for one in kept.bins]
        self._cost = int(kept.cost_nano_usd)
        self._latency = int(kept.latency_us)
        self._loss = int(kept.loss_micro)
        self._open_count, self._open_squares = kept.open
        self._squares = int(kept.squares)
        self._timed = kept.timed
        self._windows = list(kept.windows)

    def add(self, scored: Scored) -> None:
        """Count one. Telling it twice counts it twice: whoever reads a journal tells each record once."""
        if scored.cost_nano_usd is not None:
            self._cost += scored.cost_nano_usd
        if scored.latency_us is not None:
            self._latency += scored.latency_us
            self._timed += 1
        if scored.abstained:
            self._abstained += 1
            return
        predicted = min(max(scored.predicted_ppm, 0), PPM)
        here = self._bins[min(predicted * BINS // PPM, BINS - 1)]
        here[0] += 1
        here[1] += scored.succeeded
        here[2] += predicted
        hit = predicted if scored.succeeded else PPM - predicted
        square = (PPM - hit) ** 2
        self._squares += square
        self._loss += round(-PPM * log(min(max(hit, 1), PPM - 1) / PPM))
        self._open_count += 1
        self._open_squares += square
        if self._open_count == WINDOW:
            self._windows.append(_rounded(self._open_squares, WINDOW * PPM))
            del self._windows[:-WINDOWS_MAX]
            self._open_count = self._open_squares = 0

    def tally(self) -> Tally:
        """What is kept; `Scores(tally)` goes on from there."""
        return Tally(
            abstained=self._abstained,
            bins=tuple((count, good, predicted) for count, good, predicted in self._bins),
            cost_nano_usd=str(self._cost),
            latency_us=str(self._latency),
            loss_micro=str(self._loss),
            open=(self._open_count, self._open_squares),
            squares=str(self._squares),
            timed=self._timed,
            windows=tuple(self._windows),
        )

    def report(self) -> Report:
        """All scores by now."""
        count, good = sum(one[0] for one in self._bins), sum(one[1] for one in self._bins)
        asked = count + self._abstained
        brier = _rounded(self._squares, count * PPM) if count else None
        astray = sum(abs(one[2] - one[1] * PPM) for one in self._bins)
        spread = PPM * good * (count - good)  # the base rate's squared error in ppm, times count²
        return Report(
            abstained_ppm=_rounded(self._abstained * PPM, asked) if asked else None,
            base_ppm=_rounded(good * PPM, count) if count else None,
            bins=tuple(_bin(index, *one) for index, one in enumerate(self._bins) if one[0]),
            brier_ppm=brier,
            calibration_error_ppm=_rounded(astray, count) if count else None,
            cost_nano_usd=self._cost,
            count=count,
            latency_us=_rounded(self._latency, self._timed) if self._timed else None,
            log_loss_micro=_rounded(self._loss, count) if count else None,
            skill_ppm=PPM - _rounded(self._squares * count, spread) if spread else None,
            velocity=velocity(self._windows, WINDOW),
        )


def report(scored: Sequence[Scored]) -> Report:
    """All scores of some predictions, in the order in which their tries ended."""
    scores = Scores()
    for one in scored:
        scores.add(one)
    return scores.report()


def wilson_ppm(good: int, count: int, z: float = Z) -> tuple[int, int]:
    """Between which shares the true one lies: Wilson's interval.

    >>> wilson_ppm(8, 10), wilson_ppm(0, 10)
    ((540793, 931442), (0, 212942))
    """
    share = good / count
    scale = 1.0 + z * z / count
    middle = (share + z * z / (2 * count)) / scale
    half = z * sqrt(share * (1.0 - share) / count + z * z / (4 * count * count)) / scale
    return max(round(PPM * (middle - half)), 0), min(round(PPM * (middle + half)), PPM)


def _bin(index: int, count: int, good: int, predicted: int) -> Bin:
    low, high = wilson_ppm(good, count)
    return Bin(
        count=count,
        from_ppm=index * PPM // BINS,
        high_ppm=high,
        low_ppm=low,
        observed_ppm=_rounded(good * PPM, count),
        predicted_ppm=_rounded(predicted, count),
        until_ppm=(index + 1) * PPM // BINS,
    )


def _rounded(amount: int, by: int) -> int:
    return (2 * amount + by) // (2 * by)
