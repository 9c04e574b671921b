"""Policy machines over the events of calls: which state each value of a scope is in.

Rule 1: a machine's state is a fold over ended calls in their `order`; a call that was folded is not folded again.
Rule 2: calls under way are seen: their labels lead on from the folded state, in the order in which they were earned,
and leave no trace if the call is released.
Rule 3: a transition whose budget is spent leads to `on_exhausted`. A label that leads nowhere changes nothing.
Rule 4: a state that this version of a machine does not have cannot be told.
Rule 5: of sessions and runs that nothing moved for as long as state reaches back, nothing is kept. Agents, users and
tenants stay where they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import msgspec

from wardwright.contracts.policy import Machine
from wardwright.limits.events import CallEvents, Unavailable

MACHINES_MAX: Final = 262_144
"""Scope values of one machine and tenant that are not where it begins."""

_PASSING_AWAY: Final = ("session", "run")
"""Scopes whose values end some day."""


class Standing(msgspec.Struct, frozen=True, array_like=True):
    """Where one machine stands."""

    state: str
    taken: dict[str, int] = {}
    """Transitions with a budget by `origin/label`, and how often each was taken."""
    order: int = 0
    """Of the last call that was folded."""
    receipt: str = ""
    """That call's."""


class MachineKey(NamedTuple):
    """One machine of one tenant."""

    tenant: str
    policy: str
    machine: str
    scope: str


def begin(machine: Machine) -> Standing:
    return Standing(machine.initial)


def advance(machine: Machine, standing: Standing, label: str) -> Standing:
    """Where a label leads.

    >>> from wardwright.contracts.policy import MachineState, Transition
    >>> door = Machine(
    ...     name="door", initial="open", scope="session",
    ...     states=(MachineState(name="open"), MachineState(name="shut", terminal=True)),
    ...     transitions=(Transition(origin="open", on="slam", to="shut"),),
    ... )
    >>> advance(door, begin(door), "slam").state
    'shut'
    """
    for one in machine.transitions:
        if one.origin == standing.state and one.on == label:
            if one.max is None:
                return msgspec.structs.replace(standing, state=one.to)
            key = f"{one.origin}/{one.on}"
            taken = standing.taken.get(key, 0)
            if taken >= one.max:
                assert machine.on_exhausted is not None
                return msgspec.structs.replace(standing, state=machine.on_exhausted)
            return msgspec.structs.replace(standing, state=one.to, taken={**standing.taken, key: taken + 1})
    return standing


def restrictions(machine: Machine, state: str | Unavailable) -> tuple[tuple[str, ...], ...]:
    """Allow-lists over targets that hold in a state. Where it cannot be told, those of every state hold."""
    return tuple(
        one.restrict_routes
        for one in machine.states
        if one.restrict_routes and (isinstance(state, Unavailable) or one.name == state)
    )


class Machines:
    """Every machine's state by tenant and scope value."""

    def __init__(self, *, values_max: int = MACHINES_MAX) -> None:
        self._values_max = values_max
        self._declared: dict[str, tuple[Machine, ...]] = {}
        self._standings: dict[MachineKey, dict[str, Standing]] = {}
        """By scope value, those that moved longest ago first."""
        self._crowded: dict[MachineKey, int] = {}
        """Machines of which values were dropped for room, and the latest order of those: what is missing may have
        been one of them."""
        self._passing: dict[tuple[MachineKey, str], dict[str, tuple[str, ...]]] = {}
        """Labels of calls under way, by receipt in the order of their first."""
        self._places: dict[str, tuple[tuple[MachineKey, str], ...]] = {}
        """By receipt, where `_passing` has labels of it."""
        self.changed: dict[tuple[MachineKey, str], None] = {}
        """What has changed since it was last taken, oldest first."""

    def declare(self, machines: Mapping[str, Iterable[Machine]]) -> None:
        """The machines of every policy, instead of those there were. Where they stood is kept."""
        self._declared = {policy: tuple(some) for policy, some in machines.items()}

    def read(self, policy: str, machine: Machine, call: CallEvents) -> str | Unavailable:
        """The state that a call finds, with the labels of calls under way, its own too."""
        value = call.scopes.of(machine.scope, declared=machine.session == "declared")
        if isinstance(value, Unavailable):
            return value
        key = MachineKey(call.scopes.tenant, policy, machine.name, machine.scope)
        standing = self._standings.get(key, {}).get(value)
        if standing is None:
            if key in self._crowded:
                return Unavailable("may have been dropped for room")
            standing = begin(machine)
        for labels in self._passing.get((key, value), {}).values():
            for label in labels:
                standing = advance(machine, standing, label)
        if all(one.name != standing.state for one in machine.states):
            return Unavailable(f"was left in `{standing.state}`, which this version does not have")
        return standing.state

    def reserve(self, call: CallEvents) -> None:
        """A call under way has earned its events."""
        places = tuple(self._concerned(call))
        for (key, value), _, labels in places:
            self._passing.setdefault((key, value), {})[call.receipt] = labels
        if places:
            before = self._places.get(call.receipt, ())  # a machine that was withdrawn meanwhile stands there alone
            self._places[call.receipt] = tuple(dict.fromkeys((*before, *(place for place, _, _ in places))))

    def release(self, receipt: str) -> None:
        """A call ended; what it had reserved is gone."""
        for place in self._places.pop(receipt, ()):
            waiting = self._passing[place]
            del waiting[receipt]
            if not waiting:
                del self._passing[place]

    def fold(self, call: CallEvents) -> None:
        """A call that ended. Calls come in their order; one that was folded changes nothing."""
        for (key, value), machine, labels in self._concerned(call):
            standings = self._standings.setdefault(key, {})
            if value not in standings and key in self._crowded:
                continue  # it may have been dropped for room: where it stands cannot be told, and is not begun anew
            standing = before = standings.get(value) or begin(machine)
            if (call.order, call.receipt) <= (standing.order, standing.receipt):
                continue
            for label in labels:
                standing = advance(machine, standing, label)
            if standing is before and value not in standings:
                continue
            standings.pop(value, None)
            standings[value] = msgspec.structs.replace(standing, order=call.order, receipt=call.receipt)
            self.changed[key, value] = None
            if len(standings) > self._values_max:
                self._crowded[key] = self._drop_first(key, standings)

    def standing(self, key: MachineKey, value: str) -> Standing | None:
        """For storing; None: it is not kept."""
        return self._standings.get(key, {}).get(value)

    def forget(self, before: int) -> None:
        """Let go of sessions and runs that nothing has moved since an order."""
        for key, standings in self._standings.items():
            if key.scope not in _PASSING_AWAY:
                continue
            while standings and next(iter(standings.values())).order < before:
                self._drop_first(key, standings)
            if self._crowded.get(key, before) < before:
                del self._crowded[key]

    def restore(self, rows: Iterable[tuple[MachineKey, str, Standing]], crowded: Mapping[MachineKey, int]) -> None:
        """Take up what was stored, in any order."""
        for key, value, standing in sorted(rows, key=lambda row: (row[2].order, row[2].receipt)):
            self._standings.setdefault(key, {})[value] = standing
        self._crowded.update(crowded)

    def crowded(self, key: MachineKey) -> int | None:
        """The latest order among values dropped for room; for storing."""
        return self._crowded.get(key)

    def _concerned(self, call: CallEvents) -> Iterable[tuple[tuple[MachineKey, str], Machine, tuple[str, ...]]]:
        """Machines that a call's events may move, and their labels in order."""
        for policy in call.policies:
            for machine in self._declared.get(policy, ()):
                known = {one.on for one in machine.transitions}
                labels = tuple(event.label for event in call.events if event.label in known)
                if not labels:
                    continue
                value = call.scopes.of(machine.scope, declared=machine.session == "declared")
                if not isinstance(value, Unavailable):
                    key = MachineKey(call.scopes.tenant, policy, machine.name, machine.scope)
                    yield (key, value), machine, labels

    def _drop_first(self, key: MachineKey, standings: dict[str, Standing]) -> int:
        """Drop what moved longest ago; its order."""
        value = next(iter(standings))
        self.changed[key, value] = None
        return standings.pop(value).order
