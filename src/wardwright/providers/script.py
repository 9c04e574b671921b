"""What a scripted model is asked and what its step says, in no dialect yet."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Protocol

import msgspec

from wardwright.contracts.provider import ScriptStep, ScriptToolCall
from wardwright.kernel.events import FinishReason

ARGUMENTS_PIECE_CHARS: Final = 24
CHOICES_MAX: Final = 16
CREATED: Final = 1_750_000_000
"""Seconds since the epoch at which every scripted answer claims to be made: a script plays the same every time."""


class StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool = False


class Asked(msgspec.Struct, frozen=True):
    """The members of a request that a script looks at."""

    model: str = ""
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = None
    input: object = None
    """Of an embeddings request: text or tokens, one or many."""
    dimensions: int | None = None
    encoding_format: str | None = None

    @property
    def choices(self) -> int:
        return min(max(self.n or 1, 1), CHOICES_MAX)


class Part(msgspec.Struct, frozen=True):
    """A scripted step, complete: every default filled in, every length counted."""

    id: str
    model: str
    reasoning: tuple[str, ...]
    """Deltas."""
    text: tuple[str, ...]
    """Deltas; empty where the step has no text."""
    tool_calls: tuple[ScriptToolCall, ...]
    finish: FinishReason
    input_tokens: int
    output_tokens: int
    """Reasoning included."""
    reasoning_tokens: int


def part_of(step: ScriptStep, asked: Asked, nth: int, request_bytes: int) -> Part:
    """Complete a step. Tokens that it does not state are words of the answer, and a quarter of the request's bytes.

    >>> part_of(ScriptStep(), Asked(model="m"), 1, 40).text
    ('ok',)
    """
    text = step.chunks or (words(step.text) if step.text is not None else ())
    if not text and step.text is None and not step.tool_calls:
        text = ("ok",)
    reasoning = words(step.reasoning or "")
    written = len(reasoning) + len(text) + sum(1 + len(pieces(call.arguments)) for call in step.tool_calls)
    output_tokens = written if step.output_tokens is None else step.output_tokens
    return Part(
        id=f"{asked.model}-{nth}",
        model=asked.model,
        reasoning=reasoning,
        text=text,
        tool_calls=step.tool_calls,
        finish=step.finish or ("tool_calls" if step.tool_calls else "stop"),
        input_tokens=max(1, request_bytes // 4) if step.input_tokens is None else step.input_tokens,
        output_tokens=output_tokens,
        reasoning_tokens=min(len(reasoning), output_tokens),
    )


def words(text: str) -> tuple[str, ...]:
    """The text cut after its words; joined it is the text again.

    >>> words("one  two")
    ('one  ', 'two')
    """
    return tuple(re.findall(r"\S+\s*|^\s+", text))


def pieces(arguments: str) -> tuple[str, ...]:
    """The arguments of a tool call, cut as a model would stream them."""
    return tuple(
        arguments[start : start + ARGUMENTS_PIECE_CHARS] for start in range(0, len(arguments), ARGUMENTS_PIECE_CHARS)
    )


class Voiced(msgspec.Struct, frozen=True):
    """A streamed answer in a dialect's bytes, by what each stands for."""

    opening: bytes
    deltas: tuple[bytes, ...]
    closing: bytes


class Dialect(Protocol):
    """What a dialect makes of a part. The modules `script_openai` and `script_anthropic` are such."""

    def whole(self, part: Part, asked: Asked) -> bytes:
        """The body of a whole answer."""
        ...

    def streamed(self, part: Part, asked: Asked) -> Voiced: ...

    def models(self, names: Iterable[str]) -> bytes:
        """The body of a list of models."""
        ...

    def error(self, status: int, message: str) -> bytes:
        """The body of an error."""
        ...
