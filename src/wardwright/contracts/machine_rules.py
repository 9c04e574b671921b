"""What must hold of a machine: that it is going somewhere, and that it gets there.

Rule 1: every state can be reached, and from every state a terminal one can.
Rule 2: no loop without a budget: every circle of transitions has one with `max`, so that a machine comes to rest
whatever labels come. Where a spent budget leads counts as a transition without one.
Rule 3: a label leads from one state to one other, and some rule of the same policy writes it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import cast

import msgspec

from wardwright.contracts.model_rules import is_pattern
from wardwright.contracts.policy import (
    MACHINE_STATES_MAX,
    MACHINE_TRANSITIONS_MAX,
    MACHINES_MAX,
    Annotate,
    Machine,
    PolicyContract,
    Rule,
)
from wardwright.contracts.refusal import did_you_mean
from wardwright.contracts.shapes import At, Reader
from wardwright.contracts.wording import shown


def check(reader: Reader, value: msgspec.Struct, at: At) -> None:
    """One machine by itself."""
    machine = cast(Machine, value)
    count = len(reader.errors)
    names = [state.name for state in machine.states]
    if not 1 <= len(names) <= MACHINE_STATES_MAX:
        reader.breaks(at.member("states"), f"a machine has 1 to {MACHINE_STATES_MAX} states; this has {len(names)}")
    if not 1 <= len(machine.transitions) <= MACHINE_TRANSITIONS_MAX:
        message = f"a machine has 1 to {MACHINE_TRANSITIONS_MAX} transitions; this has {len(machine.transitions)}"
        reader.breaks(at.member("transitions"), message)
    _named(reader, machine.initial, names, at.member("initial"))
    if machine.on_exhausted is not None:
        _named(reader, machine.on_exhausted, names, at.member("on_exhausted"))
    for index, one in enumerate(machine.transitions):
        inside = at.member("transitions").item(index)
        _named(reader, one.origin, names, At(inside.member("origin").typed, inside.member("from").written))
        _named(reader, one.to, names, inside.member("to"))
    for index, state in enumerate(machine.states):
        for pattern in state.restrict_routes:
            if not is_pattern(pattern):
                hint = "write `provider/model`, a target's name or a label; `*` stands for any characters"
                inside = at.member("states").item(index).member("restrict_routes")
                reader.breaks(inside, f"{shown(pattern)} is not a pattern", hint)
    if machine.session == "declared" and machine.scope != "session":
        message = f"`session: declared` means nothing to the scope `{machine.scope}`"
        reader.breaks(at.member("session"), message, "remove it, or use `scope: session`")
    _transitions(reader, machine, at)
    _budgets(reader, machine, at)
    if len(reader.errors) == count:
        _shape(reader, machine, at)


def check_labels(reader: Reader, policy: PolicyContract) -> None:
    """The machines of a policy beside its rules."""
    if len(policy.machines) > MACHINES_MAX:
        message = f"a policy has at most {MACHINES_MAX} machines; this has {len(policy.machines)}"
        reader.breaks(At("machines", "machines"), message)
    written = sorted({label for rule in policy.rules for label in labels_of(rule)})
    for index, machine in enumerate(policy.machines):
        for place, one in enumerate(machine.transitions):
            if one.on not in written:
                path = f"machines[{index}].transitions[{place}].on"
                hint = did_you_mean(one.on, written) or f"add a rule with `annotate: {one.on}`"
                reader.breaks(At(path, path), f"no rule of this policy annotates `{one.on}`", hint)


def labels_of(rule: Rule) -> Iterator[str]:
    """The labels that a rule may write."""
    for action in (*rule.then, *rule.after_retries):
        if isinstance(action, Annotate):
            yield action.label


def _named(reader: Reader, name: str, names: Collection[str], at: At) -> None:
    if name not in names:
        reader.breaks(at, f"this machine has no state `{name}`", did_you_mean(name, names))


def _transitions(reader: Reader, machine: Machine, at: At) -> None:
    first: dict[tuple[str, str], int] = {}
    terminal = {state.name for state in machine.states if state.terminal}
    for index, one in enumerate(machine.transitions):
        inside = at.member("transitions").item(index)
        if (one.origin, one.on) in first:
            message = f"`{one.on}` leads out of `{one.origin}` twice: transition {first[one.origin, one.on]} does too"
            reader.breaks(inside, message, "remove one of them")
        first.setdefault((one.origin, one.on), index)
        if one.origin in terminal:
            message = f"`{one.origin}` is terminal: nothing leads out of it"
            reader.breaks(inside, message, "remove the transition, or `terminal`")


def _budgets(reader: Reader, machine: Machine, at: At) -> None:
    budgeted = any(one.max is not None for one in machine.transitions)
    if budgeted and machine.on_exhausted is None:
        hint = "add `on_exhausted: STATE`, where a transition leads whose `max` is spent"
        reader.breaks(at, f"the machine `{machine.name}` has a budget and no `on_exhausted`", hint)
    if machine.on_exhausted is not None and not budgeted:
        message = "`on_exhausted` means nothing: no transition has a `max`"
        reader.breaks(at.member("on_exhausted"), message, "remove it")


def _shape(reader: Reader, machine: Machine, at: At) -> None:
    edges: dict[str, set[str]] = {state.name: set() for state in machine.states}
    unbudgeted: dict[str, set[str]] = {state.name: set() for state in machine.states}
    for one in machine.transitions:
        edges[one.origin].add(one.to)
        if one.max is None:
            unbudgeted[one.origin].add(one.to)
        elif machine.on_exhausted is not None:
            edges[one.origin].add(machine.on_exhausted)
            unbudgeted[one.origin].add(machine.on_exhausted)
    reached = _reached(machine.initial, edges)
    ends = {state.name for state in machine.states if state.terminal}
    if not ends:
        hint = "say `terminal: true` of the state in which it rests"
        reader.breaks(at.member("states"), f"the machine `{machine.name}` has no terminal state", hint)
    for index, state in enumerate(machine.states):
        inside = at.member("states").item(index)
        if state.name not in reached:
            message = f"nothing leads to the state `{state.name}`"
            reader.breaks(inside, message, "add a transition to it, or remove it")
        elif ends and not ends & _reached(state.name, edges):
            reader.breaks(inside, f"no terminal state can be reached from `{state.name}`", "add a way out of it")
    loop = _loop(unbudgeted)
    if loop is not None:
        message = f"the machine can go round for ever: {' → '.join(f'`{name}`' for name in loop)}"
        reader.breaks(at.member("transitions"), message, "give one of these transitions a `max`")


def _reached(start: str, edges: Mapping[str, set[str]]) -> set[str]:
    found, waiting = {start}, [start]
    while waiting:
        more = edges[waiting.pop()] - found
        found |= more
        waiting += more
    return found


def _loop(edges: Mapping[str, set[str]]) -> tuple[str, ...] | None:
    """A circle, from its least state back to it; None where there is none."""
    for start in sorted(edges):
        came: dict[str, str] = {}
        waiting = [start]
        while waiting:
            here = waiting.pop(0)
            for there in sorted(edges[here]):
                if there == start:
                    path = [here]
                    while path[-1] != start:
                        path.append(came[path[-1]])
                    return (*reversed(path), start)
                if there not in came:
                    came[there] = here
                    waiting.append(there)
    return None
