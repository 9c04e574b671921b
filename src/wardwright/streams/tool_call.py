"""One tool call, held whole until its arguments close.

Rule 1: nothing of a call leaves before all of it was judged: clients cannot act on half a call anyway.
Rule 2: rules read values, not JSON: each string as the tool will read it, whatever escapes it was written with; each
other value as its JSON. A value is judged as soon as it is complete, so that a call may be stopped while it is written.
Rule 3: arguments that are not JSON, or name a member twice, cannot be judged: the rules that watch them say whether the
call then leaves. A value that is edited becomes a string; the rest keeps its order and its numbers.
Rule 4: partial arguments are read again only as often as PARSE_SHARE allows, so that reading stays linear.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final, TypeAlias

import jiter
import msgspec

from wardwright.kernel.events import Event, ToolArgumentsDelta, ToolCallStart
from wardwright.streams.effects import Flag, Spot, Violation
from wardwright.streams.governed_text import GovernedText, Stop
from wardwright.streams.plan import Actions
from wardwright.streams.ruleset import RuleSet

PARSE_SHARE: Final = 16
"""Characters that may be read again for each that came."""
PARSE_CHARS_FREE: Final = 65_536

Value: TypeAlias = "str | int | bool | Decimal | list[Value] | dict[str, Value] | None"

_ENDS: Final = frozenset('",}]')
"""Characters that can complete a value."""

_encode = msgspec.json.Encoder(decimal_format="number").encode


class ToolCall:
    """One call of one choice. Feed it its arguments, then `close` it."""

    __slots__ = (
        "_actions", "_edits", "_judged", "_parsed", "_parts", "_rules", "_watching", "facts", "received", "start",
        "stop", "stopped_in",
    )  # fmt: skip

    def __init__(self, start: ToolCallStart, rules: RuleSet, actions: Actions) -> None:
        self.start = start
        self.stop: Stop | None = None
        self.stopped_in: Spot = self._spot(None)
        self.facts: list[Violation | Flag] = []
        self.received = 0
        self._rules = rules
        self._actions = actions
        self._watching = [(rule, place) for rule, place in rules.watching_tool(start.name) if actions[rule] is not None]
        self._parts: list[str] = []
        self._parsed = 0
        """Characters that were read for values so far."""
        self._judged: set[str] = set()
        self._edits: dict[str, str] = {}

    def feed(self, text: str) -> None:
        """Arguments came; a value that they complete may set `stop`."""
        self.received += len(text)
        if self.stop is not None:
            return
        self._parts.append(text)
        if not self._watching or _ENDS.isdisjoint(text):
            return
        if self._parsed + self.received > PARSE_SHARE * self.received + PARSE_CHARS_FREE:
            return
        self._parsed += self.received
        try:
            value = _read("".join(self._parts), partial=True)
        except ValueError:
            return  # not JSON: said when the call closes
        self._judge(value, strings_alone=True)

    def close(self) -> tuple[Event, ...]:
        """The call, its arguments in one piece; nothing if a rule stopped it."""
        arguments = "".join(self._parts)
        if self.stop is None and self._watching and arguments.strip():
            try:
                value = _read(arguments, partial=False)
            except ValueError:
                self._malformed()
            else:
                self._judge(value, strings_alone=False)
                if self._edits and self.stop is None:
                    arguments = _encode(_edited(value, "", self._edits)).decode()
        if self.stop is not None:
            return ()
        start = self.start
        return (start, ToolArgumentsDelta(start.choice, start.index, arguments)) if arguments else (start,)

    def _judge(self, value: Value, *, strings_alone: bool) -> None:
        """Values that were not judged before. Numbers and words may still grow while arguments are partial."""
        for pointer, leaf in _leaves(value, ""):
            if pointer in self._judged or (strings_alone and not isinstance(leaf, str)):
                continue
            self._judged.add(pointer)
            rules = {rule for rule, place in self._watching if place.field is None or place.field == pointer}
            plan = self._rules.plan(tuple(sorted(rules)), self._actions)
            if plan is None:
                continue
            text = leaf if isinstance(leaf, str) else _encode(leaf).decode()
            governed = GovernedText(plan, self._spot(pointer))
            out = governed.whole(text)
            self.facts += governed.facts
            if governed.stop is not None:
                self.stop, self.stopped_in = governed.stop, governed.spot
                return
            if out != text:
                self._edits[pointer] = out

    def _malformed(self) -> None:
        spot = self._spot(None)
        for rule in sorted({rule for rule, _ in self._watching}):
            plan = self._rules.plan((rule,), self._actions)
            assert plan is not None
            watched = plan.watched[0]
            if watched.part != "note" and watched.rule.on_error == "fail_closed":
                self.stop = Stop(cause="indeterminate", rules=(watched,), start=0, end=self.received)
                return
            self.facts.append(Flag(cause="indeterminate", rule=watched.rule.id, spot=spot, start=0, end=self.received))

    def _spot(self, field: str | None) -> Spot:
        return Spot("tool_arguments", self.start.choice, self.start.index, field)


def _read(text: str, *, partial: bool) -> Value:
    """Raises ValueError for what is not JSON, and for a member that is named twice."""
    read: Value = jiter.from_json(
        text.encode(),
        allow_inf_nan=False,
        cache_mode=False,
        partial_mode=partial,
        catch_duplicate_keys=True,
        float_mode="decimal",
    )
    return read


def _leaves(value: Value, pointer: str) -> Iterator[tuple[str, Value]]:
    """Every value that holds no other, by JSON pointer. The depth is bounded by the reader's."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _leaves(member, f"{pointer}/{_escaped(name)}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{pointer}/{index}")
    else:
        yield pointer, value


def _edited(value: Value, pointer: str, edits: dict[str, str]) -> Value:
    if isinstance(value, dict):
        return {name: _edited(member, f"{pointer}/{_escaped(name)}", edits) for name, member in value.items()}
    if isinstance(value, list):
        return [_edited(item, f"{pointer}/{index}", edits) for index, item in enumerate(value)]
    return edits.get(pointer, value)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
