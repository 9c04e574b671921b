"""When one target rests: after too many failures, or because it asked for quiet.

Rule 1: *closed* admits every call and watches the failure rate over a sliding window; *open* admits none; when
`open_s` is over the breaker is *half-open* and admits exactly one call, the probe.
Rule 2: it opens on a failure alone, at `failure_ppm` or more, and never on fewer than `calls_min` calls in the window.
Rule 3: the probe's verdict closes or re-opens it. Calls that began before the probe change nothing then: whoever
reports an end says when the call `began`, since breakers are not told apart by call.
Rule 4: a Retry-After is obeyed up to REST_S_MAX and is no failure: when it is over, calls flow as before.

The window is cut in SLICES and forgets one slice at a time: it covers between 90 and 110 per cent of `window_s`.
Seconds are of any clock that never runs backwards; an instant before the last one counts as the last one.
"""

from __future__ import annotations

import math
from typing import Final, Literal, TypeAlias

import msgspec

from wardwright.contracts import provider
from wardwright.kernel.units import PPM

SLICES: Final = 10
"""Parts of the window that are forgotten one at a time."""

REST_S_MAX: Final = 300.0
"""The longest rest that an upstream's Retry-After can impose."""

PROBE_S_MAX: Final = 120.0
"""A probe that has not reported for this long is taken for lost, and another may go."""

State: TypeAlias = Literal["closed", "open", "half_open"]
Rest: TypeAlias = Literal["breaker_open", "rate_limited"]
"""Why a target takes no call now: words of `routing.plan.SkipReason`."""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """What a breaker knows, for people."""

    calls: int
    """Verdicts in the window."""
    failures: int
    free_at: float
    """The earliest instant at which a call may be admitted; not after now if one may go at once."""
    rest: Rest | None
    state: State


class Breaker:
    """The health of one target. Ask `resting` to plan, `admits` right before a call, then `record` its verdict."""

    __slots__ = (
        "_calls",
        "_failures",
        "_free",
        "_open_until",
        "_opened",
        "_past",
        "_probe_until",
        "_quiet_until",
        "_settings",
        "_slice_calls",
        "_slice_ends",
        "_slice_failures",
        "_slice_s",
    )

    def __init__(self, settings: provider.Breaker) -> None:
        self._settings = settings
        self._slice_s = settings.window_s / SLICES
        self._free = True
        """Neither opened nor told to be quiet: the one thing that the healthy case looks at."""
        self._opened = False
        self._open_until = 0.0
        self._probe_until = 0.0
        """Zero: no probe is under way."""
        self._quiet_until = 0.0
        self._calls = self._failures = 0
        self._slice_calls = self._slice_failures = 0
        self._slice_ends = 0.0
        self._past: list[tuple[float, int, int]] = []
        """Earlier slices of the window that are not empty: (end, calls, failures), oldest first."""

    def admits(self, now: float) -> bool:
        """Whether a call may go now. True from a half-open breaker makes that call the probe."""
        if self._free:
            return True
        if self.resting(now) is not None:
            return False
        if self._opened:
            self._probe_until = now + PROBE_S_MAX
        return True

    def record(self, ok: bool, now: float, began: float = math.inf) -> None:
        """The verdict of one call that was admitted. A failure the target is not to blame for is none.

        `began` is the instant of its `admits`; without it the call is taken for the probe, if one is under way.
        """
        if self._opened:
            if self._probing(began):
                self._judge_probe(ok, now)
            return
        if now >= self._slice_ends:
            self._forget(now)
        self._calls += 1
        self._slice_calls += 1
        if not ok:
            self._failures += 1
            self._slice_failures += 1
            settings = self._settings
            if self._calls >= settings.calls_min and self._failures * PPM >= settings.failure_ppm * self._calls:
                self._open(now)

    def abandoned(self, began: float = math.inf) -> None:
        """A call ended without a verdict, such as by a client that left: if it was the probe, another may go."""
        if self._probing(began):
            self._probe_until = 0.0

    def rest_until(self, at: float, now: float) -> None:
        """The upstream asked for quiet until `at` (Retry-After). Bounded by REST_S_MAX; never shortens a rest."""
        self._quiet_until = max(self._quiet_until, min(at, now + REST_S_MAX))
        self._probe_until = 0.0
        self._free = False

    def resting(self, now: float) -> Rest | None:
        """Why no call may go now, or None. Asking takes nothing: a plan may ask and not call."""
        if self._free:
            return None
        if now < self._quiet_until:
            return "rate_limited"
        if self._opened:
            return "breaker_open" if now < self._open_until or now < self._probe_until else None
        self._free = True
        return None

    def health(self, now: float) -> Health:
        rest = self.resting(now)
        if not self._opened and now >= self._slice_ends:
            self._forget(now)
        state: State = "closed"
        if self._opened:
            state = "open" if now < self._open_until else "half_open"
        return Health(
            calls=self._calls,
            failures=self._failures,
            free_at=now if rest is None else max(self._quiet_until, self._open_until, self._probe_until),
            rest=rest,
            state=state,
        )

    def _probing(self, began: float) -> bool:
        return 0.0 < self._probe_until <= began + PROBE_S_MAX

    def _judge_probe(self, ok: bool, now: float) -> None:
        self._probe_until = 0.0
        if not ok:
            self._open(now)
            return
        self._opened = False
        self._free = now >= self._quiet_until
        self._calls = self._failures = self._slice_calls = self._slice_failures = 0
        self._past.clear()

    def _open(self, now: float) -> None:
        self._opened = True
        self._free = False
        self._open_until = now + self._settings.open_s

    def _forget(self, now: float) -> None:
        """Close the current slice, drop those that left the window, begin the slice that holds `now`."""
        if self._slice_calls:
            self._past.append((self._slice_ends, self._slice_calls, self._slice_failures))
        self._slice_ends = now + self._slice_s
        self._slice_calls = self._slice_failures = 0
        horizon = now - self._settings.window_s + self._slice_s
        kept = [part for part in self._past if part[0] > horizon]
        if len(kept) != len(self._past):
            self._past = kept
            self._calls = sum(calls for _, calls, _ in kept)
            self._failures = sum(failures for _, _, failures in kept)
