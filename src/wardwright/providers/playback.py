"""Plays a prepared answer to a receiver, in time: what the doubles have instead of a socket.

Rule 1: nothing happens within `start`; the first call comes on the loop's next turn or after the score's wait.
Rule 2: frames without a wait between them arrive in one `body` call, as one socket read would bring them.
Rule 3: the provider's bounds hold as they do for a real upstream, by the same wheel.
Rule 4: one timer at a time, no task; any loop that can call later will do, a simulated one too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol, TypeAlias

import msgspec

from wardwright.contracts.provider import Timeouts
from wardwright.dialects.exchange import Failure, Headers, Receiver
from wardwright.limits.deadlines import NEVER, Deadline, Wheel
from wardwright.providers import failures

MS_PER_S = 1000


class Frame(msgspec.Struct, frozen=True):
    """Bytes of a body, and how long after the bytes before them they come."""

    data: bytes
    wait_ms: int = 0


Ending: TypeAlias = Literal["end", "stall"] | Failure
"""`stall`: nothing more ever comes."""


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """One answer, ready to be played."""

    status: int | None
    """None: not even a head comes; the ending follows the wait."""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    wait_ms: int = 0
    """Before the head."""
    frames: tuple[Frame, ...] = ()
    ending: Ending = "end"
    ending_wait_ms: int = 0
    """Between the last frame and the ending."""


class Handle(Protocol):
    """A call that is due later."""

    def cancel(self) -> None: ...


class Loop(Protocol):
    """What playing needs of an event loop."""

    def call_soon(self, callback: Callable[..., object], *args: Any) -> Handle: ...

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Handle: ...


class Timer(Protocol):
    """Tells the time, as an event loop does."""

    def time(self) -> float:
        """Seconds, of any origin."""
        ...


class Stage:
    """Where answers are played for one provider; knows which are under way."""

    def __init__(self, timeouts: Timeouts, wheel: Wheel, loop: Loop) -> None:
        self.timeouts = timeouts
        self.wheel = wheel
        self.loop = loop
        self.is_open = True
        self.playing: set[Playback] = set()

    def play(self, score: Score, receiver: Receiver) -> Playback:
        playback = Playback(self, score, receiver)
        self.playing.add(playback)
        return playback

    def close(self) -> None:
        """End what is under way; nothing is played from now on."""
        self.is_open = False
        for playback in list(self.playing):
            playback.fail(failures.CLOSED)


class Playback(Deadline):
    """One answer under way. Implements `dialects.exchange.Exchange`."""

    __slots__ = (
        "_is_held", "_is_last", "_is_over", "_is_paused", "_is_told", "_next", "_receiver", "_score", "_stage",
        "_timer", "_total_at",
    )  # fmt: skip

    def __init__(self, stage: Stage, score: Score, receiver: Receiver) -> None:
        super().__init__()
        self._stage = stage
        self._score = score
        self._receiver = receiver
        self._next = 0
        """Index of the frame to come."""
        self._is_told = False
        self._is_paused = False
        self._is_held = False
        """A turn came while paused and is made up for on `resume`."""
        self._is_last = False
        """Only the ending is to come."""
        self._is_over = False
        self._total_at = stage.wheel.now + stage.timeouts.total_s
        self._timer: Handle | None = None
        self._after(score.wait_ms, stage.timeouts.first_byte_s)

    def pause(self) -> None:
        self._is_paused = True
        if not self._is_over and self.at != NEVER:
            self.at = self._total_at

    def resume(self) -> None:
        self._is_paused = False
        if self._is_over:
            return
        if self.at != NEVER:
            self._wait(self._stage.timeouts.between_bytes_s)
        if self._is_held:
            self._is_held = False
            self._after(0, self._stage.timeouts.between_bytes_s)

    def cancel(self) -> None:
        if not self._is_over:
            self._leave()

    def fail(self, failure: Failure) -> None:
        if not self._is_over:
            self._leave()
            self._receiver.failed(failure)

    def expired(self, now: float) -> None:
        if now >= self._total_at:
            self.fail(failures.TOTAL_TIMEOUT)
        elif self._is_told:
            self.fail(failures.BETWEEN_BYTES_TIMEOUT)
        else:
            self.fail(failures.FIRST_BYTE_TIMEOUT)

    def _turn(self) -> None:
        """Play what is due now."""
        if self._is_paused:
            self._is_held = True
            return
        score = self._score
        if not self._is_told:
            if score.status is None:
                self._finish(self._stage.timeouts.first_byte_s)
                return
            self._is_told = True
            headers: Headers = list(score.headers)
            self._receiver.head(score.status, headers)
            if self._is_over:
                return
            if score.frames and score.frames[0].wait_ms:
                self._after(score.frames[0].wait_ms, self._stage.timeouts.between_bytes_s)
                return
        if self._next < len(score.frames):
            self._receiver.body(self._take())
            if self._is_over:
                return
        if self._next < len(score.frames):
            self._after(score.frames[self._next].wait_ms, self._stage.timeouts.between_bytes_s)
        elif score.ending_wait_ms and not self._is_last:
            self._is_last = True
            self._after(score.ending_wait_ms, self._stage.timeouts.between_bytes_s)
        else:
            self._finish(self._stage.timeouts.between_bytes_s)

    def _take(self) -> bytes:
        """The frame that is due, and those that follow it without a wait."""
        frames, first = self._score.frames, self._next
        self._next = first + 1
        while self._next < len(frames) and not frames[self._next].wait_ms:
            self._next += 1
        return b"".join([frame.data for frame in frames[first : self._next]])

    def _finish(self, bound_s: int) -> None:
        match self._score.ending:
            case "end":
                self._leave()
                self._receiver.end()
            case "stall":
                self._wait(bound_s)
            case Failure() as failure:
                self.fail(failure)

    def _after(self, wait_ms: int, bound_s: int) -> None:
        """Take the next turn after a wait, unless it lasts longer than the provider's bound."""
        loop = self._stage.loop
        if wait_ms:
            self._wait(bound_s)
            self._timer = loop.call_later(wait_ms / MS_PER_S, self._turn)
        else:
            self._timer = loop.call_soon(self._turn)

    def _wait(self, bound_s: int) -> None:
        self.at = self._total_at if self._is_paused else min(self._stage.wheel.now + bound_s, self._total_at)
        self._stage.wheel.arm(self)

    def _leave(self) -> None:
        self._is_over = True
        self.at = NEVER
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._stage.playing.discard(self)
