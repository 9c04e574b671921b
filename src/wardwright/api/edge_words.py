"""What the edge answers to model calls, as far as the API document says it: the members that OpenAI's clients rely on.

Answers carry whatever else the upstream said; nothing here is decoded or encoded while serving.
"""

from __future__ import annotations

from typing import Any, Literal, NoReturn

import msgspec

from wardwright.api.operation import Ask
from wardwright.dialects.openai_request import ChatHead, EmbeddingsHead
from wardwright.kernel.errors import WardwrightError


class CompletionUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of the call, in OpenAI's words."""

    prompt_tokens: int
    """Cached ones included."""
    completion_tokens: int
    """Reasoning included."""
    total_tokens: int
    """Both together."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One answer of those asked for."""

    index: int
    """From 0."""
    message: dict[str, Any]
    """`role`, `content`, perhaps `tool_calls`, `refusal` and what else the upstream says."""
    finish_reason: Literal["stop", "length", "tool_calls", "content_filter", "function_call"]
    """How the answer ended. One that did not end is an error, never `stop`."""


class ChatCompletion(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer. A stream carries `chat.completion.chunk` events and ends with `[DONE]`, or with an event that
    has a top-level `error`."""

    id: str
    """`chatcmpl-` and the receipt's id."""
    object: Literal["chat.completion"]
    """What this is."""
    created: int
    """Seconds since the epoch."""
    model: str
    """The name that was asked for."""
    choices: list[Choice]
    """As many as were asked for."""
    usage: CompletionUsage | None = None
    """Absent where the upstream did not account for it."""


class Embedding(msgspec.Struct, frozen=True, kw_only=True):
    """The vector of one text."""

    object: Literal["embedding"]
    """What this is."""
    index: int
    """Of the text, from 0."""
    embedding: list[float] | str
    """Base64 where the request asked for it."""


class EmbeddingsUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of the texts, in OpenAI's words."""

    prompt_tokens: int
    """Of all texts."""
    total_tokens: int
    """The same: embeddings have no output."""


class Embeddings(msgspec.Struct, frozen=True, kw_only=True):
    """The vectors, in the order of the texts."""

    object: Literal["list"]
    """What this is."""
    model: str
    """The name that was asked for."""
    data: list[Embedding]
    """One for each text."""
    usage: EmbeddingsUsage | None = None
    """Absent where the upstream did not account for it."""


async def at_the_edge(_: Ask[ChatHead] | Ask[EmbeddingsHead]) -> NoReturn:
    """The edge answers these paths as they are spelled; only another spelling of one comes here."""
    raise WardwrightError(
        "not_found",
        "model calls are taken at their plain paths",
        hint="spell the path without percent-encoding: `/v1/chat/completions` or `/v1/embeddings`",
    )
