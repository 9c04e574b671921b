"""Limits that several workers keep together: each fills its part, and their sum stays within."""

from __future__ import annotations

from parts.budgets import ANN, MINUTE, NOON, granted, limit, spent, tokens
from wardwright.kernel.units import SECOND_US
from wardwright.limits.budget_facts import record_of, refused
from wardwright.limits.budgets import Budgets, Exceeded, Granted, Held, Unshared
from wardwright.limits.shares import IDLE_US, LOOK_US, Shares
from wardwright.testing.shares import MemoryShareStore


def workers(count: int, store: MemoryShareStore | None = None) -> list[Budgets]:
    """Budgets of workers that share their limits, all of them joined."""
    store = store or MemoryShareStore()
    made = [Budgets() for _ in range(count)]
    for number, one in enumerate(made):
        one.shares = Shares(store, number, count)
        one.join()
    return made


def test_a_call_is_refused_when_workers_hold_the_limit_together() -> None:
    one, two = workers(2)
    spent(one, limit(), amount=60)
    one.share(NOON + IDLE_US)
    spent(two, limit(), amount=40, at=NOON + IDLE_US)
    outcome = two.reserve([limit()], ANN, tokens(1), NOON + IDLE_US, NOON + MINUTE)

    assert isinstance(outcome, Exceeded)
    assert (outcome.used, outcome.reserved) == (100, 0)
    assert outcome.retry_after_s == 64  # when the first slice leaves, whoever filled it


def test_what_a_worker_holds_ready_is_told_as_reserved_and_goes_back_when_it_is_idle() -> None:
    one, two = workers(2)
    spent(one, limit(), amount=1)  # and 24 more are lent to it
    one.share(NOON)
    refused_now = two.reserve([limit()], ANN, tokens(90), NOON, NOON + MINUTE)
    assert isinstance(refused_now, Exceeded)
    assert (refused_now.used, refused_now.reserved, refused_now.retry_after_s) == (1, 24, 1)

    one.share(NOON + IDLE_US)
    granted(two, limit(), asked=90, at=NOON + IDLE_US)


def test_a_worker_decides_alone_while_its_part_lasts() -> None:
    store = MemoryShareStore()
    one, _ = workers(2, store)
    granted(one, limit(), asked=1)
    store.broken = True

    for _ in range(24):
        granted(one, limit(), asked=1)
    assert isinstance(one.reserve([limit()], ANN, tokens(1), NOON, NOON + MINUTE), Unshared)


def test_nobody_lends_before_all_workers_have_told_what_they_used() -> None:
    store = MemoryShareStore()
    one, late = Budgets(), Budgets()
    one.shares, late.shares = Shares(store, 0, 2), Shares(store, 1, 2)
    spent_before = Budgets()
    spent(spent_before, limit(), amount=70)
    late = Budgets.restored(spent_before.snapshot())
    late.shares = Shares(store, 1, 2)
    one.join()
    outcome = one.reserve([limit()], ANN, tokens(1), NOON, NOON + MINUTE)

    assert isinstance(outcome, Unshared)
    assert record_of(outcome).reason == "unshared"
    assert refused(outcome)[0].code == "overloaded"
    late.join()
    assert isinstance(one.reserve([limit()], ANN, tokens(31), NOON, NOON + MINUTE), Exceeded)
    assert isinstance(one.reserve([limit()], ANN, tokens(30), NOON, NOON + MINUTE), Granted)


def test_rules_are_told_what_all_workers_used() -> None:
    one, two = workers(2)
    spent(one, limit(), amount=30)
    one.share(NOON)
    two.share(NOON)

    assert two.standing(limit(), ANN, NOON + LOOK_US) == Held(reserved=17, used=30)
    one.share(NOON + IDLE_US)
    assert two.standing(limit(), ANN, NOON + 2 * LOOK_US) == Held(reserved=0, used=30)
    (charge,) = spent(two, limit(), amount=5, at=NOON + 2 * LOOK_US)
    assert charge.used == 35


def test_what_others_used_leaves_with_the_window_though_they_say_nothing_more() -> None:
    one, two = workers(2)
    spent(one, limit(), amount=100)
    one.share(NOON + IDLE_US)
    later = NOON + 66 * SECOND_US

    assert two.standing(limit(), ANN, later - 2 * SECOND_US) == Held(reserved=0, used=100)
    granted(two, limit(), asked=100, at=later)
    assert isinstance(one.reserve([limit()], ANN, tokens(1), later, later + MINUTE), Exceeded)


def test_what_left_the_window_is_not_a_worker_s_own_any_more() -> None:
    one, two = workers(2)
    spent(one, limit(), amount=100)
    one.share(NOON)
    later = NOON + 66 * SECOND_US
    granted(two, limit(), asked=100, at=later)

    assert isinstance(one.reserve([limit()], ANN, tokens(1), later, later + MINUTE), Exceeded)


def test_what_a_worker_that_is_gone_used_counts_until_it_leaves_the_window() -> None:
    store = MemoryShareStore()
    *_, third = workers(3, store)
    spent(third, limit(), amount=60)
    third.share(NOON)
    one = Budgets()
    one.shares = Shares(store, 0, 1)
    one.join()

    assert isinstance(one.reserve([limit()], ANN, tokens(41), NOON, NOON + MINUTE), Exceeded)
    granted(one, limit(), asked=40)
    later = NOON + 66 * SECOND_US
    granted(one, limit(), asked=60, at=later)


def test_a_limit_that_was_lowered_lends_nothing_until_less_is_held() -> None:
    one, two = workers(2)
    granted(one, limit(100), asked=60)

    assert isinstance(two.reserve([limit(50)], ANN, tokens(1), NOON, NOON + MINUTE), Exceeded)
    assert isinstance(one.reserve([limit(50)], ANN, tokens(1), NOON, NOON + MINUTE), Exceeded)


def test_a_budget_that_blocks_nobody_is_told_over_all_workers_too() -> None:
    told = limit(10, blocks=False)
    one, two = workers(2)
    spent(one, told, amount=8)
    one.share(NOON)
    spent(two, told, amount=7)

    assert two.standing(told, ANN, NOON + LOOK_US) == Held(reserved=0, used=15)
