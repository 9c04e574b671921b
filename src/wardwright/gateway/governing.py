"""What the gateway does about decisions that come before and between attempts: where a call goes, and what it says.

Rule 1: a rule that refuses raises; whoever takes the call in turns that into a receipt.
Rule 2: a call is switched to another model once at most, and is then under the rules of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from wardwright.calls import receipt as rc
from wardwright.calls import refusals
from wardwright.calls.account import Account
from wardwright.calls.alerts import Alerts, alerts_of, full
from wardwright.calls.memory import Memory, Seal, call_events
from wardwright.calls.receipt import said
from wardwright.calls.rulings import Again, Rulings
from wardwright.contracts.policy import InjectReminder, SwitchModel, Transform
from wardwright.dialects.openai_request import Role
from wardwright.gateway import approving
from wardwright.gateway.catalog import Version
from wardwright.gateway.intake import Intake
from wardwright.journal.approvals import ApprovalDesk
from wardwright.kernel.errors import WardwrightError
from wardwright.kernel.ids import Clock
from wardwright.limits.allowance import Claims
from wardwright.limits.budget_facts import refused
from wardwright.limits.budgets import Budgets
from wardwright.limits.history import History
from wardwright.policy.decision import Decision
from wardwright.routing.conversation import SAID
from wardwright.routing.plan import Plan, RouteFacts
from wardwright.routing.planner import plan


class Surroundings(Protocol):
    """What rules need of the gateway that they govern."""

    alerts: Alerts | None
    approvals: ApprovalDesk | None
    budgets: Budgets
    calibrations_ppm: dict[str, int]
    clock: Clock
    history: History

    def seal(self, tenant: str) -> Seal:
        """The keyed digest under which texts of a tenant are remembered."""
        ...


def ruled_request(
    gateway: Surroundings, intake: Intake, version: Version, contract: rc.Contract, facts: RouteFacts
) -> tuple[Version, rc.Contract, RouteFacts]:
    """What serves the call, and the facts of its route, after the rules of the request phase have spoken.

    Raises `policy_blocked`, `policy_indeterminate`, `route_refused`, `alert_sink_full`, and where a rule wants approval
    what `gateway.approving.ask` raises.
    """
    calibrations = gateway.calibrations_ppm
    decision = _asked(gateway, intake, version, facts)
    switched = _switch(decision)
    if switched is not None and switched != contract.name:
        assert intake.rulings is not None
        intake.rulings.released()
        version = version.switches[switched]
        facts = intake.switched(version, calibrations, facts)
        assert intake.contract is not None
        contract = intake.contract
        decision = _asked(gateway, intake, version, facts)
        if _switch(decision) not in (None, switched):
            raise WardwrightError("route_refused", "rules switch this call from model to model")
    alert(gateway, intake)
    _refuse(gateway, intake, decision)
    added: list[tuple[Role, str]] = [
        (one.role, one.text) for one in decision.transforms if isinstance(one, InjectReminder)
    ]
    around = tuple(one for one in decision.transforms if isinstance(one, Transform))
    assert intake.rulings is not None
    constraints = (*decision.constraints, *intake.rulings.constraints)
    if added or around or constraints:
        facts = intake.amended(version, calibrations, facts, constraints=constraints, more=added, transforms=around)
    return version, contract, facts


def ruled_route(
    gateway: Surroundings, intake: Intake, version: Version, facts: RouteFacts, planned: Plan
) -> tuple[RouteFacts, Plan, WardwrightError | None]:
    """The plan after the rules of the route phase have spoken, and their refusal."""
    assert intake.rulings is not None
    decision = intake.rulings.route(planned, facts, gateway.clock.now_us())
    try:
        alert(gateway, intake)
        _refuse(gateway, intake, decision)
    except WardwrightError as refusal:
        return facts, planned, refusal
    if decision.constraints:
        facts = msgspec.structs.replace(facts, constraints=(*facts.constraints, *decision.constraints))
        planned = plan(version.route, facts)
    return facts, planned, None


def reminded(
    intake: Intake, version: Version, calibrations: Mapping[str, int], facts: RouteFacts, again: Again
) -> RouteFacts:
    """The facts of another attempt, which is told what rules found in the last one."""
    # A model that is shown its own beginning must not take it for one that it shall complete: a user's word follows.
    role: Role = "user" if again.kept else "system"
    more: list[tuple[Role, str]] = [("assistant", again.kept)] if again.kept else []
    more += [(role, reminder) for reminder in again.reminders]
    if again.prefix:
        more.append(("assistant", again.prefix))
    return intake.amended(version, calibrations, facts, constraints=again.constraints, more=more)


def reserved(
    gateway: Surroundings, intake: Intake, version: Version, facts: RouteFacts, planned: Plan, deadline_us: int
) -> tuple[WardwrightError | None, int | None]:
    """Reserve for one attempt in the budgets of the call: the refusal where one has no room, and when to come again."""
    account = None if intake.rulings is None else intake.rulings.account
    if account is None:
        return None, None
    refusal = account.reserve(
        facts,
        [terms.rates for terms in version.terms(planned) if terms.rates is not None],
        choices=intake.choices,
        deadline_us=deadline_us,
        error_ppm=0 if intake.estimate is None else intake.estimate.error_ppm,
        now_us=gateway.clock.now_us(),
    )
    return (None, None) if refusal is None else refused(refusal)


def _asked(gateway: Surroundings, intake: Intake, version: Version, facts: RouteFacts) -> Decision:
    governance = version.governance
    assert governance is not None
    account = None
    if governance.limits:
        account = Account(gateway.budgets, governance.limits, _claims(intake, version, facts))
    now_us = gateway.clock.now_us()
    memory = None
    if governance.looks_back:
        events = call_events(
            intake.receipt,
            intake.caller,
            governance.policy,
            model=version.contract.name,
            conversation=facts.conversation,
            source=intake.conversation_source,
            step=facts.step,
            turn=facts.turn,
        )
        memory = Memory(gateway.history, governance.policy, events, gateway.seal(intake.tenant))
    rulings = intake.rulings = Rulings(governance, intake.asked(facts), account=account, memory=memory, now_us=now_us)
    return rulings.request(now_us)


def alert(gateway: Surroundings, intake: Intake) -> None:
    """Tell whom the latest decisions want told. Raises `alert_sink_full` where nobody can be, and that must not be."""
    rulings = intake.rulings
    if rulings is None or gateway.alerts is None or intake.simulation:
        return
    assert intake.contract is not None
    refused = None
    for phase, decision in rulings.untold():
        for raised in alerts_of(
            decision,
            at=gateway.clock.now_us(),
            caller=intake.caller,
            model=intake.contract.name,
            phase=phase,
            receipt=intake.receipt,
            why_of=lambda name: rulings.governance.by_name[name].rule.why,
        ):
            outcome = gateway.alerts.raise_(raised)
            rulings.alerts.append(rc.Alerted(outcome=outcome, phase=phase, rule=raised.rule_name, sink=raised.sink))
            refused = raised if outcome == "refused" else refused
    if refused is not None:
        raise full(refused)


def _claims(intake: Intake, version: Version, facts: RouteFacts) -> Claims:
    """Whose call it is, for budgets."""
    caller, source = intake.caller, intake.conversation_source
    return Claims(
        tenant=caller.tenant.value,
        agent=said(caller.agent),
        application=said(caller.application),
        key=caller.key,
        model=version.contract.name,
        run=said(caller.run),
        session=None if source == "none" else facts.conversation,
        session_declared=source in SAID,
        user=said(caller.user),
    )


def _switch(decision: Decision) -> str | None:
    return next((one.action.model for one in decision.kept if isinstance(one.action, SwitchModel)), None)


def _refuse(gateway: Surroundings, intake: Intake, decision: Decision) -> None:
    match decision.effect:
        case "block":
            raise refusals.blocked(decision)
        case "require_approval":
            approving.ask(gateway.approvals, intake, decision, gateway.clock.now_us())
        case _:
            return
