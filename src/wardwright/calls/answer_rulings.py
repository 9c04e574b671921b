"""Decisions over answers, from what was found in them: made in a call, and made again from what its receipt keeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from wardwright.calls.governance import Governance
from wardwright.calls.ruling import Caught
from wardwright.contracts.policy import Block, Retrying
from wardwright.policy.arbiter import RANKS, arbitrate, join
from wardwright.policy.compiled import INDETERMINATE_CODE, Compiled
from wardwright.policy.decision import Decision, Fired, Proposal, Span
from wardwright.policy.evaluate import arm, decide
from wardwright.policy.phases import Facts
from wardwright.streams.ruleset import RETRIES_MAX


def before_attempt(governance: Governance, facts: Facts) -> tuple[Decision, tuple[Compiled, ...]]:
    """What rules of the stream phase say before an attempt begins, and which of them watch its answer."""
    armed = arm(governance.policy, "stream", facts)
    return join(decide(governance.policy, "stream", facts), armed.decision), armed.rules


def ruled_stream(governance: Governance, before: Decision, found: Iterable[Caught]) -> Decision:
    """What they decide over an answer, from what was found in it."""
    kept: list[Proposal] = []
    shadow: list[Proposal] = []
    reasons: list[Fired] = []
    for caught in found:
        rule = None if caught.rule is None else governance.by_name[caught.rule]
        if rule is not None:
            (shadow if caught.shadow else kept).extend(_asked(rule, caught))
            unknown = (caught.cause,) if caught.cause else ()
            reasons.append(Fired(policy=rule.policy, rule=rule.rule.id, shadow=caught.shadow, unknown=unknown))
    return join(before, arbitrate(kept, shadow, reasons))


def retrying(decision: Decision) -> tuple[str, ...]:
    """The rules, by `policy/rule`, that a decision gives an attempt up for."""
    return tuple(sorted({one.rule_name for one in decision.kept if isinstance(one.action, Retrying)}))


def left_of(retries: Mapping[str, int]) -> int:
    """How many attempts rules may still give up, after those that each did."""
    return RETRIES_MAX - sum(retries.values())


def within_budget(governance: Governance, decision: Decision, retries: Mapping[str, int]) -> Decision:
    """What stands where retries are spent: what follows them in their rules, else a refusal."""
    if RANKS[decision.effect] != RANKS["retry"]:
        return decision
    going_on: list[Proposal] = []
    for one in decision.kept:
        rule = governance.by_name[one.rule_name]
        action = one.action
        spent = isinstance(action, Retrying) and (left_of(retries) <= 0 or retries.get(rule.name, 0) >= action.max)
        going_on.extend(rule.after if spent else (one,))
    return arbitrate((*going_on, *decision.lost), decision.shadow, decision.reasons)


def _asked(rule: Compiled, caught: Caught) -> tuple[Proposal, ...]:
    """What a rule asks for where it found something."""
    retries = any(isinstance(one.action, Retrying) for one in rule.proposals)
    match caught.action:
        case "released":
            asked: tuple[Proposal, ...] = ()
        case "ended" if caught.cause in ("block", "retry_after_release"):
            asked = ()  # said already by what was found
        case "ended":
            block = Block(code=INDETERMINATE_CODE)
            asked = (Proposal(action=block, because="indeterminate", policy=rule.policy, rule=rule.rule.id),)
        case "block" | "rewrite" | "drop" if retries:
            asked = rule.after
        case _:
            asked = rule.proposals
    if caught.lost_to is not None or (retries and caught.action == "annotate"):
        asked = tuple(one for one in asked if RANKS[one.effect] == 0)
    span = Span(channel=caught.channel, start=caught.start, end=caught.end)
    return tuple(msgspec.structs.replace(one, span=span) for one in asked)
