"""Kernel events written as OpenAI answers, streamed or whole.

Rule 1: the role stands in the first delta of a choice; nothing is written before there is something to say, so that
another target may still take over.
Rule 2: what the provider sealed leaves as `reasoning_details`, the member that clients of reasoning models send back:
one entry a sealed block, whole, marked with its target. The text goes out live as `reasoning_content` besides.
Rule 3: usage is written once, at the end, where the client asked for it.
"""

from __future__ import annotations

from typing import Any, Final, Protocol, TypeAlias, assert_never

import msgspec

from wardwright.dialects.answer import DONE, Identity
from wardwright.dialects.handover import TARGET_MEMBER
from wardwright.dialects.openai_words import wire_usage
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
from wardwright.kernel.usage import Usage

Members: TypeAlias = dict[str, Any]
"""JSON about to be written."""

_encode = msgspec.json.Encoder().encode


class Renderer(Protocol):
    """Writes one answer."""

    def write(self, event: Event) -> bytes:
        """The client bytes of one event; empty where there is nothing to release yet."""
        ...

    def close(self) -> bytes:
        """What remains of a finished answer."""
        ...


class _Seals:
    """Reasoning details of one choice: text gathers until its seal comes."""

    __slots__ = ("_count", "_format", "_mark", "_text")

    def __init__(self, mark: str | None, format_: str | None) -> None:
        self._mark = mark
        self._format = format_
        self._count = 0
        self._text: list[str] = []

    def take(self, event: ReasoningDelta) -> Members | None:
        """The detail that this event completes."""
        if event.cipher is not None:
            return self._detail({"type": "reasoning.encrypted", "data": event.cipher})
        if event.text:
            self._text.append(event.text)
        if event.signature is None:
            return None
        text = "".join(self._text)
        self._text.clear()
        return self._detail({"type": "reasoning.text", "text": text, "signature": event.signature})

    def _detail(self, members: Members) -> Members:
        members["index"] = self._count
        self._count += 1
        if self._format is not None:
            members["format"] = self._format
        if self._mark is not None:
            members[TARGET_MEMBER] = self._mark
        return members


class ChunkRenderer:
    """Writes a stream of chunks."""

    __slots__ = ("_end", "_format", "_head", "_include_usage", "_mark", "_opened", "_seals", "_texts", "_usage")

    def __init__(
        self, identity: Identity, *, include_usage: bool = False, mark: str | None = None, sealed_as: str | None = None
    ) -> None:
        """`mark`: of the target, see `handover.mark_of`; `sealed_as`: whose format the sealed details have."""
        head = {
            "id": identity.id,
            "object": "chat.completion.chunk",
            "created": identity.created,
            "model": identity.model,
        }
        self._head = b"data: %b," % _encode(head)[:-1]
        self._end = b',"usage":null}\n\n' if include_usage else b"}\n\n"
        self._include_usage = include_usage
        self._mark = mark
        self._format = sealed_as
        self._opened: set[int] = set()
        self._seals: dict[int, _Seals] = {}
        self._texts: dict[int, tuple[bytes, bytes]] = {}
        """By choice, what stands before and behind its text in a chunk that says nothing else."""
        self._usage: Usage | None = None

    def write(self, event: Event) -> bytes:
        match event:
            case TextDelta():
                around = self._texts.get(event.choice)
                if around is not None:
                    return around[0] + _encode(event.text) + around[1]
                return self._first_text(event)
            case ToolArgumentsDelta():
                call: Members = {"index": event.index, "function": {"arguments": event.text}}
                return self._delta(event.choice, {"tool_calls": [call]})
            case ReasoningDelta():
                return self._reasoning(event)
            case ToolCallStart():
                function = {"name": event.name, "arguments": ""}
                call = {"index": event.index, "id": event.id, "type": "function", "function": function}
                return self._delta(event.choice, {"tool_calls": [call]})
            case RefusalDelta():
                return self._delta(event.choice, {"refusal": event.text})
            case Finish():
                return self._delta(event.choice, {}, event.reason)
            case UsageReport():
                self._usage = event.usage
                return b""
            case Start() | Broken():
                return b""
            case _:
                assert_never(event)

    def close(self) -> bytes:
        if not self._include_usage or self._usage is None:
            return DONE
        return b'%b"choices":[],"usage":%b}\n\n%b' % (self._head, _encode(wire_usage(self._usage)), DONE)

    def _first_text(self, event: TextDelta) -> bytes:
        """The first text of a choice: what stands around the texts to come is kept."""
        written = self._delta(event.choice, {"content": event.text})
        before, _, behind = self._delta(event.choice, {"content": ""}).rpartition(b'""')
        self._texts[event.choice] = before, behind
        return written

    def _reasoning(self, event: ReasoningDelta) -> bytes:
        seals = self._seals.get(event.choice)
        if seals is None:
            seals = self._seals[event.choice] = _Seals(self._mark, self._format)
        detail = seals.take(event)
        delta: Members = {"reasoning_content": event.text} if event.text else {}
        if detail is not None:
            delta["reasoning_details"] = [detail]
        return self._delta(event.choice, delta) if delta else b""

    def _delta(self, choice: int, delta: Members, finish: str | None = None) -> bytes:
        if choice not in self._opened:
            self._opened.add(choice)
            delta = {"role": "assistant", **delta}
        entry = _encode({"index": choice, "delta": delta, "logprobs": None, "finish_reason": finish})
        return b'%b"choices":[%b]%b' % (self._head, entry, self._end)


class _Choice:
    """One choice of a whole answer, growing."""

    __slots__ = ("calls", "details", "finish", "reasoning", "refusal", "seals", "text")

    def __init__(self, seals: _Seals) -> None:
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.refusal: list[str] = []
        self.calls: list[tuple[ToolCallStart, list[str]]] = []
        self.details: list[Members] = []
        self.seals = seals
        self.finish: str | None = None

    def message(self) -> Members:
        message: Members = {
            "role": "assistant",
            "content": "".join(self.text) if self.text else None,
            "refusal": "".join(self.refusal) if self.refusal else None,
        }
        if self.reasoning:
            message["reasoning_content"] = "".join(self.reasoning)
        if self.details:
            message["reasoning_details"] = self.details
        if self.calls:
            message["tool_calls"] = [
                {"id": start.id, "type": "function", "function": {"name": start.name, "arguments": "".join(pieces)}}
                for start, pieces in self.calls
            ]
        return message


class WholeRenderer:
    """Writes a whole answer: nothing until it is closed."""

    __slots__ = ("_choices", "_format", "_identity", "_mark", "_usage")

    def __init__(self, identity: Identity, *, mark: str | None = None, sealed_as: str | None = None) -> None:
        self._identity = identity
        self._mark = mark
        self._format = sealed_as
        self._choices: dict[int, _Choice] = {}
        self._usage: Usage | None = None

    def write(self, event: Event) -> bytes:
        match event:
            case TextDelta():
                self._choice(event.choice).text.append(event.text)
            case ReasoningDelta():
                choice = self._choice(event.choice)
                if event.text:
                    choice.reasoning.append(event.text)
                if (detail := choice.seals.take(event)) is not None:
                    choice.details.append(detail)
            case RefusalDelta():
                self._choice(event.choice).refusal.append(event.text)
            case ToolCallStart():
                self._choice(event.choice).calls.append((event, []))
            case ToolArgumentsDelta():
                self._choice(event.choice).calls[event.index][1].append(event.text)
            case Finish():
                self._choice(event.choice).finish = event.reason
            case UsageReport():
                self._usage = event.usage
            case Start() | Broken():
                pass
            case _:
                assert_never(event)
        return b""

    def close(self) -> bytes:
        identity = self._identity
        whole: Members = {
            "id": identity.id,
            "object": "chat.completion",
            "created": identity.created,
            "model": identity.model,
            "choices": [
                {"index": index, "message": choice.message(), "logprobs": None, "finish_reason": choice.finish}
                for index, choice in sorted(self._choices.items())
            ],
        }
        if self._usage is not None:
            whole["usage"] = wire_usage(self._usage)
        return _encode(whole)

    def _choice(self, index: int) -> _Choice:
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Choice(_Seals(self._mark, self._format))
        return choice


SEALED_BY_ANTHROPIC: Final = "anthropic-claude-v1"
"""What clients of reasoning models call Anthropic's form of sealed thinking."""
