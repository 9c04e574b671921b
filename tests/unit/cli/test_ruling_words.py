"""What rules did, as text."""

from __future__ import annotations

import msgspec

from wardwright.calls.receipt import Caller, Client, Receipt, Replanned, Request, Timings
from wardwright.calls.ruling import Caught, Ruling
from wardwright.cli.ruling_words import ruled
from wardwright.contracts.policy import Action, Alert, Annotate, Block, RetryWithReminder
from wardwright.policy.decision import Decision, Proposal
from wardwright.routing.plan import Plan, RouteFacts

REMIND = RetryWithReminder(text="Use  the\nother.")
CAUGHT = Caught(action="retry", channel="text", end=9, released_chars=1, rule="p/r", start=4)


def proposal(action: Action, **members: str) -> Proposal:
    return msgspec.structs.replace(Proposal(action=Block(), policy="p", rule="r"), action=action, **members)


def lines(*rulings: Ruling, reminders: tuple[str, ...] = ()) -> list[str]:
    plan = Plan(attempts=())
    replans = (Replanned(after=1, facts=RouteFacts(), plan=plan, reminders=reminders),) if reminders else ()
    return list(
        ruled(
            Receipt(
                caller=Caller(),
                client=Client(),
                policy=rulings,
                receipt="rcp_x",
                replans=replans,
                request=Request(),
                started_at=0,
                status="completed",
                timings=Timings(total_us=1),
            )
        )
    )


def test_a_rule_is_told_once_with_all_that_it_did() -> None:
    kept = (proposal(Block()), proposal(Alert()), proposal(Annotate(label="x")), proposal(Annotate(label="x")))
    assert lines(Ruling(decision=Decision(kept=kept), phase="request")) == ["request: p/r: block, alert, annotate"]


def test_what_was_found_and_how_much_had_left_are_told_for_the_attempt() -> None:
    ruling = Ruling(attempt=1, caught=(CAUGHT, CAUGHT), decision=Decision(kept=(proposal(REMIND),)), phase="stream")
    assert lines(ruling, reminders=(REMIND.text,)) == [
        "stream, attempt 2: p/r: retry with reminder; found at 4-9 of the text, 1 character released, and 1 more",
        "reminded: Use the other.",
    ]


def test_rules_in_shadow_and_rules_that_could_not_be_told_say_so() -> None:
    decision = Decision(kept=(proposal(Block(), because="indeterminate"),), shadow=(proposal(Alert(), rule="s"),))
    assert lines(Ruling(decision=decision, phase="route")) == [
        "route: p/r: block (it could not be told)",
        "route: p/s, in shadow: alert",
    ]


def test_silent_rules_say_nothing() -> None:
    assert lines(Ruling(phase="request"), Ruling(phase="output", attempt=0)) == []
