"""The tool calls that stand in a request's messages, each with its result, step by step.

Rule 1: a step is one assistant message that calls tools, and its results are the tools' messages up to the next
assistant message. A result belongs to the first call of its step with its id that has none yet, so ids that a server
uses again in later steps mix nothing up.
Rule 2: arguments and results are compared by what they say: JSON is written again with sorted keys and no spaces, its
numbers as they were spelled; what is no JSON stands as it came.
Rule 3: decoded only for those who ask: `ChatHead` knows nothing of it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec
from msgspec import Raw

from wardwright.dialects.openai_request import Part

NOTHING: Final = frozenset({"", "[]", "{}", "null", '""'})
"""Results that hold nothing, as `canonical` writes them."""

_TOOL: Final = ("tool", "function")


class ToolCall(msgspec.Struct, frozen=True):
    """One call and what came of it."""

    name: str
    arguments: str
    """As they came."""
    result: str | None = None
    """Its text as it came; None: the request has none."""


class Step(msgspec.Struct, frozen=True):
    """One assistant message."""

    calls: tuple[ToolCall, ...] = ()
    """All of them, parallel ones too, in their order; empty where it calls nothing."""


class _Function(msgspec.Struct, frozen=True):
    name: str = ""
    arguments: str | None = None
    input: str | None = None
    """Of a custom tool: text in a form of its own."""


class _Call(msgspec.Struct, frozen=True):
    id: str | None = None
    function: _Function | None = None
    custom: _Function | None = None


class _Message(msgspec.Struct, frozen=True):
    role: str
    content: str | list[Part] | None = None
    function_call: _Function | None = None
    name: str | None = None
    tool_call_id: str | None = None
    tool_calls: list[_Call] | None = None


_messages = msgspec.json.Decoder(list[_Message])
_any = msgspec.json.Decoder(float_hook=Decimal)
_sorted = msgspec.json.Encoder(order="sorted", decimal_format="number")


def steps_of(messages: Raw) -> tuple[Step, ...]:
    """Every assistant message of a request. Raises msgspec.ValidationError where tool calls have another shape."""
    found: list[Step] = []
    calls: list[tuple[str, ToolCall]] = []
    waiting: dict[str, list[int]] = {}
    begun = False
    for message in _messages.decode(messages):
        if message.role == "assistant":
            if begun:
                found.append(Step(tuple(call for _, call in calls)))
            begun = True
            calls = _calls(message)
            waiting = {}
            for index, (id_, _) in enumerate(calls):
                waiting.setdefault(id_, []).append(index)
        elif message.role in _TOOL:
            unanswered = waiting.get(message.tool_call_id or message.name or "")
            if unanswered:
                index = unanswered.pop(0)
                id_, call = calls[index]
                calls[index] = (id_, msgspec.structs.replace(call, result=_text(message)))
    if begun:
        found.append(Step(tuple(call for _, call in calls)))
    return tuple(found)


def canonical(text: str) -> str:
    """What stands for a text where two are compared.

    >>> canonical('{"path": "a.py", "line": 1.50}')
    '{"line":1.50,"path":"a.py"}'
    >>> canonical(" no JSON ")
    'no JSON'
    """
    try:
        return _sorted.encode(_any.decode(text)).decode()
    except (msgspec.DecodeError, UnicodeError, ValueError, RecursionError):
        return text.strip()


def _calls(message: _Message) -> list[tuple[str, ToolCall]]:
    """The calls of an assistant message by what their results name: an id, or in the form before it, the function."""
    found = []
    for call in message.tool_calls or ():
        if call.function is not None:
            found.append((call.id or "", ToolCall(call.function.name, call.function.arguments or "")))
        elif call.custom is not None:
            found.append((call.id or "", ToolCall(call.custom.name, call.custom.input or "")))
    if message.function_call is not None:
        one = message.function_call
        found.append((one.name, ToolCall(one.name, one.arguments or "")))
    return found


def _text(message: _Message) -> str:
    content = message.content
    if isinstance(content, str):
        return content
    return "" if content is None else "\n".join(part.text for part in content)
