"""What the policies of one call decide, phase by phase, and what of it the receipt keeps.

Rule 1: each phase is decided once over one snapshot; the phases of an attempt once an attempt.
Rule 2: this file asks the rules. What becomes of a decision is the call machine's business, or the gateway's.
Rule 3: the record is made when the call closes: nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from wardwright.calls import receipt as rc
from wardwright.calls.account import Account
from wardwright.calls.facts import WORD_CHARS_MAX
from wardwright.calls.governance import ACTS, Governance, is_withheld
from wardwright.calls.governed_answer import GovernedAnswer
from wardwright.calls.policy_facts import METADATA, Asked, request_facts
from wardwright.calls.receipt_facts import receipt_facts
from wardwright.calls.ruling import Caught, PhaseName, Ruling
from wardwright.calls.searching import search
from wardwright.contracts.policy import Block, Reroute, RetryWithReminder
from wardwright.kernel.detectors.table import DETECTORS_VERSION
from wardwright.kernel.usage import Usage
from wardwright.limits.budget_facts import record_of
from wardwright.limits.budget_record import Charge
from wardwright.policy.answers import Unmet, judged, reminder
from wardwright.policy.arbiter import RANKS, arbitrate, join
from wardwright.policy.compiler import INDETERMINATE_CODE, Compiled
from wardwright.policy.conditions import holds
from wardwright.policy.decision import NOTHING, Decision, Fired, Proposal, Retrying, Span
from wardwright.policy.evaluate import Unsearched, arm, decide
from wardwright.policy.phases import Fact, Facts
from wardwright.routing.plan import Attempt, Plan, RouteFacts
from wardwright.streams.effects import Abort, Retry
from wardwright.streams.governor import Delivery, Governor
from wardwright.streams.rule import Past
from wardwright.streams.ruleset import RETRIES_MAX


class Again(msgspec.Struct, frozen=True, kw_only=True):
    """How the next attempt differs from the one that was given up."""

    constraints: tuple[tuple[str, ...], ...] = ()
    """Allow-lists that join those of the call."""
    kept: str = ""
    """What the model had written, to be shown to it."""
    prefix: str = ""
    """What of it the client has seen already: the model shall go on from there."""
    reminders: tuple[str, ...] = ()


class _Noted(msgspec.Struct, frozen=True):
    """One decision, until its record is made."""

    phase: PhaseName
    facts: Facts
    decision: Decision
    attempt: int | None = None
    answer: GovernedAnswer | None = None
    searched: tuple[tuple[str, Span | str], ...] = ()
    unmet: Mapping[str, tuple[Unmet, ...]] = {}


class Rulings:
    """The rules over one call, asked as it goes on."""

    __slots__ = (
        "_asked",
        "_attempt",
        "_facts",
        "_given",
        "_noted",
        "_retries",
        "_route",
        "_turns_ago",
        "_unmet",
        "account",
        "governance",
    )

    def __init__(
        self,
        governance: Governance,
        asked: Asked,
        *,
        account: Account | None = None,
        now_us: int = 0,
        turns_ago: Mapping[str, int] | None = None,
    ) -> None:
        """`account` are the call's budgets, where there are any. `turns_ago` says of rules (by `policy/rule`) that
        fired in earlier turns of the session how many turns ago they last did."""
        self.account = account
        self.governance = governance
        self._asked = asked
        self._attempt: dict[str, Fact] = {}
        self._facts: dict[str, Facts] = {}
        reads = governance.policy.reads
        self._given = Facts({}) if account is None else account.before(now_us, reads["request"] | reads["route"])
        """Facts from beyond the request."""
        self._noted: list[_Noted] = []
        self._retries: dict[str, int] = {}
        """Attempts of this call that each rule gave up."""
        self._route: dict[str, Fact] = {}
        self._turns_ago = turns_ago or {}
        self._unmet: Mapping[str, tuple[Unmet, ...]] = {}
        """What was wrong with the answer that was judged last."""

    @property
    def retries_left(self) -> int:
        return left_of(self._retries)

    @property
    def decisions(self) -> tuple[tuple[PhaseName, Decision], ...]:
        """What was decided so far, in that order."""
        return tuple((noted.phase, noted.decision) for noted in self._noted)

    # -- phases --------------------------------------------------------------------------------------------------------

    def request(self) -> Decision:
        return self._plain("request", {})

    def route(self, plan: Plan, facts: RouteFacts) -> Decision:
        """Over the plan as it would be carried out."""
        targets = tuple(f"{attempt.provider}/{attempt.model}" for attempt in plan.attempts)
        self._route = {
            "route.targets": targets,
            "route.first": targets[0] if targets else None,
            "route.skipped": tuple(skip.target for skip in plan.skipped),
            "route.resting": tuple(name for name, _ in facts.resting),
        }
        return self._plain("route", self._route)

    def attempt(
        self, index: int, planned: Attempt, *, delivery: Delivery, seen: bool
    ) -> tuple[Decision, Governor | None]:
        """Before an attempt: what its rules say already, and who watches its answer. `seen`: it goes on with an answer
        of which the client has seen a part."""
        self._attempt = {
            "attempt.number": index + 1,
            "attempt.provider": planned.provider,
            "attempt.model": planned.model,
            "attempt.target": planned.target,
        }
        policy, rules = self.governance.policy, self.governance.stream
        if not policy.of("stream"):
            return NOTHING, None
        facts = self._snapshot("stream", self._attempt)
        before, armed = before_attempt(self.governance, facts)
        if RANKS[before.effect] >= ACTS:
            self._noted.append(_Noted("stream", facts, before, index))
            return before, None
        if rules is None:
            if before is not NOTHING:
                self._noted.append(_Noted("stream", facts, before, index))
            return before, None
        silent: frozenset[str] = frozenset()
        if len(armed) < len(rules.rules):
            watching = {rule.name for rule in armed}
            silent = frozenset(rule.id for rule in rules.rules if rule.id not in watching)
        return before, Governor(
            rules,
            past=self._past(),
            retries_left=self.retries_left,
            silent=silent,
            delivery=delivery,
            seen=seen,
        )

    def streamed(self, index: int, before: Decision, answer: GovernedAnswer) -> Decision:
        """An attempt is over: what its stream rules found, joined with what was decided before it."""
        if not self.governance.policy.of("stream"):
            return NOTHING
        decision = ruled_stream(self.governance, before, answer.caught)
        facts = self._snapshot("stream", self._attempt)
        self._noted.append(_Noted("stream", facts, decision, index, answer))
        return decision

    def output(self, index: int, answer: GovernedAnswer) -> Decision:
        """The whole answer of an attempt, before its end is told."""
        policy = self.governance.policy
        if not policy.of("output"):
            return NOTHING
        tally, written = answer.tally, answer.written
        usage = tally.usage or Usage()
        more: dict[str, Fact] = {
            **self._attempt,
            "output.text": written.text,
            "output.reasoning": written.reasoning,
            "output.tool_names": written.tools,
            "output.finish": tuple(tally.finish[choice] for choice in sorted(tally.finish)),
            "usage.input_tokens": usage.input_total,
            "usage.output_tokens": usage.output_total,
        }
        facts = self._snapshot("output", more)
        found: dict[str, Span | Unsearched] = {}
        for rule in policy.searching("output"):
            span = search(rule, written)
            if span is not None:
                found[rule.name] = span
        judgement = judged(policy, "output", facts, written.answers, found)
        self._unmet = judgement.unmet
        decision = within_budget(self.governance, judgement.decision, self._retries)
        found |= {name: wrong[0].span for name, wrong in judgement.unmet.items()}
        searched = tuple((name, span.why if isinstance(span, Unsearched) else span) for name, span in found.items())
        self._noted.append(_Noted("output", facts, decision, index, None, searched, judgement.unmet))
        return decision

    def closed(self, receipt: rc.Receipt) -> rc.Receipt:
        """The receipt with all that the rules said, those over receipts last."""
        at_us = receipt.started_at + receipt.timings.total_us
        charges: tuple[Charge, ...] = ()
        after = Facts({})
        if self.account is not None:
            charges = self.account.settle(receipt, at_us)
            after = self.account.after(charges, at_us, self.governance.policy.reads["receipt"])
        self._given = after
        self._plain("receipt", receipt_facts(receipt))
        refusal = None if self.account is None else self.account.refusal
        return msgspec.structs.replace(
            receipt,
            budget_refused=None if refusal is None else record_of(refusal),
            budgets=charges,
            detectors=DETECTORS_VERSION if self.governance.detects else None,
            policy=self.records(),
        )

    def retried(self, rules: Iterable[str]) -> None:
        """These rules gave up an attempt."""
        for rule in rules:
            self._retries[rule] = self._retries.get(rule, 0) + 1

    def again(self, stop: Retry) -> Again:
        """What the next attempt is told after a stream rule gave one up."""
        self.retried(stop.rules)
        actions = [action for name in stop.rules for action in self.governance.by_name[name].rule.then]
        constraints = tuple(action.to for action in actions if isinstance(action, Reroute))
        return Again(constraints=constraints, kept=stop.kept, reminders=stop.reminders)

    def onward(self, stop: Abort, planned: Attempt, answer: GovernedAnswer) -> Again | None:
        """The same after a stream rule gave up an attempt of which a part had left, where the rule wants it continued
        and that part is one text and nothing else. The provider is the same: it is known to be able to."""
        rule = None if stop.cause != "retry_after_release" or stop.rule is None else self.governance.by_name[stop.rule]
        actions = () if rule is None else rule.rule.then
        action = next((one for one in actions if isinstance(one, RetryWithReminder)), None)
        if rule is None or action is None or action.after_release != "continue" or answer.only_text is None:
            return None
        self.retried((rule.name,))
        where = (f"{planned.provider}/{planned.model}",)
        return Again(constraints=(where,), prefix=answer.only_text, reminders=(action.text,))

    def again_after(self, decision: Decision, answer: GovernedAnswer) -> Again:
        """The same after a rule over the whole answer did."""
        self.retried(retrying(decision))
        reminding = [
            (one.action, self._unmet.get(f"{one.policy}/{one.rule}", ()))
            for one in decision.kept
            if isinstance(one.action, RetryWithReminder)
        ]
        shown = any(action.keep_partial for action, _ in reminding)
        return Again(
            constraints=tuple(action.to for action in decision.retries if isinstance(action, Reroute)),
            kept=answer.written.text if shown else "",
            reminders=tuple(reminder(action.text, unmet) for action, unmet in reminding),
        )

    def records(self) -> tuple[Ruling, ...]:
        """What the receipt keeps."""
        return tuple(self._record(noted) for noted in self._noted)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _plain(self, phase: PhaseName, more: Mapping[str, Fact]) -> Decision:
        policy = self.governance.policy
        if not policy.of(phase):
            return NOTHING
        facts = self._snapshot(phase, more)
        decision = decide(policy, phase, facts)
        self._noted.append(_Noted(phase, facts, decision))
        return decision

    def _snapshot(self, phase: PhaseName, more: Mapping[str, Fact]) -> Facts:
        """What the phase's rules read: of the request, of the phase itself, and of what was given."""
        base = self._facts.get(phase)
        if base is None:
            reads = self.governance.policy.reads[phase]
            base = request_facts(self._asked, reads)
            given = self._given
            if given.known or given.unavailable:
                base = Facts(
                    {**base.known, **{name: fact for name, fact in given.known.items() if name in reads}},
                    {**base.unavailable, **{name: why for name, why in given.unavailable.items() if name in reads}},
                )
            self._facts[phase] = base
        if not more:
            return base
        reads = self.governance.policy.reads[phase]
        return Facts({**base.known, **{name: fact for name, fact in more.items() if name in reads}}, base.unavailable)

    def _past(self) -> tuple[Past, ...]:
        if not self._retries and not self._turns_ago:
            return ()
        return tuple(
            Past(rule=name, retries=self._retries.get(name, 0), turns_ago=self._turns_ago.get(name))
            for name in sorted(self._retries.keys() | self._turns_ago.keys())
        )

    def _record(self, noted: _Noted) -> Ruling:
        known = noted.facts.known
        view = dict(known)
        compared = self.governance.comparisons[noted.phase]
        answer = noted.answer
        withheld = frozenset(name for name, fact in known.items() if _is_content(name, fact))
        return Ruling(
            attempt=noted.attempt,
            caught=() if answer is None else tuple(answer.caught),
            caught_more=0 if answer is None else answer.caught_more,
            decision=noted.decision,
            facts=tuple(sorted((name, fact) for name, fact in known.items() if name not in withheld)),
            found=tuple(key for key, leaf in compared if leaf.field in withheld and holds(leaf, view)),
            held_chars_max=0 if answer is None else answer.held_chars_max,
            held_us_max=0 if answer is None else answer.held_ns_max // 1000,
            phase=noted.phase,
            searched=noted.searched,
            unavailable=tuple(sorted(noted.facts.unavailable.items())),
            unmet=tuple((name, tuple(map(_short, wrong))) for name, wrong in sorted(noted.unmet.items())),
            withheld=tuple(sorted(withheld)),
        )


# Decisions that are made again from what a receipt keeps


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
    return tuple(sorted({f"{one.policy}/{one.rule}" for one in decision.kept if isinstance(one.action, Retrying)}))


def left_of(retries: Mapping[str, int]) -> int:
    """How many attempts rules may still give up, after those that each did."""
    return RETRIES_MAX - sum(retries.values())


def within_budget(governance: Governance, decision: Decision, retries: Mapping[str, int]) -> Decision:
    """What stands where retries are spent: what follows them in their rules, else a refusal."""
    if RANKS[decision.effect] != RANKS["retry"]:
        return decision
    going_on: list[Proposal] = []
    for one in decision.kept:
        rule = governance.by_name[f"{one.policy}/{one.rule}"]
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


def _short(unmet: Unmet) -> Unmet:
    """Without more of a tool's name than a name has: a model may make one up."""
    if unmet.tool is None or len(unmet.tool) <= WORD_CHARS_MAX:
        return unmet
    return msgspec.structs.replace(unmet, tool=unmet.tool[:WORD_CHARS_MAX])


def _is_content(name: str, fact: Fact) -> bool:
    return is_withheld(name) and (
        not name.startswith(METADATA) or (isinstance(fact, str) and len(fact) > WORD_CHARS_MAX)
    )
