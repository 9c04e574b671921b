"""OpenAI answers as kernel events, streamed or whole: for whoever reads meaning rather than bytes.

Chunks are repaired first (`openai_chunk`), so the events hold the promises of `kernel.events`: calls numbered from 0,
one finish a choice, nothing after the end. Members that no event has (log probabilities, annotations) are left behind;
`openai_stream` keeps them.
"""

from __future__ import annotations

import msgspec

from wardwright.dialects.answer import Identity, Tally, Whole
from wardwright.dialects.openai_chunk import ChunkRepair
from wardwright.dialects.openai_whole import as_stream, read_whole
from wardwright.dialects.sse import EVENT_BYTES_MAX, Framer, ServerEvent
from wardwright.kernel.events import (
    Broken,
    Event,
    Finish,
    FinishReason,
    ReasoningDelta,
    RefusalDelta,
    Start,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStart,
    UsageReport,
)

_NOBODY = Identity("", "", 0)
"""Events carry no identity."""


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _Call(msgspec.Struct, gc=False):
    index: int
    id: str | None = None
    function: _Function | None = None


class _Detail(msgspec.Struct, gc=False):
    signature: str | None = None
    data: str | None = None


class _Delta(msgspec.Struct, gc=False):
    content: object = None
    reasoning_content: object = None
    reasoning: object = None
    refusal: object = None
    reasoning_details: object = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct, gc=False):
    index: int
    delta: _Delta
    finish_reason: FinishReason | None = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] = []


_chunk = msgspec.json.Decoder(_Chunk).decode


class OpenAIEvents:
    """An `event_reader.Decoder` for streamed chat completions."""

    __slots__ = ("_framer", "_repair", "_started", "_told", "done")

    def __init__(self, event_bytes_max: int = EVENT_BYTES_MAX) -> None:
        self.done = False
        self._framer = Framer(event_bytes_max)
        self._repair = ChunkRepair(_NOBODY)
        self._started = False
        self._told = False

    @property
    def tally(self) -> Tally:
        """What was counted so far."""
        return self._repair.tally

    @property
    def upstream_id(self) -> str | None:
        return self._repair.tally.upstream_id

    @property
    def upstream_model(self) -> str | None:
        return self._repair.tally.upstream_model

    def feed(self, data: bytes) -> list[Event]:
        out: list[Event] = []
        self._take(self._framer.feed(data), out)
        if self._framer.too_large:
            self._repair.fail(f"an event of the upstream's stream is larger than {self._framer.event_bytes_max} bytes")
        return self._with_break(out)

    def close(self) -> list[Event]:
        out: list[Event] = []
        self._take(self._framer.close(), out)
        if not self._repair.finished:
            self._repair.fail("the upstream's stream ended before its answer did")
        elif self._repair.tally.usage is not None and self._repair.broken is None:
            out.append(UsageReport(self._repair.tally.usage))
        return self._with_break(out)

    def _take(self, events: list[ServerEvent], out: list[Event]) -> None:
        for event in events:
            if self.done or self._repair.broken is not None:
                return
            if event.data.startswith(b"[DONE]"):
                self.done = True
            elif event.name == "error":
                self._repair.take_error(event.data)
            elif plain := self._repair.skim(event.data):
                if plain[1]:
                    out.append(TextDelta(*plain))
            elif chunk := self._repair.take(event.data):
                if not self._started:
                    self._started = True
                    out.append(Start())
                for choice in _chunk(chunk).choices:
                    _add(choice, out)

    def _with_break(self, out: list[Event]) -> list[Event]:
        if self._repair.broken is not None and not self._told:
            self._told = True
            out.append(self._repair.broken)
        return out


class OpenAIWhole:
    """An `event_reader.Decoder` for whole chat completions: the bytes are collected and read at their end."""

    __slots__ = ("_pieces", "done", "upstream_id", "upstream_model")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.done = False
        """Never: a whole body ends where HTTP says that it ends."""
        self.upstream_id: str | None = None
        self.upstream_model: str | None = None

    def feed(self, data: bytes) -> list[Event]:
        self._pieces.append(data)
        return []

    def close(self) -> list[Event]:
        whole = read_whole(b"".join(self._pieces), _NOBODY)
        self._pieces.clear()
        if isinstance(whole, Broken):
            return [whole]
        self.upstream_id, self.upstream_model = whole.tally.upstream_id, whole.tally.upstream_model
        return events_of_answer(whole)


def events_of_answer(whole: Whole) -> list[Event]:
    """The events of an answer that was read already."""
    decoder = OpenAIEvents()
    return decoder.feed(as_stream(whole, include_usage=True)) + decoder.close()


def _add(choice: _Choice, out: list[Event]) -> None:
    index, delta = choice.index, choice.delta
    for reasoning in (delta.reasoning_content, delta.reasoning):
        if isinstance(reasoning, str):
            if reasoning:
                out.append(ReasoningDelta(index, reasoning))
            break
    if delta.reasoning_details:
        out.extend(_seals(index, delta.reasoning_details))
    if isinstance(delta.content, str) and delta.content:
        out.append(TextDelta(index, delta.content))
    if isinstance(delta.refusal, str) and delta.refusal:
        out.append(RefusalDelta(index, delta.refusal))
    for call in delta.tool_calls or ():
        function = call.function or _Function()
        if call.id:
            out.append(ToolCallStart(index, call.index, call.id, function.name or ""))
        if function.arguments:
            out.append(ToolArgumentsDelta(index, call.index, function.arguments))
    if choice.finish_reason is not None:
        out.append(Finish(index, choice.finish_reason))


def _seals(choice: int, details: object) -> list[Event]:
    """What the provider sealed; the text of it came as reasoning already."""
    try:
        read = msgspec.convert(details, list[_Detail])
    except msgspec.ValidationError:
        return []
    out: list[Event] = []
    for detail in read:
        if detail.data is not None:
            out.append(ReasoningDelta(choice, "", cipher=detail.data))
        elif detail.signature is not None:
            out.append(ReasoningDelta(choice, "", signature=detail.signature))
    return out
