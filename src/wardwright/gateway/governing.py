"""What the gateway does about decisions that come before and between attempts: where a call goes, and what it says.

Rule 1: a rule that refuses raises; whoever takes the call in turns that into a receipt.
Rule 2: a call is switched to another model once at most, and is then under the rules of both.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from wardwright.calls import receipt as rc
from wardwright.calls import refusals
from wardwright.calls.rulings import Again, Rulings
from wardwright.contracts.policy import InjectReminder, SwitchModel, Transform
from wardwright.dialects.openai_request import Role
from wardwright.gateway.catalog import Version
from wardwright.gateway.intake import Intake
from wardwright.kernel.errors import WardwrightError
from wardwright.policy.decision import Decision
from wardwright.routing.plan import Plan, RouteFacts
from wardwright.routing.planner import plan


def ruled_request(
    intake: Intake, version: Version, contract: rc.Contract, facts: RouteFacts, calibrations: Mapping[str, int]
) -> tuple[Version, rc.Contract, RouteFacts]:
    """What serves the call, and the facts of its route, after the rules of the request phase have spoken.

    Raises `policy_blocked`, `policy_indeterminate`, `route_refused`.
    """
    decision = _asked(intake, version, facts)
    switched = _switch(decision)
    if switched is not None and switched != contract.name:
        version = version.switches[switched]
        facts = intake.switched(version, calibrations, facts)
        assert intake.contract is not None
        contract = intake.contract
        decision = _asked(intake, version, facts)
        if _switch(decision) not in (None, switched):
            raise WardwrightError("route_refused", "rules switch this call from model to model")
    _refuse(decision)
    added: list[tuple[Role, str]] = [
        (one.role, one.text) for one in decision.transforms if isinstance(one, InjectReminder)
    ]
    around = tuple(one for one in decision.transforms if isinstance(one, Transform))
    if added or around or decision.constraints:
        facts = intake.amended(
            version, calibrations, facts, constraints=decision.constraints, more=added, transforms=around
        )
    return version, contract, facts


def ruled_route(
    version: Version, facts: RouteFacts, planned: Plan, rulings: Rulings
) -> tuple[RouteFacts, Plan, WardwrightError | None]:
    """The plan after the rules of the route phase have spoken, and their refusal."""
    decision = rulings.route(planned, facts)
    try:
        _refuse(decision)
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
    return intake.amended(version, calibrations, facts, constraints=again.constraints, more=more)


def _asked(intake: Intake, version: Version, facts: RouteFacts) -> Decision:
    assert version.governance is not None
    rulings = intake.rulings = Rulings(version.governance, intake.asked(facts))
    return rulings.request()


def _switch(decision: Decision) -> str | None:
    return next((one.action.model for one in decision.kept if isinstance(one.action, SwitchModel)), None)


def _refuse(decision: Decision) -> None:
    if decision.effect == "block":
        raise refusals.blocked(decision)
