"""Why a call went as it did: every rule that was asked, phase by phase and attempt by attempt, from its receipt.

Rule 1: what rules did is read off the receipt and never decided anew; the policies that it names say what they compare.
Rule 2: *why not* is a distance: the fewest comparisons that would have to come out otherwise for a rule to fire.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal

import msgspec

from wardwright.calls.governance import Governance, govern
from wardwright.calls.receipt import Alerted, Receipt
from wardwright.calls.ruling import Caught, PhaseName, Ruling
from wardwright.contracts.decode import Located
from wardwright.kernel.usage import Usage
from wardwright.limits.budget_record import Refused
from wardwright.policy.answers import Unmet
from wardwright.policy.compiled import Compiled
from wardwright.policy.decision import Decision, Span
from wardwright.policy.explain import exceptions_of, recalled_words, sought
from wardwright.policy.phases import Facts
from wardwright.policy.strata import Recalled
from wardwright.rehearsal.replay import Load, policies_of, policy_of
from wardwright.rehearsal.rulings import again, facts_of
from wardwright.rehearsal.weighed import Condition, otherwise, shown, weighed

NEAREST_MAX: Final = 3
"""Rules of a phase that are named because they nearly fired."""


class Exempted(msgspec.Struct, frozen=True, kw_only=True):
    """One named exception of a rule."""

    condition: Condition
    name: str


class RuleTrace(msgspec.Struct, frozen=True, kw_only=True):
    """One rule that was asked."""

    caught: tuple[Caught, ...]
    """For the phase `stream`: what it found."""
    condition: Condition | None
    """Its `when`; null where it has none."""
    exceptions: tuple[Exempted, ...]
    """Its `unless`."""
    found: Span | str | None
    """For the phase `output`: what it found; a text says why the search came to no end."""
    lacking: tuple[str, ...]
    """Of a silent rule: the fewest things that would have to be otherwise for it to fire."""
    looks_for: str | None
    """What it searches its channels for, or what it expects of them; null where it looks at none."""
    past: tuple[str, ...]
    """What it reads of earlier calls, a sentence each."""
    rule: str
    """`policy/rule`."""
    shadow: bool
    """Recorded, without effect."""
    standing: Literal["fired", "silent", "untold"]
    """`untold`: it could not be told, and its `on_error` spoke."""
    unmet: tuple[Unmet, ...]
    """For the phase `output`: what was not as it expects."""
    untold: tuple[str, ...]
    """What was missing, where it could not be told."""
    why: str
    """The author's reason."""


class PhaseTrace(msgspec.Struct, frozen=True, kw_only=True):
    """One phase that was decided."""

    caught_more: int
    """What was found in the stream beyond what the receipt describes."""
    decision: Decision
    """As it was recorded: what was carried out, what gave way, what rules in shadow would have asked for."""
    held_chars_max: int
    held_us_max: int
    nearest: tuple[str, ...]
    """Silent rules with a condition that lacked the least, as `policy/rule`."""
    phase: PhaseName
    reproduced: bool
    """The decision comes out the same from what the receipt holds."""
    rules: tuple[RuleTrace, ...]
    """Every rule that was asked: those that fired, those that could not be told, those that were silent."""
    unruled: tuple[Caught, ...]
    """What ended the stream by a bound of the gateway itself."""


class Anew(msgspec.Struct, frozen=True, kw_only=True):
    """The attempt that rules asked for in the place of another."""

    kept_chars: int
    """Characters of the attempt before that the model was shown."""
    refused: str | None
    """The code under which no target was left."""
    reminders: tuple[str, ...]
    rules: tuple[str, ...]
    """The rules that gave the attempt up, as `policy/rule`."""
    targets: tuple[str, ...]
    """The targets to try then, in order."""


class AttemptTrace(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt, and what rules said of it."""

    anew: Anew | None
    """Set where rules gave it up and asked for another."""
    failure: str | None
    """Its class; `stopped` where a rule gave it up."""
    model: str
    phases: tuple[PhaseTrace, ...]
    provider: str
    target: str
    took_us: int
    usage: Usage
    """What it used, thrown away or not."""


class Traced(msgspec.Struct, frozen=True, kw_only=True):
    """One policy that took part."""

    digest: str
    name: str


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """Why one call went as it did."""

    after: tuple[PhaseTrace, ...]
    """Phases behind the last attempt."""
    alerts: tuple[Alerted, ...]
    """Whom rules told."""
    approval: str | None
    """The approval that the call used up."""
    attempts: tuple[AttemptTrace, ...]
    before: tuple[PhaseTrace, ...]
    """Phases before the first attempt."""
    budget_refused: Refused | None
    """Set where a budget refused the call."""
    error: str | None
    """The code that the client saw."""
    model: str
    policies: tuple[Traced, ...]
    """Those whose rules were asked; empty where none governs the model."""
    receipt: str
    status: str


def trace(receipt: Receipt, load: Load) -> Trace:
    """Raises WardwrightError where a policy that took part is not stored here, or loads no longer."""
    named = policies_of(receipt, load)
    governance = govern(Located(policy_of(digest, load), name) for name, digest in named)
    phases = [] if governance is None else list(_phases(receipt, governance))
    count = len(receipt.attempts)
    contract = receipt.contract
    return Trace(
        after=tuple(one for at, one in phases if one.phase == "receipt" or (at is not None and at >= count)),
        alerts=receipt.alerts,
        approval=receipt.approval,
        attempts=tuple(_attempt(receipt, index, phases) for index in range(count)),
        before=tuple(one for at, one in phases if at is None and one.phase != "receipt"),
        budget_refused=receipt.budget_refused,
        error=receipt.error,
        model=receipt.request.model if contract is None else contract.name,
        policies=tuple(Traced(digest=digest, name=name) for name, digest in named),
        receipt=receipt.receipt,
        status=receipt.status,
    )


def _attempt(receipt: Receipt, index: int, phases: list[tuple[int | None, PhaseTrace]]) -> AttemptTrace:
    tried = receipt.attempts[index]
    own = tuple(one for at, one in phases if at == index)
    return AttemptTrace(
        anew=_anew(receipt, index, own),
        failure=tried.failure,
        model=tried.model,
        phases=own,
        provider=tried.provider,
        target=tried.target,
        took_us=tried.took_us,
        usage=tried.usage,
    )


def _anew(receipt: Receipt, index: int, phases: Iterable[PhaseTrace]) -> Anew | None:
    for replanned in receipt.replans:
        if replanned.after == index + 1:
            plan = replanned.plan
            rules = (one for phase in phases for one in asked_anew(phase.rules, phase.decision))
            return Anew(
                kept_chars=replanned.kept_chars,
                refused=None if plan.refusal is None else plan.refusal.code,
                reminders=replanned.reminders,
                rules=tuple(sorted(set(rules))),
                targets=tuple(attempt.target for attempt in plan.attempts),
            )
    return None


def asked_anew(rules: Iterable[RuleTrace], decision: Decision) -> Iterator[str]:
    """The rules that gave an attempt up, by `policy/rule`."""
    retrying = {one.rule_name for one in decision.kept if one.effect in _AGAIN}
    for rule in rules:
        in_stream = any(
            one.cause == "retry_after_release" or (one.action == "retry" and not one.shadow and one.lost_to is None)
            for one in rule.caught
        )
        if in_stream or (rule.rule in retrying and not rule.caught):
            yield rule.rule


_AGAIN: Final = frozenset({"retry", "retry_with_reminder", "reroute"})


# Phases


def _phases(receipt: Receipt, governance: Governance) -> Iterator[tuple[int | None, PhaseTrace]]:
    for ruling, decision in again(receipt.policy, governance):
        yield ruling.attempt, _phase(ruling, governance, reproduced=decision == ruling.decision)


def _phase(ruling: Ruling, governance: Governance, *, reproduced: bool) -> PhaseTrace:
    facts = facts_of(ruling, governance)
    rules = sorted(
        (_rule(rule, ruling, facts, governance.policy.recalled) for rule in governance.policy.of(ruling.phase)),
        key=lambda one: (_ORDER.index(one.standing), one.rule),
    )
    silent = [one for one in rules if one.standing == "silent" and (one.condition or one.exceptions)]
    least = min((len(one.lacking) for one in silent), default=0)
    return PhaseTrace(
        caught_more=ruling.caught_more,
        decision=ruling.decision,
        held_chars_max=ruling.held_chars_max,
        held_us_max=ruling.held_us_max,
        nearest=tuple(one.rule for one in silent if len(one.lacking) == least)[:NEAREST_MAX],
        phase=ruling.phase,
        reproduced=reproduced,
        rules=tuple(rules),
        unruled=tuple(one for one in ruling.caught if one.rule is None),
    )


_ORDER: Final = ("fired", "untold", "silent")


def _rule(rule: Compiled, ruling: Ruling, facts: Facts, recalled: Iterable[Recalled]) -> RuleTrace:
    reasons = [one for one in ruling.decision.reasons if one.rule_name == rule.name]
    untold = tuple(dict.fromkeys(why for one in reasons for why in one.unknown))
    standing: Literal["fired", "silent", "untold"] = "silent"
    if reasons:
        standing = "fired" if any(not one.unknown for one in reasons) else "untold"
    when, unless = exceptions_of(rule)
    condition = None if when is None else weighed(when, facts)
    exceptions = tuple(Exempted(condition=weighed(node, facts), name=name) for name, node in unless)
    looks_for = sought(rule)
    lacking: tuple[str, ...] = ()
    if standing == "silent":
        lacking = tuple(_lacking(condition, exceptions))
        if looks_for is not None and not (ruling.phase == "stream" and lacking):
            lacking = (*lacking, f"{looks_for}: no")
    return RuleTrace(
        caught=tuple(one for one in ruling.caught if one.rule == rule.name),
        condition=condition,
        exceptions=exceptions,
        found=dict(ruling.searched).get(rule.name) if rule.patterns else None,
        lacking=lacking,
        looks_for=looks_for,
        past=tuple(recalled_words(one) for one in recalled if one.field in rule.reads),
        rule=rule.name,
        shadow=rule.shadow,
        standing=standing,
        unmet=dict(ruling.unmet).get(rule.name, ()),
        untold=untold,
        why=rule.rule.why,
    )


def _lacking(condition: Condition | None, exceptions: Iterable[Exempted]) -> Iterator[str]:
    wanted = [] if condition is None else [(condition, True)]
    for one, want in (*wanted, *((exempted.condition, False) for exempted in exceptions)):
        for comparison in otherwise(one, wanted=want):
            yield f"{comparison.said}: {shown(comparison)}"
