"""What happened in earlier calls, as far as declared state looks back: the fold over the events of calls.

    history.declare({"escalation": (states, machines)})
    history.reserve(call)              # as often as the call earns a label: others see it from now on
    history.read("escalation", state, Asking(call=call, now_us=now))
    call = history.settle(call, now)   # or history.release(call.receipt)

Rule 1: every key begins with the tenant, then the policy, the state's name, the kind and the value of its scope. A call
without that value is in none of these, and reads none.
Rule 2: a call that is under way counts as one that ended. It is settled with what its receipt says, or released.
Rule 3: folding the same call again changes nothing, and the order in which calls are told does not matter to state
(it does to machines: their fold follows `CallEvents.order`). So what is stored may be ahead of the journal's cursor,
and reading the tail over it is harmless.
Rule 4: what is dropped for room makes readings unavailable that could have shown it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from heapq import heappop, heappush
from typing import Final, NamedTuple

import msgspec

from wardwright.contracts.policy import AGE_S_MAX, Machine, State
from wardwright.kernel.units import SECOND_US
from wardwright.limits.events import Asking, CallEvents, Earned, Unavailable
from wardwright.limits.machines import MachineKey, Machines, Standing
from wardwright.limits.past import EMPTY, Past, PastRow, Seen, read

EVENTS_MAX: Final = 262_144
"""Settled events of one state and tenant, over all values of its scope."""

NAME: Final = "history"
"""What a store calls it."""


class BookKey(NamedTuple):
    """One state of one tenant."""

    tenant: str
    policy: str
    state: str
    scope: str


class Row(msgspec.Struct, frozen=True):
    """One changed piece of history, for a store."""

    key: str
    value: bytes | None
    """None: it is gone."""


class _Counted(msgspec.Struct, frozen=True):
    """What every served version of a policy wants of one state, together."""

    name: str
    state: State
    """Of one of them, for its scope."""
    labels: frozenset[str]
    items_max: int
    declared: bool
    """All of them demand a declared session."""


class _Book:
    """The pasts of one state of one tenant."""

    __slots__ = ("idle", "labels", "lost", "pasts", "settled")

    def __init__(self) -> None:
        self.pasts: dict[str, Past] = {}
        self.settled = 0
        self.labels: set[str] = set()
        """Every label that some past may hold: an earlier version of a policy may have counted others."""
        self.lost: Seen | None = None
        """The latest event of a whole past that was dropped for room."""
        self.idle: list[tuple[Seen, str]] = []
        """A heap: some event of each past, not later than its last, so that the longest idle one is found."""


class History:
    """Declared state and machines over the calls of every tenant. Belongs to one thread."""

    def __init__(self, *, events_max: int = EVENTS_MAX) -> None:
        self._events_max = events_max
        self._counted: dict[str, tuple[_Counted, ...]] = {}
        self._books: dict[BookKey, _Book] = {}
        self._attempts: dict[tuple[BookKey, str], Past] = {}
        """Pasts of attempts under way: they end with their call and are not stored."""
        self._passing: dict[str, CallEvents] = {}
        self._changed: dict[tuple[BookKey, str], None] = {}
        self._floors: dict[BookKey, None] = {}
        self._order = 0
        self._order_changed = False
        self._machines = Machines()

    def declare(self, policies: Mapping[str, Iterable[tuple[Iterable[State], Iterable[Machine]]]]) -> None:
        """What is kept from now on: by policy, the states and machines of each version that serves, the active one
        last. Replaces what was declared before; nothing kept is dropped."""
        self._counted = {
            policy: tuple(_merged(state for states, _ in versions for state in states))
            for policy, versions in ((name, tuple(some)) for name, some in policies.items())
        }
        self._machines.declare(
            {
                policy: {machine.name: machine for _, some in versions for machine in some}.values()
                for policy, versions in policies.items()
            }
        )

    # Reading

    def read(self, policy: str, state: State, asking: Asking) -> int | bool | Unavailable:
        """What a state of a policy measures for a call that asks."""
        call = asking.call
        key = BookKey(call.scopes.tenant, policy, state.name, state.scope)
        if state.scope == "attempt":
            if asking.attempt == 0:
                return Unavailable("has no attempt")
            past = self._attempts.get((key, f"{call.receipt}/{asking.attempt}"), EMPTY)
            return read(past, state, asking)
        value = call.scopes.of(state.scope, declared=state.session == "declared")
        if isinstance(value, Unavailable):
            return value
        book = self._books.get(key)
        if book is None:
            return read(EMPTY, state, asking)
        past = book.pasts.get(value) or (EMPTY if book.lost is None else Past(book.lost))
        return read(past, state, asking, alone=book.labels.issubset(state.events))

    def machine(self, policy: str, machine: Machine, call: CallEvents) -> str | Unavailable:
        """Which state a machine of a policy is in for a call."""
        return self._machines.read(policy, machine, call)

    # Calls

    def reserve(self, call: CallEvents) -> None:
        """A call under way and all it has earned by now; told again whenever it earned more."""
        before = self._passing.get(call.receipt)
        known = 0 if before is None else len(before.events)
        self._passing[call.receipt] = call
        for place, event in enumerate(call.events[known:], known):
            for past in self._of_attempts(call, event):
                past.reserve(_seen(call, place, event))
            for _, book, value, _ in self._of(call, event):
                self._past(book, value, event.label).reserve(_seen(call, place, event))
        self._machines.reserve(call)

    def release(self, receipt: str) -> None:
        """A call ended as if it had not been. A receipt that is not under way is nothing."""
        call = self._passing.pop(receipt, None)
        if call is None:
            return
        self._end_attempts(call)
        for place, event in enumerate(call.events):
            for _, book, value, _ in self._of(call, event):
                past = book.pasts.get(value)
                if past is not None:
                    past.release(_seen(call, place, event))
                    if not past.events:
                        del book.pasts[value]
        self._machines.release(receipt)

    def settle(self, call: CallEvents, now_us: int) -> CallEvents:
        """A call ended. Returns its events with their order, for its receipt: put that to the journal after this."""
        self._order = max(now_us, self._order + 1)
        ordered = msgspec.structs.replace(call, order=self._order)
        self.apply(ordered)
        return ordered

    def apply(self, call: CallEvents) -> None:
        """The events of a call that ended, from its receipt or just now. Telling them twice changes nothing."""
        reserved = self._passing.get(call.receipt)
        if reserved is not None:
            if reserved.events != call.events[: len(reserved.events)]:
                self.release(call.receipt)
            self._passing.pop(call.receipt, None)
            self._end_attempts(reserved)
            self._machines.release(call.receipt)
        self._order_changed = True
        self._order = max(self._order, call.order)
        for place, event in enumerate(call.events):
            for key, book, value, counted in self._of(call, event):
                past = self._past(book, value, event.label)
                before, seen = past.settled, _seen(call, place, event)
                past.settle(seen, counted.items_max)
                book.settled += past.settled - before
                if before == 0:
                    heappush(book.idle, (seen, value))
                self._changed[key, value] = None
                if book.settled > self._events_max:
                    self._make_room(key, book)
        self._machines.fold(call)

    # Storing

    def changes(self, now_us: int, rows_max: int) -> tuple[Row, ...]:
        """What changed since it was last asked for, the longest ago first; fewer than `rows_max`: that was all.

        Each row holds the whole of what its key names, so rows may be stored in any number of steps.
        """
        self._forget(now_us - AGE_S_MAX * SECOND_US)
        self._machines.forget(now_us - AGE_S_MAX * SECOND_US)
        rows: list[Row] = []
        if self._order_changed:
            self._order_changed = False
            rows.append(Row(_key("order"), _encode(self._order)))
        for key in tuple(self._floors)[: rows_max - len(rows)]:
            del self._floors[key]
            book = self._books[key]
            rows.append(Row(_key("lost", *key), None if book.lost is None else _encode(book.lost)))
        for key, value in tuple(self._changed)[: rows_max - len(rows)]:
            del self._changed[key, value]
            past = self._books[key].pasts.get(value)
            row = None if past is None else past.row()
            kept = row is not None and (row.events or row.lost is not None)
            rows.append(Row(_key("past", *key, value), _encode(row) if kept else None))
        for machine, value in tuple(self._machines.changed)[: rows_max - len(rows)]:
            del self._machines.changed[machine, value]
            standing = self._machines.standing(machine, value)
            rows.append(Row(_key("machine", *machine, value), None if standing is None else _encode(standing)))
            if standing is None:
                crowded = self._machines.crowded(machine)
                rows.append(Row(_key("crowded", *machine), None if crowded is None else _encode(crowded)))
        return tuple(rows)

    def unsaved(self, rows: Iterable[Row]) -> None:
        """Changes that could not be stored: they come again."""
        for row in rows:
            kind, *parts = msgspec.json.decode(row.key, type=tuple[str, ...])
            match kind:
                case "order":
                    self._order_changed = True
                case "past":
                    self._changed[BookKey(*parts[:4]), parts[4]] = None
                case "lost":
                    self._floors[BookKey(*parts)] = None
                case "machine":
                    self._machines.changed[MachineKey(*parts[:4]), parts[4]] = None
                case _:
                    continue  # `crowded` comes with the machine that was dropped

    def restore(self, rows: Iterable[tuple[str, bytes]]) -> None:
        """Take up what a store holds. For a history that has seen nothing yet, with its policies declared."""
        standings: list[tuple[MachineKey, str, Standing]] = []
        crowded: dict[MachineKey, int] = {}
        for key, value in rows:
            kind, *parts = msgspec.json.decode(key, type=tuple[str, ...])
            match kind:
                case "order":
                    self._order = msgspec.json.decode(value, type=int)
                case "past":
                    self._restore_past(BookKey(*parts[:4]), parts[4], msgspec.json.decode(value, type=PastRow))
                case "lost":
                    self._book(BookKey(*parts)).lost = msgspec.json.decode(value, type=Seen)
                case "machine":
                    standing = msgspec.json.decode(value, type=Standing)
                    standings.append((MachineKey(*parts[:4]), parts[4], standing))
                case "crowded":
                    crowded[MachineKey(*parts)] = msgspec.json.decode(value, type=int)
                case _:
                    raise ValueError(f"{key} is no row of history")
        self._machines.restore(standings, crowded)

    # Inside

    def _restore_past(self, key: BookKey, value: str, row: PastRow) -> None:
        book = self._book(key)
        past = book.pasts[value] = Past(row.lost)
        for seen in row.events:
            past.settle(seen, len(row.events))
            book.labels.add(seen.label)
        if row.events:
            book.settled += past.settled
            heappush(book.idle, (row.events[-1], value))

    def _of(self, call: CallEvents, event: Earned) -> Iterator[tuple[BookKey, _Book, str, _Counted]]:
        """Whose pasts an event belongs to."""
        for policy in call.policies:
            for counted in self._counted.get(policy, ()):
                if event.label in counted.labels and counted.state.scope != "attempt":
                    value = call.scopes.of(counted.state.scope, declared=counted.declared)
                    if not isinstance(value, Unavailable):
                        key = BookKey(call.scopes.tenant, policy, counted.name, counted.state.scope)
                        yield key, self._book(key), value, counted

    def _of_attempts(self, call: CallEvents, event: Earned) -> Iterator[Past]:
        if event.attempt == 0:
            return
        for policy in call.policies:
            for counted in self._counted.get(policy, ()):
                if event.label in counted.labels and counted.state.scope == "attempt":
                    key = BookKey(call.scopes.tenant, policy, counted.name, "attempt")
                    yield self._attempts.setdefault((key, f"{call.receipt}/{event.attempt}"), Past())

    def _end_attempts(self, call: CallEvents) -> None:
        attempts = {event.attempt for event in call.events} - {0}
        for policy in call.policies if attempts else ():
            for counted in self._counted.get(policy, ()):
                key = BookKey(call.scopes.tenant, policy, counted.name, "attempt")
                for attempt in attempts:
                    self._attempts.pop((key, f"{call.receipt}/{attempt}"), None)

    def _book(self, key: BookKey) -> _Book:
        book = self._books.get(key)
        if book is None:
            book = self._books[key] = _Book()
        return book

    def _past(self, book: _Book, value: str, label: str) -> Past:
        book.labels.add(label)
        past = book.pasts.get(value)
        if past is None:
            past = book.pasts[value] = Past(book.lost)
        return past

    def _make_room(self, key: BookKey, book: _Book) -> None:
        """Drop the pasts that were idle longest until there is room; those of calls under way stay."""
        aside: list[tuple[Seen, str]] = []
        while book.settled > self._events_max and book.idle:
            _, value = heappop(book.idle)
            past = book.pasts[value]
            if past.passing:
                aside.append((past.events[-1], value))
            elif book.idle and past.events[-1] > book.idle[0][0]:
                heappush(book.idle, (past.events[-1], value))
            else:
                del book.pasts[value]
                book.settled -= past.settled
                book.lost = past.events[-1] if book.lost is None else max(book.lost, past.events[-1])
                self._changed[key, value] = None
                self._floors[key] = None
        for one in aside:
            heappush(book.idle, one)

    def _forget(self, before_us: int) -> None:
        """Let go of pasts that no window reaches any more."""
        for key, book in self._books.items():
            while book.idle and book.idle[0][0].at < before_us:
                _, value = heappop(book.idle)
                past = book.pasts[value]
                before = past.settled
                past.forget(before_us)
                book.settled += past.settled - before
                if past.settled:
                    heappush(book.idle, (past.events[-1], value))
                elif not past.events:
                    del book.pasts[value]
                self._changed[key, value] = None
            if book.lost is not None and book.lost.at < before_us:
                book.lost = None
                self._floors[key] = None


_encode: Final = msgspec.json.encode


def _key(*parts: str) -> str:
    return msgspec.json.encode(parts).decode()


def _seen(call: CallEvents, place: int, event: Earned) -> Seen:
    return Seen(event.at, call.receipt, place, event.label, call.step, call.turn, dict(event.fields))


def _merged(states: Iterable[State]) -> Iterator[_Counted]:
    by_name: dict[tuple[str, str], list[State]] = {}
    for state in states:
        by_name.setdefault((state.name, state.scope), []).append(state)
    for (name, _), same in by_name.items():
        yield _Counted(
            name=name,
            state=same[-1],
            labels=frozenset(label for state in same for label in state.events),
            items_max=max(state.items_max for state in same),
            declared=all(state.session == "declared" for state in same),
        )
