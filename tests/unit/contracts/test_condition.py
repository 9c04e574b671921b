"""What `when` means."""

from __future__ import annotations

import pytest

from wardwright.contracts.condition import holds
from wardwright.contracts.model import When
from wardwright.routing.plan import RouteFacts

FACTS = RouteFacts(
    agent="fixer",
    application="editor",
    capabilities=("json_object", "tools"),
    cost_usd_max="0.05",
    data_class="private",
    house="north",
    input_tokens=1000,
    region="eu",
    tags=("urgent", "night"),
    tenant="acme",
)


@pytest.mark.parametrize(
    "when",
    [
        When(),
        When(tenant=("acme",)),
        When(tenant=("other", "acme")),
        When(application=("editor",), agent=("fixer",), house=("north",)),
        When(tags=("urgent", "never")),
        When(capabilities=("tools",)),
        When(capabilities=("tools", "json_object")),
        When(data_class=("private",), region=("eu", "us")),
        When(input_tokens_min=1000, input_tokens_max=1000),
        When(cost_usd_max="0.05"),
        When(cost_usd_max="1"),
    ],
)
def test_a_condition_holds_when_each_member_that_is_set_holds(when: When) -> None:
    assert holds(when, FACTS)


@pytest.mark.parametrize(
    "when",
    [
        When(tenant=("other",)),
        When(agent=("fixer",), house=("south",)),
        When(tags=("never",)),
        When(capabilities=("tools", "vision")),
        When(region=("us",)),
        When(input_tokens_min=1001),
        When(input_tokens_max=999),
        When(cost_usd_max="0.049"),
    ],
)
def test_a_condition_fails_when_one_member_fails(when: When) -> None:
    assert not holds(when, FACTS)


@pytest.mark.parametrize(
    "when",
    [
        When(application=("x",)),
        When(agent=("x",)),
        When(house=("x",)),
        When(tags=("x",)),
        When(capabilities=("tools",)),
        When(data_class=("x",)),
        When(region=("x",)),
        When(cost_usd_max="100"),
    ],
)
def test_a_fact_that_the_call_lacks_never_satisfies_a_condition(when: When) -> None:
    assert not holds(when, RouteFacts())


def test_an_amount_that_is_no_decimal_never_satisfies_a_bound() -> None:
    assert not holds(When(cost_usd_max="100"), RouteFacts(cost_usd_max="cheap"))
