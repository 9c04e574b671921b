"""What rules read of budgets before a call and after it, and what a refused caller is told."""

from __future__ import annotations

from typing import Final

import msgspec
import pytest

from wardwright.contracts.budget import FACTS, Budget, Within
from wardwright.kernel.units import SECOND_US
from wardwright.limits.allowance import Amounts, Claims, Limit, limit_of
from wardwright.limits.budget_facts import facts_after, facts_before, record_of, refused
from wardwright.limits.budget_record import Refused
from wardwright.limits.budgets import Budgets, Crowded, Exceeded, Granted, Reservation, Unclaimed

NOON: Final = 1_700_000_000 * SECOND_US
SPEND: Final = Budget(name="spend", of="tokens", limit="1000", per="user", within=Within(age_s=3600), why="w")
ANN: Final = Claims(tenant="t", user="ann")
READS: Final = frozenset(f"budget.spend.{fact}" for fact in FACTS)


def limit(**changes: object) -> Limit:
    return limit_of("p", msgspec.structs.replace(SPEND, **changes))


def reserved(budgets: Budgets, asked: int) -> Reservation:
    outcome = budgets.reserve([limit()], ANN, Amounts(output_tokens=asked), NOON, NOON + SECOND_US)
    assert isinstance(outcome, Granted)
    return outcome.reservation


def test_before_a_call_what_is_in_flight_counts_as_used() -> None:
    budgets = Budgets()
    budgets.settle(reserved(budgets, 100), Amounts(output_tokens=100), NOON)
    reserved(budgets, 300)

    assert facts_before(budgets, [limit()], ANN, NOON, READS).known == {
        "budget.spend.used": 400,
        "budget.spend.left": 600,
        "budget.spend.share_ppm": 400_000,
        "budget.spend.before_ppm": 400_000,
    }


def test_after_a_call_only_what_ended_calls_used_counts() -> None:
    budgets = Budgets()
    first = budgets.settle(reserved(budgets, 500), Amounts(output_tokens=100), NOON)
    reserved(budgets, 300)

    assert facts_after(budgets, [limit()], ANN, first, NOON, READS).known == {
        "budget.spend.used": 100,
        "budget.spend.left": 900,
        "budget.spend.share_ppm": 100_000,
        "budget.spend.before_ppm": 0,
    }


def test_one_call_crosses_a_threshold_however_calls_interleave() -> None:
    budgets = Budgets()
    flying = [reserved(budgets, 100) for _ in range(10)]
    crossed = 0
    for reservation in flying:
        charges = budgets.settle(reservation, Amounts(output_tokens=90), NOON)
        known = facts_after(budgets, [limit()], ANN, charges, NOON, READS).known
        share, before = known["budget.spend.share_ppm"], known["budget.spend.before_ppm"]
        assert share is not None
        assert before is not None
        crossed += share >= 800_000 > before

    assert crossed == 1


def test_a_refused_call_reads_the_same_share_before_and_after_itself() -> None:
    budgets = Budgets()
    budgets.settle(reserved(budgets, 700), Amounts(output_tokens=700), NOON)
    known = facts_after(budgets, [limit()], ANN, (), NOON, READS).known

    assert known["budget.spend.share_ppm"] == known["budget.spend.before_ppm"] == 700_000


def test_usage_past_the_limit_leaves_nothing_and_a_share_past_the_whole() -> None:
    budgets = Budgets()
    budgets.settle(reserved(budgets, 1), Amounts(output_tokens=2500), NOON)
    known = facts_before(budgets, [limit()], ANN, NOON, READS).known

    assert (known["budget.spend.left"], known["budget.spend.share_ppm"]) == (0, 2_500_000)


def test_only_what_rules_read_is_looked_up() -> None:
    facts = facts_before(Budgets(), [limit()], ANN, NOON, frozenset({"budget.spend.left", "caller.user"}))

    assert facts.known == {"budget.spend.left": 1000}


@pytest.mark.parametrize("after", [False, True])
def test_a_claim_that_is_missing_makes_a_fact_absent_or_unavailable_as_declared(after: bool) -> None:
    nobody, reads = Claims(tenant="t"), frozenset({"budget.spend.used"})
    told = []
    for one in (limit(missing="skip"), limit()):
        if after:
            told.append(facts_after(Budgets(), [one], nobody, (), NOON, reads))
        else:
            told.append(facts_before(Budgets(), [one], nobody, NOON, reads))

    assert told[0].known == {"budget.spend.used": None}
    assert told[0].unavailable == {}
    assert told[1].known == {}
    assert told[1].unavailable == {"budget.spend.used": "counts by user, and the call names none"}


@pytest.mark.parametrize("after", [False, True])
def test_a_newcomer_that_cannot_be_told_from_others_has_no_facts(after: bool) -> None:
    budgets, told, bob = Budgets(claimants_max=1), limit(on_exceeded="fact"), Claims(tenant="t", user="bob")
    reserved(budgets, 1)
    outcome = budgets.reserve([told], bob, Amounts(output_tokens=1), NOON, NOON)
    assert isinstance(outcome, Granted)
    charges = budgets.settle(outcome.reservation, Amounts(output_tokens=1), NOON)
    if after:
        facts = facts_after(budgets, [told], bob, charges, NOON, READS)
    else:
        facts = facts_before(budgets, [told], bob, NOON, READS)

    assert facts.known == {}
    assert facts.unavailable == dict.fromkeys(READS, "cannot tell this user from others")


def test_a_caller_past_the_budget_is_told_when_to_come_back() -> None:
    budgets = Budgets()
    reserved(budgets, 1000)
    outcome = budgets.reserve([limit()], ANN, Amounts(), NOON, NOON)
    assert isinstance(outcome, Granted)
    refusal = budgets.reserve([limit()], ANN, Amounts(output_tokens=1), NOON, NOON)
    assert isinstance(refusal, Exceeded)
    error, wait = refused(refusal)

    assert (error.code, error.status, wait) == ("budget_exceeded", 429, 1)
    assert error.message == "the budget `p/spend` per user has no room for this call"
    assert error.worth_retrying(wait)


def test_a_caller_who_waits_longer_than_a_minute_is_told_not_to_retry_by_itself() -> None:
    budgets = Budgets()
    budgets.settle(reserved(budgets, 1000), Amounts(output_tokens=1000), NOON)
    refusal = budgets.reserve([limit()], ANN, Amounts(output_tokens=1), NOON, NOON)
    assert isinstance(refusal, Exceeded)
    error, wait = refused(refusal)

    assert wait is not None
    assert 3600 < wait <= 3600 + 60
    assert not error.worth_retrying(wait)


def test_a_call_larger_than_the_whole_budget_is_told_so() -> None:
    refusal = Budgets().reserve([limit()], ANN, Amounts(output_tokens=1001), NOON, NOON)
    assert isinstance(refusal, Exceeded)
    error, wait = refused(refusal)

    assert error.message == "the call may use more than the whole budget `p/spend` per user"
    assert not error.worth_retrying(wait)


def test_a_receipt_holds_what_a_refusal_rested_on() -> None:
    budgets = Budgets()
    budgets.settle(reserved(budgets, 600), Amounts(output_tokens=600), NOON)
    reserved(budgets, 300)
    refusal = budgets.reserve([limit()], ANN, Amounts(output_tokens=101), NOON, NOON)
    assert isinstance(refusal, Exceeded)
    record = record_of(refusal)

    assert (record.budget, record.reason) == ("p/spend", "exceeded")
    assert (record.used, record.reserved, record.asked, record.limit) == (600, 300, 101, 1000)
    assert record.retry_after_s == refused(refusal)[1] == 1


@pytest.mark.parametrize(("refusal", "reason"), [(Unclaimed(limit()), "unclaimed"), (Crowded(limit()), "crowded")])
def test_a_receipt_names_the_reason_where_no_amounts_were_weighed(refusal: Unclaimed | Crowded, reason: str) -> None:
    assert record_of(refusal) == Refused(budget="p/spend", reason=reason)  # type: ignore[arg-type]


def test_a_caller_without_the_claim_is_told_what_to_send() -> None:
    error, wait = refused(Unclaimed(limit()))

    assert (error.code, error.status, error.hint, wait) == (
        "budget_unclaimed",
        403,
        "send the user with the call",
        None,
    )
    assert not error.worth_retrying(wait)


def test_a_newcomer_without_room_may_come_again() -> None:
    error, wait = refused(Crowded(limit()))

    assert (error.code, error.worth_retrying(wait)) == ("overloaded", True)
