"""Replies in OpenAI's dialect for `parts.upstream`, with the odd members that real servers send."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from parts.upstream import EVENTS, Reply

USAGE: Final = {
    "prompt_tokens": 21,
    "completion_tokens": 7,
    "total_tokens": 28,
    "prompt_tokens_details": {"cached_tokens": 5},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
"""What every answer reports."""

DONE: Final = b"data: [DONE]\n\n"

Json = dict[str, Any]


def call(id_: str, name: str, arguments: str, index: int | None = None) -> Json:
    """A tool call; with an index, the form that deltas have."""
    made: Json = {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}
    return made if index is None else {"index": index, **made}


def whole(*messages: Json | str, finish: str = "stop", logprobs: Json | None = None) -> Reply:
    """A whole answer with a choice a message."""
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "content": message} if isinstance(message, str) else message,
            "logprobs": logprobs,
            "finish_reason": finish,
        }
        for index, message in enumerate(messages)
    ]
    body = {
        "id": "up-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "upstream-model-0613",
        "system_fingerprint": "fp_up",
        "choices": choices,
        "usage": USAGE,
    }
    return Reply((msgspec.json.encode(body),))


def event(choices: list[Json], **members: Any) -> bytes:
    chunk = {
        "id": "up-1",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "upstream-model-0613",
        "system_fingerprint": "fp_up",
        "choices": choices,
        **members,
    }
    return b"data: %b\n\n" % msgspec.json.encode(chunk)


def delta(members: Json, *, index: int = 0, finish: str | None = None, logprobs: Json | None = None) -> bytes:
    """One choice of one chunk."""
    return event([{"index": index, "delta": members, "logprobs": logprobs, "finish_reason": finish}])


def stream(deltas: Iterable[bytes], *, finish: str = "stop", choices: int = 1, gap_s: float = 0.0) -> Reply:
    """A stream: roles, the deltas, the finishes, the usage, the end."""
    return Reply(
        (
            *(delta({"role": "assistant", "content": ""}, index=index) for index in range(choices)),
            *deltas,
            *(delta({}, index=index, finish=finish) for index in range(choices)),
            event([], usage=USAGE),
            DONE,
        ),
        headers=EVENTS,
        gap_s=gap_s,
    )


def words(text: str, *, gap_s: float = 0.0) -> Reply:
    """A stream of the text, a word a delta."""
    return stream((delta({"content": word + " "}) for word in text.split()), gap_s=gap_s)


def error(status: int, message: str, *, code: str | None = None, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    body = {"error": {"message": message, "type": "server_error", "param": None, "code": code}}
    return Reply((msgspec.json.encode(body),), status=status, headers=(("content-type", "application/json"), *headers))
