"""A scripted step in OpenAI's wire format: chat completions whole and streamed, embeddings, models, errors."""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from wardwright.providers.script import CREATED, Asked, Part, Voiced, pieces

EMBEDDING_DIMENSIONS: Final = 8
EMBEDDING_DIMENSIONS_MAX: Final = 4096

_encode = msgspec.json.encode
_FAMILIES: Final = {
    400: ("invalid_request_error", None),
    401: ("authentication_error", "invalid_api_key"),
    403: ("permission_error", None),
    404: ("invalid_request_error", "model_not_found"),
    413: ("invalid_request_error", None),
    422: ("invalid_request_error", None),
    429: ("rate_limit_error", "rate_limit_exceeded"),
}


def whole(part: Part, asked: Asked) -> bytes:
    """A chat completion."""
    message: dict[str, Any] = {"role": "assistant", "content": "".join(part.text) if part.text else None}
    if part.reasoning:
        message["reasoning_content"] = "".join(part.reasoning)
    if part.tool_calls:
        message["tool_calls"] = [
            {
                "id": _call_id(part, index),
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for index, call in enumerate(part.tool_calls)
        ]
    choices = [
        {"index": index, "message": message, "logprobs": None, "finish_reason": part.finish}
        for index in range(asked.choices)
    ]
    return _encode(_frame(part, "chat.completion") | {"choices": choices, "usage": _usage(part)})


def streamed(part: Part, asked: Asked) -> Voiced:
    """A chat completion as server-sent events, one a delta."""
    with_usage = asked.stream_options is not None and asked.stream_options.include_usage
    frame = _frame(part, "chat.completion.chunk")
    indexes = range(asked.choices)

    def event(choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> bytes:
        chunk = frame | {"choices": choices}
        if with_usage:
            chunk["usage"] = usage
        return b"data: %b\n\n" % _encode(chunk)

    def delta(index: int, members: dict[str, Any], finish: str | None = None) -> bytes:
        return event([{"index": index, "delta": members, "logprobs": None, "finish_reason": finish}])

    opening = [delta(index, {"role": "assistant", "content": ""}) for index in indexes]
    deltas = [delta(index, members) for index in indexes for members in _deltas(part)]
    closing = [delta(index, {}, part.finish) for index in indexes]
    if with_usage:
        closing.append(event([], _usage(part)))
    closing.append(b"data: [DONE]\n\n")
    return Voiced(b"".join(opening), tuple(deltas), b"".join(closing))


def embeddings(asked: Asked, request_bytes: int) -> bytes:
    """Vectors that depend on nothing but the input: equal inputs are equal, others far apart."""
    match asked.input:
        case None:
            inputs: list[object] = []
        case [str() | [*_], *_]:
            inputs = list(asked.input)
        case one:
            inputs = [one]
    count = min(max(asked.dimensions or EMBEDDING_DIMENSIONS, 1), EMBEDDING_DIMENSIONS_MAX)
    data = []
    for index, item in enumerate(inputs):
        vector = _vector(_encode(item), count)
        value: object = vector
        if asked.encoding_format == "base64":
            value = base64.b64encode(struct.pack(f"<{count}f", *vector)).decode()
        data.append({"object": "embedding", "index": index, "embedding": value})
    tokens = max(1, request_bytes // 4)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return _encode({"object": "list", "data": data, "model": asked.model, "usage": usage})


def models(names: Iterable[str]) -> bytes:
    """The list of scripted models."""
    data = [{"id": name, "object": "model", "created": CREATED, "owned_by": "script"} for name in names]
    return _encode({"object": "list", "data": data})


def error(status: int, message: str) -> bytes:
    """An error body as OpenAI would send it with this status."""
    family, code = _FAMILIES.get(status, ("server_error", None))
    return _encode({"error": {"message": message, "type": family, "param": None, "code": code}})


def _frame(part: Part, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{part.id}", "object": kind, "created": CREATED, "model": part.model}


def _usage(part: Part) -> dict[str, Any]:
    return {
        "prompt_tokens": part.input_tokens,
        "completion_tokens": part.output_tokens,
        "total_tokens": part.input_tokens + part.output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": part.reasoning_tokens},
    }


def _deltas(part: Part) -> Iterator[dict[str, Any]]:
    for text in part.reasoning:
        yield {"reasoning_content": text}
    for text in part.text:
        yield {"content": text}
    for index, call in enumerate(part.tool_calls):
        head = {"index": index, "id": _call_id(part, index), "type": "function"}
        yield {"tool_calls": [head | {"function": {"name": call.name, "arguments": ""}}]}
        for piece in pieces(call.arguments):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _call_id(part: Part, index: int) -> str:
    return f"call_{part.id}_{index}"


def _vector(seed: bytes, count: int) -> list[float]:
    raw = hashlib.shake_256(seed).digest(2 * count)
    return [(value - 32768) / 32768 for value in struct.unpack(f"<{count}H", raw)]
