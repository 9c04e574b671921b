"""What policies declare of the past, compiled: how it is read, what its events carry, when it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeVar

import msgspec

from wardwright.contracts.decode import Located
from wardwright.contracts.machine_rules import labels_of
from wardwright.contracts.policy import Machine, PolicyContract, State
from wardwright.contracts.refusal import did_you_mean
from wardwright.kernel.errors import WardwrightError
from wardwright.policy.phases import Phase
from wardwright.policy.strata import MACHINE, STATE, Asked, Circle, Recalled, TooEarly, levels, recalled_field

A = TypeVar("A", bound=Asked)

_PAST: Final = (STATE, MACHINE)


def declared(documents: Iterable[Located[PolicyContract]], errors: list[WardwrightError]) -> dict[str, Recalled]:
    """State and machines by field. Rules of all policies see one snapshot, so a name is declared once."""
    found: dict[str, Recalled] = {}
    for document in documents:
        policy = document.value
        some: list[tuple[str, str, State | Machine]] = []
        some += [(f"{STATE}{one.name}", f"state[{at}]", one) for at, one in enumerate(policy.state)]
        some += [(f"{MACHINE}{one.name}", f"machines[{at}]", one) for at, one in enumerate(policy.machines)]
        for field, path, one in some:
            if field in found:
                message = f"the policies `{found[field].policy}` and `{policy.name}` both declare `{field}`"
                place, hint = document.place(path), "rename one of them: rules of all policies read the same facts"
                errors.append(WardwrightError("policy_ambiguous", message, place=place, hint=hint))
            found.setdefault(field, Recalled(field=field, policy=policy.name, declared=one))
    return found


def with_recalled(phase: Phase, recalled: Iterable[Recalled]) -> Phase:
    """A phase that knows what is declared of the past too."""
    more = tuple(recalled_field(one.field, one.declared) for one in recalled)
    return msgspec.structs.replace(phase, fields=phase.fields + more) if more else phase


def kept_by_label(recalled: Iterable[Recalled]) -> dict[str, frozenset[str]]:
    """By label that is counted anywhere, the fields that its events carry."""
    keeps: dict[str, frozenset[str]] = {}
    for one in recalled:
        for label in one.labels:
            keeps[label] = keeps.get(label, frozenset()) | one.kept
    return keeps


def read_by(
    rules: Iterable[Asked], recalled: Mapping[str, Recalled], keeps: Mapping[str, frozenset[str]]
) -> frozenset[str]:
    """What conditions read, what state is compared with, and what the labels of these rules carry."""
    found: set[str] = set()
    for rule in rules:
        found |= rule.reads
        for field in rule.reads & recalled.keys():
            found.update(recalled[field].same)
        for label in keeps.keys() & {*labels_of(rule.rule), *rule.labels}:
            found |= keeps[label]
    return frozenset(found)


def unkept(
    rules: Iterable[Asked], recalled: Mapping[str, Recalled], phases: Mapping[str, Phase]
) -> Iterator[WardwrightError]:
    """Fields that state looks at, in phases that do not have them."""
    for rule in rules:
        phase = phases[rule.rule.phase]
        for one in recalled.values():
            label = min(one.labels.intersection(labels_of(rule.rule)), default=None)
            wanted = {*(one.kept if label is not None else ()), *(one.same if one.field in rule.reads else ())}
            does = f"annotates `{label}`" if label is not None else f"reads `{one.field}`"
            for name in sorted(wanted):
                message = _unfit(one, name, phase)
                if message is not None:
                    told = f"{message}, where `{rule.name}` {does}"
                    hint = did_you_mean(name, phase.names())
                    yield WardwrightError("policy_field", told, place=rule.place, hint=hint)


def _unfit(one: Recalled, name: str, phase: Phase) -> str | None:
    """Why a phase cannot supply a field that a state looks at."""
    known = None if name.startswith(_PAST) else phase.field(name)
    if known is None:
        return f"`{one.field}` looks at `{name}`, which the phase `{phase.name}` does not have"
    adds_up = isinstance(one.declared, State) and one.declared.measure == "sum" and one.declared.of == name
    if adds_up and known.type != "integer":
        return f"`{one.field}` adds up `{name}`, which is no whole number in the phase `{phase.name}`"
    return None


def in_strata(
    rules: Sequence[A], recalled: Mapping[str, Recalled], phase: Phase, errors: list[WardwrightError]
) -> Iterator[tuple[tuple[A, ...], tuple[Recalled, ...]]]:
    """Rules that are asked together, in their order, and what must be recalled before they are.

    Whatever changes a thing of the past is decided in earlier strata than whoever reads it, so it is recalled once.
    """
    found = levels(rules, recalled, live=bool(phase.channels) and not phase.whole)
    match found:
        case Circle(rule=name, field=field):
            message = f"`{name}` reads `{field}`, which its own labels lead to"
            hint = "say `including_current: false`, or annotate in a rule that does not read it"
            if field.startswith(MACHINE):
                hint = "leave the machine out of the condition: a transition says where it starts"
        case TooEarly(rule=name, field=field, by=by):
            message = f"`{name}` reads `{field}` before the answer is written in which `{by}` searches"
            hint = "read it in a later phase, or say `including_current: false`"
        case by_level:
            known: set[str] = set()
            for level in sorted(set(by_level.values())):
                some = tuple(rule for rule in rules if by_level[rule.name] == level)
                wanted = {field for rule in some for field in rule.reads & recalled.keys()} - known
                known |= wanted
                yield some, tuple(recalled[field] for field in sorted(wanted))
            return
    place = next(rule.place for rule in rules if rule.name == name)
    errors.append(WardwrightError("policy_ambiguous", message, place=place, hint=hint))
