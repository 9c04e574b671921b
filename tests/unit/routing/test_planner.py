"""What the planner decides, and the defects of earlier gateways that it must not repeat.

| Defect | Tests |
|---|---|
| The next target is never tried | `test_a_cascade_plans_every_later_target_as_a_fallback` |
| | `test_an_alloy_plans_the_members_not_drawn_as_fallbacks` |
| Oversized requests go to the largest | `test_a_request_that_nothing_holds_is_refused_naming_the_largest_window` |
| | `test_the_output_budget_counts_towards_the_window` |
| Disjoint constraints count as none | `test_disjoint_constraints_refuse_instead_of_admitting_everything` |
| Constraints are compared as strings | `test_a_provider_and_one_of_its_models_intersect_in_that_model` |
| Weighted members escape constraints | `test_constraints_bind_weighted_members_nested_nodes_and_aliases_alike` |
| Alloys do not alternate | `test_an_alloy_alternates_over_the_steps_of_a_tool_loop` |
| | `test_a_weighted_alloy_gives_every_member_steps_of_one_conversation` |
| Unknown targets become a mock | `test_a_target_that_no_contract_declares_is_refused_and_never_replaced` |

The last one stands in `test_graph`; estimates that ignore tools and dense scripts are answered in `test_tokens`.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from typing import Final

import msgspec
import pytest

from wardwright.contracts.model import (
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
from wardwright.routing.graph import Route, resolve
from wardwright.routing.plan import Plan, RouteFacts, Skip
from wardwright.routing.planner import plan, spoke_before

CAPABLE: Final[tuple[Capability, ...]] = ("tools",)
EXACT: Final = Tokens(margin="1")


def target(name: str, window: int = 10_000, **more: object) -> Target:
    plain = Target(name=name, provider="box", model=f"m-{name}", context_window=window, tokens=EXACT)
    return msgspec.structs.replace(plain, **more)


SMALL, MIDDLE, LARGE = target("small", 1000), target("middle", 2000), target("large", 4000)
S, M, L = (TargetRef(target=one.name) for one in (SMALL, MIDDLE, LARGE))


def route(node: Node, *targets: Target, restrict: tuple[str, ...] = (), **others: ModelContract) -> Route:
    targets = targets or (SMALL, MIDDLE, LARGE)
    main = ModelContract(name="m", targets=targets, route=node, restrict=restrict)
    return resolve("m", {"m": main, **others})


def tried(decided: Plan) -> list[str]:
    return [attempt.target for attempt in decided.attempts]


def left_out(decided: Plan) -> dict[str, str]:
    return {skip.target: skip.reason for skip in decided.skipped}


def refusal(decided: Plan) -> str:
    assert decided.refusal is not None
    assert decided.attempts == ()
    return decided.refusal.code


def alloy(*members: Node, **more: object) -> Alloy:
    return msgspec.structs.replace(Alloy(members=tuple(Member(node=node) for node in members)), **more)


# dispatcher


def test_a_dispatcher_takes_the_smallest_window_that_fits_and_larger_ones_as_fallbacks() -> None:
    decided = plan(route(Dispatcher(members=(L, S, M))), RouteFacts(input_tokens=1500))
    assert tried(decided) == ["middle", "large"]
    assert decided.skipped == (
        Skip(contract="m", detail="needs 1500 tokens, holds 1000", reason="context_window_too_small", target="small"),
    )


def test_a_dispatcher_breaks_ties_by_name() -> None:
    twins = target("b"), target("a")
    node = Dispatcher(members=(TargetRef(target="b"), TargetRef(target="a")))
    assert tried(plan(route(node, *twins), RouteFacts())) == ["a", "b"]


def test_the_output_budget_counts_towards_the_window() -> None:
    decided = plan(route(Dispatcher(members=(S, M))), RouteFacts(input_tokens=900, output_tokens=200))
    assert tried(decided) == ["middle"]


# cascade


def test_a_cascade_plans_every_later_target_as_a_fallback() -> None:
    assert tried(plan(route(Cascade(members=(M, L, S))), RouteFacts())) == ["middle", "large", "small"]


def test_a_cascade_skips_what_is_too_small_and_keeps_its_order() -> None:
    assert tried(plan(route(Cascade(members=(L, S, M))), RouteFacts(input_tokens=1500))) == ["large", "middle"]


def test_a_target_reached_twice_is_tried_once_at_its_first_place() -> None:
    decided = plan(route(Cascade(members=(M, Dispatcher(members=(S, M)), L))), RouteFacts())
    assert tried(decided) == ["middle", "small", "large"]
    assert decided.attempts[0].lineage == ("route", "cascade[0]")
    assert decided.skipped == ()


# refusals


def test_a_request_that_nothing_holds_is_refused_naming_the_largest_window() -> None:
    decided = plan(route(Cascade(members=(S, L, M))), RouteFacts(input_tokens=5000, output_tokens=10))
    assert refusal(decided) == "context_length_exceeded"
    assert decided.refusal is not None
    assert "4000 tokens" in decided.refusal.message
    assert "5010" in decided.refusal.message


def test_a_refusal_names_no_target_and_no_pattern() -> None:
    facts = RouteFacts(input_tokens=5000, constraints=(("large", "secret-pattern"),))
    message = plan(route(Cascade(members=(S, L, M))), facts).refusal
    assert message is not None
    assert not any(word in message.message for word in ("small", "middle", "large", "secret", "box"))


def test_the_largest_window_named_is_one_that_the_constraints_admit() -> None:
    facts = RouteFacts(input_tokens=5000, constraints=(("small",),))
    message = plan(route(Cascade(members=(S, L))), facts).refusal
    assert message is not None
    assert "is 1000 tokens" in message.message


def test_a_capability_that_no_target_has_is_refused_as_such() -> None:
    mute = target("small", capabilities=("vision",))
    decided = plan(route(S, mute), RouteFacts(capabilities=("tools",)))
    assert refusal(decided) == "unsupported_capability"
    assert left_out(decided) == {"small": "capability_missing"}


def test_a_target_lacking_a_capability_is_passed_over_for_one_that_has_it() -> None:
    targets = target("small", capabilities=("vision",)), target("middle", capabilities=CAPABLE)
    decided = plan(route(Cascade(members=(S, M)), *targets), RouteFacts(capabilities=CAPABLE))
    assert tried(decided) == ["middle"]
    assert decided.skipped[0].detail == "lacks tools"


def resting(*names: str, reason: str = "breaker_open") -> RouteFacts:
    return msgspec.convert({"resting": [(f"m/{name}", reason) for name in names], "input_tokens": 1500}, RouteFacts)


def test_a_resting_target_is_skipped_while_another_can_serve() -> None:
    decided = plan(route(Cascade(members=(M, L))), resting("middle"))
    assert tried(decided) == ["large"]
    assert left_out(decided) == {"middle": "breaker_open"}


def test_when_all_that_would_fit_rest_the_call_is_unavailable_and_not_too_long() -> None:
    decided = plan(route(Cascade(members=(S, M, L))), resting("middle", "large"))
    assert refusal(decided) == "upstream_unavailable"
    assert left_out(decided) == {
        "small": "context_window_too_small",
        "middle": "breaker_open",
        "large": "breaker_open",
    }


def test_when_all_that_would_fit_are_rate_limited_the_refusal_says_so() -> None:
    decided = plan(route(Cascade(members=(M, L))), resting("large", "middle", reason="rate_limited"))
    assert refusal(decided) == "upstream_rate_limited"


def test_a_target_that_rests_but_would_not_fit_does_not_make_the_call_unavailable() -> None:
    assert refusal(plan(route(S), resting("small"))) == "context_length_exceeded"


# constraints


def test_disjoint_constraints_refuse_instead_of_admitting_everything() -> None:
    decided = plan(route(Cascade(members=(S, M, L))), RouteFacts(constraints=(("small",), ("large",))))
    assert refusal(decided) == "route_refused"
    assert set(left_out(decided).values()) == {"restricted"}


def test_an_empty_constraint_refuses() -> None:
    assert refusal(plan(route(S), RouteFacts(constraints=((),)))) == "route_refused"


def test_a_provider_and_one_of_its_models_intersect_in_that_model() -> None:
    facts = RouteFacts(constraints=(("box",), ("box/m-small", "elsewhere")))
    assert tried(plan(route(Cascade(members=(L, S, M))), facts)) == ["small"]


def test_constraints_bind_weighted_members_nested_nodes_and_aliases_alike() -> None:
    cloud = target("cloud", provider="cloud")
    base = ModelContract(name="base", targets=(cloud, LARGE), route=alloy(TargetRef(target="cloud"), L))
    voices = Alloy(
        members=(Member(node=TargetRef(target="cloud"), weight=99), Member(node=S), Member(node=Alias(model="base")))
    )
    node = Cascade(members=(voices, Dispatcher(members=(TargetRef(target="cloud"), M))))
    everything = route(node, SMALL, MIDDLE, cloud, base=base)
    for step in range(20):
        decided = plan(everything, RouteFacts(constraints=(("box/*",),), conversation="c", step=step))
        assert {attempt.provider for attempt in decided.attempts} == {"box"}
        assert [skip.reason for skip in decided.skipped] == ["restricted", "restricted"]


def test_what_a_contract_restricts_binds_its_own_alloy() -> None:
    cloud = target("cloud", provider="cloud")
    only_local = route(alloy(TargetRef(target="cloud"), S), SMALL, cloud, restrict=("local", "box"))
    assert all(tried(plan(only_local, RouteFacts(step=step))) == ["small"] for step in range(10))


# guards


EU = When(region=("eu",))


def test_a_guard_opens_one_branch_and_the_other_is_skipped() -> None:
    gated = route(Guard(when=EU, then=S, otherwise=L, why="EU data stays here."), SMALL, LARGE)
    inside, outside = plan(gated, RouteFacts(region="eu")), plan(gated, RouteFacts())
    assert (tried(inside), left_out(inside)) == (["small"], {"large": "guard"})
    assert (tried(outside), left_out(outside)) == (["large"], {"small": "guard"})
    assert outside.skipped[0].detail == "the condition does not hold: EU data stays here."


def test_a_guard_without_another_way_refuses() -> None:
    assert refusal(plan(route(Guard(when=EU, then=S), SMALL), RouteFacts(region="us"))) == "route_refused"


def test_a_target_behind_a_closed_guard_may_still_be_reached_another_way() -> None:
    decided = plan(route(Cascade(members=(Guard(when=EU, then=S), L, S)), SMALL, LARGE), RouteFacts())
    assert (tried(decided), decided.skipped) == (["large", "small"], ())


def test_of_several_places_the_reason_closest_to_serving_is_told() -> None:
    node = Cascade(members=(Guard(when=EU, then=S), alloy(S, L, partial_context=True)))
    decided = plan(route(node, SMALL, LARGE), RouteFacts(input_tokens=3000))
    assert left_out(decided) == {"small": "context_window_too_small"}


# alloys


def firsts(of: Route, steps: int, conversation: str = "c", **more: object) -> list[str]:
    facts = [RouteFacts(conversation=conversation, step=step) for step in range(steps)]
    return [tried(plan(of, msgspec.structs.replace(one, **more)))[0] for one in facts]


def test_an_alloy_plans_the_members_not_drawn_as_fallbacks() -> None:
    decided = plan(route(alloy(S, M, L)), RouteFacts(conversation="c"))
    assert sorted(tried(decided)) == ["large", "middle", "small"]
    assert [[S, M, L][index].target for index in decided.draws[0].order] == tried(decided)


def test_an_alloy_alternates_over_the_steps_of_a_tool_loop() -> None:
    pair = route(alloy(M, L, strategy="round_robin"))
    assert firsts(pair, 6, turn=0, in_tool_loop=True) == ["middle", "large"] * 3


def test_a_weighted_alloy_gives_every_member_steps_of_one_conversation() -> None:
    assert set(firsts(route(alloy(S, M, L)), 30)) == {"small", "middle", "large"}


def test_per_turn_holds_one_member_through_the_tool_loop() -> None:
    for strategy in ("round_robin", "weighted"):
        held = route(alloy(M, L, strategy=strategy, per="turn"))
        assert len(set(firsts(held, 8, turn=3, in_tool_loop=True))) == 1


def test_per_turn_draws_again_at_the_next_turn() -> None:
    held = route(alloy(M, L, strategy="round_robin", per="turn"))
    assert [tried(plan(held, RouteFacts(step=9, turn=turn)))[0] for turn in range(4)] == ["middle", "large"] * 2


def before(route: Route, **facts: object) -> str | None:
    attempt = spoke_before(route, msgspec.structs.replace(RouteFacts(), **facts))
    return None if attempt is None else attempt.target


def test_whose_turn_the_step_before_was_is_drawn_again() -> None:
    pair = route(alloy(M, L, strategy="round_robin"))
    assert [before(pair, step=step) for step in range(4)] == [None, "middle", "large", "middle"]
    assert before(pair, step=2, resting=(("c/large", "breaker_open"),)) == "large"


def test_within_a_turn_that_holds_one_member_the_step_before_was_the_same_members() -> None:
    held = route(alloy(M, L, strategy="round_robin", per="turn"))
    assert before(held, step=5, turn=1, in_tool_loop=True) == "large"
    assert before(held, step=5, turn=1) == "middle"


def test_a_sequence_speaks_as_declared() -> None:
    declared = route(alloy(M, L, strategy="sequence", sequence=(0, 0, 1)))
    assert firsts(declared, 6) == ["middle", "middle", "large"] * 2


def test_the_draw_tells_its_throw_so_that_it_can_be_made_again() -> None:
    decided = plan(route(Cascade(members=(S, alloy(M, L)))), RouteFacts(conversation="c", step=7))
    (draw,) = decided.draws
    assert (draw.index, draw.lineage, draw.strategy) == (7, ("route", "cascade[1]"), "weighted")


def test_shares_of_conversations_match_the_weights() -> None:
    weights = {"small": 5, "middle": 3, "large": 2}
    node = Alloy(members=tuple(Member(node=TargetRef(target=name), weight=weight) for name, weight in weights.items()))
    drawn, throws = route(node), 3000
    counts = Counter(firsts(drawn, 1, conversation=f"{throw:064x}")[0] for throw in range(throws))
    chi_square = sum(
        (counts[name] - throws * weight / 10) ** 2 / (throws * weight / 10) for name, weight in weights.items()
    )
    assert chi_square < 13.9, "2 degrees of freedom: 1 in 1,000 by chance, and the seeds are fixed"


def test_an_alloy_inside_an_alloy_throws_independently() -> None:
    node = alloy(alloy(S, M), alloy(M, L))
    pairs = Counter(
        tuple(draw.order for draw in plan(route(node), RouteFacts(conversation=str(n))).draws) for n in range(400)
    )
    assert len(pairs) == 8
    assert min(pairs.values()) > 25


def test_members_that_rest_do_not_change_the_order_of_the_others() -> None:
    trio = route(alloy(S, M, L))
    for step in range(20):
        whole = tried(plan(trio, RouteFacts(conversation="c", step=step)))
        facts = RouteFacts(conversation="c", step=step, resting=(("m/middle", "breaker_open"),))
        assert tried(plan(trio, facts)) == [name for name in whole if name != "middle"]


def test_a_resting_member_keeps_its_turn_of_the_rotation() -> None:
    trio = route(alloy(S, M, L, strategy="round_robin"))
    orders = [tried(plan(trio, RouteFacts(step=step, resting=(("m/middle", "rate_limited"),)))) for step in range(3)]
    assert orders == [["small", "large"], ["large", "small"], ["large", "small"]]


def test_partial_context_drops_members_that_the_conversation_has_outgrown() -> None:
    growing = route(alloy(S, M, L, partial_context=True, strategy="round_robin"))
    assert [sorted(tried(plan(growing, RouteFacts(input_tokens=n)))) for n in (900, 1500, 3000)] == [
        ["large", "middle", "small"],
        ["large", "middle"],
        ["large"],
    ]


def test_those_left_after_one_is_outgrown_alternate_evenly() -> None:
    growing = route(alloy(S, M, L, partial_context=True, strategy="round_robin"))
    assert firsts(growing, 4, input_tokens=1500) == ["middle", "large"] * 2


def test_without_partial_context_the_smallest_member_is_the_ceiling_of_all() -> None:
    decided = plan(route(alloy(S, L)), RouteFacts(input_tokens=1001))
    assert refusal(decided) == "context_length_exceeded"
    assert decided.refusal is not None
    assert "is 1000 tokens" in decided.refusal.message
    assert left_out(decided) == {"small": "alloy_ceiling", "large": "alloy_ceiling"}


def test_a_declared_ceiling_stands_in_for_the_smallest_member() -> None:
    declared = route(alloy(M, L, min_context_window=1200))
    assert sorted(tried(plan(declared, RouteFacts(input_tokens=1200)))) == ["large", "middle"]
    assert refusal(plan(declared, RouteFacts(input_tokens=1201))) == "context_length_exceeded"


def test_an_outgrown_alloy_gives_way_to_the_next_of_its_cascade() -> None:
    decided = plan(route(Cascade(members=(alloy(S, M), L))), RouteFacts(input_tokens=1500))
    assert tried(decided) == ["large"]
    assert set(left_out(decided).values()) == {"alloy_ceiling"}
    assert decided.draws == ()


def test_a_nested_member_is_outgrown_when_its_roomiest_target_is() -> None:
    node = alloy(Dispatcher(members=(S, M)), L)
    assert "large" in tried(plan(route(node), RouteFacts(input_tokens=1500)))
    assert plan(route(node), RouteFacts(input_tokens=2500)).attempts == ()


# purity


def test_the_same_facts_give_the_same_plan_bit_for_bit() -> None:
    node = Cascade(members=(alloy(S, M, L), Dispatcher(members=(S, M))))
    facts = RouteFacts(conversation="c", step=3, input_tokens=400, resting=(("m/middle", "rate_limited"),))
    once, again = plan(route(node), facts), plan(route(node), facts)
    assert msgspec.json.encode(once) == msgspec.json.encode(again)


PROGRAM = """
import sys
import msgspec
from wardwright.contracts.model import ModelContract
from wardwright.routing.graph import resolve
from wardwright.routing.plan import RouteFacts
from wardwright.routing.planner import plan, spoke_before

contract, facts = msgspec.json.decode(sys.stdin.buffer.read(), type=tuple[ModelContract, list[RouteFacts]])
route = resolve(contract.name, {contract.name: contract})
sys.stdout.buffer.write(msgspec.json.encode([plan(route, one) for one in facts]))
"""


def test_another_process_draws_alike_from_what_a_receipt_holds() -> None:
    contract = ModelContract(name="m", targets=(SMALL, MIDDLE, LARGE), route=alloy(S, M, L))
    facts = [RouteFacts(conversation="d1" * 32, step=step) for step in range(40)]
    here = [plan(resolve("m", {"m": contract}), one) for one in facts]
    there = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=msgspec.json.encode((contract, facts)),
        env={"PYTHONHASHSEED": "12345"},
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert there.stdout == msgspec.json.encode(here)


@pytest.mark.parametrize("field", ["conversation", "step"])
def test_a_weighted_draw_depends_on_the_conversation_and_the_step(field: str) -> None:
    wide = route(alloy(*(S, M, L)))
    seen = {
        tuple(tried(plan(wide, msgspec.convert({field: str(n) if field == "conversation" else n}, RouteFacts))))
        for n in range(60)
    }
    assert len(seen) == 6


def test_a_caller_cannot_choose_by_the_members_that_it_names_freely() -> None:
    wide = route(alloy(S, M, L))
    plans = {
        msgspec.json.encode(plan(wide, RouteFacts(conversation="c", agent=agent, tags=(agent,), application=agent)))
        for agent in ("one", "two", "three", "four")
    }
    assert len(plans) == 1
