"""What must change in a conversation when another target continues it, as an alloy's steps do.

Rule 1: thinking that a provider sealed is good for the target that made it alone. What leaves us is marked with its
target, clients send it back as they got it, and so no state is needed: another target's thinking is dropped here.
Rule 2: a tool-call id that the target would refuse becomes one it takes. The new id is a function of the old, so a call
and its results keep meeting, in every request of the conversation and on every worker.
Rule 3: what fits is not touched, and what was changed is said.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from typing import Final, Literal, TypeAlias

import msgspec

ToolIdShape: TypeAlias = Literal["openai", "anthropic", "mistral"]
"""What a target takes for a tool-call id: up to 40 characters; letters, digits, `_` and `-`; exactly nine letters and
digits."""

Change: TypeAlias = Literal["foreign_reasoning", "tool_call_ids"]

TARGET_MEMBER: Final = "wardwright_target"
"""The member of a reasoning detail that says who made it."""

MARK_CHARS: Final = 16

_FITS: Final[dict[ToolIdShape, re.Pattern[str]]] = {
    "openai": re.compile(r".{1,40}", re.DOTALL),
    "anthropic": re.compile(r"[a-zA-Z0-9_-]{1,64}"),
    "mistral": re.compile(r"[a-zA-Z0-9]{9}"),
}
_PREFIX: Final[dict[ToolIdShape, str]] = {"openai": "call_", "anthropic": "toolu_", "mistral": ""}
_CHARS: Final[dict[ToolIdShape, int]] = {"openai": 24, "anthropic": 24, "mistral": 9}
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@lru_cache(maxsize=4096)
def mark_of(target: str) -> str:
    """What marks a target's own thinking: short, the same everywhere, and without its name.

    >>> mark_of("coding/local") == mark_of("coding/local") != mark_of("coding/cloud")
    True
    """
    return blake2b(target.encode(), digest_size=MARK_CHARS // 2, person=b"wardwright-mark").hexdigest()


def tool_id(shape: ToolIdShape, given: str) -> str:
    """The id that a target of this shape sees for a call: the given one if it fits, else one made from it.

    >>> tool_id("anthropic", "call_1"), tool_id("mistral", "call_1")
    ('call_1', 'cV3ugXMQl')
    """
    if _FITS[shape].fullmatch(given):
        return given
    number = int.from_bytes(blake2b(given.encode("utf-8", "surrogatepass"), digest_size=24).digest(), "big")
    chars: list[str] = []
    for _ in range(_CHARS[shape]):
        number, place = divmod(number, len(_ALPHABET))
        chars.append(_ALPHABET[place])
    return _PREFIX[shape] + "".join(chars)


class _Call(msgspec.Struct, gc=False):
    id: str | None = None


class _Message(msgspec.Struct, gc=False):
    tool_call_id: str | None = None
    tool_calls: list[_Call] | None = None
    reasoning_details: msgspec.Raw = msgspec.Raw(b"")


Members: TypeAlias = dict[str, msgspec.Raw]

_read = msgspec.json.Decoder(list[_Message]).decode
_list = msgspec.json.Decoder(list[Members]).decode
_members = msgspec.json.Decoder(Members).decode
_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode


def hand_over(messages: msgspec.Raw, *, mark: str, shape: ToolIdShape) -> tuple[msgspec.Raw, tuple[Change, ...]]:
    """The messages as the target with this mark may see them, and what was changed.

    Messages that are not what the dialect describes are left for the target to refuse.
    """
    try:
        read = _read(messages)
        touched = [place for place, message in enumerate(read) if _needs_change(message, shape)]
        if not touched:
            return messages, ()
        entries = _list(messages)
        changes: set[Change] = set()
        for place in touched:
            _change(entries[place], mark, shape, changes)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return messages, ()
    return msgspec.Raw(_encode(entries)), tuple(sorted(changes))


def mark_details(details: msgspec.Raw, mark: str) -> msgspec.Raw:
    """Reasoning details in which everything sealed or encrypted carries the mark of the target that made it."""
    try:
        entries = _list(details)
    except msgspec.ValidationError:
        return details
    sealed = [entry for entry in entries if "signature" in entry or "data" in entry]
    if not sealed:
        return details
    for entry in sealed:
        entry[TARGET_MEMBER] = msgspec.Raw(_encode(mark))
    return msgspec.Raw(_encode(entries))


def _needs_change(message: _Message, shape: ToolIdShape) -> bool:
    if TARGET_MEMBER.encode() in bytes(message.reasoning_details):
        return True
    fits = _FITS[shape].fullmatch
    if message.tool_call_id is not None and not fits(message.tool_call_id):
        return True
    return any(call.id is not None and not fits(call.id) for call in message.tool_calls or ())


def _change(message: Members, mark: str, shape: ToolIdShape, changes: set[Change]) -> None:
    if "reasoning_details" in message:
        _keep_own(message, mark, changes)
    if "tool_call_id" in message and _map_id(message, "tool_call_id", shape):
        changes.add("tool_call_ids")
    if "tool_calls" in message and bytes(message["tool_calls"]) != b"null":
        calls = _list(message["tool_calls"])
        mapped = [_map_id(call, "id", shape) for call in calls]
        if any(mapped):
            changes.add("tool_call_ids")
            message["tool_calls"] = msgspec.Raw(_encode(calls))


def _keep_own(message: Members, mark: str, changes: set[Change]) -> None:
    kept: list[Members] = []
    foreign = False
    for entry in _list(message["reasoning_details"]):
        made_by = entry.pop(TARGET_MEMBER, None)
        if made_by is None or _text(made_by) == mark:
            kept.append(entry)
        else:
            foreign = True
    if foreign:
        changes.add("foreign_reasoning")
        message.pop("reasoning_content", None)
        message.pop("reasoning", None)
    if kept:
        message["reasoning_details"] = msgspec.Raw(_encode(kept))
    else:
        del message["reasoning_details"]


def _map_id(members: Members, name: str, shape: ToolIdShape) -> bool:
    raw = members.get(name)
    if raw is None or bytes(raw) == b"null":
        return False
    given = _text(raw)
    mapped = tool_id(shape, given)
    if mapped == given:
        return False
    members[name] = msgspec.Raw(_encode(mapped))
    return True
