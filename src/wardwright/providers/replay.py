"""Recorded exchanges, played again, and the wrapper that records them.

Rule 1: a request is answered by the recordings of an equal body, else by those of its path and model; the n-th such
request by the n-th of them, the last one repeating. Without either it fails with `connect`.
Rule 2: an answer is played in the time it took.
Rule 3: recording changes nothing of what the receiver hears; an exchange that was cancelled is not recorded.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from wardwright.contracts.provider import Provider
from wardwright.dialects.exchange import Exchange, Failure, Gauges, Headers, HttpRequest, Receiver, Transport
from wardwright.kernel.errors import Place, WardwrightError
from wardwright.limits.deadlines import Wheel
from wardwright.providers import failures
from wardwright.providers.playback import MS_PER_S, Ending, Frame, Loop, Score, Stage, Timer
from wardwright.providers.recording import (
    RECORDED_BYTES_MAX,
    Piece,
    Recording,
    body_digest,
    kept,
    model_of,
    read_directory,
)

UNRECORDED: Final = Failure(kind="connect", message="no recording answers this request")

_Key: TypeAlias = tuple[str, str, str]


class ReplayTransport:
    """Plays a directory of recordings. Implements `dialects.exchange.Transport`."""

    def __init__(self, provider: Provider, wheel: Wheel, loop: Loop) -> None:
        """Raises `contract_invalid` for a provider that names no directory."""
        if provider.recordings is None:
            raise WardwrightError(
                "contract_invalid",
                f"provider `{provider.name}`: the transport `replay` needs `recordings`",
                place=Place(path="recordings"),
            )
        self._directory = Path(provider.recordings)
        self._stage = Stage(provider.timeouts, wheel, loop)
        self._scores: dict[_Key, list[Score]] = {}
        self._played: Counter[_Key] = Counter()

    async def open(self) -> None:
        """Read the recordings. Raises `settings_invalid` with file and line."""
        scores: dict[_Key, list[Score]] = {}
        for recording in read_directory(self._directory):
            score = score_of(recording)
            for key in _keys(recording.method, recording.path, recording.request, recording.model):
                scores.setdefault(key, []).append(score)
        self._scores = scores

    def start(self, request: HttpRequest, receiver: Receiver) -> Exchange:
        if not self._stage.is_open:
            return self._stage.play(Score(status=None, ending=failures.NOT_OPEN), receiver)
        for key in _keys(request.method, request.path, body_digest(request), model_of(request)):
            scores = self._scores.get(key)
            if scores is not None:
                self._played[key] += 1
                return self._stage.play(scores[min(self._played[key], len(scores)) - 1], receiver)
        return self._stage.play(Score(status=None, ending=UNRECORDED), receiver)

    def gauges(self) -> Gauges:
        """Answers under way count as connections."""
        return Gauges(connections=len(self._stage.playing), idle=0, waiting=0)

    async def aclose(self) -> None:
        """What is under way hears `failed` (`reset`)."""
        self._stage.close()


class RecordingTransport:
    """Any transport, its exchanges written down as they end. Implements `dialects.exchange.Transport`.

    Appends to its file on the event loop: a tool for making fixtures, not for serving.
    """

    def __init__(self, inner: Transport, file: Path, clock: Timer) -> None:
        """`file` ends in `.jsonl`; its directory is what `recordings` names afterwards."""
        self._inner = inner
        self._file = file
        self._clock = clock

    async def open(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        await self._inner.open()

    def start(self, request: HttpRequest, receiver: Receiver) -> Exchange:
        return self._inner.start(request, _Recorder(self, request, receiver, self._clock))

    def gauges(self) -> Gauges:
        return self._inner.gauges()

    async def aclose(self) -> None:
        await self._inner.aclose()

    def write(self, recording: Recording) -> None:
        with self._file.open("ab") as opened:
            opened.write(msgspec.json.encode(recording) + b"\n")


class _Recorder:
    """A receiver that hands on and remembers."""

    def __init__(self, recording: RecordingTransport, request: HttpRequest, receiver: Receiver, clock: Timer) -> None:
        self._transport = recording
        self._request = request
        self._receiver = receiver
        self._clock = clock
        self._started_at = clock.time()
        self._status: int | None = None
        self._head_ms = 0
        self._headers: tuple[tuple[str, str], ...] = ()
        self._pieces: list[Piece] = []
        self._room = RECORDED_BYTES_MAX

    def head(self, status: int, headers: Headers) -> None:
        self._status = status
        self._head_ms = self._elapsed_ms()
        self._headers = kept(headers)
        self._receiver.head(status, headers)

    def body(self, data: bytes) -> None:
        self._room -= len(data)
        if self._room >= 0:
            self._pieces.append(Piece.of(self._elapsed_ms(), data))
        else:
            self._pieces.clear()
        self._receiver.body(data)

    def end(self) -> None:
        self._write(None)
        self._receiver.end()

    def failed(self, failure: Failure) -> None:
        self._write(failure)
        self._receiver.failed(failure)

    def _write(self, failure: Failure | None) -> None:
        if self._room < 0:
            return
        self._transport.write(
            Recording(
                v=1,
                method=self._request.method,
                path=self._request.path,
                request=body_digest(self._request),
                model=model_of(self._request),
                status=self._status,
                head_ms=self._head_ms,
                headers=self._headers,
                pieces=tuple(self._pieces),
                ended_ms=self._elapsed_ms(),
                failure=failure,
            )
        )

    def _elapsed_ms(self) -> int:
        return round((self._clock.time() - self._started_at) * MS_PER_S)


def score_of(recording: Recording) -> Score:
    """The recording as something to play: offsets become waits."""
    frames = []
    before_ms = recording.head_ms
    for piece in recording.pieces:
        frames.append(Frame(piece.data, max(0, piece.at_ms - before_ms)))
        before_ms = max(before_ms, piece.at_ms)
    ending: Ending = "end" if recording.failure is None else recording.failure
    return Score(
        status=recording.status,
        headers=tuple((name.encode(), value.encode("latin-1")) for name, value in recording.headers),
        wait_ms=recording.head_ms if recording.status is not None else recording.ended_ms,
        frames=tuple(frames),
        ending=ending,
        ending_wait_ms=max(0, recording.ended_ms - before_ms) if recording.status is not None else 0,
    )


def _keys(method: str, path: str, digest: str, model: str) -> list[_Key]:
    """What a recording is found by, the most exact first."""
    target = f"{method} {path}"
    return [(target, "body", digest), (target, "model", model)]
