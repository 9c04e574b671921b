"""Transcripts of Anthropic Messages streams, written the way the provider writes them."""

from __future__ import annotations

import json
from typing import Any

USAGE = {"input_tokens": 25, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 4, "output_tokens": 1}


def event(type_: str, **members: Any) -> bytes:
    return f"event: {type_}\ndata: {json.dumps({'type': type_, **members})}\n\n".encode()


def start(**usage: Any) -> bytes:
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-test-1",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**USAGE, **usage},
    }
    return event("message_start", message=message) + event("ping")


def block(index: int, begins: dict[str, Any], *deltas: dict[str, Any]) -> bytes:
    parts = [event("content_block_start", index=index, content_block=begins)]
    parts += [event("content_block_delta", index=index, delta=delta) for delta in deltas]
    return b"".join((*parts, event("content_block_stop", index=index)))


def text(index: int, *pieces: str) -> bytes:
    return block(index, {"type": "text", "text": ""}, *[{"type": "text_delta", "text": piece} for piece in pieces])


def thinking(index: int, signature: str, *pieces: str) -> bytes:
    deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces]
    seal = {"type": "signature_delta", "signature": signature}
    return block(index, {"type": "thinking", "thinking": "", "signature": ""}, *deltas, seal)


def redacted(index: int, data: str) -> bytes:
    return block(index, {"type": "redacted_thinking", "data": data})


def tool(index: int, id_: str, name: str, *pieces: str) -> bytes:
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    return block(index, {"type": "tool_use", "id": id_, "name": name, "input": {}}, *deltas)


def end(stop_reason: str | None = "end_turn", output_tokens: int = 15, **delta: Any) -> bytes:
    delta = {"stop_reason": stop_reason, "stop_sequence": None, **delta}
    return event("message_delta", delta=delta, usage={"output_tokens": output_tokens}) + event("message_stop")
