"""What the types of `contracts.policy` cannot say about one policy.

Rule 1: lists, macros and ties lead to what the same document holds, and macros end: no macro leads back to itself.
Rule 2: what a rule would ignore is refused: silence about it would mislead.
Rule 3: phases, their fields and the patterns of `regex` are judged by `policy.compiler`, which is told the phases.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, assert_never, cast

import msgspec

from wardwright.contracts import budget_rules, expectation_syntax, machine_rules, policy_syntax
from wardwright.contracts.budget import Budget, Within
from wardwright.contracts.model_rules import is_pattern
from wardwright.contracts.policy import (
    CONDITION_DEPTH_MAX,
    CONDITION_LEAVES_MAX,
    FORMAT,
    RULES_MAX,
    Alert,
    Allow,
    Alternative,
    Annotate,
    Block,
    Channel,
    Comparison,
    Condition,
    Drop,
    Either,
    Every,
    Example,
    ExampleFact,
    Examples,
    Exempt,
    Hold,
    InjectReminder,
    JsonExpectation,
    Leaf,
    Machine,
    MachineState,
    Macro,
    MacroUse,
    NamedList,
    Negation,
    Oblige,
    PolicyContract,
    RequireApproval,
    Requirement,
    Reroute,
    RestrictRoutes,
    Retry,
    Retrying,
    RetryWithReminder,
    Rewrite,
    Rule,
    SetArgument,
    State,
    SwitchModel,
    Tie,
    Transform,
    Transition,
    Window,
    XmlExpectation,
)
from wardwright.contracts.refusal import did_you_mean
from wardwright.contracts.shapes import ROOT, WRONG, At, Read, Reader, Rules
from wardwright.contracts.tree import Items, Tree
from wardwright.contracts.wording import found, shown

MATCH_OPERATORS: Final = ("contains", "detector", "regex")
"""What a stream can be searched for."""


def walk(condition: Condition, path: str) -> Iterator[tuple[str, Condition]]:
    """Every condition within one, parents first, with its path in the typed value."""
    yield path, condition
    match condition:
        case Every() | Either():
            for index, inner in enumerate(condition.conditions):
                yield from walk(inner, f"{path}.conditions[{index}]")
        case Negation():
            yield from walk(condition.condition, f"{path}.condition")
        case Leaf() | MacroUse():
            return
        case _:
            assert_never(condition)


def conditions_of(rule: Rule, path: str) -> Iterator[tuple[str, Condition]]:
    """Every condition of a rule, parents first."""
    if rule.when is not None:
        yield from walk(rule.when, f"{path}.when")
    for index, exempt in enumerate(rule.unless):
        yield from walk(exempt.when, f"{path}.unless[{index}].when")


def requirements_of(rule: Rule, path: str) -> Iterator[tuple[str, Requirement]]:
    """Every requirement of a rule's expectation."""
    if isinstance(rule.expect, JsonExpectation):
        for index, one in enumerate(rule.expect.any_of):
            inside = f"{path}.expect.any_of[{index}].where"
            yield from ((f"{inside}[{at}]", requirement) for at, requirement in enumerate(one.where))


# The policy as a whole


def _contract(reader: Reader, value: msgspec.Struct, at: At) -> None:
    policy = cast(PolicyContract, value)
    if policy.format != FORMAT:
        hint = f"this build reads format {FORMAT}; leave `format` out"
        reader.breaks(at.member("format"), f"format {policy.format} of policies is unknown", hint)
    budget_rules.count(reader, policy.budgets, at.member("budgets"))
    if not (0 if policy.budgets else 1) <= len(policy.rules) <= RULES_MAX:
        reader.breaks(at.member("rules"), f"a policy has 1 to {RULES_MAX} rules; this has {len(policy.rules)}")
    lists, macros = {one.name for one in policy.lists}, {one.name: one for one in policy.macros}
    places = [(f"macros[{index}].when", macro.when) for index, macro in enumerate(policy.macros)]
    every = [pair for path, when in places for pair in walk(when, path)]
    every += [pair for index, rule in enumerate(policy.rules) for pair in conditions_of(rule, f"rules[{index}]")]
    for path, condition in every:
        _names(reader, path, condition, lists, macros)
    for index, rule in enumerate(policy.rules):
        if rule.match is not None:
            _list(reader, f"rules[{index}].match", rule.match, lists)
        for path, requirement in requirements_of(rule, f"rules[{index}]"):
            _list(reader, path, requirement.test, lists)
        _ties(reader, rule, At(f"rules[{index}]", f"rules[{index}]"), policy)
    machine_rules.check_labels(reader, policy)
    if not reader.errors:
        _sizes(reader, policy, macros)


def _names(reader: Reader, path: str, condition: Condition, lists: set[str], macros: Mapping[str, Macro]) -> None:
    match condition:
        case Leaf():
            _list(reader, path, condition.test, lists)
        case MacroUse(name=name) if name not in macros:
            reader.breaks(At(path, path), f"this policy has no macro `{name}`", did_you_mean(name, macros))


def _list(reader: Reader, path: str, test: Comparison, lists: set[str]) -> None:
    if test.list is not None and test.list not in lists:
        hint = did_you_mean(test.list, lists) or "add it under `lists`"
        reader.breaks(At(path, path), f"this policy has no list `{test.list}`", hint)


def _ties(reader: Reader, rule: Rule, at: At, policy: PolicyContract) -> None:
    ids = [other.id for other in policy.rules if other.id != rule.id]
    for index, tie in enumerate(rule.ties):
        if tie.rule not in ids:
            inside = at.member("ties").item(index).member("rule")
            reader.breaks(inside, f"this policy has no other rule `{tie.rule}`", did_you_mean(tie.rule, ids))


def _sizes(reader: Reader, policy: PolicyContract, macros: Mapping[str, Macro]) -> None:
    """Macros unfold to something that ends and is not large."""
    sizes: dict[str, tuple[int, int] | None] = {}
    for index, macro in enumerate(policy.macros):
        if _size(macro.when, macros, sizes, (macro.name,)) is None:
            at = ROOT.member("macros").item(index)
            reader.breaks(at, f"the macro `{macro.name}` leads back to itself", "write one of its parts out")
            return
    for index, rule in enumerate(policy.rules):
        measured = [
            _size(one, macros, sizes, ()) or (0, 0) for one in (rule.when, *(x.when for x in rule.unless)) if one
        ]
        leaves, depth = sum(size for size, _ in measured), max((depth for _, depth in measured), default=0)
        at = ROOT.member("rules").item(index)
        if leaves > CONDITION_LEAVES_MAX:
            message = f"`{rule.id}` makes {leaves} comparisons, macros unfolded; it may make {CONDITION_LEAVES_MAX}"
            reader.breaks(at, message, "use lists, or split the rule")
        if depth > CONDITION_DEPTH_MAX:
            message = (
                f"the conditions of `{rule.id}` nest {depth} deep, macros unfolded; {CONDITION_DEPTH_MAX} is the most"
            )
            reader.breaks(at, message)


def _size(
    condition: Condition,
    macros: Mapping[str, Macro],
    sizes: dict[str, tuple[int, int] | None],
    within: tuple[str, ...],
) -> tuple[int, int] | None:
    """Leaves and depth with macros unfolded; None where a macro leads back to itself."""
    match condition:
        case Leaf():
            return (1, 1)
        case Negation():
            inner = _size(condition.condition, macros, sizes, within)
            return None if inner is None else (inner[0], inner[1] + 1)
        case MacroUse(name=name):
            if name in within:
                return None
            if name not in sizes:
                sizes[name] = _size(macros[name].when, macros, sizes, (*within, name))
            return sizes[name]
        case Every() | Either():
            inners = [_size(one, macros, sizes, within) for one in condition.conditions]
            if None in inners:
                return None
            known = [inner for inner in inners if inner is not None]
            return (sum(leaves for leaves, _ in known), 1 + max(depth for _, depth in known))
        case _:
            assert_never(condition)


# One rule


def _rule(reader: Reader, value: msgspec.Struct, at: At) -> None:
    rule = cast(Rule, value)
    if not rule.why.strip():
        reader.breaks(at.member("why"), "`why` is empty", "say what goes wrong without the rule")
    if rule.expect is not None:
        _expecting(reader, rule, at)
    elif rule.match is None:
        for member in ("on", "hold"):
            if getattr(rule, member):
                reader.breaks(at.member(member), f"`{member}` means nothing without a `match`", "remove it")
    elif not rule.on:
        hint = "add `on: [text]`; there are `text`, `reasoning` and `tool_arguments`"
        reader.breaks(at.member("match"), "`match` needs `on`: the channels it looks at", hint)
    elif rule.match.op not in MATCH_OPERATORS:
        reader.breaks(
            at.member("match"), f"`{rule.match.op}` cannot search a channel", "use `contains`, `regex` or `detector`"
        )
    if rule.after_retries and not any(isinstance(action, Retrying) for action in rule.then):
        message = "`after_retries` means nothing: this rule never retries"
        reader.breaks(at.member("after_retries"), message, "move its actions to `then`")
    if any(isinstance(action, Retrying) for action in rule.after_retries):
        reader.breaks(at.member("after_retries"), "`after_retries` cannot retry: it says what happens at last")


def _expecting(reader: Reader, rule: Rule, at: At) -> None:
    if rule.match is not None:
        reader.breaks(at.member("expect"), "`match` and `expect` stand side by side", "make two rules of them")
    if rule.hold is not None:
        message = "`hold` means nothing beside `expect`: the whole answer is held until it is judged"
        reader.breaks(at.member("hold"), message, "remove it")
    for index, channel in enumerate(rule.on):
        inside = at.member("on").item(index)
        if channel.channel == "reasoning":
            reader.breaks(inside, "`expect` judges the text or the arguments of tool calls", "remove `reasoning`")
        if channel.pointer is not None:
            message = "`expect` judges the whole arguments of a call"
            reader.breaks(inside.member("pointer"), message, "put the pointer under `where`")


def _channel(reader: Reader, value: msgspec.Struct, at: At) -> None:
    channel = cast(Channel, value)
    if channel.channel != "tool_arguments" and (channel.tool is not None or channel.pointer is not None):
        reader.breaks(at, "`tool` and `pointer` belong to `tool_arguments` alone")
    if channel.pointer is not None and not channel.pointer.startswith("/"):
        message = f"{shown(channel.pointer)} is no JSON pointer"
        reader.breaks(at.member("pointer"), message, f"write `/{channel.pointer}`")


def _hold(reader: Reader, value: msgspec.Struct, at: At) -> None:
    hold = cast(Hold, value)
    if hold.mode == "boundary" and hold.boundary is None:
        reader.breaks(at, "`mode: boundary` needs a `boundary`", "add `boundary: sentence`")
    if hold.mode != "boundary" and hold.boundary is not None:
        reader.breaks(at.member("boundary"), f"`boundary` means nothing under `mode: {hold.mode}`", "remove it")


def _exempt(reader: Reader, tree: Tree, at: At) -> Read:
    return policy_syntax.exempt(reader, tree, at)


def _comparison(reader: Reader, value: msgspec.Struct, at: At) -> None:
    why = policy_syntax.unfit(cast(Comparison, value))
    if why is not None:
        reader.breaks(at, *why)


def _values(reader: Reader, tree: Tree, at: At) -> Read:
    if not isinstance(tree, Items):
        return reader.invalid(tree, at, f"`{at.word}` is a list; here stands {found(tree)}")
    values = [policy_syntax.value_of(reader, item, at.item(index)) for index, item in enumerate(tree.items)]
    return WRONG if WRONG in values else tuple(values)


def _fact(reader: Reader, value: msgspec.Struct, at: At) -> None:
    fact = cast(ExampleFact, value)
    if fact.shape == "value" and len(fact.values) != 1:
        reader.breaks(at.member("values"), "one value stands here, or say `shape: list`")


def _state(reader: Reader, value: msgspec.Struct, at: At) -> None:
    state = cast(State, value)
    if (state.of is not None) != (state.measure in ("sum", "distinct")):
        message = "`sum` and `distinct` need `of`, the field they look at; the others have none"
        reader.breaks(at, message)
    if state.measure == "sequence" and len(state.events) < 2:
        reader.breaks(at.member("events"), "a sequence has at least two events")
    if not state.events:
        reader.breaks(at.member("events"), "state counts at least one label")
    if state.within == Window():
        hint = "add `within: {turns: 50}`; there are `steps`, `turns`, `events` and `age_s`"
        reader.breaks(at, f"the state `{state.name}` has no `within`: nothing would ever leave it", hint)
    if state.session == "declared" and state.scope != "session":
        message = f"`session: declared` means nothing to the scope `{state.scope}`"
        reader.breaks(at.member("session"), message, "remove it, or use `scope: session`")
    for word in ("steps", "turns"):
        if getattr(state.within, word) is not None and state.scope not in ("session", "attempt"):
            message = f"`{word}` are those of one conversation, and `{state.scope}` may have many"
            reader.breaks(at.member("within").member(word), message, "use `events` or `age_s`, or `scope: session`")
    if state.within.events is not None and state.within.events > state.items_max:
        message = f"`within` reaches back {state.within.events:,} events, and `items_max` keeps {state.items_max:,}"
        reader.breaks(at.member("within").member("events"), message, "raise `items_max`")


# Actions


def _patterns(reader: Reader, value: msgspec.Struct, at: At) -> None:
    action = cast(RestrictRoutes | Reroute, value)
    if not action.to:
        reader.breaks(at.member("to"), "`to` names at least one pattern; none would leave no target")
    for pattern in action.to:
        if not is_pattern(pattern):
            hint = "write `provider/model`, a target's name or a label; `*` stands for any characters"
            reader.breaks(at.member("to"), f"{shown(pattern)} is not a pattern", hint)


def _transform(reader: Reader, value: msgspec.Struct, at: At) -> None:
    transform = cast(Transform, value)
    if not (transform.preamble or transform.postscript):
        reader.breaks(at, "a transform puts a `preamble` or a `postscript`")


def _reminder(reader: Reader, value: msgspec.Struct, at: At) -> None:
    if not cast(InjectReminder | RetryWithReminder, value).text.strip():
        reader.breaks(at.member("text"), "a reminder has text")
    if isinstance(value, RetryWithReminder) and value.after_turns is not None and value.once_per is not None:
        reader.breaks(at.member("after_turns"), "`once_per` and `after_turns` cannot both hold", "remove one of them")


RULES: Final = Rules(
    nouns={
        **budget_rules.NOUNS,
        PolicyContract: "a policy",
        Rule: "a rule",
        Alternative: "an alternative",
        Requirement: "a requirement",
        JsonExpectation: "`json`",
        XmlExpectation: "`xml`",
        Hold: "`hold`",
        Channel: "a channel",
        State: "a state",
        Window: "`within`",
        Machine: "a machine",
        MachineState: "a state of a machine",
        Transition: "a transition",
        Comparison: "a comparison",
        Leaf: "a comparison",
        Every: "`all`",
        Either: "`any`",
        Negation: "`not`",
        MacroUse: "a macro",
        Exempt: "an exception",
        Macro: "a macro",
        NamedList: "a list",
        Tie: "a tie",
        Examples: "`examples`",
        Example: "an example",
        ExampleFact: "a fact of an example",
        Allow: "`allow`",
        Annotate: "`annotate`",
        Alert: "`alert`",
        Oblige: "`oblige`",
        Transform: "`transform`",
        InjectReminder: "`inject_reminder`",
        SetArgument: "`set_argument`",
        RestrictRoutes: "`restrict_routes`",
        SwitchModel: "`switch_model`",
        Drop: "`drop`",
        Rewrite: "`rewrite`",
        Reroute: "`reroute`",
        Retry: "`retry`",
        RetryWithReminder: "`retry_with_reminder`",
        RequireApproval: "`require_approval`",
        Block: "`block`",
    },
    readers={
        Comparison: policy_syntax.comparison,
        Channel: policy_syntax.channel,
        Exempt: _exempt,
        Transition: policy_syntax.transition,
        Example: policy_syntax.example,
        Requirement: expectation_syntax.requirement,
    },
    unions={
        policy_syntax.CONDITION_TAG: policy_syntax.condition,
        policy_syntax.ACTION_TAG: policy_syntax.action,
        expectation_syntax.EXPECTATION_TAG: expectation_syntax.expectation,
    },
    checks={
        PolicyContract: _contract,
        Budget: budget_rules.budget,
        Within: budget_rules.within,
        Rule: _rule,
        Channel: _channel,
        Hold: _hold,
        JsonExpectation: expectation_syntax.judge_json,
        XmlExpectation: expectation_syntax.judge_xml,
        Requirement: expectation_syntax.judge_requirement,
        Comparison: _comparison,
        ExampleFact: _fact,
        State: _state,
        Machine: machine_rules.check,
        RestrictRoutes: _patterns,
        Reroute: _patterns,
        Transform: _transform,
        InjectReminder: _reminder,
        RetryWithReminder: _reminder,
    },
    members={
        (PolicyContract, "lists"): policy_syntax.named_lists,
        (PolicyContract, "macros"): policy_syntax.macros,
        (PolicyContract, "state"): policy_syntax.states,
        (PolicyContract, "machines"): policy_syntax.machines,
        (Machine, "states"): policy_syntax.machine_states,
        (Rule, "then"): policy_syntax.actions,
        (Rule, "after_retries"): policy_syntax.actions,
        (Alternative, "schema"): expectation_syntax.schema,
        (Comparison, "values"): _values,
        (ExampleFact, "values"): _values,
        (SetArgument, "to"): policy_syntax.value_of,
    },
    missing={},
    distinct={
        (PolicyContract, "rules"): ("rule", "id"),
        (Rule, "unless"): ("exception", "name"),
        (JsonExpectation, "any_of"): ("alternative", "name"),
        (PolicyContract, "budgets"): ("budget", "name"),
    },
    sets=frozenset({(RestrictRoutes, "to"), (Reroute, "to"), (MachineState, "restrict_routes")}),
)
"""How `kind: policy` documents are read."""
