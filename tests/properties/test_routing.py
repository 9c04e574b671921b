"""What holds for every route and every call."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from wardwright.contracts.model import (
    ROUTE_DEPTH_MAX,
    ROUTE_TARGETS_MAX,
    Alias,
    Alloy,
    Capability,
    Cascade,
    Dispatcher,
    Guard,
    Member,
    ModelContract,
    Node,
    Target,
    TargetRef,
    Tokens,
    When,
)
from wardwright.kernel.errors import CODES, WardwrightError
from wardwright.routing import graph
from wardwright.routing.constraints import admits
from wardwright.routing.fit import ppm
from wardwright.routing.graph import Route, resolve
from wardwright.routing.outline import outline
from wardwright.routing.plan import Plan, RouteFacts, SkipReason
from wardwright.routing.planner import plan

Models = Mapping[str, ModelContract]

CAPABILITIES: tuple[Capability, ...] = ("json_schema", "tools", "vision")
CONTRACTS = ("c0", "c1", "c2")
TARGETS = ("t0", "t1", "t2", "t3")
PATTERNS = ("*", "t0", "t1", "p0", "p1/*", "p0/m1", "local", "nothing")

capabilities = st.lists(st.sampled_from(CAPABILITIES), unique=True).map(lambda found: tuple(sorted(found)))
constraint = st.lists(st.sampled_from(PATTERNS), max_size=3).map(tuple)
references = st.sampled_from(TARGETS).map(lambda name: TargetRef(target=name))
aliases = st.sampled_from(CONTRACTS).map(lambda name: Alias(model=name))
conditions = st.sampled_from([When(), When(region=("eu",)), When(input_tokens_max=1500), When(capabilities=("tools",))])


def targets(name: str) -> st.SearchStrategy[Target]:
    return st.builds(
        Target,
        name=st.just(name),
        provider=st.sampled_from(["p0", "p1"]),
        model=st.sampled_from(["m0", "m1"]),
        context_window=st.integers(500, 5000),
        output_max=st.none() | st.integers(1, 2000),
        capacity_fraction=st.sampled_from(["1", "0.9", "0.3333333"]),
        capabilities=st.none() | capabilities,
        tokens=st.sampled_from([Tokens(), Tokens(margin="1"), Tokens(margin="1.3333333")]),
        labels=st.sampled_from([(), ("local",)]),
    )


def alloys(nodes: st.SearchStrategy[Node]) -> st.SearchStrategy[Alloy]:
    members = st.lists(st.builds(Member, node=nodes, weight=st.integers(1, 9)), min_size=1, max_size=3).map(tuple)
    return st.builds(
        Alloy,
        members=members,
        strategy=st.sampled_from(["round_robin", "weighted", "sequence"]),
        sequence=st.just((0,)),
        per=st.sampled_from(["step", "turn"]),
        partial_context=st.booleans(),
        min_context_window=st.none() | st.integers(500, 5000),
    )


def above(nodes: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    lists = st.lists(nodes, min_size=1, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Dispatcher, members=lists),
        st.builds(Cascade, members=lists),
        alloys(nodes),
        st.builds(Guard, when=conditions, then=nodes, otherwise=st.none() | nodes),
    )


def contracts(name: str, onward: tuple[str, ...]) -> st.SearchStrategy[ModelContract]:
    ends: st.SearchStrategy[Node] = references
    if onward:
        ends = references | st.sampled_from(onward).map(lambda other: Alias(model=other))
    return st.builds(
        ModelContract,
        name=st.just(name),
        targets=st.tuples(*(targets(one) for one in TARGETS)),
        route=st.recursive(ends, above, max_leaves=6),
        restrict=st.just(()) | constraint,
    )


acyclic = st.fixed_dictionaries({name: contracts(name, CONTRACTS[place + 1 :]) for place, name in enumerate(CONTRACTS)})
tangled = st.fixed_dictionaries({name: contracts(name, CONTRACTS) for name in CONTRACTS})
health = st.dictionaries(
    st.sampled_from([f"{contract}/{target}" for contract in CONTRACTS for target in TARGETS]),
    st.sampled_from(["breaker_open", "rate_limited"]),
    max_size=6,
)
calls = st.builds(
    RouteFacts,
    capabilities=st.just(()) | capabilities,
    constraints=st.lists(constraint, max_size=2).map(tuple),
    conversation=st.text("0123456789abcdef", max_size=8),
    in_tool_loop=st.booleans(),
    input_tokens=st.integers(0, 4000),
    output_tokens=st.integers(0, 3000),
    region=st.none() | st.sampled_from(["eu", "us"]),
    resting=st.just(()) | health.map(lambda found: tuple(sorted(found.items()))),
    step=st.integers(0, 50),
    turn=st.integers(0, 20),
)


def routed(models: Models) -> Route | None:
    try:
        return resolve("c0", models)
    except WardwrightError as error:
        if error.code not in {"contract_too_deep", "contract_invalid", "contract_cycle"}:
            raise
        return None


@given(acyclic, calls)
def test_no_attempt_is_planned_on_a_target_that_cannot_serve_it(models: Models, facts: RouteFacts) -> None:
    route = routed(models)
    if route is None:
        return
    for attempt in plan(route, facts).attempts:
        target = next(one for one in models[attempt.contract].targets if one.name == attempt.target)
        output = facts.output_tokens if target.output_max is None else min(facts.output_tokens, target.output_max)
        window = target.context_window * ppm(target.capacity_fraction) // 1_000_000
        assert facts.input_tokens * ppm(target.tokens.margin, up=True) <= (window - output) * 1_000_000
        assert target.capabilities is None or set(facts.capabilities) <= set(target.capabilities)
        assert all(admits(one, target) for one in facts.constraints)
        assert f"{attempt.contract}/{attempt.target}" not in dict(facts.resting)
        passed = ["c0", *(step.removeprefix("alias:") for step in attempt.lineage if step.startswith("alias:"))]
        assert all(admits(models[name].restrict, target) for name in passed if models[name].restrict)


@given(acyclic, calls)
def test_every_target_is_attempted_or_skipped_exactly_once(models: Models, facts: RouteFacts) -> None:
    route = routed(models)
    if route is None:
        return
    decided = plan(route, facts)
    told = [(one.contract, one.target) for one in decided.attempts]
    told += [(one.contract, one.target) for one in decided.skipped]
    assert sorted(told) == sorted((one.contract, one.target.name) for one in route.candidates)
    assert (decided.refusal is None) == bool(decided.attempts)
    if decided.refusal is not None:
        assert decided.refusal.code in CODES


@given(acyclic, calls)
def test_a_plan_worked_out_beforehand_is_the_one_that_planning_makes(models: Models, facts: RouteFacts) -> None:
    route = routed(models)
    if route is not None:
        unhindered = msgspec.structs.replace(facts, capabilities=(), constraints=(), in_tool_loop=False, resting=())
        for call in (facts, unhindered):
            assert plan(route, call) == plan(msgspec.structs.replace(route, whole=None), call)


@given(acyclic, calls)
def test_a_plan_is_made_again_from_what_was_recorded(models: Models, facts: RouteFacts) -> None:
    route = routed(models)
    if route is None:
        return
    decided = plan(route, facts)
    recorded = msgspec.json.encode((dict(models), facts))
    models_again, facts_again = msgspec.json.decode(recorded, type=tuple[dict[str, ModelContract], RouteFacts])
    again = plan(resolve("c0", models_again), facts_again)
    assert msgspec.json.encode(again) == msgspec.json.encode(decided)
    assert msgspec.json.decode(msgspec.json.encode(decided), type=Plan) == decided


@given(tangled)
def test_resolving_ends_on_any_graph_within_its_bounds(models: Models) -> None:
    route = routed(models)
    if route is not None:
        assert len(route.leaves) <= ROUTE_TARGETS_MAX
        assert all(len(leaf.attempt.lineage) - 1 <= ROUTE_DEPTH_MAX for leaf in route.leaves)
        assert len(outline(route)) > len(route.candidates)


@given(acyclic, calls, constraint)
def test_one_more_constraint_never_admits_more(models: Models, facts: RouteFacts, more: tuple[str, ...]) -> None:
    route = routed(models)
    if route is None:
        return
    narrowed = msgspec.structs.replace(facts, constraints=(*facts.constraints, more))
    wider = {(one.contract, one.target) for one in plan(route, facts).attempts}
    assert {(one.contract, one.target) for one in plan(route, narrowed).attempts} <= wider


@given(acyclic, calls)
def test_constraints_that_share_no_target_refuse(models: Models, facts: RouteFacts) -> None:
    route = routed(models)
    if route is None:
        return
    decided = plan(route, msgspec.structs.replace(facts, constraints=(("t0",), ("t1", "t2"))))
    assert decided.attempts == ()
    assert decided.refusal is not None


@given(acyclic, calls, st.integers(0, 50))
def test_an_alloy_per_turn_holds_still_over_the_steps(models: Models, facts: RouteFacts, step: int) -> None:
    route = routed(models)
    if route is None or "step" in periods(route.root):
        return
    later = msgspec.structs.replace(facts, step=step)
    assert plan(route, facts) == plan(route, later)


def periods(node: graph.RouteNode) -> set[str]:
    match node:
        case graph.Leaf():
            return set()
        case graph.Detour():
            return periods(node.node)
        case graph.Gate():
            return periods(node.then) | (set() if node.otherwise is None else periods(node.otherwise))
        case graph.Ordered():
            return set().union(*(periods(member) for member in node.members))
        case graph.Alloy():
            return {node.per}.union(*(periods(member) for member in node.members))


@given(acyclic, calls)
def test_a_target_that_comes_back_to_health_is_only_added(models: Models, facts: RouteFacts) -> None:
    route = routed(models)
    if route is None or not facts.resting:
        return
    reasons: tuple[SkipReason, ...] = ("breaker_open", "rate_limited")
    decided, healthy = plan(route, facts), plan(route, msgspec.structs.replace(facts, resting=()))
    rested = {(one.contract, one.target) for one in decided.skipped if one.reason in reasons}
    before = {(one.contract, one.target) for one in decided.attempts}
    after = {(one.contract, one.target) for one in healthy.attempts}
    assert after == before | rested
