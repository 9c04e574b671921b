"""The budgets that a policy declares, as fields of the phases that know them.

Rule 1: a rule reads the budgets of its own policy; what is not declared is no field.
Rule 2: policies that govern a model together name their budgets differently: facts and receipts call them by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from wardwright.contracts.budget import FACTS, PREFIX, UNITS, Budget, Declared
from wardwright.contracts.decode import Located
from wardwright.contracts.policy import PolicyContract
from wardwright.contracts.refusal import did_you_mean
from wardwright.kernel.errors import WardwrightError
from wardwright.policy.phases import Field, Phase


def declared(documents: Iterable[Located[PolicyContract]]) -> tuple[Declared, ...]:
    """Every budget, by policy and in the order of its document."""
    return tuple(Declared(one.value.name, budget) for one in documents for budget in one.value.budgets)


def with_budgets(phases: Mapping[str, Phase], budgets: Iterable[Budget]) -> Mapping[str, Phase]:
    """The phases with the fields of these budgets."""
    given = tuple(budgets)
    if not given:
        return phases
    return {name: _extended(phase, given) for name, phase in phases.items()}


def unknown(name: str, phase: Phase) -> tuple[str, str] | None:
    """What is wrong with a field that the phase lacks, and what to do, where it is to be a budget's."""
    if not name.startswith(PREFIX) or phase.budgets == "none":
        return None
    budget, _, fact = name.removeprefix(PREFIX).rpartition(".")
    known = {field.name.removeprefix(PREFIX).rpartition(".")[0] for field in phase.fields if _is_fact(field)}
    if budget in known:
        facts = _facts(phase)
        return f"a budget has no `{fact}` in the phase `{phase.name}`", did_you_mean(fact, facts) or ""
    hint = did_you_mean(budget or fact, known) or "declare it under `budgets`, and read `budget.<name>.share_ppm`"
    return f"this policy declares no budget `{budget or fact}`", hint


def clashes(documents: Iterable[Located[PolicyContract]]) -> Iterator[WardwrightError]:
    """Budgets of one name in several policies."""
    first: dict[str, str] = {}
    for document in documents:
        for index, budget in enumerate(document.value.budgets):
            other = first.setdefault(budget.name, document.value.name)
            if other != document.value.name:
                message = f"the policies `{other}` and `{document.value.name}` both have a budget `{budget.name}`"
                place = document.place(f"budgets[{index}].name")
                yield WardwrightError("policy_ambiguous", message, place=place, hint="rename one of them")


def _extended(phase: Phase, budgets: tuple[Budget, ...]) -> Phase:
    fields = tuple(
        Field(f"{PREFIX}{budget.name}.{fact}", "integer", f"{FACTS[fact]} ({UNITS[budget.of]}).")
        for budget in budgets
        for fact in _facts(phase)
    )
    return msgspec.structs.replace(phase, fields=phase.fields + fields)


def _facts(phase: Phase) -> tuple[str, ...]:
    match phase.budgets:
        case "none":
            return ()
        case "before":
            return tuple(fact for fact in FACTS if fact != "before_ppm")
        case "after":
            return tuple(FACTS)


def _is_fact(field: Field) -> bool:
    return field.name.startswith(PREFIX)
