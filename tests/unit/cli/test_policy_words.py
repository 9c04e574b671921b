"""What rules decided, in the words of a receipt."""

from __future__ import annotations

import msgspec
import pytest

from parts import governed_past
from wardwright.calls.receipt import Alerted, Receipt
from wardwright.cli.policy_words import REMINDER_CHARS_MAX, beside, decided, gave_up, refused, ruled
from wardwright.limits.budget_record import Refused


@pytest.fixture(scope="module")
def receipts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Receipt, ...]:
    return governed_past.play(tmp_path_factory.mktemp("past"))


def test_each_rule_that_was_not_silent_has_a_line_in_the_order_of_the_call(receipts: tuple[Receipt, ...]) -> None:
    first, second, third = decided(receipts[0])
    assert (
        first
        == "stream of attempt 1: desk/old-client: retry with reminder; found at 9-19 of the text, nothing released"
    )
    found = "found at 19-24 of the text, nothing released"
    assert second == f"stream of attempt 2: desk/watch-tokens: would have, in shadow: block; {found}"
    assert third == "reminded after attempt 1: Use NewClient."


def test_an_attempt_that_rules_gave_up_says_which_and_what_followed(receipts: tuple[Receipt, ...]) -> None:
    assert gave_up(receipts[0]) == {0: "stopped by desk/old-client, asked again"}
    assert gave_up(receipts[2]) == {}


def test_a_call_refused_before_anybody_was_asked_names_its_rule(receipts: tuple[Receipt, ...]) -> None:
    assert refused(receipts[1]) == "refused by desk/no-night-owls"
    assert refused(receipts[0]) is None


def test_rules_that_were_silent_are_told_in_one_line(receipts: tuple[Receipt, ...]) -> None:
    silent = msgspec.structs.replace(receipts[0], policy=(), replans=())
    assert list(ruled(silent)) == ["policy    desk: every rule was silent"]


def test_a_call_without_policies_says_nothing_of_rules(receipts: tuple[Receipt, ...]) -> None:
    contract = receipts[0].contract
    assert contract is not None
    ungoverned = msgspec.structs.replace(receipts[0], contract=msgspec.structs.replace(contract, policies=()))
    assert list(ruled(ungoverned)) == []


def test_a_long_reminder_is_cut_to_a_line(receipts: tuple[Receipt, ...]) -> None:
    (replanned,) = receipts[0].replans
    long = msgspec.structs.replace(replanned, reminders=("word\n" * 200,))
    line = decided(msgspec.structs.replace(receipts[0], replans=(long,)))[-1]
    assert "\n" not in line
    assert len(line) < REMINDER_CHARS_MAX + 60


def test_budgets_approvals_and_alerts_are_told_beside_the_rules(receipts: tuple[Receipt, ...]) -> None:
    receipt = msgspec.structs.replace(
        receipts[1],
        alerts=(Alerted(outcome="dead_lettered", phase="request", rule="desk/x", sink="security"),),
        approval="apr_1",
        budget_refused=Refused(asked=20, budget="desk/day", limit=1000, reason="exceeded", reserved=90, used=900),
    )
    amounts = "900 used, 90 reserved by calls in flight, 20 asked for, of 1,000"
    assert list(beside(receipt)) == [
        f"budget desk/day refused: the limit would be passed ({amounts})",
        "the approval apr_1 was used up",
        "request: desk/x told `security`: dead lettered",
    ]
