"""What governs one model: its policies compiled, its stream rules admitted. Made when contracts load.

Rule: a policy that cannot be kept is refused here with the place of the rule, never met in a call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from wardwright.calls.phases import OUTPUT, PHASES, STREAM
from wardwright.calls.policy_facts import METADATA
from wardwright.calls.tool_phases import TOOL_PHASES
from wardwright.contracts.decode import Located
from wardwright.contracts.digest import switched_to
from wardwright.contracts.policy import ActionName, PolicyContract, Retrying, RetryWithReminder, State
from wardwright.contracts.refusal import ContractErrors
from wardwright.kernel.errors import WardwrightError
from wardwright.limits.allowance import Limit, limits_of
from wardwright.policy.compiled import Compiled, Policy
from wardwright.policy.conditions import Compared, key_of, leaves
from wardwright.policy.loading import load
from wardwright.policy.reminders import reminded
from wardwright.streams.lowering import lower
from wardwright.streams.rule import StreamRule
from wardwright.streams.ruleset import RETRIES_MAX, RuleSet, problems

ENFORCEABLE: Final[frozenset[tuple[str, ActionName]]] = frozenset(
    (phase.name, action) for phase in (*PHASES, *TOOL_PHASES) for action in phase.actions
)
"""Of the gateway's own phases: everything that they allow. Rules over tools are compiled and never asked here."""

WITHHELD: Final = frozenset({"output.text", "output.reasoning"})
"""Fields beside `text.*` that hold text of the conversation."""


class Governance(msgspec.Struct, frozen=True, kw_only=True):
    """The rules over one model, ready to be asked."""

    by_name: Mapping[str, Compiled]
    """Rules by `policy/rule`."""
    comparisons: Mapping[str, tuple[tuple[str, Compared], ...]]
    """By phase: what its rules compare withheld fields with, by key."""
    detects: bool
    """Some rule asks a detector."""
    documents: Mapping[str, PolicyContract]
    """The policies by name."""
    keeps_answers: bool
    """What an answer says must be at hand when it ends: rules judge it whole, or have a model go on with it."""
    limits: tuple[Limit, ...]
    """What its budgets allow."""
    lone: Mapping[str, Mapping[str, str]]
    """By phase: comparisons that are all of a rule's condition, by key, and that rule: where it was silent they did not
    hold."""
    policy: Policy
    remembers: Mapping[str, tuple[str, State]]
    """Rules whose reminders a session hears once or seldom: their policies, and what they count."""
    stream: RuleSet | None
    """The rules that search answers while they are written; None: there are none."""
    texts: Mapping[str, tuple[str, ...]]
    """By phase: fields that its rules read and that may hold text of the conversation, sorted."""
    waits: bool
    """A rule over whole answers may end them: nothing of one leaves before its end."""

    @property
    def reads_answers(self) -> bool:
        """Answers must be taken apart into events: some rule looks at them."""
        return bool(self.stream or self.policy.of("stream") or self.policy.of("output"))

    @property
    def looks_back(self) -> bool:
        """Its rules read or make a past."""
        return bool(self.policy.recalled or self.policy.keeps)

    @property
    def switches(self) -> tuple[str, ...]:
        """Models that its rules may switch a call to, sorted."""
        return switched_to(self.policy.names, self.documents)


def govern(documents: Iterable[Located[PolicyContract]]) -> Governance | None:
    """What these policies amount to; None without any. Raises ContractErrors."""
    found = tuple(documents)
    if not found:
        return None
    policy = load(found, (*PHASES, *TOOL_PHASES), enforceable=ENFORCEABLE)
    by_name = {rule.name: rule for rule in policy.every()}
    lowered = lower(policy.searching(STREAM.name))
    errors = [*_unkept(by_name, lowered), *_endless(policy)]
    if errors:
        raise ContractErrors(errors)
    return Governance(
        by_name=by_name,
        comparisons={phase.name: _comparisons(policy, phase.name) for phase in PHASES},
        detects=any(
            rule.detects or any(leaf.test.op == "detector" for leaf in leaves(rule.node)) for rule in policy.every()
        ),
        documents={one.value.name: one.value for one in found},
        keeps_answers=bool(policy.of(OUTPUT.name)) or _goes_on(policy),
        limits=limits_of(policy.budgets),
        lone={phase.name: _lone(policy, phase.name) for phase in PHASES},
        policy=policy,
        remembers={
            name: (rule.policy, state) for name, rule in by_name.items() if (state := reminded(rule.rule)) is not None
        },
        stream=RuleSet(lowered) if lowered else None,
        texts={phase.name: tuple(sorted(filter(is_withheld, policy.reads[phase.name]))) for phase in PHASES},
        waits=any(rule.hold is not None for rule in policy.of(OUTPUT.name)),
    )


def is_withheld(field: str) -> bool:
    """Whether a field may hold text of a conversation, which receipts do not keep."""
    return field.startswith(("text.", METADATA)) or field in WITHHELD


def _goes_on(policy: Policy) -> bool:
    """Some rule has a model go on with what the client has seen."""
    actions = (action for rule in policy.of(STREAM.name) for action in rule.rule.then)
    return any(isinstance(one, RetryWithReminder) and one.after_release == "continue" for one in actions)


def _lone(policy: Policy, phase: str) -> dict[str, str]:
    return {key_of(rule.node): rule.name for _, rule in policy.plain.get(phase, ()) if isinstance(rule.node, Compared)}


def _comparisons(policy: Policy, phase: str) -> tuple[tuple[str, Compared], ...]:
    found = {key_of(leaf): leaf for rule in policy.of(phase) for leaf in leaves(rule.node) if is_withheld(leaf.field)}
    return tuple(sorted(found.items(), key=lambda pair: pair[0]))


def _unkept(by_name: Mapping[str, Compiled], lowered: tuple[StreamRule, ...]) -> Iterable[WardwrightError]:
    for problem in problems(lowered):
        if problem.member == "then.retries_max":
            continue  # `_endless` says so of every phase, with the number
        rule = by_name[problem.rule]
        message = f"`{problem.rule}`: {problem.reason}"
        place = rule.document.place(f"{rule.path}.{problem.member}")
        yield WardwrightError("policy_unenforceable", message, place=place, hint=problem.fix)


def _endless(policy: Policy) -> Iterable[WardwrightError]:
    """Retries past what a call allows, and retries of the stream phase that nothing in the stream asks for."""
    for rule in policy.every():
        for index, action in enumerate(rule.rule.then):
            if not isinstance(action, Retrying):
                continue
            place = rule.document.place(f"{rule.path}.then[{index}]")
            if action.max > RETRIES_MAX:
                message = f"`{rule.name}` asks for {action.max} retries; a call has {RETRIES_MAX} at most"
                yield WardwrightError("policy_unenforceable", message, place=place, hint=f"use 1 to {RETRIES_MAX}")
            if rule.rule.phase == STREAM.name and not rule.patterns:
                message = f"`{rule.name}` would try again before anything was written"
                hint = "give it a `match`, or put it into the phase `output`"
                yield WardwrightError("policy_unenforceable", message, place=place, hint=hint)
