"""What a call is taken to use at most, whose it is, and what a meter counts."""

from __future__ import annotations

import msgspec
import pytest

from wardwright.contracts.budget import Budget, Declared, Within
from wardwright.kernel.canonical import INTEGER_MAX
from wardwright.kernel.usage import Rates, Usage
from wardwright.limits.allowance import Amounts, Claims, limit_of, limits_of, upper_bound, used

CHEAP = Rates(input=1_000_000, cached_input=100_000, cache_write=1_250_000, output=4_000_000, reasoning=0)
DEAR = Rates(input=3_000_000, cached_input=300_000, cache_write=0, output=15_000_000, reasoning=20_000_000)
BUDGET = Budget(name="spend", of="cost_usd", limit="25", per="user", within=Within(age_s=86_400), why="w")


def test_the_dearest_target_prices_the_estimate() -> None:
    bound = upper_bound(input_tokens=1000, error_ppm=0, output_tokens=100, rates=[CHEAP, DEAR], latency_ms=1)

    assert bound.cost_usd == 1000 * 3 + 100 * 20


def test_the_dearest_class_of_input_prices_all_of_it() -> None:
    assert upper_bound(input_tokens=8, error_ppm=0, output_tokens=0, rates=[CHEAP], latency_ms=1).cost_usd == 10


def test_the_upper_band_of_the_estimate_counts_rounded_up() -> None:
    assert upper_bound(input_tokens=11, error_ppm=100_000, output_tokens=0, rates=[], latency_ms=1).input_tokens == 13


def test_every_choice_has_the_whole_output_budget() -> None:
    bound = upper_bound(input_tokens=1, error_ppm=0, output_tokens=50, rates=[], latency_ms=1, choices=3)

    assert bound.output_tokens == 150


def test_attempts_multiply_tokens_and_cost_and_neither_latency_nor_requests() -> None:
    bound = upper_bound(input_tokens=8, error_ppm=0, output_tokens=1, rates=[CHEAP], latency_ms=7, attempts=2)

    assert bound == Amounts(cost_usd=28, input_tokens=16, latency_ms=7, output_tokens=2, requests=1)


def test_targets_without_prices_cost_nothing() -> None:
    assert upper_bound(input_tokens=8, error_ppm=0, output_tokens=1, rates=[], latency_ms=7).cost_usd == 0


def test_usage_counts_cached_input_and_reasoning_too() -> None:
    usage = Usage(input=5, cached_input=3, cache_write=2, output=7, reasoning=4)

    assert used(usage, 99, 1_001) == Amounts(cost_usd=99, input_tokens=10, latency_ms=2, output_tokens=11)
    assert used(usage, 99, 1_001).of("tokens") == 21


def test_an_amount_past_what_receipts_hold_counts_as_the_most_they_hold() -> None:
    assert Amounts(cost_usd=INTEGER_MAX + 1).of("cost_usd") == INTEGER_MAX


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"limit": "30"}, True),
        ({"on_exceeded": "fact"}, True),
        ({"missing": "skip"}, True),
        ({"of": "tokens"}, False),
        ({"per": "agent"}, False),
        ({"within": Within(calendar="day")}, False),
    ],
)
def test_a_budget_keeps_its_past_unless_it_counts_something_else(change: dict[str, object], same: bool) -> None:
    changed = msgspec.structs.replace(BUDGET, **change)

    assert (limit_of("p", changed).meter == limit_of("p", BUDGET).meter) is same


def test_limits_stand_by_name() -> None:
    other = msgspec.structs.replace(BUDGET, name="calls")

    assert [one.name for one in limits_of([Declared("p", BUDGET), Declared("p", other)])] == ["p/calls", "p/spend"]


def test_a_derived_session_is_none_where_a_declared_one_is_wanted() -> None:
    limit = limit_of("p", msgspec.structs.replace(BUDGET, per="session", session="declared"))

    assert Claims(tenant="t", session="s").of(limit) is None
    assert Claims(tenant="t", session="s", session_declared=True).of(limit) == "s"
