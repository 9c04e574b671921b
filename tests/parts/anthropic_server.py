"""Anthropic's Messages API as far as the gateway meets it: replies for `parts.upstream`, a strict reader of requests.

A reply is a `Turn`: what the model says, given whole or as a stream, whichever the request asks for. The official SDK
reads both in the tests that use them, so the turns are what that provider sends.

`strictly` refuses what the provider refuses: a missing version or key, no `max_tokens`, turns that do not alternate,
tool results that answer nothing or come late, thinking that is not what it sealed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from parts import messages_stream as wire
from parts.upstream import EVENTS, Answer, Asked, Reply

MODEL: Final = "claude-test-1"
KEY: Final = "sk-ant-of-the-gateway-0815"
SEAL: Final = "c2VhbGVkIGJ5IHRoZSBwcm92aWRlcg=="
THOUGHT: Final = "The user greets me."
HIDDEN: Final = "ZW5jcnlwdGVkIHRob3VnaHQ="
PIECE_CHARS: Final = 5

USAGE: Final = {
    "input_tokens": 25,
    "cache_creation_input_tokens": 3,
    "cache_read_input_tokens": 4,
    "output_tokens": 15,
}


@dataclass(frozen=True)
class Turn:
    """One answer of the model."""

    text: str = ""
    thinks: bool = False
    """It shows a sealed thought and a redacted one first."""
    calls: tuple[tuple[str, str, dict[str, Any]], ...] = ()
    """Id, name and input of each tool it uses."""
    stop_reason: str = "end_turn"
    gap_s: float = 0.0
    headers: tuple[tuple[str, str], ...] = field(default=(("request-id", "req_1"),))

    def __call__(self, asked: Asked) -> Reply:
        return self.streamed() if asked.body.get("stream") else self.whole()

    def blocks(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        if self.thinks:
            found.append({"type": "thinking", "thinking": THOUGHT, "signature": SEAL})
            found.append({"type": "redacted_thinking", "data": HIDDEN})
        if self.text:
            found.append({"type": "text", "text": self.text})
        found += [{"type": "tool_use", "id": id_, "name": name, "input": said} for id_, name, said in self.calls]
        return found

    def whole(self) -> Reply:
        body = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": MODEL,
            "content": self.blocks(),
            "stop_reason": self.stop_reason,
            "stop_sequence": None,
            "usage": USAGE,
        }
        return Reply((msgspec.json.encode(body),), headers=(("content-type", "application/json"), *self.headers))

    def streamed(self) -> Reply:
        pieces = [wire.start()]
        for index, block in enumerate(self.blocks()):
            pieces.append(_streamed(index, block))
        pieces.append(wire.end(self.stop_reason, USAGE["output_tokens"]))
        return Reply(tuple(pieces), headers=(*EVENTS, *self.headers), gap_s=self.gap_s)


def _streamed(index: int, block: dict[str, Any]) -> bytes:
    match block["type"]:
        case "thinking":
            return wire.thinking(index, block["signature"], *_cut(block["thinking"]))
        case "redacted_thinking":
            return wire.redacted(index, block["data"])
        case "text":
            return wire.text(index, *_cut(block["text"]))
        case _:
            said = msgspec.json.encode(block["input"]).decode()
            return wire.tool(index, block["id"], block["name"], "", *_cut(said))


def _cut(text: str) -> list[str]:
    return [text[start : start + PIECE_CHARS] for start in range(0, len(text), PIECE_CHARS)]


def error(status: int, type_: str, message: str, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """An error as the provider words it."""
    body = {"type": "error", "error": {"type": type_, "message": message}, "request_id": "req_1"}
    return Reply((msgspec.json.encode(body),), status=status, headers=(("content-type", "application/json"), *headers))


def strictly(answer: Answer) -> Callable[[Asked], Reply]:
    """The answer, for requests that the provider would take; for others what it would say."""

    def reply(asked: Asked) -> Reply:
        if KEY not in (asked.headers.get("x-api-key"), asked.headers.get("authorization", "").removeprefix("Bearer ")):
            return error(401, "authentication_error", "invalid x-api-key")
        try:
            _require_valid(asked)
        except _Refused as refused:
            return error(400, "invalid_request_error", str(refused))
        return answer if isinstance(answer, Reply) else answer(asked)

    return reply


class _Refused(Exception):
    """What the provider says of a request."""


def _require_valid(asked: Asked) -> None:
    body = asked.body
    _require("anthropic-version" in asked.headers, "anthropic-version: header is required")
    _require(asked.path == "/v1/messages", f"unknown path {asked.path}")
    for member in ("model", "max_tokens", "messages"):
        _require(member in body, f"{member}: Field required")
    known = {
        "model", "max_tokens", "messages", "system", "stream", "stop_sequences", "temperature", "top_p", "top_k",
        "tools", "tool_choice", "thinking", "metadata", "output_config",
    }  # fmt: skip
    for member in body.keys() - known:
        raise _Refused(f"{member}: Extra inputs are not permitted")
    messages = body["messages"]
    _require(messages[0]["role"] == "user", "messages: first message must use the user role")
    asked_for: list[str] = []
    for place, message in enumerate(messages):
        _require(message["role"] == ("user", "assistant")[place % 2], "messages: roles must alternate")
        results = [block["tool_use_id"] for block in message["content"] if block["type"] == "tool_result"]
        _require(sorted(results) == sorted(asked_for), f"messages.{place}: `tool_use` ids without `tool_result`")
        first = [block["type"] for block in message["content"]][: len(results)]
        _require(first == ["tool_result"] * len(results), f"messages.{place}: tool results come first")
        asked_for = [block["id"] for block in message["content"] if block["type"] == "tool_use"]
        for block in message["content"]:
            _require_own_thought(block, place)


def _require_own_thought(block: dict[str, Any], place: int) -> None:
    if block["type"] == "thinking":
        _require(
            (block["thinking"], block["signature"]) == (THOUGHT, SEAL),
            f"messages.{place}: Invalid `signature` in `thinking` block",
        )
    if block["type"] == "redacted_thinking":
        _require(block["data"] == HIDDEN, f"messages.{place}: Invalid `data` in `redacted_thinking` block")


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise _Refused(otherwise)
