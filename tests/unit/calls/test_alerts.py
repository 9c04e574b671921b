"""From a decision to the alerts that it raises."""

from __future__ import annotations

from wardwright.calls.alerts import alerts_of, full
from wardwright.calls.receipt import Caller, Sourced
from wardwright.contracts.policy import Alert, Annotate
from wardwright.policy.decision import Decision, Proposal

CALLER = Caller(tenant=Sourced("trusted_auth", "acme"))


def proposal(rule: str, **alert: str) -> Proposal:
    return Proposal(action=Alert(**alert), policy="desk-rules", rule=rule)  # type: ignore[arg-type]


def test_every_alert_that_a_decision_keeps_is_raised_with_the_reason_of_its_rule() -> None:
    decision = Decision(
        kept=(
            proposal("costly", message="Much.", severity="critical", sink="sec"),
            Proposal(action=Annotate(label="loud"), policy="desk-rules", rule="costly"),
            proposal("long"),
        ),
        lost=(proposal("lost"),),
        shadow=(proposal("shadowed"),),
    )
    raised = alerts_of(
        decision,
        at=5,
        caller=CALLER,
        model="coding",
        phase="request",
        receipt="rcp_1",
        why_of={"desk-rules/costly": "Money.", "desk-rules/long": "Time."}.__getitem__,
    )
    assert [(one.rule, one.sink, one.severity, one.message, one.why) for one in raised] == [
        ("costly", "sec", "critical", "Much.", "Money."),
        ("long", "default", "warning", "", "Time."),
    ]
    assert {(one.at, one.caller, one.model, one.phase, one.policy, one.receipt) for one in raised} == {
        (5, CALLER, "coding", "request", "desk-rules", "rcp_1")
    }


def test_a_caller_whose_alert_found_no_room_is_told_the_rule_and_no_sink() -> None:
    decision = Decision(kept=(proposal("costly", sink="sec"),))
    (alert,) = alerts_of(
        decision, at=5, caller=CALLER, model="coding", phase="request", receipt="rcp_1", why_of=lambda name: name
    )
    refusal = full(alert)
    assert (refusal.code, refusal.status, "sec" in refusal.message) == ("alert_sink_full", 429, False)
    assert "desk-rules/costly" in refusal.message
