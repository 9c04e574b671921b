"""What can happen in one model answer, whatever dialect it came in.

A closed union: a dialect's decoder produces these, the stream governor reads them, a dialect's renderer writes them.
Within one answer: `Start` first, one `Finish` a choice, `UsageReport` at most once, and nothing after `Broken`.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from wardwright.kernel.usage import Usage

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]


class Start(msgspec.Struct, frozen=True, tag="start"):
    """The model began to answer."""


class TextDelta(msgspec.Struct, frozen=True, tag="text"):
    choice: int
    text: str


class ReasoningDelta(msgspec.Struct, frozen=True, tag="reasoning"):
    choice: int
    text: str
    signature: str | None = None
    """The provider's seal over its thinking, up to the last seal; valid for the model that made it alone."""
    cipher: str | None = None
    """Thinking that the provider hands out encrypted; readable by the model that made it alone."""


class RefusalDelta(msgspec.Struct, frozen=True, tag="refusal"):
    choice: int
    text: str


class ToolCallStart(msgspec.Struct, frozen=True, tag="tool_start"):
    choice: int
    index: int
    """Distinct per call within a choice, from 0 without gaps."""
    id: str
    name: str


class ToolArgumentsDelta(msgspec.Struct, frozen=True, tag="tool_arguments"):
    choice: int
    index: int
    text: str
    """A piece; the pieces of one call concatenate to JSON."""


class UsageReport(msgspec.Struct, frozen=True, tag="usage"):
    usage: Usage


class Finish(msgspec.Struct, frozen=True, tag="finish"):
    choice: int
    reason: FinishReason


class Broken(msgspec.Struct, frozen=True, tag="broken"):
    """The answer failed inside its stream: an error event, or bytes that are not the dialect."""

    code: str
    """A code of kernel.errors.CODES."""
    message: str


Event: TypeAlias = (
    Start
    | TextDelta
    | ReasoningDelta
    | RefusalDelta
    | ToolCallStart
    | ToolArgumentsDelta
    | UsageReport
    | Finish
    | Broken
)
