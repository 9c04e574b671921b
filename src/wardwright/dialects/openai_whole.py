"""Whole OpenAI answers: read once, counted, and sent on under our name.

Rule 1: `id`, `object`, `created` and `model` are ours; members we do not know pass as they came.
Rule 2: an answer without choices, or with a choice that does not say why it ended, is not an answer.
Rule 3: every tool call has an id.
Rule 4: most answers are plain: identity first, one choice of text. `_Plain` is the type of those; they are not taken
apart. Both ways write the same answer.
"""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias

import msgspec

from wardwright.dialects.answer import DONE, Identity, Tally, Whole
from wardwright.dialects.discretion import presentable
from wardwright.dialects.failures import broken_by
from wardwright.dialects.handover import mark_details
from wardwright.dialects.openai_tools import Function, synthetic_id
from wardwright.dialects.openai_words import FINISH_REASONS, WireUsage, reported_usage, usage_of
from wardwright.kernel.events import Broken

Members: TypeAlias = dict[str, msgspec.Raw]


_NO_USAGE: Final = msgspec.Raw(b"null")


class _Call(msgspec.Struct, gc=False):
    function: Function | None = None
    id: str | None = None


class _Message(msgspec.Struct, gc=False):
    role: str | None = None
    content: object = None
    refusal: object = None
    reasoning_content: object = None
    reasoning: object = None
    reasoning_details: object = None
    tool_calls: list[_Call] | None = None
    function_call: object = None


class _Choice(msgspec.Struct, gc=False):
    message: _Message
    finish_reason: str | None = None
    index: int | None = None


class _Read(msgspec.Struct, gc=False):
    """What is read of an answer."""

    choices: list[_Choice] | None = None
    usage: msgspec.Raw = _NO_USAGE
    id: object = None
    model: object = None
    system_fingerprint: object = None
    error: object = None


_Absent: TypeAlias = Literal["\x00absent"]
_ABSENT: Final = "\x00absent"


class _PlainMessage(msgspec.Struct, gc=False):
    role: Literal["assistant"]
    content: str | None = None
    refusal: None = None
    reasoning_content: None = None
    reasoning: None = None
    reasoning_details: None = None
    tool_calls: None = None
    function_call: None = None


class _PlainChoice(msgspec.Struct, gc=False):
    index: Literal[0]
    message: _PlainMessage
    finish_reason: Literal["stop", "length", "content_filter"]


class _Plain(msgspec.Struct, gc=False):
    """What follows the identity in a plain answer."""

    choices: tuple[_PlainChoice]
    usage: WireUsage | None = None
    system_fingerprint: str | None = None
    error: None = None
    id: _Absent = _ABSENT
    object: _Absent = _ABSENT
    created: _Absent = _ABSENT
    model: _Absent = _ABSENT


class _Head(msgspec.Struct):
    id: str
    object: str
    created: int
    model: str


_HEAD: Final = re.compile(
    rb"""\{"id":"([ !#-\[\]-~]*)","object":"chat\.completion","created":[0-9]+,"model":"([ !#-\[\]-~]*)",(?=")"""
)
"""The identity as most servers write it: first, in this order, compact, without escapes."""

_plain = msgspec.json.Decoder(_Plain).decode
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
    if (head := _HEAD.match(body)) is not None and (whole := _read_plain(body, head, identity)) is not None:
        return whole
    return _read_any(body, identity, mark)


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


def _read_plain(body: bytes, head: re.Match[bytes], identity: Identity) -> Whole | None:
    rest = body[head.end() :]
    try:
        if not rest.isascii():
            rest.decode()
        plain = _plain(b"{" + rest)
    except _UNREADABLE:
        return None
    choice = plain.choices[0]
    upstream_id, upstream_model = head.groups()
    tally = Tally(
        events=1,
        text_chars=len(choice.message.content or ""),
        finish={0: choice.finish_reason},
        usage=None if plain.usage is None else usage_of(plain.usage),
        upstream_id=upstream_id.decode(),
        upstream_model=upstream_model.decode(),
        system_fingerprint=plain.system_fingerprint,
    )
    ours = _encode(_Head(identity.id, "chat.completion", identity.created, identity.model))
    return Whole(b"%b,%b" % (ours[:-1], rest), tally)


def _read_any(body: bytes, identity: Identity, mark: str | None) -> Whole | Broken:
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
    tally.usage = reported_usage(read.usage)
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
