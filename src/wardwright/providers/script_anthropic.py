"""A scripted step in Anthropic's wire format: messages whole and streamed, models, errors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from wardwright.kernel.events import FinishReason
from wardwright.providers.script import Asked, Part, Voiced, pieces

SIGNATURE: Final = "c2NyaXB0ZWQ="
"""What seals scripted thinking."""

_encode = msgspec.json.encode
_STOP_REASONS: Final[dict[FinishReason, str]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
_FAMILIES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def whole(part: Part, asked: Asked) -> bytes:
    """A message."""
    content: list[dict[str, Any]] = []
    if part.reasoning:
        content.append({"type": "thinking", "thinking": "".join(part.reasoning), "signature": SIGNATURE})
    if part.text:
        content.append({"type": "text", "text": "".join(part.text)})
    for index, call in enumerate(part.tool_calls):
        arguments = msgspec.Raw(call.arguments.encode() or b"{}")
        content.append({"type": "tool_use", "id": _call_id(part, index), "name": call.name, "input": arguments})
    return _encode(_message(part, part.output_tokens) | {"content": content, "stop_reason": _STOP_REASONS[part.finish]})


def streamed(part: Part, asked: Asked) -> Voiced:
    """A message as server-sent events. The events that open and close a block stand with its deltas."""
    opening = _event({"type": "message_start", "message": _message(part, 1)})
    deltas: list[bytes] = []
    for index, (block, members) in enumerate(_blocks(part)):
        start = _event({"type": "content_block_start", "index": index, "content_block": block})
        events = [_event({"type": "content_block_delta", "index": index, "delta": member}) for member in members]
        stop = _event({"type": "content_block_stop", "index": index})
        if len(events) < 2:
            deltas.append(start + b"".join(events) + stop)
        else:
            deltas += [start + events[0], *events[1:-1], events[-1] + stop]
    closing = _event(
        {
            "type": "message_delta",
            "delta": {"stop_reason": _STOP_REASONS[part.finish], "stop_sequence": None},
            "usage": {"output_tokens": part.output_tokens},
        }
    ) + _event({"type": "message_stop"})
    return Voiced(opening, tuple(deltas), closing)


def models(names: Iterable[str]) -> bytes:
    """The list of scripted models."""
    data = [{"type": "model", "id": name, "display_name": name} for name in names]
    return _encode({"data": data, "has_more": False})


def error(status: int, message: str) -> bytes:
    """An error body as Anthropic would send it with this status."""
    family = _FAMILIES.get(status, "api_error")
    return _encode({"type": "error", "error": {"type": family, "message": message}, "request_id": "req_scripted"})


def _message(part: Part, output_tokens: int) -> dict[str, Any]:
    return {
        "id": f"msg_{part.id}",
        "type": "message",
        "role": "assistant",
        "model": part.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": part.input_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": output_tokens,
        },
    }


def _blocks(part: Part) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each block as it opens, and its deltas."""
    if part.reasoning:
        deltas: list[dict[str, Any]] = [{"type": "thinking_delta", "thinking": text} for text in part.reasoning]
        deltas.append({"type": "signature_delta", "signature": SIGNATURE})
        yield {"type": "thinking", "thinking": "", "signature": ""}, deltas
    if part.text:
        yield {"type": "text", "text": ""}, [{"type": "text_delta", "text": text} for text in part.text]
    for index, call in enumerate(part.tool_calls):
        block = {"type": "tool_use", "id": _call_id(part, index), "name": call.name, "input": {}}
        yield block, [{"type": "input_json_delta", "partial_json": piece} for piece in pieces(call.arguments)]


def _call_id(part: Part, index: int) -> str:
    return f"toolu_{part.id}_{index}"


def _event(value: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (value["type"].encode(), _encode(value))
