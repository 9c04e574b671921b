"""One chunk of an OpenAI stream, looked at with care: what the client may see of it.

Rule 1: `id`, `object`, `created` and `model` are ours in every chunk. Members we do not know pass as they came.
Rule 2: per choice, the role stands in the first delta and in no other; tool calls are numbered from 0 without gaps;
nothing follows the finish.
Rule 3: usage is kept for the tally. The client sees it where it asked, once, in a last chunk without choices.
Rule 4: an error inside the stream, or bytes that are not the dialect, break the answer: nothing is released after it.

This is the slow, complete treatment. `openai_stream` handles runs of plain chunks faster and hands over the rest; both
write the same bytes.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from wardwright.dialects.answer import Identity, Tally
from wardwright.dialects.discretion import presentable
from wardwright.dialects.failures import broken_by
from wardwright.dialects.handover import mark_details
from wardwright.dialects.openai_tools import Fragment, Placed, ToolCalls
from wardwright.dialects.openai_words import FINISH_REASONS, reported_usage
from wardwright.kernel.events import Broken

CHOICES_MAX: Final = 128
"""Choices of one answer, the most that OpenAI's own `n` allows."""
TOOL_CALLS_MAX: Final = 1024
"""Tool calls of one choice."""
SKIMMED_IN_VAIN_MAX: Final = 8
"""Chunks in a row that were no plain text before `skim` looks no more: to find that out costs more than it saves."""

Members: TypeAlias = dict[str, msgspec.Raw]


class Delta(msgspec.Struct, gc=False):
    """What is read of a delta. What is only counted is typed loosely: some servers stream lists of parts."""

    role: str | None = None
    content: object = None
    refusal: object = None
    reasoning_content: object = None
    reasoning: object = None
    reasoning_details: object = None
    tool_calls: list[Fragment] | None = None
    function_call: object = None


class Choice(msgspec.Struct, gc=False):
    """What is read of an entry of `choices`."""

    index: int | None = None
    delta: Delta | None = None
    finish_reason: str | None = None


class _PlainDelta(msgspec.Struct, gc=False):
    """Whatever else `Delta` reads is absent or null."""

    content: str
    role: None = None
    refusal: None = None
    reasoning_content: None = None
    reasoning: None = None
    reasoning_details: None = None
    tool_calls: None = None
    function_call: None = None


class _PlainChoice(msgspec.Struct, gc=False):
    delta: _PlainDelta
    index: int
    finish_reason: None = None


class _Plain(msgspec.Struct, gc=False):
    """A chunk that says a piece of text in one choice, and nothing else that is read here."""

    choices: tuple[_PlainChoice]
    error: None = None
    id: object = None
    model: object = None
    system_fingerprint: object = None
    usage: None = None


class ChoiceState:
    """How far one choice has come."""

    __slots__ = ("finished", "tool_calls")

    def __init__(self, seed: str, index: int) -> None:
        self.finished = False
        self.tool_calls = ToolCalls(seed, index)


_plain = msgspec.json.Decoder(_Plain)
_members = msgspec.json.Decoder(Members)
_choices = msgspec.json.Decoder(list[Choice])
_choice_members = msgspec.json.Decoder(list[Members])
_fragment_members = msgspec.json.Decoder(list[Members])
_text = msgspec.json.Decoder(str)
_any = msgspec.json.Decoder()
_encode = msgspec.json.Encoder().encode

_OBJECT: Final = msgspec.Raw(b'"chat.completion.chunk"')
_NULL: Final = msgspec.Raw(b"null")
_FALSY: Final = frozenset((b"null", b"false", b"0", b'""', b"{}", b"[]"))
_ASSISTANT: Final = msgspec.Raw(b'"assistant"')
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class ChunkRepair:
    """The state of one streamed answer, and the treatment of each of its chunks."""

    __slots__ = (
        "_created", "_id", "_mark", "_model", "_open", "_skimmed_in_vain", "broken", "choices", "identity",
        "include_usage", "tally", "usage_chunk",
    )  # fmt: skip

    def __init__(self, identity: Identity, *, include_usage: bool = False, mark: str | None = None) -> None:
        self.identity = identity
        self.include_usage = include_usage
        self.tally = Tally()
        self.broken: Broken | None = None
        self.choices: dict[int, ChoiceState] = {}
        self._open = 0
        """Choices that have started and not finished."""
        self.usage_chunk = b""
        """The last chunk for a client that asked for usage; empty where none was reported or asked for."""
        self._id = msgspec.Raw(_encode(identity.id))
        self._model = msgspec.Raw(_encode(identity.model))
        self._created = msgspec.Raw(_encode(identity.created))
        self._mark = mark
        self._skimmed_in_vain = 0

    @property
    def finished(self) -> bool:
        return self._open == 0 and bool(self.choices)

    def skim(self, payload: bytes) -> tuple[int, str] | None:
        """The choice and the text of a plain chunk, counted as `take` counts it; None for any other."""
        if self._skimmed_in_vain >= SKIMMED_IN_VAIN_MAX or self.broken is not None:
            return None
        self._skimmed_in_vain += 1
        try:
            if b"\n" in payload or not (payload.isascii() or payload.decode()):
                return None
            chunk = _plain.decode(payload)
        except _UNREADABLE:
            return None
        tally = self.tally
        (choice,) = chunk.choices
        state = self.choices.get(choice.index)
        if (
            state is None
            or state.finished
            or (tally.upstream_id is None and chunk.id is not None)
            or (tally.upstream_model is None and chunk.model is not None)
            or (tally.system_fingerprint is None and chunk.system_fingerprint is not None)
        ):
            return None
        self._skimmed_in_vain = 0
        text = choice.delta.content
        tally.events += 1
        tally.text_chars += len(text)
        return choice.index, text

    def take(self, payload: bytes) -> bytes:
        """The chunk as the client may see it; empty where it may see nothing of it."""
        if self.broken is not None:
            return b""
        try:
            if not payload.isascii():
                payload.decode()
            if b"\n" in payload:
                payload = msgspec.json.format(payload, indent=-1)
            members = _members.decode(payload)
            return self._take(members)
        except _UNREADABLE:
            return self._break("the upstream's stream holds something that is not a chunk of a chat completion")

    def take_error(self, data: bytes) -> None:
        """An event that calls itself an error: broken, whatever it holds."""
        if self.broken is not None:
            return
        try:
            error = _any.decode(data)
        except _UNREADABLE:
            error = None
        self.broken = broken_by(error.get("error") or error if isinstance(error, dict) else error)

    def fail(self, message: str) -> None:
        """Break the answer from outside, unless it is broken already."""
        if self.broken is None:
            self._break(message)

    def _take(self, members: Members) -> bytes:
        self.tally.events += 1
        if "error" in members and bytes(members["error"]) not in _FALSY:
            self.broken = broken_by(_any.decode(members["error"]))
            return b""
        self._note_source(members)
        raw_choices = _given(members, "choices")
        choices = _choices.decode(raw_choices) if raw_choices is not None else []
        usage = _given(members, "usage")
        if usage is not None:
            self.tally.usage = reported_usage(usage) or self.tally.usage
            if self.include_usage:
                self._keep_usage(members)
                members["usage"] = _NULL
            else:
                del members["usage"]
            if not choices:
                return b""
        elif not choices and (raw_choices is None or self.finished):
            return b""  # a keep-alive in a chunk's clothes
        if raw_choices is not None and choices:
            kept = self._take_choices(choices, raw_choices)
            if kept is None or self.broken is not None:
                return b""
            members["choices"] = kept
        if self.include_usage and "usage" not in members:
            members["usage"] = _NULL
        return self._ours(members)

    def _ours(self, members: Members) -> bytes:
        members["id"] = self._id
        members["object"] = _OBJECT
        members["created"] = self._created
        members["model"] = self._model
        return _encode(members)

    def _note_source(self, members: Members) -> None:
        tally = self.tally
        if tally.upstream_id is None:
            tally.upstream_id = _text_of(members.get("id"))
        if tally.upstream_model is None:
            tally.upstream_model = _text_of(members.get("model"))
        if tally.system_fingerprint is None:
            tally.system_fingerprint = _text_of(members.get("system_fingerprint"))

    def _keep_usage(self, members: Members) -> None:
        last = dict(members)
        last["choices"] = msgspec.Raw(b"[]")
        self.usage_chunk = self._ours(last)

    def _take_choices(self, choices: list[Choice], raw: msgspec.Raw) -> msgspec.Raw | None:
        """The list as the client may see it; None where nothing of it is left."""
        entries: list[Members] | None = None
        dropped: list[int] = []
        for position, choice in enumerate(choices):
            index = position if choice.index is None else choice.index
            state = self.choices.get(index)
            opens = state is None
            if state is None:
                if len(self.choices) >= CHOICES_MAX or index < 0:
                    self._break("the upstream's stream has more choices than anyone can ask for")
                    return None
                state = self.choices[index] = ChoiceState(self.identity.id, index)
                self._open += 1
            elif state.finished:
                dropped.append(position)
                continue
            changes = self._take_choice(choice, index, state, opens)
            if self.broken is not None:
                return None
            if changes:
                if entries is None:
                    entries = _choice_members.decode(raw)
                _apply(entries[position], changes)
        if not dropped:
            return raw if entries is None else msgspec.Raw(_encode(entries))
        if len(dropped) == len(choices):
            return None
        if entries is None:
            entries = _choice_members.decode(raw)
        gone = set(dropped)
        return msgspec.Raw(_encode([entry for position, entry in enumerate(entries) if position not in gone]))

    def _take_choice(self, choice: Choice, index: int, state: ChoiceState, opens: bool) -> _Changes | None:
        """Count one entry; what must be different in it for the client, None if nothing."""
        delta = choice.delta
        changes = _Changes()
        if choice.index is None:
            changes.entry["index"] = msgspec.Raw(_encode(index))
        if delta is None:
            delta = Delta()
            changes.entry["delta"] = msgspec.Raw(b"{}")
        if opens and delta.role != "assistant":
            changes.delta["role"] = _ASSISTANT
        elif not opens and delta.role is not None:
            changes.delta["role"] = None
        self._count(delta)
        if delta.tool_calls:
            self._take_tool_calls(delta.tool_calls, state.tool_calls, changes)
        if self._mark is not None and delta.reasoning_details is not None:
            changes.details = self._mark
        if choice.finish_reason is not None:
            if choice.finish_reason == "":
                changes.entry["finish_reason"] = _NULL
            elif (reason := FINISH_REASONS.get(choice.finish_reason)) is None:
                self._break(f"the upstream gave up its answer: `{presentable(choice.finish_reason)}`")
                return None
            else:
                state.finished = True
                self._open -= 1
                self.tally.finish[index] = reason
                if reason != choice.finish_reason:
                    changes.entry["finish_reason"] = msgspec.Raw(_encode(reason))
        return changes if changes else None

    def _count(self, delta: Delta) -> None:
        tally = self.tally
        if isinstance(delta.content, str):
            tally.text_chars += len(delta.content)
        if isinstance(delta.reasoning_content, str):
            tally.reasoning_chars += len(delta.reasoning_content)
        elif isinstance(delta.reasoning, str):
            tally.reasoning_chars += len(delta.reasoning)
        if isinstance(delta.refusal, str):
            tally.refusal_chars += len(delta.refusal)
        if isinstance(delta.function_call, dict) and isinstance(text := delta.function_call.get("arguments"), str):
            tally.argument_chars += len(text)

    def _take_tool_calls(self, fragments: list[Fragment], calls: ToolCalls, changes: _Changes) -> None:
        placed: list[Placed] = []
        for fragment in fragments:
            place = calls.place(fragment)
            placed.append(place)
            if place.opens:
                self.tally.tool_calls += 1
            if fragment.function is not None and fragment.function.arguments:
                self.tally.argument_chars += len(fragment.function.arguments)
        if len(calls) > TOOL_CALLS_MAX:
            self._break("the upstream's stream has more tool calls than one answer can hold")
        if not all(place.as_it_came for place in placed):
            changes.tool_calls = placed

    def _break(self, message: str) -> bytes:
        self.broken = Broken("upstream_stream_broken", message)
        return b""


class _Changes:
    """What must be different in one entry of `choices`."""

    __slots__ = ("delta", "details", "entry", "tool_calls")

    def __init__(self) -> None:
        self.entry: dict[str, msgspec.Raw] = {}
        self.delta: dict[str, msgspec.Raw | None] = {}
        """None removes the member."""
        self.tool_calls: list[Placed] | None = None
        self.details: str | None = None
        """The mark that sealed reasoning details get."""

    def __bool__(self) -> bool:
        return bool(self.entry or self.delta or self.tool_calls or self.details is not None)


def _apply(entry: Members, changes: _Changes) -> None:
    entry.update(changes.entry)
    if not (changes.delta or changes.tool_calls or changes.details is not None):
        return
    delta = _members.decode(entry["delta"])
    for name, value in changes.delta.items():
        if value is None:
            del delta[name]
        elif name in delta:
            delta[name] = value
        else:
            delta = {name: value, **delta}
    if changes.tool_calls is not None:
        delta["tool_calls"] = _renumbered(delta["tool_calls"], changes.tool_calls)
    if changes.details is not None:
        delta["reasoning_details"] = mark_details(delta["reasoning_details"], changes.details)
    entry["delta"] = msgspec.Raw(_encode(delta))


def _renumbered(raw: msgspec.Raw, placed: list[Placed]) -> msgspec.Raw:
    fragments = _fragment_members.decode(raw)
    for fragment, place in zip(fragments, placed, strict=True):
        if place.as_it_came:
            continue
        fragment["index"] = msgspec.Raw(_encode(place.index))
        given = _given(fragment, "function")
        function = _members.decode(given) if given is not None else {}
        if place.opens:
            fragment["id"] = msgspec.Raw(_encode(place.id))
            fragment["type"] = msgspec.Raw(b'"function"')
            function.setdefault("arguments", msgspec.Raw(b'""'))
        else:
            fragment.pop("id", None)
            fragment.pop("type", None)
        if place.name is None:
            function.pop("name", None)
        else:
            function["name"] = msgspec.Raw(_encode(place.name))
        fragment["function"] = msgspec.Raw(_encode(function))
    return msgspec.Raw(_encode(fragments))


def _given(members: Members, name: str) -> msgspec.Raw | None:
    """A member that is there and not null."""
    raw = members.get(name)
    return None if raw is None or bytes(raw) == b"null" else raw


def _text_of(raw: msgspec.Raw | None) -> str | None:
    try:
        return (_text.decode(raw) or None) if raw is not None else None
    except msgspec.ValidationError:
        return None
