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
from wardwright.calls.answer_rulings import before_attempt, left_of, retrying, ruled_stream, within_budget
from wardwright.calls.facts import WORD_CHARS_MAX
from wardwright.calls.governance import Governance
from wardwright.calls.governed_answer import GovernedAnswer
from wardwright.calls.memory import Memory
from wardwright.calls.policy_facts import METADATA, Asked, request_facts
from wardwright.calls.receipt_facts import receipt_facts
from wardwright.calls.ruling import PhaseName, Ruling
from wardwright.calls.searching import search
from wardwright.contracts.policy import Reroute, RetryWithReminder
from wardwright.kernel.detectors.table import DETECTORS_VERSION
from wardwright.kernel.usage import Usage
from wardwright.limits.budget_facts import record_of
from wardwright.limits.budget_record import Charge
from wardwright.limits.events import CallEvents
from wardwright.policy.answers import Unmet, judged, reminder
from wardwright.policy.arbiter import ENDS, RANKS
from wardwright.policy.conditions import Compared, holds
from wardwright.policy.decision import NOTHING, Decision, Span
from wardwright.policy.evaluate import Unsearched, decide
from wardwright.policy.phases import Fact, Facts
from wardwright.routing.plan import Attempt, Plan, RouteFacts
from wardwright.streams.effects import Abort, Retry
from wardwright.streams.governor import Delivery, Governor
from wardwright.streams.rule import Past


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
        "_memory",
        "_noted",
        "_retries",
        "_told",
        "_unmet",
        "_watched",
        "account",
        "alerts",
        "governance",
    )

    def __init__(
        self,
        governance: Governance,
        asked: Asked,
        *,
        account: Account | None = None,
        memory: Memory | None = None,
        now_us: int = 0,
    ) -> None:
        """`account` are the call's budgets, `memory` is its past, where its rules have any. Instants are µs since the
        epoch."""
        self.account = account
        self.alerts: list[rc.Alerted] = []
        """What was told to whom by now."""
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
        self._memory = memory
        self._told = 0
        """Of `_noted`, how many have told whom they wanted to."""
        self._watched = Facts({})
        """What rules of the stream phase saw before the attempt that runs or ran last."""
        self._unmet: Mapping[str, tuple[Unmet, ...]] = {}
        """What was wrong with the answer that was judged last."""

    # -- phases --------------------------------------------------------------------------------------------------------

    def request(self, now_us: int) -> Decision:
        return self._plain("request", {}, now_us)

    @property
    def constraints(self) -> tuple[tuple[str, ...], ...]:
        """Allow-lists that the states of machines impose on the route now."""
        return () if self._memory is None else self._memory.constraints()

    def route(self, plan: Plan, facts: RouteFacts, now_us: int) -> Decision:
        """Over the plan as it would be carried out."""
        targets = tuple(f"{attempt.provider}/{attempt.model}" for attempt in plan.attempts)
        more: dict[str, Fact] = {
            "route.targets": targets,
            "route.first": targets[0] if targets else None,
            "route.skipped": tuple(skip.target for skip in plan.skipped),
            "route.resting": tuple(name for name, _ in facts.resting),
        }
        return self._plain("route", more, now_us)

    def attempt(
        self, index: int, planned: Attempt, now_us: int, *, delivery: Delivery, seen: bool
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
        if self._memory is not None:
            facts = self._memory.recalled("stream", facts, now_us, attempt=index + 1)
        self._watched = facts
        before, armed = before_attempt(self.governance, facts)
        if RANKS[before.effect] >= ENDS:  # there will be no answer to rule on
            if self._memory is not None:
                self._memory.noted(before, facts, now_us, index + 1)
            self._noted.append(_Noted("stream", facts, before, index))
            return before, None
        if rules is None:
            return before, None
        silent: frozenset[str] = frozenset()
        if len(armed) < len(rules.rules):
            watching = {rule.name for rule in armed}
            silent = frozenset(rule.id for rule in rules.rules if rule.id not in watching)
        return before, Governor(
            rules,
            past=self._past(now_us),
            retries_left=left_of(self._retries),
            silent=silent,
            delivery=delivery,
            seen=seen,
        )

    def streamed(self, index: int, before: Decision, answer: GovernedAnswer | None, now_us: int) -> Decision:
        """An attempt is over: what its stream rules found, joined with what was decided before it.

        Without an answer nothing was found, and what was decided before it stands; where that is nothing, nothing is
        kept of it.
        """
        if not self.governance.policy.of("stream") or (answer is None and before == NOTHING):
            return NOTHING
        decision = ruled_stream(self.governance, before, () if answer is None else answer.caught)
        if self._memory is not None:
            self._memory.noted(decision, self._watched, now_us, index + 1)
        self._noted.append(_Noted("stream", self._watched, decision, index, answer))
        return decision

    def output(self, index: int, answer: GovernedAnswer, now_us: int) -> Decision:
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
        answers = written.answers
        if self._memory is not None:
            facts = self._memory.recalled(
                "output",
                facts,
                now_us,
                attempt=index + 1,
                decider=lambda so_far: judged(policy, "output", so_far, answers, found).decision,
            )
        judgement = judged(policy, "output", facts, answers, found)
        self._unmet = judgement.unmet
        decision = within_budget(self.governance, judgement.decision, self._retries)
        if self._memory is not None:
            self._memory.noted(decision, facts, now_us, index + 1)
        found |= {name: wrong[0].span for name, wrong in judgement.unmet.items()}
        searched = tuple((name, span.why if isinstance(span, Unsearched) else span) for name, span in found.items())
        self._noted.append(_Noted("output", facts, decision, index, None, searched, judgement.unmet))
        return decision

    def closed(self, receipt: rc.Receipt) -> rc.Receipt:
        """The receipt with all that the rules said, those over receipts last."""
        at_us = receipt.started_at + receipt.timings.total_us
        charges: tuple[Charge, ...] = ()
        order = 0
        after = Facts({})
        if self.account is not None:
            charges, order = self.account.settle(receipt, at_us)
            after = self.account.after(charges, at_us, self.governance.policy.reads["receipt"])
        self._given = after
        self._plain("receipt", receipt_facts(receipt), at_us)
        history: CallEvents | None = None
        if self._memory is not None and receipt.simulation:
            self._memory.release()
        elif self._memory is not None:
            history = self._memory.settle(at_us)
        refusal = None if self.account is None else self.account.refusal
        return msgspec.structs.replace(
            receipt,
            budget_order=order,
            budget_refused=None if refusal is None else record_of(refusal),
            budgets=charges,
            detectors=DETECTORS_VERSION if self.governance.detects else None,
            history=history,
            policy=self.records(),
        )

    def released(self) -> None:
        """The call goes on under other rules: what these noted leaves no trace."""
        if self._memory is not None:
            self._memory.release()

    def untold(self) -> tuple[tuple[PhaseName, Decision], ...]:
        """Decisions that have told nobody yet; asked for once."""
        found = tuple((noted.phase, noted.decision) for noted in self._noted[self._told :])
        self._told = len(self._noted)
        return found

    def retried(self, rules: Iterable[str], now_us: int) -> None:
        """These rules gave up an attempt."""
        for rule in rules:
            self._retries[rule] = self._retries.get(rule, 0) + 1
            remembered = self.governance.remembers.get(rule)
            if remembered is not None and self._memory is not None:
                self._memory.note(remembered[1].events, self._watched, now_us)

    def again(self, stop: Retry, now_us: int) -> Again:
        """What the next attempt is told after a stream rule gave one up."""
        self.retried(stop.rules, now_us)
        actions = [action for name in stop.rules for action in self.governance.by_name[name].rule.then]
        constraints = tuple(action.to for action in actions if isinstance(action, Reroute))
        return Again(constraints=constraints, kept=stop.kept, reminders=stop.reminders)

    def onward(self, stop: Abort, planned: Attempt, answer: GovernedAnswer, now_us: int) -> Again | None:
        """The same after a stream rule gave up an attempt of which a part had left, where the rule wants it continued
        and that part is one text and nothing else, as the model wrote it. The provider is the same: it is known to be
        able to."""
        rule = None if stop.cause != "retry_after_release" or stop.rule is None else self.governance.by_name[stop.rule]
        actions = () if rule is None else rule.rule.then
        action = next((one for one in actions if isinstance(one, RetryWithReminder)), None)
        if rule is None or action is None or action.after_release != "continue" or answer.only_text is None:
            return None
        if answer.edited:
            return None  # judged again, what edits composed would be read as the model's own words
        together = {one.rule for one in answer.caught if one.action == "retry" and not one.shadow}
        self.retried((name for name in together if name is not None), now_us)
        where = (f"{planned.provider}/{planned.model}",)
        return Again(constraints=(where,), prefix=answer.only_text, reminders=(action.text,))

    def again_after(self, decision: Decision, answer: GovernedAnswer, now_us: int) -> Again:
        """The same after a rule over the whole answer did."""
        self.retried(retrying(decision), now_us)
        reminding = [
            (one.action, self._unmet.get(one.rule_name, ()))
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

    def _plain(self, phase: PhaseName, more: Mapping[str, Fact], now_us: int) -> Decision:
        policy = self.governance.policy
        if not policy.of(phase):
            return NOTHING
        facts = self._snapshot(phase, more)
        if self._memory is None:
            decision = decide(policy, phase, facts)
        else:
            decision, facts = self._memory.decide(phase, facts, now_us)
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

    def _past(self, now_us: int) -> tuple[Past, ...]:
        """What rules did before: in this call, and where they remember it in earlier ones of the session."""
        heard: dict[str, int] = {}
        if self._memory is not None:
            for name, (policy, state) in self.governance.remembers.items():
                if count := self._memory.count(policy, state, now_us):
                    heard[name] = count
        return tuple(
            Past(
                rule=name,
                retries=self._retries.get(name, 0) + (heard.get(name, 0) if self._per_turn(name) else 0),
                turns_ago=0 if name in heard and not self._per_turn(name) else None,
            )
            for name in sorted(self._retries.keys() | heard.keys())
        )

    def _per_turn(self, name: str) -> bool:
        """The rule's reminder comes once in a turn: one that came in an earlier call of it is a retry that is spent."""
        then = self.governance.by_name[name].rule.then
        return any(isinstance(action, RetryWithReminder) and action.once_per == "turn" for action in then)

    def _record(self, noted: _Noted) -> Ruling:
        known, governance, answer = noted.facts.known, self.governance, noted.answer
        texts = governance.texts[noted.phase]
        withheld = frozenset(name for name in texts if name in known and _is_content(name, known[name]))
        return Ruling(
            attempt=noted.attempt,
            caught=() if answer is None else tuple(answer.caught),
            caught_more=0 if answer is None else answer.caught_more,
            decision=noted.decision,
            facts=tuple(sorted((name, fact) for name, fact in known.items() if name not in withheld)),
            found=self._found(noted, withheld) if withheld else (),
            held_chars_max=0 if answer is None else answer.held_chars_max,
            held_us_max=0 if answer is None else answer.held_ns_max // 1000,
            phase=noted.phase,
            searched=noted.searched,
            unavailable=tuple(sorted(noted.facts.unavailable.items())),
            unmet=tuple((name, tuple(map(_short, wrong))) for name, wrong in sorted(noted.unmet.items())),
            withheld=tuple(sorted(withheld)),
        )

    def _found(self, noted: _Noted, withheld: frozenset[str]) -> tuple[str, ...]:
        """Keys of the comparisons over withheld fields that held; those that decided a rule are not made again."""
        lone = self.governance.lone[noted.phase]
        told = {one.rule_name: not one.unknown for one in noted.decision.reasons}
        view = dict(noted.facts.known)

        def held(key: str, leaf: Compared) -> bool:
            rule = lone.get(key)
            return holds(leaf, view) if rule is None or told.get(rule) is False else rule in told

        compared = self.governance.comparisons[noted.phase]
        return tuple(key for key, leaf in compared if leaf.field in withheld and held(key, leaf))


def _short(unmet: Unmet) -> Unmet:
    """Without more of a tool's name than a name has: a model may make one up."""
    if unmet.tool is None or len(unmet.tool) <= WORD_CHARS_MAX:
        return unmet
    return msgspec.structs.replace(unmet, tool=unmet.tool[:WORD_CHARS_MAX])


def _is_content(name: str, fact: Fact) -> bool:
    """Whether a field that may hold text of a conversation does; short words of `metadata` are facts."""
    return not name.startswith(METADATA) or (isinstance(fact, str) and len(fact) > WORD_CHARS_MAX)
