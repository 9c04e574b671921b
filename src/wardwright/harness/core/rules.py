"""The rules over tool calls: compiled once, asked before and after each call, and what of it the receipt keeps.

Rule 1: each phase is decided once over one snapshot. What rules remember is read and noted by the call's `Memory`.
Rule 2: facts that are withheld from receipts leave which comparisons held, so that a decision can be made again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from wardwright.calls.memory import Memory
from wardwright.calls.phases import PHASES
from wardwright.calls.tool_phases import TOOL_PHASES, is_withheld
from wardwright.contracts.decode import Located
from wardwright.contracts.digest import digest
from wardwright.contracts.house import CHECKS
from wardwright.contracts.policy import ActionName, Oblige, PolicyContract
from wardwright.contracts.refusal import ContractErrors, did_you_mean
from wardwright.harness.core.receipt import PhaseName, Ruling
from wardwright.kernel.errors import WardwrightError
from wardwright.policy.compiled import Policy
from wardwright.policy.conditions import Compared, holds, key_of, leaves
from wardwright.policy.decision import NOTHING, Decision
from wardwright.policy.evaluate import decide
from wardwright.policy.loading import load
from wardwright.policy.phases import Facts

ENFORCEABLE: Final[frozenset[tuple[str, ActionName]]] = frozenset(
    (phase.name, action) for phase in (*PHASES, *TOOL_PHASES) for action in phase.actions
)
"""Of the harness's own phases: everything that they allow. Rules of the gateway's are compiled and never asked here."""

_TOOL_PHASE_NAMES: Final = frozenset(phase.name for phase in TOOL_PHASES)


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What governs calls of tools."""

    comparisons: Mapping[str, tuple[tuple[str, Compared], ...]]
    """By phase: what its rules compare withheld fields with, by key."""
    detects: bool
    """Some rule asks a detector."""
    names: tuple[tuple[str, str], ...]
    """Name and digest of each policy, sorted."""
    policy: Policy
    why: Mapping[str, str]
    """The reason of each rule, by `policy/rule`."""

    @property
    def looks_back(self) -> bool:
        return bool(self.policy.recalled or self.policy.keeps)

    def reads(self, prefix: str) -> bool:
        """Whether a rule reads a field that begins so."""
        return any(name.startswith(prefix) for reads in self.policy.reads.values() for name in reads)


def rules_of(documents: Iterable[Located[PolicyContract]]) -> Rules | None:
    """What these policies say of tools; None where they say nothing. Raises ContractErrors."""
    found = tuple(documents)
    _require_known_checks(found)
    policy = load(found, (*PHASES, *TOOL_PHASES), enforceable=ENFORCEABLE)
    asked = [rule for phase in TOOL_PHASES for rule in policy.of(phase.name)]
    if not asked:
        return None
    return Rules(
        comparisons={phase.name: _comparisons(policy, phase.name) for phase in TOOL_PHASES},
        detects=any(leaf.test.op == "detector" for rule in asked for leaf in leaves(rule.node)),
        names=tuple(sorted((one.value.name, digest(one.value)) for one in found)),
        policy=policy,
        why={rule.name: rule.rule.why for rule in asked},
    )


def _require_known_checks(documents: Iterable[Located[PolicyContract]]) -> None:
    """Rules over tools demand checks that can be made. Raises ContractErrors."""
    errors: list[WardwrightError] = []
    for one in documents:
        for index, rule in enumerate(one.value.rules):
            for action in rule.then if rule.phase in _TOOL_PHASE_NAMES else ():
                if isinstance(action, Oblige) and action.check not in CHECKS:
                    message = f"no check is named `{action.check}`"
                    hint = did_you_mean(action.check, CHECKS) or f"there are {', '.join(CHECKS)}"
                    place = one.place(f"rules[{index}].then")
                    errors.append(WardwrightError("contract_reference", message, place=place, hint=hint))
    if errors:
        raise ContractErrors(errors)


class Rulings:
    """The rules over one call."""

    def __init__(self, rules: Rules | None, memory: Memory | None) -> None:
        self.memory = memory
        self._rules = rules
        self._told: list[Ruling] = []

    def wants(self, phase: PhaseName) -> frozenset[str]:
        """Fields that the rules of a phase read."""
        if self._rules is None or not self._rules.policy.of(phase):
            return frozenset()
        return self._rules.policy.reads[phase]

    def decide(self, phase: PhaseName, facts: Facts, now_us: int) -> Decision:
        """What the rules of a phase say. `facts` hold what `wants` names and nothing else."""
        rules = self._rules
        if rules is None or not rules.policy.of(phase):
            return NOTHING
        if self.memory is None:
            decision = decide(rules.policy, phase, facts)
        else:
            decision, facts = self.memory.decide(phase, facts, now_us)
        self._told.append(_ruling(rules, phase, facts, decision))
        return decision

    def records(self) -> tuple[Ruling, ...]:
        """What the receipt keeps."""
        return tuple(self._told)


def again(ruling: Ruling, rules: Rules) -> Decision:
    """The decision as it comes out now, from the facts that its receipt holds."""
    told = {key: key in ruling.found for key, leaf in rules.comparisons[ruling.phase] if leaf.field in ruling.withheld}
    unavailable = dict(ruling.unavailable) | dict.fromkeys(ruling.withheld, "was not kept")
    return decide(rules.policy, ruling.phase, Facts(dict(ruling.facts), unavailable, told))


def _ruling(rules: Rules, phase: PhaseName, facts: Facts, decision: Decision) -> Ruling:
    view = dict(facts.known)
    withheld = frozenset(name for name in view if is_withheld(name))
    found = (key for key, leaf in rules.comparisons[phase] if leaf.field in withheld and holds(leaf, view))
    return Ruling(
        decision=decision,
        facts=tuple(sorted((name, fact) for name, fact in view.items() if name not in withheld)),
        found=tuple(found) if withheld else (),
        phase=phase,
        unavailable=tuple(sorted(facts.unavailable.items())),
        withheld=tuple(sorted(withheld)),
    )


def _comparisons(policy: Policy, phase: str) -> tuple[tuple[str, Compared], ...]:
    found = {key_of(leaf): leaf for rule in policy.of(phase) for leaf in leaves(rule.node) if is_withheld(leaf.field)}
    return tuple(sorted(found.items(), key=lambda pair: pair[0]))
