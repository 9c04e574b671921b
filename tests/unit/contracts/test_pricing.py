"""A budget of money governs no target without a price."""

from __future__ import annotations

import pytest

from wardwright.contracts.check import Verdict, check, gather
from wardwright.contracts.decode import decode

PROVIDER = "kind: provider\nname: p\ntransport: scripted\n"
PRICE = ", price: {input: 0, output: 0}"


def model(name: str, route: str, *targets: str, price: str = "", policies: str = "") -> str:
    listed = "".join(f"  - {{name: {one}, provider: p, model: x, context_window: 8K{price}}}\n" for one in targets)
    return f"kind: model\nname: {name}\nroute: {route}\npolicies: [{policies}]\n" + (
        f"targets:\n{listed}" if listed else ""
    )


def spending(of: str = "cost_usd", on_exceeded: str = "block", rules: str = "[]") -> str:
    budget = (
        f"{{name: money, of: {of}, limit: 25, per: tenant, within: {{age_s: 60}}, on_exceeded: {on_exceeded}, why: w}}"
    )
    return f"kind: policy\nname: spending\nrules: {rules}\nbudgets: [{budget}]\n"


def verdict(*documents: str) -> Verdict:
    gathered = gather(decode("---\n".join((PROVIDER, *documents)).encode(), "set.yaml"))
    assert gathered.errors == ()
    return check(gathered.models, gathered.providers, gathered.policies)


def test_a_target_without_a_price_under_a_budget_of_money_is_refused_where_it_stands() -> None:
    found = verdict(model("a", "t", "t", policies="spending"), spending())
    (error,) = found.errors

    assert (error.code, error.message, error.hint) == (
        "policy_unenforceable",
        "the budget `spending/money` counts what calls cost, and `t` of `a` has no price",
        "give the target a price, or count tokens",
    )
    assert error.place is not None
    assert (error.place.line, error.place.path) == (10, "targets[0]")
    assert found.refused == {"a"}


@pytest.mark.parametrize(
    "documents",
    [
        (model("a", "t", "t", price=PRICE, policies="spending"), spending()),
        (model("a", "t", "t", policies="spending"), spending("tokens")),
        (model("a", "t", "t", policies="spending"), spending(on_exceeded="fact")),
        (model("a", "t", "t"), spending()),
    ],
    ids=["a price of 0", "tokens", "a fact for rules", "another model"],
)
def test_nothing_else_is_refused(documents: tuple[str, ...]) -> None:
    assert verdict(*documents).errors == ()


def test_a_target_that_no_route_leads_to_needs_no_price() -> None:
    found = verdict(
        model("a", "{alias: b}", "spare", policies="spending"),
        model("b", "t", "t", price=PRICE),
        spending(),
    )

    assert found.errors == ()


def test_what_an_alias_leads_to_is_told_once_and_of_the_model_that_it_governs() -> None:
    found = verdict(
        model("a", "{alias: b}", policies="spending"),
        model("outer", "{alias: a}"),
        model("b", "t", "t"),
        spending(),
    )

    assert [error.message for error in found.errors] == [
        "the budget `spending/money` counts what calls cost, and `t` of `b` has no price"
    ]
    assert found.refused == {"a", "outer"}


def test_a_model_that_rules_switch_to_needs_prices_too() -> None:
    switch = "[{id: move, phase: request, when: {eq: [caller.agent, x]}, then: [{switch_model: b}], why: w}]"
    found = verdict(
        model("a", "t", "t", price=PRICE, policies="spending"),
        model("b", "t", "t"),
        spending(rules=switch),
    )

    assert found.refused == {"a"}
