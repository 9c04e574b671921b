"""Recorded calls under changed policies: which decisions would come out otherwise.

Rule 1: first the recorded policies must reproduce what was recorded. Where they do not, nothing that follows would mean
anything, and the simulation stops and says so.
Rule 2: behind the first difference that would have changed a call, that call went another way: the rest of it is not
judged, and later calls of its session are told apart as speculative.
Rule 3: what rests on facts that were not kept is unknown. It is counted, and taken to be as it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from wardwright.calls.governance import Governance, govern
from wardwright.calls.receipt import Receipt
from wardwright.calls.ruling import PhaseName, Ruling
from wardwright.contracts.decode import Located
from wardwright.contracts.digest import digest, governing, reach
from wardwright.contracts.model import ModelContract
from wardwright.contracts.policy import ActionName, PolicyContract
from wardwright.journal.captures import Capture
from wardwright.kernel.detectors.table import DETECTORS_VERSION
from wardwright.kernel.errors import WardwrightError
from wardwright.policy.arbiter import RANKS
from wardwright.policy.decision import Decision, proposed_by
from wardwright.policy.explain import action_words
from wardwright.rehearsal.rejudged import Rejudged, Rejudging
from wardwright.rehearsal.replay import Load, policies_of, policy_of
from wardwright.rehearsal.rulings import again, gave_up

GOVERNANCES_MAX: Final = 1024
"""Sets of policies that are kept compiled; past it they are compiled again."""

SIGNATURES_MAX: Final = 200
"""Ways in which calls change that are told one by one; calls that change in yet another way are counted."""

Change: TypeAlias = Literal["new_fire", "lost_fire", "changed_action", "same", "unknown"]

FLIPS: Final[frozenset[Change]] = frozenset({"new_fire", "lost_fire", "changed_action"})


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be tried."""

    also: tuple[str, ...] = ()
    """Policies that are asked though the model does not name them."""
    models: Mapping[str, ModelContract] = {}
    """Contracts that say which policies govern; for other models, those of the receipt do."""
    policies: Mapping[str, Located[PolicyContract]] = {}
    """Policies that take the place of the recorded ones."""


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """How one rule comes out otherwise in one phase of one call."""

    after: str
    attempt: int | None
    before: str
    change: Change
    phase: PhaseName
    rule: str
    """`policy/rule`."""


class RuleFlips(msgspec.Struct, frozen=True, kw_only=True):
    """How often one rule came out how. Every count is of phases of calls."""

    changed_action: int
    lost_fire: int
    new_fire: int
    rule: str
    same: int
    unknown: int

    @property
    def flips(self) -> int:
        return self.new_fire + self.lost_fire + self.changed_action


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """How often a phase that decided one effect decides another, or the same."""

    after: str
    """`unknown` where a rule that acts cannot be told."""
    before: ActionName
    count: int
    phase: PhaseName


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """Calls that change in the same way."""

    calls: int
    changes: tuple[Changed, ...]
    receipts: tuple[str, ...]
    """The first of them."""


class Unreproduced(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt whose own policies decide otherwise than it says."""

    phase: PhaseName
    receipt: str
    recorded: ActionName
    replayed: ActionName


class Simulation(msgspec.Struct, frozen=True, kw_only=True):
    """What would come out otherwise."""

    calls: int = 0
    """Calls that were judged."""
    flipped: int = 0
    """Those of them in which some rule comes out otherwise."""
    matrix: tuple[Moved, ...] = ()
    rules: tuple[RuleFlips, ...] = ()
    samples: tuple[Sample, ...] = ()
    """Most calls first."""
    speculative: int = 0
    """Calls of a session in which an earlier one goes another way: they might never have been made. Not judged."""
    stopped: Unreproduced | None = None
    """Set where the simulation ended because a recorded decision is not reproduced; everything else is empty then."""
    unasked: int = 0
    """Calls that no policy governs, then or now, or that ended before any was asked."""
    unsampled: int = 0
    """Calls that change in a way for which there was no room among `samples`."""
    unreadable: int = 0
    """Calls of which a contract that took part is not stored here, or which another table of detectors read."""


class Recorded(msgspec.Struct, frozen=True):
    """One call, as it was kept."""

    receipt: Receipt
    capture: Capture | None = None


def simulate(calls: Iterable[Recorded], candidate: Candidate, load: Load, *, samples_max: int = 3) -> Simulation:
    """`calls` oldest first. Raises WardwrightError for a candidate that does not compile."""
    compiled = _Compiled(candidate, load)
    fold = _Fold(samples_max)
    left: set[str] = set()
    for call in calls:
        receipt = call.receipt
        if receipt.detectors not in (None, DETECTORS_VERSION):
            fold.unreadable += 1
            continue
        try:
            recorded = compiled.recorded(receipt)
        except WardwrightError:
            fold.unreadable += 1
            continue
        proposed = compiled.proposed(receipt)
        if proposed is None and recorded is None:
            fold.unasked += 1
            continue
        stopped = _unreproduced(receipt, recorded)
        if stopped is not None:
            return Simulation(stopped=stopped)
        session = _session(receipt)
        if session in left:
            fold.speculative += 1
            continue
        if fold.take(receipt, _judged(call, recorded, proposed)):
            left.add(session)
    return fold.told()


def _session(receipt: Receipt) -> str:
    """What holds calls together; a call of its own where nothing does."""
    facts = receipt.facts
    return receipt.receipt if facts is None or not facts.conversation else facts.conversation


def _unreproduced(receipt: Receipt, recorded: Governance | None) -> Unreproduced | None:
    for ruling, decision in again(receipt.policy, recorded) if recorded is not None else ():
        if decision != ruling.decision:
            return Unreproduced(
                phase=ruling.phase,
                receipt=receipt.receipt,
                recorded=ruling.decision.effect,
                replayed=decision.effect,
            )
    return None


class _Compiled:
    """The policies of calls, recorded and proposed, each set compiled once."""

    def __init__(self, candidate: Candidate, load: Load) -> None:
        self._candidate = candidate
        self._load = load
        self._made: dict[tuple[tuple[str, str], ...], Governance | None] = {}

    def recorded(self, receipt: Receipt) -> Governance | None:
        """Raises WardwrightError for a policy that is not stored here."""
        named = policies_of(receipt, self._load)
        return self._governance(named, {name: Located(policy_of(key, self._load), name) for name, key in named})

    def proposed(self, receipt: Receipt) -> Governance | None:
        """Raises WardwrightError for policies that do not compile, or that nobody has."""
        contract, candidate = receipt.contract, self._candidate
        if contract is None:
            return None
        before = dict(policies_of(receipt, self._load))
        names = set(contract.policies)
        if contract.name in candidate.models:
            names = set(governing(reach(contract.name, candidate.models), candidate.models))
        documents: dict[str, Located[PolicyContract]] = {}
        for name in sorted(names | set(candidate.also)):
            if name in candidate.policies:
                documents[name] = candidate.policies[name]
            elif name in before:
                documents[name] = Located(policy_of(before[name], self._load), name)
            else:
                message = f"the model `{contract.name}` names the policy `{name}`, which is in none of the files"
                raise WardwrightError("contract_reference", message)
        return self._governance(tuple((name, digest(one.value)) for name, one in documents.items()), documents)

    def _governance(
        self, key: tuple[tuple[str, str], ...], documents: Mapping[str, Located[PolicyContract]]
    ) -> Governance | None:
        if key not in self._made:
            if len(self._made) >= GOVERNANCES_MAX:
                self._made.clear()
            self._made[key] = govern(documents.values())
        return self._made[key]


# One call


class _Compared(msgspec.Struct, frozen=True):
    """One phase of one call, then and now."""

    phase: PhaseName
    attempt: int | None
    before: Decision
    after: Rejudged
    rules: frozenset[str]
    """Rules that were asked in the phase, then or now."""

    @property
    def diverged(self) -> bool:
        """Whether the call would have gone another way from here on."""
        return _carried(self.before) != _carried(self.after.decision)


def _judged(call: Recorded, recorded: Governance | None, proposed: Governance | None) -> Iterator[_Compared]:
    receipt = call.receipt
    rejudging = None if proposed is None else Rejudging(receipt, recorded, proposed, call.capture)
    retries: Counter[str] = Counter()
    for phase, attempt, ruling in _phases(receipt):
        before = Decision() if ruling is None else ruling.decision
        after = Rejudged(Decision()) if rejudging is None else rejudging.phase(phase, attempt, ruling, retries)
        asked = (rule.name for one in (recorded, proposed) if one is not None for rule in one.policy.of(phase))
        compared = _Compared(phase, attempt, before, after, frozenset(asked))
        yield compared
        if compared.diverged:
            return
        if ruling is not None:
            retries.update(gave_up(ruling))


def _phases(receipt: Receipt) -> list[tuple[PhaseName, int | None, Ruling | None]]:
    """Every phase that the call went through, in order, with what was recorded of it."""
    recorded = {(ruling.phase, ruling.attempt): ruling for ruling in receipt.policy}
    passed: list[tuple[PhaseName, int | None]] = [("request", None)]
    if receipt.plan is not None:
        passed.append(("route", None))
    for index, tried in enumerate(receipt.attempts):
        answered = tried.failure is None and tried.answered_us is not None
        if answered or ("stream", index) in recorded:
            passed.append(("stream", index))
        if (answered and tried.finish) or ("output", index) in recorded:
            passed.append(("output", index))
    passed += [key for key in recorded if key not in passed and key[0] != "receipt"]
    return [(phase, attempt, recorded.get((phase, attempt))) for phase, attempt in (*passed, ("receipt", None))]


def _carried(decision: Decision) -> tuple[object, ...]:
    """What of a decision changes a call: labels, alerts and obligations do not."""
    return tuple((one.action, one.policy, one.rule) for one in decision.kept if RANKS[one.effect] > 0)


def _changes(compared: _Compared) -> Iterator[Changed]:
    """How each rule of a phase came out."""
    before, after = compared.before, compared.after
    for rule in sorted(compared.rules):
        was, now = _said(rule, before), _said(rule, after.decision)
        change: Change = "same"
        if rule in after.unknown:
            change = "unknown"
        elif was != now:
            change = "new_fire" if was is None else "lost_fire" if now is None else "changed_action"
        yield Changed(
            after="cannot be told" if change == "unknown" else _words(now),
            attempt=compared.attempt,
            before=_words(was),
            change=change,
            phase=compared.phase,
            rule=rule,
        )


def _said(rule: str, decision: Decision) -> tuple[str, ...] | None:
    """What became of a rule's proposals; None where it was silent."""
    if not any(one.rule_name == rule for one in decision.reasons):
        return None
    told: list[str] = []
    for proposals, words in (
        (decision.kept, "{}"),
        (decision.lost, "gave way: {}"),
        (decision.shadow, "in shadow: {}"),
    ):
        said = (action_words(one.action) for one in proposed_by(proposals, {rule}))
        told += [words.format(one) for one in dict.fromkeys(said)]
    return tuple(told)


def _words(said: tuple[str, ...] | None) -> str:
    return "silent" if said is None else "; ".join(said) or "fired and asked for nothing"


# All calls


class _Fold:
    """Adds calls up."""

    def __init__(self, samples_max: int) -> None:
        self.speculative = 0
        self.unasked = 0
        self.unreadable = 0
        self._calls = 0
        self._flipped = 0
        self._matrix: Counter[tuple[PhaseName, ActionName, str]] = Counter()
        self._rules: dict[str, Counter[Change]] = {}
        self._samples: dict[tuple[Changed, ...], list[str]] = {}
        self._sampled: Counter[tuple[Changed, ...]] = Counter()
        self._samples_max = samples_max
        self._unsampled = 0

    def take(self, receipt: Receipt, phases: Iterable[_Compared]) -> bool:
        """Count one call; whether it would have gone another way."""
        flips: list[Changed] = []
        diverged = False
        for compared in phases:
            if not compared.rules:
                continue
            diverged = diverged or compared.diverged
            after: str = compared.after.decision.effect if compared.after.certain else "unknown"
            self._matrix[compared.phase, compared.before.effect, after] += 1
            for changed in _changes(compared):
                self._rules.setdefault(changed.rule, Counter())[changed.change] += 1
                if changed.change in FLIPS:
                    flips.append(changed)
        self._calls += 1
        if flips:
            self._flipped += 1
            signature = tuple(flips)
            if signature not in self._samples and len(self._samples) >= SIGNATURES_MAX:
                self._unsampled += 1
                return diverged
            self._sampled[signature] += 1
            receipts = self._samples.setdefault(signature, [])
            if len(receipts) < self._samples_max:
                receipts.append(receipt.receipt)
        return diverged

    def told(self) -> Simulation:
        return Simulation(
            calls=self._calls,
            flipped=self._flipped,
            matrix=tuple(
                Moved(after=after, before=before, count=count, phase=phase)
                for (phase, before, after), count in sorted(self._matrix.items())
            ),
            rules=tuple(
                RuleFlips(
                    changed_action=counts["changed_action"],
                    lost_fire=counts["lost_fire"],
                    new_fire=counts["new_fire"],
                    rule=rule,
                    same=counts["same"],
                    unknown=counts["unknown"],
                )
                for rule, counts in sorted(self._rules.items())
            ),
            samples=tuple(
                Sample(calls=count, changes=signature, receipts=tuple(self._samples[signature]))
                for signature, count in self._sampled.most_common()
            ),
            speculative=self.speculative,
            unasked=self.unasked,
            unreadable=self.unreadable,
            unsampled=self._unsampled,
        )
