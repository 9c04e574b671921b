"""A whole Anthropic message as kernel events: the same events that its stream would have given, in fewer pieces."""

from __future__ import annotations

import msgspec

from wardwright.dialects.anthropic_stream import Message, ending_of
from wardwright.dialects.anthropic_words import usage_of
from wardwright.dialects.failures import broken_by
from wardwright.kernel.events import (
    Broken,
    Event,
    ReasoningDelta,
    Start,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStart,
    UsageReport,
)


class _Whole(Message):
    type: str = ""
    error: object = None


_decode = msgspec.json.Decoder(_Whole).decode


class AnthropicWhole:
    """An `event_reader.Decoder` for whole messages: everything comes at the close. Whoever feeds it bounds it."""

    __slots__ = ("_pieces", "done", "upstream_id", "upstream_model")

    def __init__(self) -> None:
        self.upstream_id: str | None = None
        self.upstream_model: str | None = None
        self.done = False
        self._pieces: list[bytes] = []

    def feed(self, data: bytes) -> list[Event]:
        self._pieces.append(data)
        return []

    def close(self) -> list[Event]:
        try:
            message = _decode(b"".join(self._pieces))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return [Broken("upstream_failed", "the upstream's answer is not a message")]
        if message.error:
            return [broken_by(message.error)]
        if message.type != "message" or message.stop_reason is None:
            return [Broken("upstream_stream_broken", "the upstream's answer does not say why it ended")]
        self.upstream_id = message.id
        self.upstream_model = message.model
        return _events(message, message.stop_reason)


def _events(message: Message, stop_reason: str) -> list[Event]:
    events: list[Event] = [Start()]
    calls = 0
    for block in message.content:
        match block.type:
            case "text":
                events.append(TextDelta(0, block.text))
            case "thinking":
                events.append(ReasoningDelta(0, block.thinking, block.signature or None))
            case "redacted_thinking":
                events.append(ReasoningDelta(0, "", cipher=block.data))
            case "tool_use":
                events.append(ToolCallStart(0, calls, block.id, block.name))
                events.append(ToolArgumentsDelta(0, calls, msgspec.json.format(bytes(block.input), indent=-1).decode()))
                calls += 1
            case _:
                pass  # what OpenAI's dialect cannot carry
    events.extend(ending_of(stop_reason, message.stop_details))
    if message.usage is not None:
        events.append(UsageReport(usage_of(message.usage)))
    return events
