"""Budgets: granted within the limit, refused past it, settled, released, lapsed, kept between runs."""

from __future__ import annotations

import gc

import msgspec
import pytest

from parts.budgets import ANN, BOB, MINUTE, NOON, exceeded, granted, limit, spent, tokens
from wardwright.kernel import canonical
from wardwright.kernel.units import SECOND_US
from wardwright.limits.allowance import Claims, Limit
from wardwright.limits.budget_record import Charge, Entry, Snapshot
from wardwright.limits.budgets import (
    RESERVATION_S_MAX,
    RETRY_AFTER_S_MAX,
    Budgets,
    Crowded,
    Granted,
    Held,
    Unclaimed,
)
from wardwright.limits.ledger import Ledger
from wardwright.limits.windows import DAY_US

# Granting


def test_calls_in_flight_do_not_pass_the_limit_together() -> None:
    budgets = Budgets()
    for _ in range(10):
        granted(budgets, limit(100))

    assert exceeded(budgets, limit(100), asked=1).reserved == 100


def test_a_thousand_calls_at_once_end_at_the_limit() -> None:
    budgets = Budgets()
    outcomes = [budgets.reserve([limit(777)], ANN, tokens(1), NOON, NOON + MINUTE) for _ in range(1000)]

    assert sum(isinstance(outcome, Granted) for outcome in outcomes) == 777


def test_what_was_not_used_is_free_again_once_settled() -> None:
    budgets = Budgets()
    budgets.settle(granted(budgets, limit(100), asked=100), tokens(40), NOON)

    assert isinstance(budgets.reserve([limit(100)], ANN, tokens(60), NOON, NOON), Granted)
    assert exceeded(budgets, limit(100), asked=1).used == 40


def test_what_was_used_past_the_reservation_counts_whole() -> None:
    budgets = Budgets()
    budgets.settle(granted(budgets, limit(100), asked=10), tokens(250), NOON)

    assert exceeded(budgets, limit(100), asked=0).used == 250


def test_a_released_reservation_counts_nothing() -> None:
    budgets = Budgets()
    budgets.release(granted(budgets, limit(100), asked=100), NOON)

    assert budgets.standing(limit(100), ANN, NOON) == Held(reserved=0, used=0)


def test_a_reservation_is_settled_once() -> None:
    budgets = Budgets()
    reservation = granted(budgets, limit())
    first, second = (budgets.settle(reservation, tokens(10), NOON) for _ in range(2))
    budgets.release(reservation, NOON)

    assert (len(first), second) == (1, ())
    assert budgets.standing(limit(), ANN, NOON) == Held(reserved=0, used=10)


def test_a_call_that_one_budget_refuses_reserves_nothing_of_the_others() -> None:
    budgets = Budgets()
    wide, narrow = limit(100, name="a"), limit(5, name="b")

    assert exceeded(budgets, wide, narrow).limit == narrow
    assert budgets.standing(wide, ANN, NOON) == Held(reserved=0, used=0)


def test_a_budget_that_only_tells_refuses_nobody_and_counts_all_the_same() -> None:
    budgets = Budgets()
    told = limit(5, blocks=False)
    granted(budgets, told, asked=50)

    assert budgets.standing(told, ANN, NOON) == Held(reserved=50, used=0)


def test_a_changed_limit_keeps_what_was_used() -> None:
    budgets = Budgets()
    spent(budgets, limit(100), amount=90)

    assert exceeded(budgets, limit(95)).used == 90


# Whose usage


@pytest.mark.parametrize("other", [BOB, Claims(tenant="other", user="ann")])
def test_claimants_do_not_use_up_each_other(other: Claims) -> None:
    budgets = Budgets()
    spent(budgets, limit(10), amount=10)

    assert isinstance(budgets.reserve([limit(10)], other, tokens(10), NOON, NOON), Granted)


def test_a_budget_per_tenant_counts_everybody_of_it() -> None:
    budgets = Budgets()
    spent(budgets, limit(10, per="tenant"), claims=BOB)

    assert exceeded(budgets, limit(10, per="tenant"), claims=ANN).used == 10


def test_a_call_without_the_claim_is_refused_by_a_budget_that_denies() -> None:
    asked = limit()

    assert Budgets().reserve([asked], Claims(tenant="t"), tokens(1), NOON, NOON) == Unclaimed(asked)


@pytest.mark.parametrize("lenient", [limit(1, denies=False), limit(1, blocks=False)])
def test_a_call_without_the_claim_passes_the_other_budgets_uncounted(lenient: Limit) -> None:
    outcome = Budgets().reserve([lenient], Claims(tenant="t"), tokens(9), NOON, NOON)

    assert isinstance(outcome, Granted)
    assert outcome.reservation.parts == []


# Time


def test_usage_is_free_again_when_it_has_left_the_window() -> None:
    budgets = Budgets()
    spent(budgets, limit(10))
    refusal = exceeded(budgets, limit(10))

    assert refusal.frees_at_us == NOON + 65 * SECOND_US
    assert refusal.retry_after_s == 65
    exceeded(budgets, limit(10), at=NOON + 65 * SECOND_US - 1)
    granted(budgets, limit(10), at=NOON + 65 * SECOND_US)


def test_the_wait_ends_as_soon_as_enough_has_left() -> None:
    budgets = Budgets()
    for second in range(3):
        spent(budgets, limit(30), at=NOON + second * SECOND_US)

    assert exceeded(budgets, limit(30), asked=15, at=NOON + 3 * SECOND_US).retry_after_s == 65 + 1 - 3


def test_a_calendar_budget_is_free_again_at_midnight() -> None:
    budgets = Budgets()
    daily = limit(10, calendar="day")
    spent(budgets, daily)

    assert exceeded(budgets, daily).retry_after_s == 12 * 3600
    granted(budgets, daily, at=NOON + DAY_US // 2)


def test_a_call_that_no_wait_lets_through_is_told_the_longest_wait() -> None:
    refusal = exceeded(Budgets(), limit(10), asked=11)

    assert (refusal.frees_at_us, refusal.retry_after_s) == (None, RETRY_AFTER_S_MAX)


def test_of_several_refusals_the_longest_wait_is_told() -> None:
    budgets = Budgets()
    short, long = limit(10, name="a"), limit(10, name="b", age_s=640)
    spent(budgets, short, long)

    assert exceeded(budgets, short, long).limit == long
    assert exceeded(budgets, long, short).limit == long


def test_a_reservation_that_nobody_settles_lapses_with_its_deadline() -> None:
    budgets = Budgets()
    granted(budgets, limit(10))

    assert exceeded(budgets, limit(10)).frees_at_us == NOON + MINUTE
    exceeded(budgets, limit(10), at=NOON + MINUTE - 1)
    granted(budgets, limit(10), at=NOON + MINUTE)


def test_no_deadline_keeps_a_reservation_for_ever() -> None:
    budgets = Budgets()
    budgets.reserve([limit(10)], ANN, tokens(10), NOON, NOON + 400 * DAY_US)

    granted(budgets, limit(10), at=NOON + (RESERVATION_S_MAX + 1) * SECOND_US)


def test_a_call_that_ends_after_its_reservation_lapsed_counts_all_the_same() -> None:
    budgets = Budgets()
    late = granted(budgets, limit(100), asked=10)
    budgets.settle(late, tokens(30), NOON + 2 * MINUTE)

    assert budgets.standing(limit(100), ANN, NOON + 2 * MINUTE) == Held(reserved=0, used=30)


def test_a_clock_that_runs_backwards_frees_nothing() -> None:
    budgets = Budgets()
    spent(budgets, limit(10), at=NOON)

    assert exceeded(budgets, limit(10), at=NOON - DAY_US).retry_after_s == 65


# Bounds


def user(number: int) -> Claims:
    return Claims(tenant="t", user=f"u{number}")


def test_a_newcomer_is_refused_where_all_claimants_have_usage() -> None:
    budgets = Budgets(claimants_max=3)
    for number in range(3):
        spent(budgets, limit(), claims=user(number))

    assert budgets.reserve([limit()], user(3), tokens(1), NOON, NOON) == Crowded(limit())
    assert budgets.standing(limit(), user(3), NOON) == Crowded(limit())
    spent(budgets, limit(), claims=user(0))


def test_claimants_of_another_tenant_take_no_room() -> None:
    budgets = Budgets(claimants_max=1)
    spent(budgets, limit(), claims=Claims(tenant="noisy", user="u"))

    spent(budgets, limit(), claims=ANN)


def test_claimants_whose_usage_has_left_make_room() -> None:
    budgets = Budgets(claimants_max=3)
    for number in range(3):
        spent(budgets, limit(), claims=user(number))
    spent(budgets, limit(), claims=user(3), at=NOON + 65 * SECOND_US)

    assert [kept.claim for kept in budgets.snapshot().kept] == [user(3).user]


def test_a_released_reservation_makes_room_at_once() -> None:
    budgets = Budgets(claimants_max=1)
    reservation = granted(budgets, limit(), claims=user(0))
    assert budgets.reserve([limit()], user(1), tokens(1), NOON, NOON) == Crowded(limit())
    budgets.release(reservation, NOON)

    granted(budgets, limit(), claims=user(1))


def test_who_used_something_that_found_no_room_is_refused_until_it_would_have_left() -> None:
    budgets = Budgets(claimants_max=1)
    told = limit(blocks=False)
    spent(budgets, told, claims=user(0))
    (missed,) = spent(budgets, told, claims=user(1), at=NOON + 10 * SECOND_US)
    soon, later = NOON + 66 * SECOND_US, NOON + 75 * SECOND_US

    assert missed.used is None
    assert budgets.standing(told, user(1), soon) == Crowded(told)
    assert budgets.standing(told, user(1), later) == Held(reserved=0, used=0)


def test_a_claimant_that_returns_while_usage_is_missing_is_a_newcomer_with_a_restart_or_without() -> None:
    budgets = Budgets(claimants_max=2)
    told = limit(blocks=False)
    for number, second in enumerate((0, 30, 40)):
        spent(budgets, told, claims=user(number), at=NOON + second * SECOND_US)
    back = NOON + 70 * SECOND_US
    restored = Budgets.restored(budgets.snapshot(), 2)

    for one in (budgets, restored):
        spent(one, told, claims=user(0), at=back)
        assert one.standing(told, user(0), back) == Crowded(told)
    assert restored.snapshot() == budgets.snapshot()


def test_a_late_call_whose_claimant_was_dropped_counts_again() -> None:
    budgets = Budgets(claimants_max=1)
    late = granted(budgets, limit(100), claims=user(0))
    after = NOON + 2 * MINUTE
    spent(budgets, limit(100), claims=user(1), amount=0, at=after)
    budgets.settle(late, tokens(30), after)

    assert budgets.standing(limit(100), user(0), after) == Held(reserved=0, used=30)


def test_a_call_counts_though_its_ledger_was_dropped_as_idle_meanwhile() -> None:
    budgets = Budgets()
    free = granted(budgets, limit(100), asked=0)
    for number in range(100):
        granted(budgets, limit(name=f"other{number}"), asked=0)
    budgets.settle(free, tokens(30), NOON)

    assert budgets.standing(limit(100), ANN, NOON) == Held(reserved=0, used=30)


def ledgers() -> int:
    """How many there are in this process."""
    gc.collect()
    return sum(isinstance(one, Ledger) for one in gc.get_objects())


def test_ledgers_of_budgets_that_are_gone_are_dropped() -> None:
    before, budgets = ledgers(), Budgets()
    for number in range(1000):
        spent(budgets, limit(name=f"b{number}"), at=NOON + number * MINUTE)

    assert ledgers() - before <= 64


# Between runs


def test_a_snapshot_is_canonical_and_reads_back() -> None:
    budgets = Budgets(claimants_max=2)
    for number in range(3):
        spent(budgets, limit(blocks=False), limit(name="c", calendar="month"), claims=user(number % 2))
    spent(budgets, limit(blocks=False), claims=user(7))
    snapshot = budgets.snapshot()
    data = canonical.encode(snapshot)
    canonical.require(snapshot)

    assert snapshot.missed
    assert msgspec.json.decode(data, type=Snapshot) == snapshot
    assert canonical.encode(Budgets.restored(snapshot, 2).snapshot()) == data


def test_receipts_told_again_give_what_the_calls_gave() -> None:
    live, again = Budgets(writer="w"), Budgets()
    for number in range(20):
        at = NOON + number * 7 * SECOND_US
        charges = spent(live, limit(1000), limit(1000, name="c", calendar="day"), claims=user(number % 3), at=at)
        again.apply(Entry(at_us=at, charges=charges, order=number + 1, tenant="t", writer="w"))

    assert again.snapshot() == live.snapshot()


def test_a_receipt_from_before_the_window_counts_nothing() -> None:
    budgets = Budgets()
    (charge,) = spent(budgets, limit())
    budgets.apply(Entry(at_us=NOON - DAY_US, charges=(charge,), order=9, tenant="t", writer="w"))

    assert budgets.standing(limit(), ANN, NOON) == Held(reserved=0, used=10)


def test_a_meter_that_this_build_cannot_read_is_left_out() -> None:
    budgets = Budgets()
    charge = Charge(amount=1, claim="c", meter="p/b:x:y:week", used=1)
    budgets.apply(Entry(at_us=NOON, charges=(charge,), order=1, tenant="t", writer="w"))

    assert budgets.snapshot().kept == ()


def test_a_snapshot_of_another_format_restores_nothing() -> None:
    budgets = Budgets()
    spent(budgets, limit())
    later = msgspec.structs.replace(budgets.snapshot(), format=1)

    assert Budgets.restored(later).snapshot() == Budgets().snapshot()


def test_what_is_in_flight_is_not_kept_between_runs() -> None:
    budgets = Budgets()
    granted(budgets, limit())

    assert budgets.snapshot().kept == ()


def test_usage_kept_between_runs_still_limits() -> None:
    budgets = Budgets()
    spent(budgets, limit(10))

    assert exceeded(Budgets.restored(budgets.snapshot()), limit(10)).retry_after_s == 65
