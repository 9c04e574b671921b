from __future__ import annotations

import pytest

from wardwright.contracts.model import (
    ROUTE_DEPTH_MAX,
    ROUTE_TARGETS_MAX,
    Alias,
    Alloy,
    Cascade,
    Dispatcher,
    Guard,
    Member,
    ModelContract,
    Node,
    Target,
    TargetRef,
    When,
)
from wardwright.kernel.errors import WardwrightError
from wardwright.routing import graph
from wardwright.routing.graph import Route, resolve
from wardwright.routing.outline import outline


def target(name: str, window: int = 1000, **more: str) -> Target:
    return Target(name=name, provider=more.get("provider", "p"), model=f"m-{name}", context_window=window)


def model(name: str, route: Node, *targets: Target, restrict: tuple[str, ...] = ()) -> ModelContract:
    return ModelContract(name=name, targets=targets or (target("a"),), route=route, restrict=restrict)


def resolved(name: str, *models: ModelContract) -> Route:
    return resolve(name, {one.name: one for one in models})


def refused(name: str, *models: ModelContract) -> WardwrightError:
    with pytest.raises(WardwrightError) as caught:
        resolved(name, *models)
    return caught.value


A, B = TargetRef(target="a"), TargetRef(target="b")


def test_a_target_that_no_contract_declares_is_refused_and_never_replaced() -> None:
    error = refused("m", model("m", Cascade(members=(A, TargetRef(target="ghost")))))
    assert error.code == "contract_reference"
    assert "ghost" in error.message
    assert str(error.place) == "route.cascade[1]"


def test_an_alias_to_nothing_is_refused() -> None:
    assert refused("m", model("m", Alias(model="ghost"))).code == "contract_reference"


def test_a_cycle_is_refused_with_its_path() -> None:
    error = refused("a", model("a", Alias(model="b")), model("b", Cascade(members=(A, Alias(model="a")))))
    assert error.code == "contract_cycle"
    assert "a → b → a" in error.message


def test_a_cycle_further_down_is_named_without_the_way_to_it() -> None:
    error = refused("top", model("top", Alias(model="b")), model("b", Alias(model="c")), model("c", Alias(model="b")))
    assert error.message.endswith(": b → c → b")


def nested(depth: int) -> Node:
    node: Node = A
    for _ in range(depth):
        node = Cascade(members=(node,))
    return node


def test_the_deepest_route_allowed_is_resolved_and_one_node_more_is_refused() -> None:
    assert len(resolved("m", model("m", nested(ROUTE_DEPTH_MAX))).leaves) == 1
    assert refused("m", model("m", nested(ROUTE_DEPTH_MAX + 1))).code == "contract_too_deep"


def test_aliases_count_towards_the_depth() -> None:
    chain = [model(f"m{i}", Alias(model=f"m{i + 1}")) for i in range(ROUTE_DEPTH_MAX)]
    assert resolved("m0", *chain, model(f"m{ROUTE_DEPTH_MAX}", A)).leaves
    assert refused("m0", *chain, model(f"m{ROUTE_DEPTH_MAX}", nested(1))).code == "contract_too_deep"


def test_a_route_far_too_deep_is_refused_like_one_a_little_too_deep() -> None:
    assert refused("m", model("m", nested(100))).code == "contract_too_deep"


def test_shared_aliases_that_multiply_without_measure_are_refused() -> None:
    double = [model(f"m{i}", Cascade(members=(Alias(model=f"m{i + 1}"),) * 40)) for i in range(3)]
    error = refused("m0", *double, model("m3", A))
    assert error.code == "contract_invalid"
    assert str(ROUTE_TARGETS_MAX) in error.message


def test_a_dispatcher_is_ordered_by_effective_window_and_then_by_name() -> None:
    big = Target(name="big", provider="p", model="x", context_window=4000, capacity_fraction="0.2")
    route = Dispatcher(
        members=(TargetRef(target="z"), TargetRef(target="b"), TargetRef(target="a"), TargetRef(target="big"))
    )
    leaves = resolved("m", model("m", route, target("z", 900), target("b"), target("a"), big)).leaves
    assert [leaf.label for leaf in leaves] == ["big", "z", "a", "b"]


def test_the_lineage_says_how_a_target_was_reached() -> None:
    base = model(
        "base", Guard(when=When(), then=Alloy(members=(Member(node=A), Member(node=B)))), target("a"), target("b")
    )
    route = resolved("m", model("m", Cascade(members=(A, Alias(model="base")))), base)
    assert [leaf.attempt.lineage for leaf in route.leaves] == [
        ("route", "cascade[0]"),
        ("route", "cascade[1]", "alias:base", "guard.then", "alloy[0]"),
        ("route", "cascade[1]", "alias:base", "guard.then", "alloy[1]"),
    ]
    assert [leaf.attempt.contract for leaf in route.leaves] == ["m", "base", "base"]
    assert route.contracts == ("m", "base")


def test_targets_of_one_name_in_two_contracts_are_two_targets() -> None:
    route = resolved("m", model("m", Cascade(members=(A, Alias(model="base")))), model("base", A))
    assert [one.key for one in route.candidates] == ["m/a", "base/a"]


def test_a_target_at_two_places_is_one_candidate() -> None:
    route = resolved("m", model("m", Cascade(members=(A, Cascade(members=(A,))))))
    assert (len(route.candidates), len(route.leaves)) == (1, 2)


def test_what_a_contract_restricts_holds_for_the_routes_behind_its_aliases() -> None:
    base = model("base", Cascade(members=(A, B)), target("a", provider="cloud"), target("b", provider="box"))
    route = resolved("m", model("m", Cascade(members=(A, Alias(model="base"))), restrict=("box",)), base)
    assert [(leaf.attempt.contract, leaf.label, leaf.barred is None) for leaf in route.leaves] == [
        ("m", "a", False),
        ("base", "a", False),
        ("base", "b", True),
    ]


@pytest.mark.parametrize(
    "alloy",
    [
        Alloy(members=(Member(node=A), Member(node=A, weight=0))),
        Alloy(members=(Member(node=A, weight=2**32), Member(node=A))),
        Alloy(members=(Member(node=A),), strategy="sequence"),
        Alloy(members=(Member(node=A),), strategy="sequence", sequence=(0, 1)),
    ],
)
def test_an_alloy_that_cannot_be_drawn_is_refused(alloy: Alloy) -> None:
    assert refused("m", model("m", alloy)).code == "contract_invalid"


def alloy_of(route: Route) -> graph.Alloy:
    assert isinstance(route.root, graph.Alloy)
    return route.root


def test_the_ceiling_of_an_alloy_is_its_smallest_member_unless_declared() -> None:
    members = (Member(node=A), Member(node=Cascade(members=(B, TargetRef(target="c")))))
    targets = target("a", 3000), target("b", 500), target("c", 2000)
    assert alloy_of(resolved("m", model("m", Alloy(members=members), *targets))).window == 2000
    declared = Alloy(members=members, min_context_window=1500)
    assert alloy_of(resolved("m", model("m", declared, *targets))).window == 1500
    partial = Alloy(members=members, partial_context=True)
    assert alloy_of(resolved("m", model("m", partial, *targets))).window == 3000


def test_an_alloy_with_a_member_that_cannot_take_over_a_tool_loop_is_drawn_per_turn() -> None:
    mute = Target(name="b", provider="p", model="x", context_window=1000, capabilities=("vision",))
    members = (Member(node=A), Member(node=B))
    assert alloy_of(resolved("m", model("m", Alloy(members=members), target("a"), mute))).per == "turn"
    assert alloy_of(resolved("m", model("m", Alloy(members=members), target("a"), target("b")))).per == "step"


def test_the_outline_shows_the_tree_with_aliases_unfolded() -> None:
    base = model(
        "base",
        Guard(when=When(region=("eu",)), why="Data stays here.", then=A, otherwise=Dispatcher(members=(B, A))),
        target("a", 2000),
        target("b", provider="box"),
        restrict=("p",),
    )
    voices = Alloy(members=(Member(node=A, weight=3), Member(node=B)))
    top = model("top", Cascade(members=(voices, Alias(model="base"))), target("a"), target("b"))
    assert outline(resolved("top", top, base)) == [
        "top",
        "└─ cascade",
        "   ├─ alloy, weighted per step, ceiling 1000",
        "   │  ├─ 3/4 a: p/m-a, window 1000",
        "   │  └─ 1/4 b: p/m-b, window 1000",
        "   └─ alias base",
        "      └─ guard: Data stays here.",
        "         ├─ when region eu: a: p/m-a, window 2000",
        "         └─ otherwise: dispatcher",
        "            ├─ b: box/m-b, window 1000, restricted: is none of p",
        "            └─ a: p/m-a, window 2000",
    ]
