"""One call's dealings with the past: what its rules read of it, and what it adds.

    memory = Memory(history, policy, call_events(...), seal)
    decision, facts = memory.decide("request", facts, now_us)
    memory.constraints()                         # of machines, for the plan
    memory.note(labels, facts, now_us, attempt)  # what the governor found
    events = memory.settle(now_us)               # for the receipt, before it is put to the journal

Rule 1: a label counts for other calls from the moment it is decided, and stays if the call ends, however it ends.
Rule 2: a call that must leave no trace, such as a simulation, is released.
Rule 3: texts leave for history under `seal`, the tenant's keyed digest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from wardwright.calls.receipt import Caller, said
from wardwright.contracts.policy import Machine, State
from wardwright.kernel import canonical
from wardwright.limits.events import Asking, CallEvents, Kept, Scopes, Unavailable
from wardwright.limits.history import History
from wardwright.limits.machines import restrictions
from wardwright.policy.compiled import Policy
from wardwright.policy.decision import Decision, Span
from wardwright.policy.evaluate import Unsearched, decide, recalled
from wardwright.policy.phases import Fact, Facts
from wardwright.policy.strata import Recalled
from wardwright.routing.conversation import SAID

Seal: TypeAlias = Callable[[str], str]
"""A text's digest under the tenant's key."""


def call_events(
    receipt: str,
    caller: Caller,
    policy: Policy,
    *,
    model: str,
    conversation: str,
    source: str,
    step: int,
    turn: int,
) -> CallEvents:
    """A call that has earned nothing yet. `conversation` is the digest, `source` where it comes from."""
    scopes = Scopes(
        agent=said(caller.agent),
        model=model,
        run=said(caller.run),
        session=conversation if source != "none" else None,
        session_declared=source in SAID,
        tenant=caller.tenant.value,
        user=said(caller.user),
    )
    return CallEvents(policies=policy.names, receipt=receipt, scopes=scopes, step=step, turn=turn)


class Memory:
    """The past as one call sees and makes it."""

    __slots__ = ("_history", "_policy", "_seal", "call")

    def __init__(self, history: History, policy: Policy, call: CallEvents, seal: Seal) -> None:
        self._history = history
        self._policy = policy
        self._seal = seal
        self.call = call
        """With what it has earned by now."""

    def decide(
        self,
        phase: str,
        facts: Facts,
        now_us: int,
        *,
        attempt: int = 0,
        found: Mapping[str, Span | Unsearched] | None = None,
    ) -> tuple[Decision, Facts]:
        """What the rules of a phase decide, and the facts with what they read of the past.

        `facts` are those that `policy.reads` names, the past left out. The labels of the decision are noted.
        """
        facts = self.recalled(phase, facts, now_us, attempt=attempt, found=found)
        decision = decide(self._policy, phase, facts, found)
        self.noted(decision, facts, now_us, attempt)
        return decision, facts

    def recalled(
        self,
        phase: str,
        facts: Facts,
        now_us: int,
        *,
        attempt: int = 0,
        found: Mapping[str, Span | Unsearched] | None = None,
        decider: Callable[[Facts], Decision] | None = None,
    ) -> Facts:
        """The facts with what the rules of a phase read of the past; labels on the way there are noted.

        `decider` is for phases that are decided otherwise than by `policy.evaluate.decide`. Whoever decides over these
        facts tells `noted`.
        """
        if phase not in self._policy.strata:
            return facts

        def recall(wanted: Sequence[Recalled], labels: tuple[str, ...], so_far: Facts) -> Facts:
            self.note(labels, so_far, now_us, attempt)
            return self._recalled(wanted, so_far, now_us, attempt)

        return recalled(self._policy, phase, facts, recall, found, decider)

    def noted(self, decision: Decision, facts: Facts, now_us: int, attempt: int = 0) -> None:
        """A phase was decided: the call earned its labels."""
        if decision.kept and self._policy.keeps:
            self.note((one.label for one in decision.annotations), facts, now_us, attempt)

    def note(self, labels: Iterable[str], facts: Facts, now_us: int, attempt: int = 0) -> None:
        """The call earned labels; those that nothing counts are passed over."""
        keeps = self._policy.keeps
        counted = [label for label in labels if label in keeps]
        if counted:
            fields = {label: self._kept(keeps[label], facts) for label in counted}
            earned = self.call.earns(counted, now_us, attempt, fields)
            if earned is not self.call:
                self.call = earned
                self._history.reserve(earned)

    def count(self, policy: str, state: State, now_us: int) -> int:
        """What a counting state of a policy measures; 0 where that cannot be told."""
        found = self._history.read(policy, state, Asking(call=self.call, now_us=now_us))
        return int(found) if isinstance(found, int) else 0

    def constraints(self) -> tuple[tuple[str, ...], ...]:
        """Allow-lists over targets that the states of machines impose; all must admit a target."""
        found: list[tuple[str, ...]] = []
        for one in self._policy.recalled:
            if isinstance(one.declared, Machine) and any(state.restrict_routes for state in one.declared.states):
                state = self._history.machine(one.policy, one.declared, self.call)
                found.extend(restrictions(one.declared, state))
        return tuple(found)

    def settle(self, now_us: int) -> CallEvents | None:
        """The call ended: its events for the receipt, None where it earned none. Put the receipt after this."""
        if not self.call.events:
            return None
        self.call = self._history.settle(self.call, now_us)
        return self.call

    def release(self) -> None:
        """The call leaves no trace."""
        self._history.release(self.call.receipt)

    def _recalled(self, wanted: Sequence[Recalled], facts: Facts, now_us: int, attempt: int) -> Facts:
        known: dict[str, Fact] = {}
        unavailable: dict[str, str] = {}
        for one in wanted:
            if isinstance(one.declared, Machine):
                value: Fact | Unavailable = self._history.machine(one.policy, one.declared, self.call)
            else:
                fields = self._kept(one.same, facts) if one.same else {}
                asking = Asking(call=self.call, now_us=now_us, attempt=attempt, fields=fields)
                value = self._history.read(one.policy, one.declared, asking)
            if isinstance(value, Unavailable):
                unavailable[one.field] = value.why
            else:
                known[one.field] = value
        return Facts(known, unavailable)

    def _kept(self, names: Iterable[str], facts: Facts) -> dict[str, Kept]:
        return {name: self._sealed(facts.known[name]) for name in names if name in facts.known}

    def _sealed(self, value: Fact) -> Kept:
        match value:
            case None | bool() | int():
                return value
            case str():
                return self._seal(value)
            case tuple():
                return self._seal(canonical.encode(value).decode())
