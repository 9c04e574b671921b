"""What the rules of the request phase read, taken from one chat request.

Rule 1: only what some rule reads is looked at: texts of a long conversation are joined for rules that want them.
Rule 2: a member of `metadata` that is no text is unavailable to rules, never taken for absent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from wardwright.calls.receipt import Caller, Sourced
from wardwright.dialects.openai_request import ChatHead, Survey, capabilities_of, text_of
from wardwright.policy.phases import Fact, Facts

METADATA: Final = "metadata."

_SYSTEM: Final = ("system", "developer")
_TOOL: Final = ("tool", "function")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One chat request as it came, and what was found out about it."""

    bytes: int
    """Of the body."""
    caller: Caller
    conversation_source: str
    found: Survey
    head: ChatHead
    hops: int
    input_tokens: int
    """Estimated, tools counted."""
    model: str
    """The contract's name."""
    retries: int


class _Function(msgspec.Struct):
    name: str | None = None


class _Tool(msgspec.Struct):
    name: str | None = None
    function: _Function | None = None


def request_facts(asked: Asked, reads: Iterable[str]) -> Facts:
    """The snapshot that rules of the phase `request` see."""
    known: dict[str, Fact] = {}
    unavailable: dict[str, str] = {}
    for name in reads:
        source = SOURCES.get(name)
        if source is not None:
            known[name] = source(asked)
        elif name.startswith(METADATA):
            value = (asked.head.metadata or {}).get(name.removeprefix(METADATA))
            if value is None or isinstance(value, str):
                known[name] = value
            else:
                unavailable[name] = "is no text"
    return Facts(known, unavailable)


def _claim(name: str) -> Callable[[Asked], Fact]:
    def read(asked: Asked) -> Fact:
        claim: Sourced | None = getattr(asked.caller, name)
        return None if claim is None else claim.value

    return read


def _said(*roles: str) -> Callable[[Asked], Fact]:
    return lambda asked: "\n".join(text_of(one) for one in asked.head.messages if one.role in roles)


def _last_user(asked: Asked) -> Fact:
    return next((text_of(one) for one in reversed(asked.head.messages) if one.role == "user"), None)


def _tool_names(asked: Asked) -> Fact:
    """Names of declared tools; what has none, such as a tool the provider runs itself, is left out."""
    names: list[str] = []
    for raw in asked.head.tools or asked.head.functions or ():
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
    "request.stream": lambda asked: bool(asked.head.stream),
    "request.messages": lambda asked: len(asked.head.messages),
    "request.choices": lambda asked: asked.head.n or 1,
    "request.output_tokens": lambda asked: asked.head.output_tokens,
    "request.input_tokens": lambda asked: asked.input_tokens,
    "request.capabilities": lambda asked: capabilities_of(asked.head, asked.found),
    "request.bytes": lambda asked: asked.bytes,
    "request.hops": lambda asked: asked.hops,
    "request.retries": lambda asked: asked.retries,
    "tools.count": lambda asked: len(asked.head.tools or asked.head.functions or ()),
    "tools.names": _tool_names,
    "conversation.step": lambda asked: asked.found.assistants,
    "conversation.turn": lambda asked: max(asked.found.users - 1, 0),
    "conversation.in_tool_loop": lambda asked: asked.head.messages[-1].role in _TOOL,
    "conversation.source": lambda asked: asked.conversation_source,
    "text.all": lambda asked: "\n".join(map(text_of, asked.head.messages)),
    "text.user": _said("user"),
    "text.last_user": _last_user,
    "text.system": _said(*_SYSTEM),
    "text.assistant": _said("assistant"),
    "text.tool": _said(*_TOOL),
}
"""Every field of the phase but the open family of `metadata`."""
