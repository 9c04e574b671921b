"""Whole OpenAI answers: read once, counted, and sent on under our name.

Rule 1: `id`, `object`, `created` and `model` are ours; members we do not know pass as they came.
Rule 2: an answer without choices, or with a choice that does not say why it ended, is not an answer.
Rule 3: every tool call has an id.
"""

from __future__ import annotations

from typing import Final

import msgspec

from wardwright.dialects.answer import DONE, Identity, Tally, Whole
from wardwright.dialects.discretion import presentable
from wardwright.dialects.failures import broken_by
from wardwright.dialects.handover import mark_details
from wardwright.dialects.openai_tools import Function, synthetic_id
from wardwright.dialects.openai_words import FINISH_REASONS, WireUsage, usage_of
from wardwright.kernel.events import Broken

Members = dict[str, msgspec.Raw]


class _Call(msgspec.Struct, gc=False):
    function: Function | None = None
    id: str | None = None


class _Message(msgspec.Struct, gc=False):
    role: str | None = None
    content: object = None
    refusal: object = None
    reasoning_content: object = None
    reasoning: object = None
    reasoning_details: msgspec.Raw | None = None
    tool_calls: list[_Call] | None = None
    function_call: object = None


class _Choice(msgspec.Struct, gc=False):
    message: _Message
    finish_reason: str | None = None
    index: int | None = None


class _Read(msgspec.Struct, gc=False):
    """What is read of an answer."""

    choices: list[_Choice] | None = None
    usage: WireUsage | None = None
    id: object = None
    model: object = None
    system_fingerprint: object = None
    error: object = None


_read = msgspec.json.Decoder(_Read).decode
_members = msgspec.json.Decoder(Members).decode
_list = msgspec.json.Decoder(list[Members]).decode
_encode = msgspec.json.Encoder().encode

_OBJECT: Final = msgspec.Raw(b'"chat.completion"')
_ASSISTANT: Final = msgspec.Raw(b'"assistant"')
_FUNCTION: Final = msgspec.Raw(b'"function"')
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_NOT_AN_ANSWER: Final = Broken("upstream_failed", "the upstream's answer is not a chat completion")


def read_whole(body: bytes, identity: Identity, *, mark: str | None = None) -> Whole | Broken:
    """The client's body and the counts; Broken where the upstream's body is no answer, or carries an error."""
    try:
        if not body.isascii():
            body.decode()
        read = _read(body)
        members = _members(body)
    except _UNREADABLE:
        return _NOT_AN_ANSWER
    if read.error:
        return broken_by(read.error)
    if not read.choices:
        return _NOT_AN_ANSWER
    tally = Tally()
    tally.events = 1
    changed = False
    for place, choice in enumerate(read.choices):
        reason = FINISH_REASONS.get(choice.finish_reason or "")
        if reason is None:
            return _unfinished(choice.finish_reason)
        index = place if choice.index is None else choice.index
        tally.finish[index] = reason
        message = choice.message
        if isinstance(message.content, str):
            tally.text_chars += len(message.content)
        if (
            choice.index is None
            or message.role != "assistant"
            or reason != choice.finish_reason
            or message.tool_calls
            or message.reasoning_content is not None
            or message.reasoning is not None
            or message.refusal is not None
            or message.function_call is not None
            or message.reasoning_details is not None
        ):
            changed |= _count_rest(choice, reason, tally, marking=mark is not None)
    if read.usage is not None:
        tally.usage = usage_of(read.usage)
    tally.upstream_id = read.id if isinstance(read.id, str) else None
    tally.upstream_model = read.model if isinstance(read.model, str) else None
    tally.system_fingerprint = read.system_fingerprint if isinstance(read.system_fingerprint, str) else None
    ours: dict[str, object] = members  # type: ignore[assignment]
    if changed:
        ours["choices"] = _repaired(members["choices"], read.choices, identity, mark)
    ours["id"] = identity.id
    ours["object"] = "chat.completion"
    ours["created"] = identity.created
    ours["model"] = identity.model
    return Whole(_encode(ours), tally)


def as_stream(whole: Whole, *, include_usage: bool) -> bytes:
    """A whole answer as the stream that a client asked for: one delta a choice, its finish, usage, the terminator."""
    members = _members(whole.body)
    choices = _list(members.pop("choices"))
    usage = members.pop("usage", None)
    members["object"] = msgspec.Raw(b'"chat.completion.chunk"')
    if include_usage:
        members["usage"] = msgspec.Raw(b"null")
    out: list[bytes] = []
    for choice in choices:
        message = _members(choice.pop("message"))
        delta = {"role": message.pop("role"), **message}
        if "tool_calls" in delta and (calls := msgspec.json.decode(delta["tool_calls"], type=list[Members] | None)):
            delta["tool_calls"] = msgspec.Raw(_encode([{"index": place, **call} for place, call in enumerate(calls)]))
        reason = choice.pop("finish_reason")
        index = choice.pop("index")
        out.append(_chunk(members, {"index": index, "delta": delta, **choice, "finish_reason": None}))
        out.append(_chunk(members, {"index": index, "delta": {}, "finish_reason": reason}))
    if include_usage and usage is not None:
        out.append(b"data: %b\n\n" % _encode({**members, "choices": [], "usage": usage}))
    out.append(DONE)
    return b"".join(out)


def _chunk(members: Members, choice: dict[str, object]) -> bytes:
    return b"data: %b\n\n" % msgspec.json.format(_encode({**members, "choices": [choice]}), indent=-1)


def _unfinished(reason: str | None) -> Broken:
    if not reason:
        return Broken("upstream_stream_broken", "the upstream's answer does not say why it ended")
    return Broken("upstream_stream_broken", f"the upstream gave up its answer: `{presentable(reason)}`")


def _count_rest(choice: _Choice, reason: str, tally: Tally, *, marking: bool) -> bool:
    """Count what few answers have. True where the client's choice must differ from the upstream's."""
    message = choice.message
    if isinstance(message.reasoning_content, str):
        tally.reasoning_chars += len(message.reasoning_content)
    elif isinstance(message.reasoning, str):
        tally.reasoning_chars += len(message.reasoning)
    if isinstance(message.refusal, str):
        tally.refusal_chars += len(message.refusal)
    if isinstance(message.function_call, dict) and isinstance(text := message.function_call.get("arguments"), str):
        tally.argument_chars += len(text)
    nameless = False
    for call in message.tool_calls or ():
        tally.tool_calls += 1
        nameless |= not call.id
        if call.function is not None and call.function.arguments:
            tally.argument_chars += len(call.function.arguments)
    return (
        nameless
        or choice.index is None
        or message.role != "assistant"
        or reason != choice.finish_reason
        or (marking and message.reasoning_details is not None)
    )


def _repaired(raw: msgspec.Raw, choices: list[_Choice], identity: Identity, mark: str | None) -> list[Members]:
    entries = _list(raw)
    for place, (entry, choice) in enumerate(zip(entries, choices, strict=True)):
        index = place if choice.index is None else choice.index
        entry["index"] = msgspec.Raw(_encode(index))
        entry["finish_reason"] = msgspec.Raw(_encode(FINISH_REASONS[choice.finish_reason or ""]))
        message = _members(entry["message"])
        message["role"] = _ASSISTANT
        if choice.message.tool_calls:
            calls = _list(message["tool_calls"])
            for number, (members, call) in enumerate(zip(calls, choice.message.tool_calls, strict=True)):
                if not call.id:
                    members["id"] = msgspec.Raw(_encode(synthetic_id(identity.id, index, number)))
                    members["type"] = _FUNCTION
            message["tool_calls"] = msgspec.Raw(_encode(calls))
        if mark is not None and "reasoning_details" in message:
            message["reasoning_details"] = mark_details(message["reasoning_details"], mark)
        entry["message"] = msgspec.Raw(_encode(message))
    return entries
