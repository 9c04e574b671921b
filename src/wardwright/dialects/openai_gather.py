"""An OpenAI stream gathered into the whole answer that a client asked for.

Each chunk gets the treatment of `openai_chunk` first, so what is gathered is numbered, named and finished already. Then
the members of the deltas grow together: text is appended, numbered entries meet by their number, lists get longer, and
anything else is replaced. Members we do not know are gathered by the same rule.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import msgspec

from wardwright.dialects.answer import ANSWER_BYTES_MAX, Identity
from wardwright.dialects.openai_chunk import ChunkRepair
from wardwright.dialects.sse import EVENT_BYTES_MAX, Framer
from wardwright.kernel.events import Broken

Members: TypeAlias = dict[str, Any]
"""JSON of any shape: it is passed on, not understood."""

_WHOLE_TEXT: Final = frozenset(("role", "type", "id", "format", "object"))
"""Members that are said once, or again in full; they never grow."""

_decode = msgspec.json.Decoder(Members).decode
_encode = msgspec.json.Encoder().encode


class _Growing:
    """A text in pieces: appending must not cost the length of what is there."""

    __slots__ = ("pieces",)

    def __init__(self, first: str) -> None:
        self.pieces = [first]


class OpenAIGather:
    """A `voice.Reader` for an upstream that streams to a client that does not."""

    __slots__ = ("_bytes", "_choices", "_framer", "_members", "_repair", "answer_bytes_max", "done", "tally")

    def __init__(
        self,
        identity: Identity,
        *,
        mark: str | None = None,
        event_bytes_max: int = EVENT_BYTES_MAX,
        answer_bytes_max: int = ANSWER_BYTES_MAX,
    ) -> None:
        self._repair = ChunkRepair(identity, include_usage=True, mark=mark)
        self.tally = self._repair.tally
        self.done = False
        self.answer_bytes_max = answer_bytes_max
        self._framer = Framer(event_bytes_max)
        self._members: Members = {}
        self._choices: dict[int, Members] = {}
        self._bytes = 0

    @property
    def broken(self) -> Broken | None:
        return self._repair.broken

    @property
    def finished(self) -> bool:
        return self._repair.finished

    def feed(self, data: bytes) -> bytes:
        """Always empty: a whole answer leaves at its end."""
        self._bytes += len(data)
        if self._bytes > self.answer_bytes_max:
            self._repair.fail(f"the upstream's answer is larger than {self.answer_bytes_max} bytes")
        if self._repair.broken is None and not self.done:
            self._take(self._framer.feed(data))
        return b""

    def close(self) -> bytes:
        if self._repair.broken is None and not self.done:
            self._take(self._framer.close())
        if not self._repair.finished:
            self._repair.fail("the upstream's stream ended before its answer did")
        if self._repair.broken is not None:
            return b""
        whole = dict(self._members)
        whole["object"] = "chat.completion"
        whole["choices"] = [_settled(self._choices[index]) for index in sorted(self._choices)]
        if self._repair.usage_chunk:
            last = _decode(self._repair.usage_chunk)
            whole |= {name: value for name, value in last.items() if name not in ("choices", "object")}
        return _encode(whole)

    def _take(self, events: list[Any]) -> None:
        for event in events:
            if event.data.startswith(b"[DONE]"):
                self.done = True
                return
            if event.name == "error":
                self._repair.take_error(event.data)
            elif chunk := self._repair.take(event.data):
                self._gather(_decode(chunk))
            if self._repair.broken is not None:
                return
        if self._framer.too_large:
            self._repair.fail(f"an event of the upstream's stream is larger than {self._framer.event_bytes_max} bytes")

    def _gather(self, chunk: Members) -> None:
        for entry in chunk.pop("choices", ()):
            index = entry["index"]
            choice = self._choices.get(index)
            if choice is None:
                choice = self._choices[index] = {"index": index, "message": {"content": None}, "finish_reason": None}
            _grow(choice["message"], entry.pop("delta", {}))
            reason = entry.pop("finish_reason", None)
            choice["finish_reason"] = reason or choice["finish_reason"]
            _grow(choice, entry)
        del chunk["usage"]
        self._members |= chunk


def _grow(into: Members, more: Members) -> None:
    for name, value in more.items():
        there = into.get(name)
        if value is None:
            into.setdefault(name, None)
        elif isinstance(value, str) and name not in _WHOLE_TEXT:
            if isinstance(there, _Growing):
                there.pieces.append(value)
            else:
                into[name] = _Growing(value)
        elif isinstance(value, list):
            if not isinstance(there, list):
                there = into[name] = []
            for item in value:
                _place(there, item)
        elif isinstance(value, dict):
            if not isinstance(there, dict):
                there = into[name] = {}
            _grow(there, value)
        else:
            into[name] = value


def _place(entries: list[Any], item: Any) -> None:
    """Into the entry with the same number, else behind the others."""
    number = item.get("index") if isinstance(item, dict) else None
    if number is None:
        entries.append(item)
        return
    for entry in entries:
        if isinstance(entry, dict) and entry.get("index") == number:
            _grow(entry, item)
            return
    fresh: Members = {}
    _grow(fresh, item)
    entries.append(fresh)


def _settled(value: Any, name: str = "") -> Any:
    """Pieces joined; tool calls without the numbers that only a stream needs."""
    match value:
        case _Growing():
            return "".join(value.pieces)
        case dict():
            gone = "index" if name == "tool_calls" else None
            return {key: _settled(item, key) for key, item in value.items() if key != gone}
        case list():
            return [_settled(item, name) for item in value]
        case _:
            return value
