"""An OpenAI chat request, retold as an Anthropic Messages request.

Rule 1: what would change the meaning of the answer and cannot be said is refused (several choices, log probabilities,
audio, JSON without a schema). What tunes it is left out, and named in `changed`.
Rule 2: Anthropic's own members (OWN_MEMBERS) pass as they came, so that a client which knows its target can use them.
Rule 3: nothing is sent that the provider is known to refuse in company: a thinking budget beside a forced tool, a
temperature or a tool loop that lost its thinking.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from wardwright.dialects.anthropic_messages import Block, Retold, retell
from wardwright.dialects.openai_request import Members
from wardwright.kernel.errors import Place, WardwrightError

OWN_MEMBERS: Final = ("cache_control", "container", "context_management", "thinking", "top_k")

THINKING_TOKENS: Final = {"minimal": 1024, "low": 1024, "medium": 4096, "high": 16384, "xhigh": 32768, "max": 32768}
"""The thinking budget of each `reasoning_effort`, for models that take one."""
THINKING_TOKENS_MIN: Final = 1024
"""The provider refuses less."""

_EFFORTS: Final = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
_DECIDES_ITSELF: Final = re.compile(
    r"claude-(?!\d|instant|(?:opus|sonnet|haiku)-4(?:-[015])?(?:[-@](?:20\d{6}|latest|v\d).*)?$)"
)
"""Models that decide how much to think and take an effort; the others, and other makers' models, take a budget."""

_HANDLED: Final = frozenset({"messages", "model", "stream", "stream_options"})
_HOUSEKEEPING: Final = frozenset({"metadata", "prompt_cache_key", "prompt_cache_retention", "store"})
"""Members that tune nothing: leaving them out changes no answer."""
_DEFAULTS: Final[dict[str, object]] = {
    "frequency_penalty": 0,
    "logit_bias": {},
    "presence_penalty": 0,
    "service_tier": "auto",
    "top_logprobs": 0,
}
"""Values that say no more than a missing member."""


class _Tool(msgspec.Struct):
    type: str
    function: _ToolFunction | None = None
    cache_control: object = None


class _ToolFunction(msgspec.Struct):
    name: str
    description: str | None = None
    parameters: msgspec.Raw = msgspec.Raw(b"")
    strict: bool | None = None


class _Named(msgspec.Struct):
    name: str


class _Choice(msgspec.Struct):
    type: str
    function: _Named | None = None


class _Schema(msgspec.Struct):
    schema: msgspec.Raw = msgspec.Raw(b"")


class _Format(msgspec.Struct):
    type: str
    json_schema: _Schema | None = None


class _Chat(msgspec.Struct):
    """The members that are retold, apart from the messages."""

    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: str | None = None
    response_format: _Format | None = None
    safety_identifier: str | None = None
    stop: str | list[str] | None = None
    temperature: float | None = None
    tool_choice: str | _Choice | None = None
    tools: list[_Tool] | None = None
    top_p: float | None = None
    user: str | None = None
    # looked at to be refused
    audio: object = None
    function_call: object = None
    functions: object = None
    logprobs: bool | None = None
    modalities: list[str] | None = None
    n: int | None = None
    web_search_options: object = None


_KNOWN: Final = _HANDLED | _HOUSEKEEPING | frozenset(OWN_MEMBERS) | frozenset(_Chat.__struct_fields__)


class Retelling(msgspec.Struct, frozen=True):
    """The request body, and what was left out or altered."""

    body: bytes
    changed: tuple[str, ...]


_chat = msgspec.json.Decoder(_Chat).decode
_encode = msgspec.json.Encoder().encode


def messages_body(
    members: Members, *, model: str, stream: bool, output_tokens: int, mark: str, drop: tuple[str, ...] = ()
) -> Retelling:
    """The body of a Messages request.

    `output_tokens` is the budget where the client states none, which the provider demands; `mark` is the target's, see
    `handover.mark_of`. Raises WardwrightError: `invalid_request`, `unsupported_capability`.
    """
    given = {name: raw for name, raw in members.items() if name not in drop and bytes(raw) != b"null"}
    changed = [name for name in drop if name in members]
    chat = _read(given)
    _require_sayable(chat)
    conversation = retell(members["messages"], mark)
    changed += conversation.changed
    changed += [name for name in given if name not in _KNOWN and not _says_nothing(name, given[name])]
    limit = chat.max_completion_tokens or chat.max_tokens or output_tokens
    body: dict[str, Any] = {"model": model, "max_tokens": limit, "messages": conversation.messages}
    if conversation.system:
        body["system"] = conversation.system
    if stream:
        body["stream"] = True
    _put_sampling(body, chat, changed)
    _put_tools(body, chat)
    _put_format(body, chat)
    if (user := chat.safety_identifier or chat.user) is not None:
        body["metadata"] = {"user_id": user}
    body |= {name: given[name] for name in OWN_MEMBERS if name in given}
    _put_thinking(body, chat, conversation, model, changed)
    return Retelling(_encode(body), tuple(sorted(set(changed))))


def _read(given: Members) -> _Chat:
    try:
        return _chat(_encode(given))
    except (msgspec.ValidationError, RecursionError) as error:
        raise WardwrightError("invalid_request", str(error)) from error


def _says_nothing(name: str, raw: msgspec.Raw) -> bool:
    return name in _DEFAULTS and msgspec.json.decode(raw) == _DEFAULTS[name]


def _require_sayable(chat: _Chat) -> None:
    if chat.n is not None and chat.n > 1:
        raise _unsayable("this provider gives one choice a request", "n")
    if chat.logprobs:
        raise _unsayable("this provider gives no log probabilities", "logprobs")
    if chat.audio is not None or (chat.modalities and "audio" in chat.modalities):
        raise _unsayable("this provider gives no audio", "modalities")
    if chat.functions is not None or chat.function_call is not None:
        raise _unsayable("`functions` are not spoken here; use `tools`", "functions")
    if chat.web_search_options is not None:
        raise _unsayable("this provider searches the web in another way", "web_search_options")


def _put_sampling(body: dict[str, Any], chat: _Chat, changed: list[str]) -> None:
    if chat.temperature is not None:
        body["temperature"] = min(chat.temperature, 1.0)  # one scale ends at 1, the other at 2
        if chat.temperature > 1:
            changed.append("temperature")
    if chat.top_p is not None:
        body["top_p"] = chat.top_p
    if chat.stop is not None:
        asked = [chat.stop] if isinstance(chat.stop, str) else chat.stop
        taken = [text for text in asked if text.strip()]
        if taken:
            body["stop_sequences"] = taken
        if len(taken) < len(asked):
            changed.append("stop")


def _put_tools(body: dict[str, Any], chat: _Chat) -> None:
    if not chat.tools:
        return
    body["tools"] = [_tool(tool, f"tools[{place}]") for place, tool in enumerate(chat.tools)]
    choice: Block = {"type": "auto"}
    match chat.tool_choice:
        case None | "auto":
            pass
        case "none":
            choice = {"type": "none"}
        case "required":
            choice = {"type": "any"}
        case _Choice(type="function", function=_Named(name=name)):
            choice = {"type": "tool", "name": name}
        case _:
            raise _unsayable("this choice of tools is not spoken here", "tool_choice")
    if chat.parallel_tool_calls is False and choice["type"] != "none":
        choice["disable_parallel_tool_use"] = True
    if chat.tool_choice is not None or len(choice) > 1:
        body["tool_choice"] = choice


def _tool(tool: _Tool, path: str) -> Block:
    if tool.type != "function" or tool.function is None:
        raise _unsayable(f"tools of type `{tool.type}` are not spoken here", path)
    function = tool.function
    block: Block = {"name": function.name}
    if function.description is not None:
        block["description"] = function.description
    schema = function.parameters
    block["input_schema"] = schema if bytes(schema) not in (b"", b"null") else {"type": "object", "properties": {}}
    if function.strict:
        block["strict"] = True
    if tool.cache_control is not None:
        block["cache_control"] = tool.cache_control
    return block


def _put_format(body: dict[str, Any], chat: _Chat) -> None:
    match chat.response_format:
        case None | _Format(type="text"):
            pass
        case _Format(type="json_schema", json_schema=_Schema(schema=schema)) if bytes(schema) not in (b"", b"null"):
            body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
        case other:
            raise _unsayable(
                f"`response_format` of type `{other.type}` is not spoken here; give a schema", "response_format"
            )


def _put_thinking(body: dict[str, Any], chat: _Chat, told: Retold, model: str, changed: list[str]) -> None:
    effort = chat.reasoning_effort
    if effort is None or "thinking" in body:
        return
    if effort == "none":
        body["thinking"] = {"type": "disabled"}
        return
    if effort not in _EFFORTS:
        raise WardwrightError(
            "invalid_request", f"`reasoning_effort` is `{effort}`", place=Place(path="reasoning_effort")
        )
    forced = body.get("tool_choice", {}).get("type") in ("any", "tool")
    if _DECIDES_ITSELF.search(model) is not None:
        body["output_config"] = {**body.get("output_config", {}), "effort": _EFFORTS[effort]}
        if forced:
            changed.append("reasoning_effort")
        else:
            body["thinking"] = {"type": "adaptive"}
            _drop_sampling(body, changed)
        return
    budget = min(THINKING_TOKENS[effort], body["max_tokens"] // 2)
    if budget < THINKING_TOKENS_MIN or forced or not told.thinks_on:
        changed.append("reasoning_effort")
        return
    body["thinking"] = {"type": "enabled", "budget_tokens": budget}
    _drop_sampling(body, changed)


def _drop_sampling(body: dict[str, Any], changed: list[str]) -> None:
    changed += [name for name in ("temperature", "top_p", "top_k") if body.pop(name, None) is not None]


def _unsayable(message: str, path: str) -> WardwrightError:
    return WardwrightError("unsupported_capability", message, place=Place(path=path))
