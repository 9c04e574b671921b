"""Deciding: facts in, a decision out.

Rule 1: every rule of a phase sees one snapshot, and none stops another.
Rule 2: a rule is first asked the fast way. What raises there, or reads a fact that is unavailable, is weighed in three
values, and where it cannot be told its `on_error` speaks.
Rule 3: where rules read what others of the phase write down, they are asked in strata (`policy.strata`): the snapshot
grows by what the past then holds, and all proposals are arbitrated once.
Rule 4: same facts, same decision. A search that ran out of time is the one thing that facts do not hold; the decision
records it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import chain, zip_longest
from typing import Final, TypeAlias, cast

import msgspec

from wardwright.contracts.policy import Annotate
from wardwright.policy.arbiter import arbitrate
from wardwright.policy.compiled import Compiled, Policy
from wardwright.policy.conditions import ALWAYS, Untold, weigh
from wardwright.policy.decision import NOTHING, Decision, Fired, Proposal, Span
from wardwright.policy.operators import Check
from wardwright.policy.phases import Facts, View
from wardwright.policy.strata import Recall

UNTOLD_MAX: Final = 8
"""Missing facts that a decision names for one rule."""

_RAISED: Final = (KeyError, TimeoutError, TypeError)
"""What a fast check raises where it cannot tell."""


Spoke: TypeAlias = tuple[Compiled, tuple[str, ...], Span | None]
"""A rule that was not silent, why it could not be told, and what it found."""


class Armed(msgspec.Struct, frozen=True, kw_only=True):
    """What watches an answer: the rules that search it, and what was decided before it began."""

    rules: tuple[Compiled, ...]
    decision: Decision


class Unsearched(msgspec.Struct, frozen=True):
    """A rule's search that came to no end; the text says why."""

    why: str


def decide(policy: Policy, phase: str, facts: Facts, found: Mapping[str, Span | Unsearched] | None = None) -> Decision:
    """What the rules of a phase decide.

    `found` are spans by the names of rules that look at channels: what a searching rule found, or what is not as an
    expecting rule wants it. Without one such a rule is silent.
    """
    view: View = dict(facts.known) if phase in policy.keeping else cast(View, facts.known)
    spoke: list[Spoke] = []
    _ask(policy.plain.get(phase, ()), facts, view, spoke)
    if found:
        _ask_channels((*policy.searching(phase), *policy.expecting(phase)), facts, view, found, spoke)
    return _decided(spoke)


def recalled(
    policy: Policy,
    phase: str,
    facts: Facts,
    recall: Recall,
    found: Mapping[str, Span | Unsearched] | None = None,
    decider: Callable[[Facts], Decision] | None = None,
) -> Facts:
    """The facts with what the rules of a phase read of the past, which `recall` supplies stratum by stratum.

    `decider` is for phases that are decided otherwise than by `decide`: it is asked for the labels of earlier strata.
    """
    strata = policy.strata.get(phase, ())
    spoke: list[Spoke] = []
    for stratum, following in zip_longest(strata, strata[1:]):
        if stratum.wants:
            if decider is None or not stratum.after:
                labels = _labels(spoke)
            else:
                kept = decider(facts).kept
                labels = _written(one for one in kept if (one.policy, one.rule) in stratum.after)
            more = recall(stratum.wants, labels, facts)
            facts = msgspec.structs.replace(
                facts,
                known={**facts.known, **more.known},
                unavailable={**facts.unavailable, **more.unavailable},
            )
        if decider is None and following is not None:
            view: View = dict(facts.known)
            _ask(stratum.plain, facts, view, spoke)
            _ask_channels(stratum.looking, facts, view, found or {}, spoke)
    return facts


def _ask(plain: Iterable[tuple[Check, Compiled]], facts: Facts, view: View, spoke: list[Spoke]) -> None:
    unavailable = facts.unavailable
    for check, rule in plain:
        try:
            if unavailable and not rule.reads.isdisjoint(unavailable):
                held, untold = told(rule, facts, view)
            elif check(view):
                spoke.append((rule, (), None))
                continue
            else:
                continue
        except _RAISED:
            held, untold = told(rule, facts, view)
        if held is not False:
            spoke.append((rule, untold, None))


def _ask_channels(
    rules: Iterable[Compiled], facts: Facts, view: View, found: Mapping[str, Span | Unsearched], spoke: list[Spoke]
) -> None:
    """Ask the rules for which something was found."""
    for rule in rules:
        if rule.name in found:
            came = found[rule.name]
            held, untold = told(rule, facts, view)
            if held is not False:
                if isinstance(came, Unsearched):
                    spoke.append((rule, (*untold, came.why), None))
                else:
                    spoke.append((rule, untold, came))


def _labels(spoke: Iterable[Spoke]) -> tuple[str, ...]:
    """What the rules that spoke by now write down; shadows leave nothing."""
    asked = (rule.untold if untold else rule.proposals for rule, untold, _ in spoke if not rule.shadow)
    return _written(chain.from_iterable(asked))


def _written(proposals: Iterable[Proposal]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.action.label for one in proposals if isinstance(one.action, Annotate)))


def _decided(spoke: list[Spoke]) -> Decision:
    if not spoke:
        return NOTHING
    if len(spoke) == 1 and not spoke[0][1] and spoke[0][2] is None:
        return spoke[0][0].alone
    proposals: list[Proposal] = []
    shadow: list[Proposal] = []
    reasons: list[Fired] = []
    for rule, untold, span in spoke:
        asked = rule.untold if untold else rule.proposals
        if span is not None:
            asked = tuple(msgspec.structs.replace(one, span=span) for one in asked)
        (shadow if rule.shadow else proposals).extend(asked)
        reasons.append(Fired(policy=rule.policy, rule=rule.rule.id, shadow=rule.shadow, unknown=untold))
    return arbitrate(proposals, shadow, reasons)


def arm(policy: Policy, phase: str, facts: Facts) -> Armed:
    """Which searching rules of a phase watch the answer to come.

    A rule whose condition cannot be told is decided at once by its `on_error`; with `fire` it watches.
    """
    view: View = dict(facts.known)
    armed: list[Compiled] = []
    proposals: list[Proposal] = []
    shadow: list[Proposal] = []
    reasons: list[Fired] = []
    for rule in policy.searching(phase):
        if rule.node is ALWAYS:
            armed.append(rule)
            continue
        held, untold = told(rule, facts, view)
        if held or (held is None and rule.rule.on_error == "fire"):
            armed.append(rule)
        elif held is None:
            (shadow if rule.shadow else proposals).extend(rule.untold)
            reasons.append(Fired(policy=rule.policy, rule=rule.rule.id, shadow=rule.shadow, unknown=untold))
    return Armed(rules=tuple(armed), decision=arbitrate(proposals, shadow, reasons))


def awaited(policy: Policy, phase: str, facts: Facts) -> tuple[Compiled, ...]:
    """Which expecting rules of a phase will judge the answer; where one of them has a `hold`, it waits for them.

    A rule whose condition cannot be told yet is among them. Before the answer, give what it will hold as unavailable.
    """
    view: View = dict(facts.known)
    return tuple(rule for rule in policy.expecting(phase) if told(rule, facts, view)[0] is not False)


def told(rule: Compiled, facts: Facts, view: View) -> tuple[bool | None, tuple[str, ...]]:
    """Whether a rule's condition holds in three values, and what was missing where that cannot be told."""
    untold: list[Untold] = []
    held = weigh(rule.node, facts, view, untold)
    return held, _texts(untold) if held is None else ()


def _texts(untold: Iterable[Untold]) -> tuple[str, ...]:
    return tuple(sorted({str(one) for one in untold})[:UNTOLD_MAX])
