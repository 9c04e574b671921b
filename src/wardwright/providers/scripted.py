"""A provider without a network: it answers what its document's scripts say, the same way every time.

For demonstrations, benchmarks and your own tests.

Rule 1: the n-th call for a model plays step n of its script; the last step repeats.
Rule 2: a model without a script is not known (404), save where the provider has no script at all: then every model
answers `ok`.
Rule 3: `break_after_chunks` and `stall_after_chunks` count deltas; 0 means that not even a head comes.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

import msgspec

from wardwright.contracts.provider import Provider, Script, ScriptStep
from wardwright.dialects.exchange import Exchange, Gauges, HttpRequest, Receiver
from wardwright.limits.deadlines import Wheel
from wardwright.providers import failures, script_anthropic, script_openai
from wardwright.providers.playback import Ending, Frame, Loop, Score, Stage
from wardwright.providers.script import Asked, Dialect, Voiced, part_of

_JSON: Final = ((b"content-type", b"application/json"),)
_EVENTS: Final = ((b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache"))
_DIALECTS: Final[dict[str, Dialect]] = {"openai": script_openai, "anthropic": script_anthropic}
_asked = msgspec.json.Decoder(Asked)


class ScriptedTransport:
    """Plays the scripts of a provider document. Implements `dialects.exchange.Transport`."""

    def __init__(self, provider: Provider, wheel: Wheel, loop: Loop) -> None:
        self._provider = provider
        self._scripts = {script.model: script for script in provider.scripts}
        self._stage = Stage(provider.timeouts, wheel, loop)
        self._dialect = _DIALECTS[provider.dialect]
        self.calls: Counter[str] = Counter()
        """Calls so far, by model."""

    async def open(self) -> None:
        """Nothing to open."""

    def start(self, request: HttpRequest, receiver: Receiver) -> Exchange:
        if not self._stage.is_open:
            return self._stage.play(Score(status=None, ending=failures.NOT_OPEN), receiver)
        return self._stage.play(self._score(request), receiver)

    def gauges(self) -> Gauges:
        """Answers under way count as connections."""
        return Gauges(connections=len(self._stage.playing), idle=0, waiting=0)

    async def aclose(self) -> None:
        """What is under way hears `failed` (`reset`)."""
        self._stage.close()

    def _score(self, request: HttpRequest) -> Score:
        """What this request is answered with."""
        if request.method == "GET" and request.path == "/models":
            return _whole(200, self._dialect.models(self._scripts))
        try:
            asked = _asked.decode(request.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._error(ScriptStep(status=400, text="the body is not a request"))
        script = self._scripts.get(asked.model)
        if script is None and self._scripts:
            return self._error(ScriptStep(status=404, text=f"the model `{asked.model}` does not exist"))
        self.calls[asked.model] += 1
        nth = self.calls[asked.model]
        step = _step_of(script, nth)
        if step.status != 200:
            return self._error(step)
        size = len(request.body)
        if request.path == "/embeddings":
            return _timed(step, script_openai.embeddings(asked, size))
        part = part_of(step, asked, nth, size)
        if asked.stream:
            return _streamed(step, self._dialect.streamed(part, asked))
        return _timed(step, self._dialect.whole(part, asked))

    def _error(self, step: ScriptStep) -> Score:
        message = step.text or f"the script answers {step.status}"
        retry = () if step.retry_after_s is None else ((b"retry-after", b"%d" % step.retry_after_s),)
        return Score(
            status=step.status,
            headers=_JSON + retry,
            wait_ms=step.delay_ms,
            frames=(Frame(self._dialect.error(step.status, message)),),
        )


def _step_of(script: Script | None, nth: int) -> ScriptStep:
    if script is None or not script.steps:
        return ScriptStep()
    return script.steps[min(nth, len(script.steps)) - 1]


def _whole(status: int, body: bytes) -> Score:
    return Score(status=status, headers=_JSON, frames=(Frame(body),))


def _timed(step: ScriptStep, body: bytes) -> Score:
    """A whole answer, with the step's delay; one that breaks or stalls does so in the middle of its body."""
    count, ending = _ending(step)
    if count == 0:
        return Score(status=None, wait_ms=step.delay_ms, ending=ending)
    if count is not None:
        body = body[: len(body) // 2]
    return Score(status=200, headers=_JSON, wait_ms=step.delay_ms, frames=(Frame(body),), ending=ending)


def _streamed(step: ScriptStep, voiced: Voiced) -> Score:
    """A stream, a frame a delta; what opens it comes with the first, what closes it with the last."""
    count, ending = _ending(step)
    if count == 0:
        return Score(status=None, wait_ms=step.delay_ms, ending=ending)
    deltas = list(voiced.deltas if count is None else voiced.deltas[:count]) or [b""]
    deltas[0] = voiced.opening + deltas[0]
    if count is None:
        deltas[-1] += voiced.closing
    frames = [Frame(delta, step.chunk_delay_ms if index else 0) for index, delta in enumerate(deltas)]
    return Score(status=200, headers=_EVENTS, wait_ms=step.delay_ms, frames=tuple(frames), ending=ending)


def _ending(step: ScriptStep) -> tuple[int | None, Ending]:
    """After how many deltas the answer stops short, if it does, and how."""
    breaks, stalls = step.break_after_chunks, step.stall_after_chunks
    if breaks is not None and (stalls is None or breaks <= stalls):
        return breaks, failures.RESET_IN_BODY if breaks else failures.RESET
    if stalls is not None:
        return stalls, "stall"
    return None, "end"
