"""Limits that several workers keep together, under any order of what they do."""

from __future__ import annotations

from random import Random
from typing import Final

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from wardwright.kernel import canonical
from wardwright.kernel.units import SECOND_US
from wardwright.limits.allowance import Amounts, Claims, Limit
from wardwright.limits.budget_record import Snapshot
from wardwright.limits.budgets import Budgets, Exceeded, Granted, Reservation
from wardwright.limits.shares import IDLE_US, LOOK_US, Shares
from wardwright.limits.windows import DAY_US, Calendar, Rolling
from wardwright.testing.shares import MemoryShareStore

START: Final = 20_000 * DAY_US
SEEDS: Final = st.integers(0, 2**32)


def limit(name: str, amount: int, window: Rolling | Calendar, spelt: str) -> Limit:
    return Limit(
        amount=amount, blocks=True, declared=False, denies=True, fields=(), meter=f"p/{name}:tokens:user:{spelt}",
        name=f"p/{name}", of="tokens", per="user", window=window,
    )  # fmt: skip


LIMITS: Final = (limit("a", 60, Rolling(64), "64s"), limit("b", 90, Calendar("day"), "day"))


class Worker:
    def __init__(self, store: MemoryShareStore, number: int, count: int) -> None:
        self._place = (store, number, count)
        self.held: list[tuple[Reservation, int]] = []
        self.take(Budgets())

    def take(self, budgets: Budgets) -> None:
        self.budgets = budgets
        budgets.shares = Shares(*self._place)
        budgets.join()

    def restart(self) -> None:
        """End as a crash does, with what ended calls used in the journal."""
        self.held.clear()
        kept = canonical.encode(self.budgets.snapshot())
        self.take(Budgets.restored(msgspec.json.decode(kept, type=Snapshot)))


def together(workers: list[Worker], one: Limit, claims: Claims, now: int) -> int:
    """What all workers really hold, whatever they told each other."""
    total = 0
    for worker in workers:
        shares, worker.budgets.shares = worker.budgets.shares, None
        standing = worker.budgets.standing(one, claims, now)
        worker.budgets.shares = shares
        total += standing.used + standing.reserved  # type: ignore[union-attr]  # claims name a user
    return total


@given(SEEDS, st.sampled_from([1, 2, 3, 8]))
def test_workers_never_hold_more_than_the_limit_together(seed: int, count: int) -> None:
    luck, now = Random(seed), START
    store = MemoryShareStore()
    workers = [Worker(store, number, count) for number in range(count)]
    granted = 0
    for _ in range(luck.randint(10, 80)):
        worker = luck.choice(workers)
        claims = Claims(tenant="t", user=luck.choice("ab"))
        now += luck.choice([0, 0, SECOND_US // 3, SECOND_US, 7 * SECOND_US, 70 * SECOND_US])
        match luck.randrange(8):
            case 0 | 1 | 2 | 3:
                asked = luck.choice([1, 2, 10, 40])
                estimate = Amounts(output_tokens=asked)
                outcome = worker.budgets.reserve(LIMITS, claims, estimate, now, now + 1000 * SECOND_US)
                if isinstance(outcome, Granted):
                    granted += 1
                    worker.held.append((outcome.reservation, asked))
            case 4 | 5 if worker.held:
                reservation, asked = worker.held.pop(luck.randrange(len(worker.held)))
                worker.budgets.settle(reservation, Amounts(output_tokens=luck.randint(0, asked)), now)
            case 6:
                worker.budgets.share(now)
            case 7 if luck.random() < 0.2:
                worker.restart()
            case _:
                pass
        for one in LIMITS:
            for user in "ab":
                assert together(workers, one, Claims(tenant="t", user=user), now) <= one.amount
    assert granted


@given(SEEDS, st.sampled_from([2, 3, 8]))
def test_what_is_left_can_be_had_whole_by_any_worker_once_the_others_are_idle(seed: int, count: int) -> None:
    luck, now = Random(seed), START
    store = MemoryShareStore()
    workers = [Worker(store, number, count) for number in range(count)]
    day, ann = LIMITS[1], Claims(tenant="t", user="ann")
    used = 0
    for _ in range(luck.randint(0, 20)):
        budgets = luck.choice(workers).budgets
        outcome = budgets.reserve([day], ann, Amounts(output_tokens=2), now, now + SECOND_US)
        if isinstance(outcome, Granted):
            budgets.settle(outcome.reservation, Amounts(output_tokens=1), now)
            used += 1
    now += max(IDLE_US, LOOK_US)
    for worker in workers:
        worker.budgets.share(now)
    last = luck.choice(workers).budgets
    more = last.reserve([day], ann, Amounts(output_tokens=day.amount - used + 1), now, now + SECOND_US)
    assert isinstance(more, Exceeded)
    assert (more.used, more.reserved) == (used, 0)
    assert isinstance(last.reserve([day], ann, Amounts(output_tokens=day.amount - used), now, now + SECOND_US), Granted)


@given(SEEDS)
def test_a_thousand_calls_end_at_the_limit_however_they_fall_to_two_workers(seed: int) -> None:
    luck, now = Random(seed), START
    store = MemoryShareStore()
    workers = [Worker(store, number, 2) for number in range(2)]
    day, ann = LIMITS[1], Claims(tenant="t", user="ann")
    count = 0
    for number in range(1000):
        worker = workers[number % 2 if luck.random() < 0.5 else 0]
        outcome = worker.budgets.reserve([day], ann, Amounts(output_tokens=1), now, now + SECOND_US)
        count += isinstance(outcome, Granted)

    assert count == day.amount
