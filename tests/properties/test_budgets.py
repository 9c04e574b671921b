"""Budgets against a naive model that keeps every call for ever, under any order of what can happen."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Final

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from wardwright.kernel import canonical
from wardwright.kernel.units import SECOND_US
from wardwright.kernel.usage import Rates, Usage, cost_nano_usd
from wardwright.limits.allowance import Amounts, Claims, Limit, upper_bound
from wardwright.limits.budget_record import Charge, Entry, Snapshot
from wardwright.limits.budgets import Budgets, Exceeded, Granted, Held, Reservation
from wardwright.limits.windows import DAY_US, Calendar, Rolling, Window, slice_at

START: Final = 20_000 * DAY_US + 12_345_678


def limit(name: str, amount: int, window: Window, meter: str, *, per: str, of: str, blocks: bool = True) -> Limit:
    return Limit(
        amount=amount, blocks=blocks, declared=False, denies=True, fields=(), meter=f"p/{name}:{of}:{per}:{meter}",
        name=f"p/{name}", of=of, per=per, window=window,  # type: ignore[arg-type]
    )  # fmt: skip


LIMITS: Final = (
    limit("minute", 50, Rolling(64), "64s", per="user", of="tokens"),
    limit("hour", 120, Rolling(3600), "3600s", per="tenant", of="tokens"),
    limit("day", 9, Calendar("day"), "day", per="user", of="requests"),
    limit("told", 20, Rolling(7), "7s", per="run", of="cost_usd", blocks=False),
)
CLAIMS: Final = tuple(Claims(tenant=tenant, run="r", user=user) for tenant in "st" for user in ("ann", "bob"))


class Call:
    """One granted call as the model knows it."""

    def __init__(self, limits: tuple[Limit, ...], claims: Claims, asked: Amounts, lapses_us: int) -> None:
        self.limits = limits
        self.claims = claims
        self.asked = asked
        self.lapses_us = lapses_us
        self.open = True
        self.ended_us = 0
        self.actual: Amounts | None = None

    def holds(self, limit: Limit, claims: Claims, at_us: int) -> tuple[int, int]:
        """What it has used and reserved of a budget at an instant."""
        if limit not in self.limits or (self.claims.tenant, self.claims.of(limit)) != (claims.tenant, claims.of(limit)):
            return 0, 0
        if self.open and at_us < self.lapses_us:
            return 0, self.asked.of(limit.of)
        if self.actual is not None and at_us < slice_at(limit.window, self.ended_us).leaves_us:
            return self.actual.of(limit.of), 0
        return 0, 0


def held(calls: list[Call], limit: Limit, claims: Claims, at_us: int) -> tuple[int, int]:
    pairs = [call.holds(limit, claims, at_us) for call in calls]
    return sum(used for used, _ in pairs), sum(reserved for _, reserved in pairs)


def grants(calls: list[Call], limits: tuple[Limit, ...], claims: Claims, asked: Amounts, at_us: int) -> bool:
    return all(sum(held(calls, one, claims, at_us)) + asked.of(one.of) <= one.amount for one in limits if one.blocks)


STEPS: Final = 120
SEEDS: Final = st.integers(0, 2**32)
WAITS_US: Final = (1, 999_999, SECOND_US, SECOND_US, 7_109_375, 40 * SECOND_US, 600 * SECOND_US, DAY_US // 3)


def some_amounts(luck: Random, most: int) -> Amounts:
    return Amounts(
        cost_usd=luck.randint(0, most), input_tokens=luck.randint(0, most), output_tokens=luck.randint(0, most)
    )


def walk(seed: int) -> Counter[str]:
    """One history of calls, with the ledger held against the model after every step; what was met on the way."""
    luck = Random(seed)
    budgets, now, met = Budgets(), START, Counter[str]()
    calls: list[Call] = []
    flying: list[tuple[Reservation, Call]] = []
    freed_us = START
    for _ in range(STEPS):
        step = luck.choices(["reserve", "settle", "release", "wait"], [8, 5, 1, 6])[0]
        index = luck.randrange(len(flying)) if flying else -1
        if step == "wait":
            now = max(now, freed_us - luck.randint(0, 1)) if luck.random() < 0.2 else now + luck.choice(WAITS_US)
        elif step == "reserve":
            some = tuple(luck.sample(LIMITS, luck.randint(1, len(LIMITS))))
            claims, asked = luck.choice(CLAIMS), some_amounts(luck, 30 if luck.random() < 0.1 else 9)
            deadline = now + luck.randint(-1, 200) * SECOND_US // 3
            outcome = budgets.reserve(some, claims, asked, now, deadline)
            if isinstance(outcome, Granted):
                met["granted"] += 1
                assert grants(calls, some, claims, asked, now)
                first = (now // SECOND_US + 1) * SECOND_US
                call = Call(some, claims, asked, max(-(-deadline // SECOND_US) * SECOND_US, first))
                calls.append(call)
                flying.append((outcome.reservation, call))
                for one in some:
                    assert not one.blocks or sum(held(calls, one, claims, now)) <= one.amount
            else:
                assert isinstance(outcome, Exceeded)
                assert not grants(calls, some, claims, asked, now)
                check_wait(calls, some, claims, asked, now, outcome)
                freed_us = outcome.frees_at_us or now
                met["never" if outcome.frees_at_us is None else f"exceeded {outcome.limit.name}"] += 1
        elif step == "settle" and flying:
            reservation, call = flying.pop(index)
            met["late" if now >= call.lapses_us else "settled"] += 1
            call.open, call.actual, call.ended_us = False, some_amounts(luck, 12), now
            budgets.settle(reservation, call.actual, now)
        elif flying:
            reservation, call = flying.pop(index)
            met["released"] += 1
            call.open = False
            budgets.release(reservation, now)
        for one in LIMITS:
            claims = luck.choice(CLAIMS)
            used, reserved = held(calls, one, claims, now)
            assert budgets.standing(one, claims, now) == Held(reserved=reserved, used=used)
    return met


def check_wait(
    calls: list[Call], some: tuple[Limit, ...], claims: Claims, asked: Amounts, now: int, told: Exceeded
) -> None:
    """The instant told is the first at which the same call would be granted if nothing else happened."""
    if told.frees_at_us is None:
        assert asked.of(told.limit.of) > told.limit.amount
        return
    assert told.frees_at_us > now
    assert now + (told.retry_after_s - 1) * SECOND_US < told.frees_at_us <= now + told.retry_after_s * SECOND_US
    assert grants(calls, some, claims, asked, told.frees_at_us)
    assert not grants(calls, some, claims, asked, told.frees_at_us - 1)


@given(SEEDS)
def test_budgets_grant_what_a_naive_model_grants_and_never_past_the_limit(seed: int) -> None:
    walk(seed)


def test_the_histories_meet_every_way_a_call_can_go() -> None:
    met = sum((walk(seed) for seed in range(20)), Counter[str]())

    assert set(met) == {
        "granted", "settled", "late", "released", "never", "exceeded p/minute", "exceeded p/hour", "exceeded p/day",
    }  # fmt: skip


# What a call may use at most

prices = st.integers(0, 10**12)
targets = st.lists(
    st.builds(Rates, cache_write=prices, cached_input=prices, input=prices, output=prices, reasoning=prices), min_size=1
)


@given(SEEDS, targets, st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 500_000), st.integers(1, 4))
def test_no_answer_within_the_estimate_costs_more_than_was_reserved(
    seed: int, rates: list[Rates], asked: int, answered: int, error_ppm: int, choices: int
) -> None:
    luck = Random(seed)
    bound = upper_bound(
        input_tokens=asked, error_ppm=error_ppm, output_tokens=answered, rates=rates, latency_ms=1, choices=choices
    )
    inputs = [luck.randint(0, asked + asked * error_ppm // 1_000_000) // 3 for _ in range(3)]
    outputs = [luck.randint(0, answered * choices) // 2 for _ in range(2)]
    usage = Usage(
        input=inputs[0], cached_input=inputs[1], cache_write=inputs[2], output=outputs[0], reasoning=outputs[1]
    )

    assert cost_nano_usd(usage, luck.choice(rates)) <= bound.cost_usd
    assert usage.input_total <= bound.input_tokens
    assert usage.output_total <= bound.output_tokens


# What is kept between runs

METERS: Final = ("p/a:tokens:user:64s", "p/b:requests:user:day", "p/c:cost_usd:user:month", "p/d:tokens:run:500s")


def some_journal(luck: Random) -> list[Entry]:
    """Receipts in the order of a journal: nearly that of their ends."""
    at, journal = START, []
    for number in range(luck.randint(0, 80)):
        at += luck.choice([0, SECOND_US // 3, SECOND_US, 20 * SECOND_US])
        charges = tuple(
            Charge(amount=luck.randint(0, 9), claim=luck.choice("abcdef"), meter=meter, used=None)
            for meter in luck.sample(METERS, luck.randint(0, 3))
        )
        at_us = at - luck.choice([0, 0, 2 * SECOND_US])
        journal.append(Entry(at_us=at_us, charges=charges, order=number + 1, tenant=luck.choice("st"), writer="w"))
    return journal


def folded(some: list[Entry], budgets: Budgets) -> Budgets:
    for entry in some:
        budgets.apply(entry)
    return budgets


@given(SEEDS, st.sampled_from([1, 3, 100]))
def test_a_snapshot_and_the_tail_give_what_the_whole_journal_gives(seed: int, claimants_max: int) -> None:
    luck = Random(seed)
    journal = some_journal(luck)
    cut = luck.randint(0, len(journal))
    kept = canonical.encode(folded(journal[:cut], Budgets(claimants_max)).snapshot())
    restored = Budgets.restored(msgspec.json.decode(kept, type=Snapshot), claimants_max)
    again = folded(journal[cut:], restored).snapshot()

    assert canonical.encode(again) == canonical.encode(folded(journal, Budgets(claimants_max)).snapshot())


@given(SEEDS)
def test_a_receipt_told_again_counts_once(seed: int) -> None:
    luck = Random(seed)
    journal = some_journal(luck)
    cut = luck.randint(0, len(journal))
    again = journal[:cut] + journal[luck.randint(0, cut) :]

    assert folded(again, Budgets()).snapshot() == folded(journal, Budgets()).snapshot()


@given(SEEDS, st.sampled_from([1, 2, 3]))
def test_what_is_kept_stays_bounded_and_nobody_is_told_too_little(seed: int, claimants_max: int) -> None:
    small, large = Budgets(claimants_max), Budgets()
    meter = limit("a", 100, Rolling(64), "64s", per="user", of="tokens")
    for entry in some_journal(Random(seed)):
        small.apply(entry)
        large.apply(entry)
        for claim in "abcdef":
            claims = Claims(tenant=entry.tenant, user=claim)
            told = small.standing(meter, claims, entry.at_us)
            if isinstance(told, Held):
                assert told == large.standing(meter, claims, entry.at_us)
        assert len(small.snapshot().kept) <= claimants_max * len("st") * len(METERS)
