"""One phase of a recorded call, decided anew under other rules.

Rule 1: a rule that rests on what was not kept is *unknown*. It is taken to have done what it did then, so that the
others can be decided beside it.
Rule 2: what was found in an answer is known of the rules that looked for it then; of others, only where the answer was
captured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from wardwright.calls.answer_rulings import before_attempt, ruled_stream, within_budget
from wardwright.calls.governance import Governance
from wardwright.calls.governed_answer import GovernedAnswer
from wardwright.calls.receipt import Receipt
from wardwright.calls.ruling import Caught, Did, PhaseName, Ruling
from wardwright.calls.searching import search
from wardwright.contracts.policy import Retrying
from wardwright.journal.captures import Capture
from wardwright.policy.answers import judged
from wardwright.policy.arbiter import RANKS, arbitrate, join
from wardwright.policy.compiled import Compiled, Policy
from wardwright.policy.decision import NOTHING, Decision, Proposal, Span, proposed_by
from wardwright.policy.evaluate import Unsearched, arm, decide, told
from wardwright.policy.phases import Facts
from wardwright.rehearsal.heard import heard
from wardwright.rehearsal.recollection import Recollection
from wardwright.rehearsal.rulings import NOT_KEPT, facts_of


class Rejudged(msgspec.Struct, frozen=True):
    """What a phase decides now."""

    decision: Decision
    unknown: frozenset[str] = frozenset()
    """Rules that cannot be told, by `policy/rule`."""
    certain: bool = True
    """No rule that acts is among them."""


class Rejudging:
    """One recorded call under other rules; asked phase by phase, in the order of the call."""

    def __init__(
        self, receipt: Receipt, recorded: Governance | None, proposed: Governance, capture: Capture | None
    ) -> None:
        self._receipt = receipt
        self._recorded = recorded
        self._proposed = proposed
        self._capture = capture
        self._recollection = Recollection(receipt, recorded, capture)

    def phase(
        self, phase: PhaseName, attempt: int | None, ruling: Ruling | None, retries: Mapping[str, int]
    ) -> Rejudged:
        """`ruling`: what was recorded there, if any; `retries`: attempts that each rule gave up before."""
        policy = self._proposed.policy
        if not policy.of(phase):
            return Rejudged(NOTHING)
        answer = self._heard(phase, attempt, retries)
        facts = self._recollection.facts(
            phase,
            policy.reads[phase],
            attempt=attempt,
            ruling=ruling,
            written=None if answer is None else answer.written,
        )
        unknown = {rule.name for rule in policy.of(phase) if _untellable(rule, facts)}
        match phase:
            case "request" | "route" | "receipt":
                decision = decide(_without(policy, phase, unknown), phase, facts)
            case "stream":
                decision = self._stream(facts, unknown, attempt, ruling, answer, retries)
            case "output":
                decision = self._output(facts, unknown, ruling, answer, retries)
        if not unknown:
            return Rejudged(decision)
        certain = all(rule.shadow for rule in policy.of(phase) if rule.name in unknown)
        return Rejudged(join(decision, _of(unknown, ruling)), frozenset(unknown), certain)

    def _heard(self, phase: PhaseName, attempt: int | None, retries: Mapping[str, int]) -> GovernedAnswer | None:
        """The answer of the last attempt, where it was captured as the model wrote it."""
        if phase not in ("stream", "output") or attempt is None or attempt != len(self._receipt.attempts) - 1:
            return None
        policy = self._proposed.policy
        facts = self._recollection.facts("stream", policy.reads.get("stream", ()), attempt=attempt)
        armed = arm(policy, "stream", facts).rules
        return heard(self._receipt, self._capture, self._proposed, armed, retries)

    def _stream(
        self,
        facts: Facts,
        unknown: set[str],
        attempt: int | None,
        ruling: Ruling | None,
        answer: GovernedAnswer | None,
        retries: Mapping[str, int],
    ) -> Decision:
        """Adds to `unknown` the rules that looked for something else then."""
        proposed = self._proposed
        rest = msgspec.structs.replace(proposed, policy=_without(proposed.policy, "stream", unknown))
        before, armed = before_attempt(rest, facts)
        if answer is not None:
            return ruled_stream(proposed, before, answer.caught)
        if self._never_answered(attempt):
            return ruled_stream(proposed, before, ())
        if ruling is not None and self._unchanged(armed, ruling):
            return ruled_stream(proposed, before, ruling.caught)
        caught: list[Caught] = []
        for rule in armed:
            if self._looked(rule, ruling):
                assert ruling is not None
                found = (one for one in ruling.caught if one.rule == rule.name and one.action in _FOUND)
                caught += [self._as_now(one, rule, retries) for one in found]
            else:
                unknown.add(rule.name)
        return ruled_stream(proposed, before, caught)

    def _never_answered(self, attempt: int | None) -> bool:
        """Whether nobody wrote anything in which a rule could have found something."""
        attempts = self._receipt.attempts
        if attempt is None or attempt >= len(attempts):
            return False
        tried = attempts[attempt]
        return tried.failure is not None and (tried.http_status is None or not 200 <= tried.http_status < 300)

    def _unchanged(self, armed: tuple[Compiled, ...], ruling: Ruling) -> bool:
        """Whether the rules that watch the answer are, word for word, those that did then."""
        if self._recorded is None:
            return not armed
        watched = arm(self._recorded.policy, "stream", facts_of(ruling, self._recorded)).rules
        return [(rule.name, rule.rule, rule.patterns) for rule in armed] == [
            (rule.name, rule.rule, rule.patterns) for rule in watched
        ]

    def _as_now(self, caught: Caught, rule: Compiled, retries: Mapping[str, int]) -> Caught:
        """What a rule found then, with what it does about it now."""
        assert self._recorded is not None
        then = self._recorded.by_name[rule.name].rule
        if (then.then, then.after_retries) == (rule.rule.then, rule.rule.after_retries):
            return msgspec.structs.replace(caught, lost_to=None, shadow=rule.shadow)
        action = _did(rule.proposals)
        if action == "retry" and retries.get(rule.name, 0) >= _most(rule):
            action = _did(rule.after)
        return msgspec.structs.replace(caught, action=action, lost_to=None, shadow=rule.shadow)

    def _output(
        self,
        facts: Facts,
        unknown: set[str],
        ruling: Ruling | None,
        answer: GovernedAnswer | None,
        retries: Mapping[str, int],
    ) -> Decision:
        """Adds to `unknown` the rules that looked for something else then."""
        policy = self._proposed.policy
        found: dict[str, Span | Unsearched] = {}
        recorded = {} if ruling is None else dict(ruling.searched)
        for rule in (*policy.searching("output"), *policy.expecting("output")):
            if told(rule, facts, dict(facts.known))[0] is False:
                continue  # whatever stands in the answer
            if answer is not None:
                span = search(rule, answer.written) if rule.patterns else None
                if span is not None:
                    found[rule.name] = span
            elif not self._looked(rule, ruling):
                unknown.add(rule.name)
            elif rule.name in recorded:
                was = recorded[rule.name]
                found[rule.name] = Unsearched(was) if isinstance(was, str) else was
        rest = _without(policy, "output", unknown)
        if answer is None:
            decision = decide(rest, "output", facts, found)
        else:
            decision = judged(rest, "output", facts, answer.written.answers, found).decision
        return within_budget(self._proposed, decision, retries)

    def _looked(self, rule: Compiled, ruling: Ruling | None) -> bool:
        """Whether a rule of that name looked for the same in the same places then."""
        if ruling is None or self._recorded is None:
            return False
        then = self._recorded.by_name.get(rule.name)
        if then is None or then.rule.phase != rule.rule.phase:
            return False
        same = (then.channels, then.patterns, then.rule.expect) == (rule.channels, rule.patterns, rule.rule.expect)
        facts = facts_of(ruling, self._recorded)
        return same and told(then, facts, dict(facts.known))[0] is not False


def _of(rules: set[str], ruling: Ruling | None) -> Decision:
    """What some rules said then."""
    if ruling is None:
        return NOTHING
    then = ruling.decision
    reasons = (one for one in then.reasons if one.rule_name in rules)
    return arbitrate(proposed_by((*then.kept, *then.lost), rules), proposed_by(then.shadow, rules), reasons)


def _untellable(rule: Compiled, facts: Facts) -> bool:
    """Whether a rule rests on what was not kept."""
    held, untold = told(rule, facts, dict(facts.known))
    return held is None and any(why.endswith(NOT_KEPT) for why in untold)


def _without(policy: Policy, phase: str, names: set[str]) -> Policy:
    """A policy less some rules of a phase."""
    if not names:
        return policy
    rules = {**policy.rules, phase: tuple(rule for rule in policy.of(phase) if rule.name not in names)}
    plain = {**policy.plain, phase: tuple(pair for pair in policy.plain.get(phase, ()) if pair[1].name not in names)}
    return msgspec.structs.replace(policy, rules=rules, plain=plain)


_FOUND: Final[frozenset[Did]] = frozenset({"block", "retry", "rewrite", "drop", "annotate"})
"""What says that a rule matched, and not that a cap was met."""


def _did(proposals: Sequence[Proposal]) -> Did:
    """What a rule does to the text that it finds: the strongest of what it asks for."""
    strongest = max(proposals, key=lambda one: RANKS[one.effect])
    match strongest.effect:
        case "block" | "require_approval":
            return "block"
        case "retry" | "retry_with_reminder" | "reroute":
            return "retry"
        case "rewrite" | "drop":
            return strongest.effect
        case _:
            return "annotate"


def _most(rule: Compiled) -> int:
    """Attempts of one call that a rule may give up."""
    return max(one.action.max for one in rule.proposals if isinstance(one.action, Retrying))
