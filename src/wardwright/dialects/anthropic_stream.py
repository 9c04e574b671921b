"""An Anthropic Messages stream as kernel events.

`message_start`, then blocks (start, deltas, stop), then `message_delta` with the reason and the totals, `message_stop`;
`ping` anywhere, `error` at any time.

Rule 1: `type` inside the data says what an event is; the `event` field serves where there is none.
Rule 2: tool blocks get numbers of their own: text and thinking blocks count in Anthropic's index, not in OpenAI's.
Rule 3: a delta whose kind does not match its block, or that names a block that is not open, is not the dialect.
Rule 4: block types that OpenAI's dialect cannot carry (results of server-side tools, citations) are left out.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from wardwright.dialects.anthropic_words import STOP_REASONS, WireUsage, usage_of
from wardwright.dialects.discretion import presentable
from wardwright.dialects.failures import broken_by
from wardwright.dialects.sse import EVENT_BYTES_MAX, Framer, ServerEvent
from wardwright.kernel.events import (
    Broken,
    Event,
    Finish,
    ReasoningDelta,
    RefusalDelta,
    Start,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStart,
    UsageReport,
)

_CHOICE: Final = 0
"""This dialect has one answer a request."""


class StopDetails(msgspec.Struct):
    explanation: object = None


class Block(msgspec.Struct):
    """A content block, as it starts in a stream or stands in a whole answer."""

    type: str
    text: str = ""
    thinking: str = ""
    signature: str = ""
    data: str = ""
    id: str = ""
    name: str = ""
    input: msgspec.Raw = msgspec.Raw(b"{}")


class Message(msgspec.Struct):
    """A message, empty at the start of a stream or whole."""

    id: str | None = None
    model: str | None = None
    content: list[Block] = []
    stop_reason: str | None = None
    stop_details: StopDetails | None = None
    usage: WireUsage | None = None


class _Delta(msgspec.Struct):
    type: str = ""
    text: str = ""
    partial_json: str = ""
    thinking: str = ""
    signature: str = ""
    stop_reason: str | None = None
    stop_details: StopDetails | None = None


class _Wire(msgspec.Struct):
    """Any event of the stream."""

    type: str = ""
    index: int = -1
    message: Message | None = None
    content_block: Block | None = None
    delta: _Delta | None = None
    usage: WireUsage | None = None
    error: object = None


_Kind: TypeAlias = Literal["text", "thinking", "tool_use", "other"]


class _OpenBlock:
    __slots__ = ("call", "kind", "start", "streamed")

    def __init__(self, kind: _Kind, start: Block, call: int) -> None:
        self.kind = kind
        self.start = start
        self.call = call
        """The number of a tool call."""
        self.streamed = False
        """Arguments came in deltas; otherwise they stand in the start."""


_wire = msgspec.json.Decoder(_Wire).decode
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class AnthropicEvents:
    """An `event_reader.Decoder` for streamed Messages."""

    __slots__ = (
        "_blocks", "_broken", "_calls", "_finished", "_framer", "_reported", "_started", "_usage", "done",
        "upstream_id", "upstream_model",
    )  # fmt: skip

    def __init__(self, event_bytes_max: int = EVENT_BYTES_MAX) -> None:
        self.upstream_id: str | None = None
        self.upstream_model: str | None = None
        self.done = False
        self._framer = Framer(event_bytes_max)
        self._usage: WireUsage | None = None
        self._blocks: dict[int, _OpenBlock] = {}
        self._calls = 0
        self._finished = False
        self._reported = False
        self._started = False
        self._broken = False

    def feed(self, data: bytes) -> list[Event]:
        out: list[Event] = []
        for event in self._framer.feed(data):
            self._take(event, out)
        if self._framer.too_large:
            self._break(out, f"an event of the upstream's stream is larger than {self._framer.event_bytes_max} bytes")
        return out

    def close(self) -> list[Event]:
        out: list[Event] = []
        for event in self._framer.close():
            self._take(event, out)
        self._report(out)
        return out

    def _take(self, event: ServerEvent, out: list[Event]) -> None:
        if self._broken or self.done:
            return
        try:
            wire = _wire(event.data)
        except _UNREADABLE:
            self._break(out, "the upstream's stream holds something that is not an event of a message")
            return
        kind = wire.type or event.name
        if self._finished and kind.startswith("content_block"):
            return
        match kind:
            case "content_block_delta":
                self._delta(wire, out)
            case "content_block_start":
                self._start_block(wire, out)
            case "content_block_stop":
                self._stop_block(wire, out)
            case "message_start":
                self._start(wire, out)
            case "message_delta":
                self._end(wire, out)
            case "message_stop":
                self._report(out)
                self.done = True
            case "error":
                self._broken = True
                out.append(broken_by(wire.error))
            case _:
                pass  # `ping`, and what later versions add

    def _start(self, wire: _Wire, out: list[Event]) -> None:
        if wire.message is None or self._started:
            self._break(out, "the upstream's message starts twice, or without a message")
            return
        self._started = True
        self.upstream_id = wire.message.id
        self.upstream_model = wire.message.model
        self._usage = wire.message.usage
        out.append(Start())

    def _start_block(self, wire: _Wire, out: list[Event]) -> None:
        start = wire.content_block
        if start is None or wire.index in self._blocks:
            self._break(out, "the upstream opens a block twice, or opens none")
            return
        kind: _Kind = "other"
        call = self._calls
        match start.type:
            case "text":
                kind = "text"
                if start.text:
                    out.append(TextDelta(_CHOICE, start.text))
            case "thinking":
                kind = "thinking"
                if start.thinking or start.signature:
                    out.append(ReasoningDelta(_CHOICE, start.thinking, start.signature or None))
            case "redacted_thinking":
                out.append(ReasoningDelta(_CHOICE, "", cipher=start.data))
            case "tool_use":
                kind = "tool_use"
                self._calls += 1
                out.append(ToolCallStart(_CHOICE, call, start.id, start.name))
        self._blocks[wire.index] = _OpenBlock(kind, start, call)

    def _delta(self, wire: _Wire, out: list[Event]) -> None:
        block = self._blocks.get(wire.index)
        delta = wire.delta
        if block is None or delta is None:
            self._break(out, "the upstream adds to a block that is not open")
            return
        match delta.type, block.kind:
            case "text_delta", "text":
                out.append(TextDelta(_CHOICE, delta.text))
            case "input_json_delta", "tool_use":
                if delta.partial_json:
                    block.streamed = True
                    out.append(ToolArgumentsDelta(_CHOICE, block.call, delta.partial_json))
            case "thinking_delta", "thinking":
                out.append(ReasoningDelta(_CHOICE, delta.thinking))
            case "signature_delta", "thinking":
                out.append(ReasoningDelta(_CHOICE, "", delta.signature))
            case (
                ("text_delta" | "input_json_delta" | "thinking_delta" | "signature_delta"),
                ("text" | "thinking" | "tool_use"),
            ):
                self._break(out, "the upstream adds to a block what does not belong in it")
            case _:
                pass

    def _stop_block(self, wire: _Wire, out: list[Event]) -> None:
        block = self._blocks.get(wire.index)
        if block is None:
            self._break(out, "the upstream closes a block that is not open")
        elif block.kind == "tool_use" and not block.streamed:
            out.append(ToolArgumentsDelta(_CHOICE, block.call, bytes(block.start.input).decode()))
        if block is not None:
            block.kind = "other"

    def _end(self, wire: _Wire, out: list[Event]) -> None:
        if wire.usage is not None:
            self._usage = wire.usage if self._usage is None else self._usage.then(wire.usage)
        if wire.delta is None or wire.delta.stop_reason is None or self._finished:
            return
        ending = ending_of(wire.delta.stop_reason, wire.delta.stop_details)
        self._finished = True
        self._broken = isinstance(ending[-1], Broken)
        out.extend(ending)

    def _report(self, out: list[Event]) -> None:
        if self._usage is not None and not self._reported and not self._broken:
            self._reported = True
            out.append(UsageReport(usage_of(self._usage)))

    def _break(self, out: list[Event], message: str) -> None:
        if not self._broken:
            self._broken = True
            out.append(Broken("upstream_stream_broken", message))


def ending_of(stop_reason: str, details: StopDetails | None) -> list[Event]:
    """The events of an ending: the finish, a refusal's own words before it; Broken for a word that is no ending."""
    reason = STOP_REASONS.get(stop_reason)
    if reason is None:
        return [Broken("upstream_stream_broken", f"the upstream gave up its answer: `{presentable(stop_reason)}`")]
    finish = Finish(_CHOICE, reason)
    if stop_reason == "refusal" and details is not None and isinstance(details.explanation, str):
        return [RefusalDelta(_CHOICE, details.explanation), finish]
    return [finish]
