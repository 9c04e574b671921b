"""Cascades in the order of what was learned of their members."""

from __future__ import annotations

import pytest

from wardwright.contracts.model import (
    Alias,
    Cascade,
    Dispatcher,
    Guard,
    ModelContract,
    Node,
    Target,
    TargetRef,
    When,
    goes_by_learning,
)
from wardwright.routing.graph import resolve
from wardwright.routing.plan import RouteFacts
from wardwright.routing.planner import plan


def model(route: Node, *targets: str) -> ModelContract:
    made = tuple(Target(name=one, provider="p", model=one, context_window=8192) for one in targets)
    return ModelContract(name="m", route=route, targets=made)


def order(route: Node, *learned: tuple[str, int], targets: str = "abc") -> str:
    resolved = resolve("m", {"m": model(route, *targets)})
    facts = RouteFacts(input_tokens=1, learned=tuple((f"m/{name}", ppm) for name, ppm in learned), output_tokens=1)
    return "".join(attempt.target for attempt in plan(resolved, facts).attempts)


ABC: Node = Cascade(members=(TargetRef(target="a"), TargetRef(target="b"), TargetRef(target="c")), order="learned")


def test_the_surest_comes_first_and_the_declared_order_breaks_ties() -> None:
    assert order(ABC, ("a", 600_000), ("b", 900_000), ("c", 600_000)) == "bac"


def test_of_what_nothing_is_known_the_declared_order_holds() -> None:
    assert order(ABC) == "abc"
    assert order(ABC, ("c", 700_000)) == "cab", "better than one of two"
    assert order(ABC, ("a", 300_000)) == "bca", "worse than one of two"


def test_a_cascade_that_does_not_ask_for_it_stays_as_declared() -> None:
    declared = Cascade(members=(TargetRef(target="a"), TargetRef(target="b")))
    assert order(declared, ("b", 999_999), targets="ab") == "ab"


def test_a_member_that_is_a_route_goes_by_its_first_target() -> None:
    inner = Cascade(members=(TargetRef(target="b"), TargetRef(target="c")))
    route = Cascade(members=(TargetRef(target="a"), inner), order="learned")
    assert order(route, ("a", 400_000), ("b", 600_000), ("c", 0)) == "bca"


def test_every_route_with_such_a_cascade_is_planned_for_each_call() -> None:
    resolved = resolve("m", {"m": model(ABC, *"abc")})
    assert resolved.learns
    assert resolved.whole is None
    assert not resolve("m", {"m": model(TargetRef(target="a"), "a")}).learns


@pytest.mark.parametrize(
    ("route", "wanted"),
    [
        (ABC, True),
        (Dispatcher(members=(TargetRef(target="a"), ABC)), True),
        (Guard(when=When(tags=("x",)), then=TargetRef(target="a"), otherwise=ABC), True),
        (Guard(when=When(tags=("x",)), then=TargetRef(target="a")), False),
        (Alias(model="elsewhere"), False),
        (Cascade(members=(TargetRef(target="a"),)), False),
    ],
)
def test_a_contract_says_whether_it_goes_by_what_was_learned(route: Node, wanted: bool) -> None:
    assert goes_by_learning(route) is wanted
