"""What rules read of one request, field by field.

Rule 1: only what some rule reads is looked at: texts of a long conversation are joined for rules that want them.
Rule 2: what cannot be read as its field has it (a member of `metadata` that is no text, texts that came as tokens) is
unavailable to rules, never taken for absent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from wardwright.calls.receipt import Caller, said
from wardwright.calls.tool_facts import TOOL_FACTS, ToolUse, Unread
from wardwright.dialects.openai_request import ChatHead, EmbeddingsHead, Survey, capabilities_of, text_of
from wardwright.policy.phases import Fact, Facts
from wardwright.routing.draw import Keyed

METADATA: Final = "metadata."

_SYSTEM: Final = ("system", "developer")
_TOOL: Final = ("tool", "function")
_NO_MESSAGES: Final = msgspec.Raw(b"[]")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request as it came, and what was found out about it."""

    bytes: int
    """Of the body."""
    caller: Caller
    conversation_source: str
    found: Survey | None
    """None: an embeddings request."""
    head: ChatHead | EmbeddingsHead
    hops: int
    input_tokens: int
    """Estimated, tools counted."""
    messages: msgspec.Raw | None
    """As the client sent them. None: an embeddings request."""
    model: str
    """The contract's name."""
    retries: int
    secret: Keyed | None
    """The tenant's: what stands in receipts for words that could be guessed is keyed with it."""


class _Function(msgspec.Struct):
    name: str | None = None


class _Tool(msgspec.Struct):
    name: str | None = None
    function: _Function | None = None


class Unknown(Exception):
    """A field whose value cannot be told; the text says why."""


def request_facts(asked: Asked, reads: Iterable[str]) -> Facts:
    """What these fields of the request hold; a name that is no field of a request is left out."""
    known: dict[str, Fact] = {}
    unavailable: dict[str, str] = {}
    special = _OF_EMBEDDINGS if asked.found is None else {}
    tools: ToolUse | None = None
    for name in reads:
        source = special.get(name) or SOURCES.get(name)
        try:
            if name in TOOL_FACTS:
                tools = tools or _tool_use(asked)
                known[name] = TOOL_FACTS[name](tools)
            elif source is not None:
                known[name] = source(asked)
            elif name.startswith(METADATA):
                known[name] = _metadata(asked, name.removeprefix(METADATA))
        except (Unknown, Unread) as unknown:
            unavailable[name] = str(unknown)
    return Facts(known, unavailable)


def _tool_use(asked: Asked) -> ToolUse:
    """Of an embeddings request: none. Raises Unread."""
    return ToolUse(_NO_MESSAGES if asked.messages is None else asked.messages, asked.secret)


def _metadata(asked: Asked, name: str) -> str | None:
    value = (asked.head.metadata or {}).get(name)
    if value is None or isinstance(value, str):
        return value
    raise Unknown("is no text")


def _claim(name: str) -> Callable[[Asked], Fact]:
    return lambda asked: said(getattr(asked.caller, name))


def _chat(asked: Asked) -> ChatHead:
    assert isinstance(asked.head, ChatHead)
    return asked.head


def _survey(asked: Asked) -> Survey:
    assert asked.found is not None
    return asked.found


def _said(*roles: str) -> Callable[[Asked], Fact]:
    return lambda asked: "\n".join(text_of(one) for one in _chat(asked).messages if one.role in roles)


def _last_user(asked: Asked) -> Fact:
    return next((text_of(one) for one in reversed(_chat(asked).messages) if one.role == "user"), None)


def _embedded(asked: Asked) -> Fact:
    """The texts to embed. Raises Unknown where they came as tokens."""
    assert isinstance(asked.head, EmbeddingsHead)
    given = asked.head.input
    if isinstance(given, str):
        return given
    texts = [one for one in given if isinstance(one, str)]
    if len(texts) < len(given):
        raise Unknown("came as tokens")
    return "\n".join(texts)


def _tool_names(asked: Asked) -> Fact:
    """Names of declared tools; what has none, such as a tool the provider runs itself, is left out."""
    names: list[str] = []
    head = _chat(asked)
    for raw in head.tools or head.functions or ():
        try:
            tool = msgspec.json.decode(raw, type=_Tool)
        except msgspec.ValidationError:
            continue
        name = tool.name if tool.function is None else tool.function.name
        if name is not None:
            names.append(name)
    return tuple(names)


SOURCES: Final[dict[str, Callable[[Asked], Fact]]] = {
    "caller.tenant": _claim("tenant"),
    "caller.application": _claim("application"),
    "caller.agent": _claim("agent"),
    "caller.house": _claim("house"),
    "caller.user": _claim("user"),
    "caller.key": lambda asked: asked.caller.key,
    "caller.session": _claim("session"),
    "caller.run": _claim("run"),
    "caller.tags": lambda asked: asked.caller.tags,
    "request.model": lambda asked: asked.model,
    "request.stream": lambda asked: bool(_chat(asked).stream),
    "request.messages": lambda asked: len(_chat(asked).messages),
    "request.choices": lambda asked: _chat(asked).n or 1,
    "request.output_tokens": lambda asked: _chat(asked).output_tokens,
    "request.input_tokens": lambda asked: asked.input_tokens,
    "request.capabilities": lambda asked: capabilities_of(_chat(asked), _survey(asked)),
    "request.bytes": lambda asked: asked.bytes,
    "request.hops": lambda asked: asked.hops,
    "request.retries": lambda asked: asked.retries,
    "tools.count": lambda asked: len(_chat(asked).tools or _chat(asked).functions or ()),
    "tools.names": _tool_names,
    "conversation.step": lambda asked: _survey(asked).assistants,
    "conversation.turn": lambda asked: max(_survey(asked).users - 1, 0),
    "conversation.in_tool_loop": lambda asked: _chat(asked).messages[-1].role in _TOOL,
    "conversation.source": lambda asked: asked.conversation_source,
    "text.all": lambda asked: "\n".join(map(text_of, _chat(asked).messages)),
    "text.user": _said("user"),
    "text.last_user": _last_user,
    "text.system": _said(*_SYSTEM),
    "text.assistant": _said("assistant"),
    "text.tool": _said(*_TOOL),
}
"""Every field of the phase but those of TOOL_FACTS and the open family of `metadata`."""

_OF_EMBEDDINGS: Final[dict[str, Callable[[Asked], Fact]]] = {
    "request.stream": lambda _: False,
    "request.messages": lambda _: 0,
    "request.choices": lambda _: 1,
    "request.output_tokens": lambda _: None,
    "request.capabilities": lambda _: ("embeddings",),
    "tools.count": lambda _: 0,
    "tools.names": lambda _: (),
    "conversation.step": lambda _: 0,
    "conversation.turn": lambda _: 0,
    "conversation.in_tool_loop": lambda _: False,
    "text.all": _embedded,
    "text.user": _embedded,
    "text.last_user": _embedded,
    "text.system": lambda _: "",
    "text.assistant": lambda _: "",
    "text.tool": lambda _: "",
}
"""The same for a request that has no messages."""
