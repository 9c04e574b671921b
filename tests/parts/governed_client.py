"""A client of governed models: asks with the official SDK, streaming or whole, and tells what its user would see."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import openai

from parts.contracts import chat
from parts.gateway_thread import Document, GatewayThread

TIMEOUT_S = 10.0


class Seen(NamedTuple):
    """One call as its user saw it."""

    text: str = ""
    finish: str | None = None
    error: openai.APIError | None = None
    status: int | None = None
    """Of an error that came instead of an answer."""
    tool_calls: tuple[tuple[str, str], ...] = ()
    """Names and arguments."""

    @property
    def code(self) -> str | None:
        return None if self.error is None else self.error.code

    @property
    def rule(self) -> str | None:
        body = None if self.error is None else self.error.body
        return body.get("rule") if isinstance(body, dict) else None


Asking: TypeAlias = Callable[..., Seen]


def policy(*rules: Document, name: str = "house-rules") -> Document:
    return {"kind": "policy", "name": name, "rules": list(rules)}


def rule(match: str, *then: Any, id_: str = "r", **members: Any) -> Document:
    """A rule over the text of a stream."""
    found: Document = {"id": id_, "phase": "stream", "on": ["text"], "match": {"regex": match}}
    return found | {"then": list(then), "why": "it must not"} | members


def sdk(gateway: GatewayThread) -> openai.OpenAI:
    return openai.OpenAI(base_url=gateway.base_url, api_key="none", max_retries=0, timeout=TIMEOUT_S)


def streamed(gateway: GatewayThread, name: str = "m", *, heard: threading.Event | None = None, **members: Any) -> Seen:
    """A client that reads along. `heard` is set at the first word."""
    text, finish = "", None
    calls: dict[int, list[str]] = {}
    try:
        with sdk(gateway) as caller, caller.chat.completions.create(**chat(name, **members), stream=True) as stream:
            for chunk in stream:
                for choice in chunk.choices:
                    assert finish is None, "something follows the end"
                    text += choice.delta.content or ""
                    if text and heard is not None:
                        heard.set()
                    for call in choice.delta.tool_calls or ():
                        assert call.function is not None
                        calls.setdefault(call.index, ["", ""])[0] += call.function.name or ""
                        calls[call.index][1] += call.function.arguments or ""
                    finish = choice.finish_reason or finish
    except openai.APIError as error:
        assert finish is None, "an error follows the end"
        return Seen(text=text, error=error, status=_status(error), tool_calls=_pairs(calls))
    return Seen(text=text, finish=finish, tool_calls=_pairs(calls))


def whole(gateway: GatewayThread, name: str = "m", **members: Any) -> Seen:
    """A client that waits."""
    try:
        with sdk(gateway) as caller:
            (choice,) = caller.chat.completions.create(**chat(name, **members)).choices
    except openai.APIError as error:
        return Seen(error=error, status=_status(error))
    made = (call for call in choice.message.tool_calls or () if call.type == "function")
    calls = tuple((call.function.name, call.function.arguments) for call in made)
    return Seen(text=choice.message.content or "", finish=choice.finish_reason, tool_calls=calls)


def _pairs(calls: dict[int, list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, arguments) for name, arguments in calls.values())


def _status(error: openai.APIError) -> int | None:
    return error.status_code if isinstance(error, openai.APIStatusError) else None
