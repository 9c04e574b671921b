"""In which order the rules of a phase are asked where one reads what another writes down.

A rule that reads `state.leaks` wants to know the labels that other rules of its phase give this very call, so that
`gte: 3` holds on the third. Rules are therefore asked in strata: those that wait for no label first, then those that
read what the labels of the first have changed, and so on. All proposals are arbitrated once, together.

Rule 1: a rule waits for the rules of its phase that annotate a label of what it reads: always for a machine, for state
where `including_current` holds.
Rule 2: a rule that waits for itself, along whatever path, is refused.
Rule 3: what a search finds while an answer is written is not known when conditions are weighed. A rule of such a phase
that waits for such a label is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Protocol, TypeAlias

import msgspec

from wardwright.contracts.policy import Machine, Rule, State
from wardwright.kernel.errors import Place
from wardwright.policy.phases import Facts, Field, FieldType

STATE: Final = "state."
MACHINE: Final = "machine."

_COUNTED: Final = ("count", "sum", "distinct")
"""Measures that are numbers."""

MEASURES: Final[frozenset[str]] = frozenset({"count", "sum", "distinct", "formerly", "sequence", "absent"})
"""Every measure of declared state: what a gateway with a history supplies."""


class Recalled(msgspec.Struct, frozen=True, kw_only=True):
    """One thing of the past that rules read."""

    field: str
    """`state.leaks` or `machine.ladder`."""
    policy: str
    """The policy that declares it."""
    declared: State | Machine

    @property
    def labels(self) -> frozenset[str]:
        """Labels that change it."""
        if isinstance(self.declared, Machine):
            return frozenset(one.on for one in self.declared.transitions)
        return frozenset(self.declared.events)

    @property
    def same(self) -> tuple[str, ...]:
        """Fields of the call that reading it needs."""
        return self.declared.same if isinstance(self.declared, State) else ()

    @property
    def kept(self) -> frozenset[str]:
        """Fields that its events must carry."""
        if isinstance(self.declared, Machine):
            return frozenset()
        return frozenset((*self.declared.same, *((self.declared.of,) if self.declared.of else ())))

    @property
    def current(self) -> bool:
        """The call's own labels count."""
        return isinstance(self.declared, Machine) or self.declared.including_current


def recalled_field(name: str, declared: State | Machine) -> Field:
    """What rules read of a state or machine."""
    if isinstance(declared, Machine):
        return Field(name, "text", f"The state that the machine is in, of each {declared.scope}.")
    type_: FieldType = "integer" if declared.measure in _COUNTED else "boolean"
    return Field(name, type_, f"`{declared.measure}` of {', '.join(declared.events)}, of each {declared.scope}.")


Recall: TypeAlias = Callable[[Sequence[Recalled], tuple[str, ...], Facts], Facts]
"""(what is wanted, labels that the call earned in this phase by now, the facts without it) -> facts about exactly
what is wanted."""


class Asked(Protocol):
    """A rule as its order needs it: `policy.compiled.Compiled`."""

    @property
    def rule(self) -> Rule: ...
    @property
    def place(self) -> Place: ...
    @property
    def name(self) -> str: ...
    @property
    def searches(self) -> bool: ...
    @property
    def reads(self) -> frozenset[str]: ...
    @property
    def labels(self) -> frozenset[str]:
        """Labels that it may write, and that count."""
        ...


class Circle(msgspec.Struct, frozen=True):
    """A rule that would have to be asked before itself."""

    rule: str
    """The rule's name."""
    field: str
    """What it reads."""


class TooEarly(msgspec.Struct, frozen=True):
    """A rule that reads what a search has yet to find."""

    rule: str
    field: str
    by: str
    """The rule that searches."""


def levels(
    rules: Sequence[Asked], recalled: Mapping[str, Recalled], *, live: bool
) -> dict[str, int] | Circle | TooEarly:
    """By rule, in which stratum it is asked, from 0; or why there is none. `live`: rules search as the answer comes."""
    waits: dict[str, dict[str, str]] = {rule.name: {} for rule in rules}
    least: dict[str, int] = {}
    for rule in rules:
        read = sorted(rule.reads & recalled.keys())
        least[rule.name] = 1 if read else 0
        for field in read:
            for other in rules if recalled[field].current else ():
                if recalled[field].labels.isdisjoint(other.labels):
                    continue
                if live and other.searches:
                    return TooEarly(rule.name, field, other.name)
                waits[rule.name].setdefault(other.name, field)
    found: dict[str, int] = {}
    while len(found) < len(rules):
        ready = [name for name, on in waits.items() if name not in found and found.keys() >= on.keys()]
        if not ready:
            return _circle(waits, found)
        found |= {name: max((found[other] + 1 for other in waits[name]), default=least[name]) for name in ready}
    return found


def _circle(waits: Mapping[str, Mapping[str, str]], found: Mapping[str, int]) -> Circle:
    """The first rule, by name, that waits for itself."""
    for name in sorted(waits):
        if name not in found and name in _reached(name, waits):
            return Circle(name, next(field for other, field in waits[name].items() if _leads(other, name, waits)))
    raise AssertionError("rules wait for each other without a circle")


def _leads(start: str, end: str, waits: Mapping[str, Mapping[str, str]]) -> bool:
    return start == end or end in _reached(start, waits)


def _reached(start: str, waits: Mapping[str, Mapping[str, str]]) -> frozenset[str]:
    return frozenset(_walk(start, waits))


def _walk(start: str, waits: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    seen: set[str] = set()
    waiting = list(waits[start])
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            yield name
            waiting.extend(waits[name])
