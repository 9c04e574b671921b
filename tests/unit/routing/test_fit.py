from __future__ import annotations

import pytest

from wardwright.contracts.model import Capability, Target, Tokens
from wardwright.routing.fit import Hindrance, candidate, hindrance, needs, ppm
from wardwright.routing.plan import RouteFacts


def out(target: Target, facts: RouteFacts) -> Hindrance | None:
    one = candidate(0, "m", target)
    return hindrance(one, needs(one, facts), facts)


def target(
    window: int = 1000,
    *,
    margin: str = "1",
    fraction: str = "1",
    output_max: int | None = None,
    capabilities: tuple[Capability, ...] | None = None,
) -> Target:
    return Target(
        name="t",
        provider="p",
        model="x",
        context_window=window,
        tokens=Tokens(margin=margin),
        capacity_fraction=fraction,
        output_max=output_max,
        capabilities=capabilities,
    )


@pytest.mark.parametrize(
    ("decimal", "down", "up"),
    [
        ("1", 1_000_000, 1_000_000),
        ("0.85", 850_000, 850_000),
        ("1.1", 1_100_000, 1_100_000),
        ("0.3333333", 333_333, 333_334),
    ],
)
def test_decimals_become_parts_per_million_without_floats(decimal: str, down: int, up: int) -> None:
    assert (ppm(decimal), ppm(decimal, up=True)) == (down, up)


def test_the_need_is_the_input_with_its_margin_rounded_up_and_the_output_budget() -> None:
    one = candidate(0, "m", target(margin="1.1"))
    assert needs(one, RouteFacts(input_tokens=101, output_tokens=50)) == 112 + 50


def test_the_output_budget_is_never_more_than_the_target_can_write() -> None:
    facts = RouteFacts(input_tokens=100, output_tokens=5000)
    assert needs(candidate(0, "m", target(output_max=64)), facts) == 164


@pytest.mark.parametrize(("input_tokens", "fits"), [(799, True), (800, True), (801, False)])
def test_the_last_token_of_the_share_of_the_window_may_be_used_and_no_more(input_tokens: int, fits: bool) -> None:
    facts = RouteFacts(input_tokens=input_tokens, output_tokens=100)
    assert (out(target(1000, fraction="0.9"), facts) is None) is fits


def test_a_share_of_the_window_is_rounded_down() -> None:
    assert candidate(0, "m", target(1001, fraction="0.5")).window == 500


def test_a_target_that_is_too_small_says_by_how_much() -> None:
    found = out(target(1000), RouteFacts(input_tokens=1200, output_tokens=1))
    assert found is not None
    assert (found.reason, found.detail) == ("context_window_too_small", "needs 1201 tokens, holds 1000")


def test_undeclared_capabilities_are_not_taken_for_missing() -> None:
    assert out(target(), RouteFacts(capabilities=("tools", "vision"))) is None


def test_a_declared_target_lacks_what_it_does_not_declare() -> None:
    found = out(target(capabilities=("tools",)), RouteFacts(capabilities=("json_schema", "tools", "vision")))
    assert found is not None
    assert (found.reason, found.detail) == ("capability_missing", "lacks json_schema, vision")


def test_a_target_without_tools_takes_no_step_of_a_tool_loop() -> None:
    found = out(target(capabilities=("vision",)), RouteFacts(in_tool_loop=True))
    assert found is not None
    assert found.reason == "capability_missing"


def test_a_resting_target_is_out_for_the_reason_that_health_gives() -> None:
    found = out(target(), RouteFacts(resting=(("m/other", "breaker_open"), ("m/t", "rate_limited"))))
    assert found is not None
    assert found.reason == "rate_limited"


def test_the_first_gate_that_fails_gives_the_reason() -> None:
    facts = RouteFacts(
        constraints=(("elsewhere",),), capabilities=("vision",), input_tokens=9999, resting=(("m/t", "breaker_open"),)
    )
    small = target(10, capabilities=())
    order = [out(small, facts)]
    order.append(out(small, RouteFacts(capabilities=("vision",), input_tokens=9999, resting=facts.resting)))
    order.append(out(small, RouteFacts(input_tokens=9999, resting=facts.resting)))
    order.append(out(small, RouteFacts(resting=facts.resting)))
    assert [found.reason for found in order if found is not None] == [
        "restricted",
        "capability_missing",
        "context_window_too_small",
        "breaker_open",
    ]
