"""Rules against a naive reading of them, the laws of three values, and the arbiter's."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from parts.policies import ASK, PHASES, facts
from wardwright.contracts.decode import Located
from wardwright.contracts.policy import (
    Action,
    Alert,
    Allow,
    Annotate,
    Block,
    Comparison,
    Condition,
    Drop,
    Either,
    Every,
    InjectReminder,
    Leaf,
    Negation,
    PolicyContract,
    RequireApproval,
    RestrictRoutes,
    RetryWithReminder,
    Rewrite,
    Rule,
    SetArgument,
    SwitchModel,
)
from wardwright.kernel import canonical
from wardwright.policy.arbiter import RANKS, arbitrate, join
from wardwright.policy.compiled import Policy
from wardwright.policy.compiler import compile_policies
from wardwright.policy.conditions import boxes, weigh
from wardwright.policy.decision import Decision, Proposal
from wardwright.policy.evaluate import decide
from wardwright.policy.phases import Fact, Facts

NAMES = ("ann", "bob", "anna", "")


def leaf(field: str, op: str, *values: str | int | bool, over: str = "value") -> Leaf:
    return Leaf(field=field, test=Comparison(op=op, values=values), over=over)  # type: ignore[arg-type]


names = st.sampled_from(NAMES)
some_names = st.lists(names.filter(bool), min_size=1, max_size=3, unique=True).map(tuple)
sizes = st.integers(0, 5)
LEAVES: st.SearchStrategy[Condition] = st.one_of(
    names.map(lambda name: leaf("who", "eq", name)),
    some_names.map(lambda some: leaf("who", "in", *some)),
    some_names.map(lambda some: leaf("who", "prefix", *some)),
    some_names.map(lambda some: leaf("body", "contains", *some)),
    some_names.map(lambda some: leaf("tags", "in", *some, over="any")),
    some_names.map(lambda some: leaf("tags", "in", *some, over="all")),
    st.tuples(st.sampled_from(("gt", "gte", "lt", "lte")), sizes).map(lambda pair: leaf("size", *pair)),
    st.tuples(sizes, sizes).map(lambda pair: leaf("size", "between", *sorted(pair))),
    st.booleans().map(lambda value: leaf("urgent", "eq", value)),
    st.sampled_from(("who", "size", "tags")).map(lambda field: leaf(field, "exists")),
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(lambda one: Negation(condition=one)),
        st.lists(inner, min_size=1, max_size=5).map(lambda many: Every(conditions=tuple(many))),
        st.lists(inner, min_size=1, max_size=5).map(lambda many: Either(conditions=tuple(many))),
    ),
    max_leaves=8,
)
VALUES = st.fixed_dictionaries(
    {
        "who": st.none() | names,
        "size": st.none() | sizes,
        "urgent": st.none() | st.booleans(),
        "body": st.none() | st.lists(names).map(" ".join),
        "tags": st.none() | st.lists(names).map(tuple),
    }
)


def naive(condition: Condition, values: dict[str, Any]) -> bool:
    """What a reader of the rule would say."""
    match condition:
        case Every(conditions=inner):
            return all(naive(one, values) for one in inner)
        case Either(conditions=inner):
            return any(naive(one, values) for one in inner)
        case Negation(condition=one):
            return not naive(one, values)
        case Leaf(field=field, test=test, over=over):
            value, wanted = values[field], list(test.values)
            if value is None:
                return False
            if over != "value":
                return (any if over == "any" else all)(item in wanted for item in value)
            match test.op:
                case "eq" | "in":
                    return value in wanted
                case "prefix":
                    return any(value.startswith(text) for text in wanted)
                case "contains":
                    return any(text in value for text in wanted)
                case "between":
                    return bool(wanted[0] <= value <= wanted[1])
                case "exists":
                    return True
                case op:
                    bound = wanted[0]
                    return bool(
                        {"gt": value > bound, "gte": value >= bound, "lt": value < bound}.get(op, value <= bound)
                    )
    raise AssertionError(condition)


def compiled(*whens: Condition, actions: Sequence[Action] = (Block(),)) -> Policy:
    rules = tuple(
        Rule(id=f"r{index}", phase="ask", when=when, then=tuple(actions), why="because")
        for index, when in enumerate(whens)
    )
    return compile_policies([Located(PolicyContract(name="p", rules=rules), "p.yaml")], PHASES)


@given(CONDITIONS, VALUES)
def test_a_rule_decides_as_a_naive_reader_would(condition: Condition, values: dict[str, Fact]) -> None:
    policy = compiled(condition)
    decision = decide(policy, "ask", facts(**values))

    assert (decision.effect == "block") is naive(condition, values)
    assert weigh(policy.of("ask")[0].node, facts(**values), dict(values), []) is naive(condition, values)


@given(CONDITIONS, VALUES, st.sets(st.sampled_from(("who", "size", "urgent", "body", "tags"))))
def test_what_is_told_without_a_fact_is_told_alike_whatever_the_fact_is(
    condition: Condition, values: dict[str, Fact], hidden: set[str]
) -> None:
    node = compiled(condition).of("ask")[0].node
    known = {name: value for name, value in values.items() if name not in hidden}
    held = weigh(node, Facts(known, dict.fromkeys(hidden, "is hidden")), dict(known), [])

    assert held is None or held is naive(condition, values)


@given(CONDITIONS, CONDITIONS, VALUES, st.sets(st.sampled_from(("who", "size"))))
def test_three_values_obey_their_laws(
    left: Condition, right: Condition, values: dict[str, Fact], hidden: set[str]
) -> None:
    here = Facts({k: v for k, v in values.items() if k not in hidden}, dict.fromkeys(hidden, "is hidden"))

    def worth(condition: Condition) -> bool | None:
        return weigh(compiled(condition).of("ask")[0].node, here, dict(here.known), [])

    def inverse(condition: Condition) -> Condition:
        return Negation(condition=condition)

    assert worth(inverse(inverse(left))) is worth(left)
    assert worth(Every(conditions=(left, right))) is worth(Every(conditions=(right, left)))
    assert worth(Either(conditions=(left, right))) is worth(Either(conditions=(right, left)))
    assert worth(inverse(Every(conditions=(left, right)))) is worth(Either(conditions=(inverse(left), inverse(right))))
    assert worth(Every(conditions=(left, left))) is worth(left)


@given(st.lists(CONDITIONS, min_size=1, max_size=5), VALUES, st.randoms(use_true_random=False))
def test_the_order_of_rules_means_nothing(conditions: list[Condition], values: dict[str, Fact], luck: Any) -> None:
    actions = (RestrictRoutes(to=("local",)), Annotate(label="seen"))
    rules = [
        Rule(id=f"r{index}", phase="ask", when=when, then=actions, why="because", priority=index % 2)
        for index, when in enumerate(conditions)
    ]
    shuffled = list(rules)
    luck.shuffle(shuffled)

    def decision(of: list[Rule]) -> Decision:
        made = compile_policies([Located(PolicyContract(name="p", rules=tuple(of)), "p.yaml")], PHASES)
        return decide(made, "ask", facts(**values))

    assert decision(rules) == decision(shuffled)


@given(CONDITIONS, VALUES)
def test_a_condition_that_holds_lies_in_one_of_its_boxes(condition: Condition, values: dict[str, Fact]) -> None:
    node = compiled(condition).of("ask")[0].node
    for holds in (True, False):
        found = boxes(node, holds=holds)
        if found is not None and naive(condition, values) is holds:
            assert any(all(_lies(values[field], region) for field, region in box.items()) for box in found)


def _lies(value: Fact, region: Any) -> bool:
    if value is None:
        return region.present is not True
    return region.present is not False if isinstance(value, tuple) else bool(region.holds(value))


# The arbiter

ACTIONS: tuple[Action, ...] = (
    Allow(),
    Annotate(label="a"),
    Annotate(label="b"),
    Alert(),
    InjectReminder(text="mind"),
    SetArgument(name="how", to="create"),
    SetArgument(name="how", to="append"),
    SetArgument(name="size", to=1),
    RestrictRoutes(to=("local",)),
    RestrictRoutes(to=("cheap",)),
    SwitchModel(model="small"),
    SwitchModel(model="large"),
    Drop(),
    Rewrite(replacement="x"),
    RetryWithReminder(text="again"),
    RequireApproval(),
    Block(),
    Block(code="other"),
)
PROPOSALS = st.lists(
    st.builds(
        lambda action, priority, rule: Proposal(action=action, policy="p", priority=priority, rule=rule),
        st.sampled_from(ACTIONS),
        st.integers(-1, 1),
        st.sampled_from(("r", "s", "t")),
    ),
    max_size=6,
)


@given(PROPOSALS, PROPOSALS, PROPOSALS)
def test_joining_decisions_is_associative_commutative_and_idempotent(
    first: list[Proposal], second: list[Proposal], third: list[Proposal]
) -> None:
    one, two, three = arbitrate(first), arbitrate(second), arbitrate(third)

    assert join(one, two) == join(two, one)
    assert join(join(one, two), three) == join(one, join(two, three))
    assert join(one, one) == one
    assert join(one, two) == arbitrate([*second, *first])


@given(PROPOSALS)
def test_the_strongest_effect_wins_and_no_proposal_is_forgotten(proposals: list[Proposal]) -> None:
    decision = arbitrate(proposals)

    strongest = max((RANKS[one.effect] for one in proposals), default=0)
    assert RANKS[decision.effect] == strongest
    assert {canonical.encode(one) for one in (*decision.kept, *decision.lost)} == {
        canonical.encode(one) for one in proposals
    }
    spoken = [one for one in decision.lost if RANKS[one.effect] == 0]
    assert spoken == []


@given(PROPOSALS)
def test_a_decision_is_canonical_and_reads_back(proposals: list[Proposal]) -> None:
    decision = arbitrate(proposals)
    written = msgspec.json.encode(decision)

    assert written == canonical.encode(decision)
    assert msgspec.json.decode(written, type=Decision) == decision
    canonical.require(msgspec.json.decode(written))


def test_what_ends_the_call_leaves_labels_and_alerts_alone_and_what_waits_leaves_what_it_will_run_under() -> None:
    changes = ("restrict_routes", "switch_model", "inject_reminder", "transform", "set_argument")
    for strong, weak in itertools.product(ACTIONS, ACTIONS):
        if RANKS[_effect(strong)] >= 5 > RANKS[_effect(weak)] > 0:
            both = [Proposal(action=action, policy="p", rule="r") for action in (strong, weak)]
            stays = _effect(strong) == "require_approval" and _effect(weak) in changes
            assert [one.action for one in arbitrate(both).kept] == ([strong, weak] if stays else [strong])


def _effect(action: Action) -> Any:
    return Proposal(action=action, policy="p", rule="r").effect


def test_the_fields_of_the_world_are_those_of_its_phase() -> None:
    assert {"who", "size", "urgent", "body", "tags"} <= set(ASK.names())
