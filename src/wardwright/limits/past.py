"""The past of one scope value: its events in order, bounded, and what a window over them shows.

Rule 1: events stand by instant, receipt and place in their call, whatever order they came in. Of settled events the
last `items_max` are kept; those of calls under way are kept beside them until the call ends.
Rule 2: a window shows an event that lies within *every* bound: the last `events` of the state, the turns and steps of
the conversation, the age. Nothing older than AGE_S_MAX is shown.
Rule 3: what was dropped and could have been shown makes the reading unavailable, never smaller than the truth.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import pairwise
from operator import attrgetter
from typing import Final, NamedTuple

import msgspec

from wardwright.contracts.policy import AGE_S_MAX, State
from wardwright.kernel.canonical import INTEGER_MAX
from wardwright.kernel.units import SECOND_US
from wardwright.limits.events import Asking, Kept, Unavailable


class Seen(NamedTuple):
    """One event as history keeps it. The first three members tell events apart and order them."""

    at: int
    receipt: str
    place: int
    """Its index among the events of its call."""
    label: str
    step: int
    turn: int
    fields: dict[str, Kept]


_AT: Final = attrgetter("at")
_STEP: Final = attrgetter("step")
_TURN: Final = attrgetter("turn")


class PastRow(msgspec.Struct, frozen=True, array_like=True):
    """A past as it is stored: settled events alone."""

    events: list[Seen]
    lost: Seen | None


class Past:
    """Events of one state for one scope value."""

    __slots__ = ("events", "lost", "passing", "straight")

    def __init__(self, lost: Seen | None = None) -> None:
        self.events: list[Seen] = []
        """Sorted."""
        self.passing: set[tuple[str, int]] = set()
        """Receipt and place of events whose call is under way."""
        self.lost = lost
        """The latest event that was dropped for room, if one was."""
        self.straight = True
        """Steps and turns never fall along the events: then windows over them are found by halving."""

    @property
    def settled(self) -> int:
        return len(self.events) - len(self.passing)

    def reserve(self, seen: Seen) -> None:
        """An event of a call under way."""
        if self._insert(seen):
            self.passing.add((seen.receipt, seen.place))

    def settle(self, seen: Seen, items_max: int) -> None:
        """An event of a call that ended. Telling it twice changes nothing."""
        self._insert(seen)
        self.passing.discard((seen.receipt, seen.place))
        while self.settled > items_max:
            self._drop_oldest()

    def release(self, seen: Seen) -> None:
        """The call ended as if it had not been."""
        key = (seen.receipt, seen.place)
        if key in self.passing:
            self.passing.discard(key)
            del self.events[bisect_left(self.events, seen)]

    def forget(self, before_us: int) -> None:
        """Drop settled events that no window shows any more."""
        while self.events and self.events[0].at < before_us:
            first = self.events[0]
            if (first.receipt, first.place) in self.passing:
                return
            del self.events[0]
        if self.lost is not None and self.lost.at < before_us:
            self.lost = None

    def row(self) -> PastRow:
        kept = [seen for seen in self.events if (seen.receipt, seen.place) not in self.passing]
        return PastRow(kept, self.lost)

    def _insert(self, seen: Seen) -> bool:
        events = self.events
        if not events or seen > events[-1]:
            if events and (seen.turn < events[-1].turn or seen.step < events[-1].step):
                self.straight = False
            events.append(seen)
            return True
        index = bisect_left(events, seen)
        found = events[index]
        if (found.at, found.receipt, found.place) == (seen.at, seen.receipt, seen.place):
            return False
        events.insert(index, seen)
        around = events[max(index - 1, 0) : index + 2]
        self.straight = self.straight and all(
            one.turn <= other.turn and one.step <= other.step for one, other in pairwise(around)
        )
        return True

    def _drop_oldest(self) -> None:
        for index, seen in enumerate(self.events):
            if (seen.receipt, seen.place) not in self.passing:
                del self.events[index]
                self.lost = seen if self.lost is None else max(self.lost, seen)
                return


EMPTY: Final = Past()
"""The past of whom nothing is known. Nobody adds to it."""


def read(past: Past, state: State, asking: Asking, *, alone: bool = False) -> int | bool | Unavailable:
    """What a state measures. `alone`: the past holds no labels but the state's own, so none is looked at."""
    shown = _shown(past, state, asking, alone)
    if isinstance(shown, Unavailable):
        return shown
    events, start = shown
    if state.same:
        chosen = _same(events[start:], state.same, asking)
        if isinstance(chosen, Unavailable):
            return chosen
        events, start = chosen, 0
    match state.measure:
        case "count":
            return len(events) - start
        case "formerly":
            return len(events) > start
        case "absent":
            return len(events) <= start
        case "sequence":
            return _in_sequence(events, start, state.events)
        case "sum" | "distinct":
            return _measured(events[start:], state)


def _shown(past: Past, state: State, asking: Asking, alone: bool) -> tuple[list[Seen], int] | Unavailable:
    """Events, and from which of them on the window reaches; where windows turn back, copies that all lie within."""
    events, call, within = past.events, asking.call, state.within
    if not alone:
        events = [seen for seen in events if seen.label in state.events]
    if not state.including_current and past.passing:
        events = [seen for seen in events if seen.receipt != call.receipt]
    most = state.items_max if within.events is None else min(within.events, state.items_max)
    start = max(len(events) - most, 0)
    oldest = asking.now_us - (within.age_s or AGE_S_MAX) * SECOND_US
    if past.lost is not None and past.lost.at >= oldest and not (len(events) >= most and events[start] > past.lost):
        return Unavailable("reaches further back than what is kept")
    if start < len(events) and events[start].at < oldest:
        start = bisect_left(events, oldest, lo=start, key=_AT)
    if within.turns is None and within.steps is None:
        return events, start
    turn = call.turn - within.turns if within.turns is not None else -1
    step = call.step - within.steps if within.steps is not None else -1
    if not past.straight:
        return [seen for seen in events[start:] if seen.turn > turn and seen.step > step], 0
    if turn >= 0:
        start = bisect_right(events, turn, lo=start, key=_TURN)
    if step >= 0:
        start = bisect_right(events, step, lo=start, key=_STEP)
    return events, start


def _same(events: list[Seen], names: tuple[str, ...], asking: Asking) -> list[Seen] | Unavailable:
    for name in names:
        value = asking.fields.get(name)
        if value is None:
            return Unavailable(f"has no `{name}` to compare with")
        try:
            events = [seen for seen in events if seen.fields[name] == value]
        except KeyError:
            return Unavailable(f"counts an event that did not keep `{name}`")
        if not isinstance(value, str):  # True equals 1 in Python, and a truth value is no number
            events = [seen for seen in events if type(seen.fields[name]) is type(value)]
    return events


def _in_sequence(events: list[Seen], start: int, labels: tuple[str, ...]) -> bool:
    """Whether the labels come one after the other; others may come between them."""
    found = 0
    for index in range(start, len(events)):
        if events[index].label == labels[found]:
            found += 1
            if found == len(labels):
                return True
    return False


def _measured(events: list[Seen], state: State) -> int | Unavailable:
    name = state.of or ""
    try:
        values = [seen.fields[name] for seen in events]
    except KeyError:
        return Unavailable(f"counts an event that did not keep `{name}`")
    if state.measure == "distinct":
        return len({(type(value), value) for value in values if value is not None})
    total = sum(value for value in values if isinstance(value, int))
    return max(-INTEGER_MAX, min(total, INTEGER_MAX))
