"""Policies as documents: every spelling is one value, and what means nothing is refused where it stands."""

from __future__ import annotations

import textwrap
from pathlib import Path

import jsonschema_rs
import msgspec
import pytest
from ruamel.yaml import YAML

from wardwright.contracts.check import check, gather
from wardwright.contracts.decode import Located, decode
from wardwright.contracts.difference import diff
from wardwright.contracts.digest import canonical, closure, digest, restored
from wardwright.contracts.model import ModelContract
from wardwright.contracts.policy import OPERATORS, PolicyContract, Rule
from wardwright.contracts.policy_syntax import ACTIONS
from wardwright.contracts.provider import Provider
from wardwright.contracts.refusal import ContractErrors
from wardwright.contracts.schema import schema
from wardwright.policy.arbiter import RANKS
from wardwright.policy.operators import OPERATORS as EVALUATED

ROOT = Path(__file__).parents[3]
WRITTEN = [
    *sorted((ROOT / "examples" / "policies").glob("*.yaml")),
    ROOT / "tests" / "golden" / "policies" / "every-word.yaml",
    ROOT / "benchmarks" / "rules-100.yaml",
]


def read(text: str) -> PolicyContract:
    (found,) = decode(f"kind: policy\nname: p\n{textwrap.dedent(text)}".encode(), "p.yaml")
    assert isinstance(found.value, PolicyContract)
    return found.value


def rule(members: str) -> Rule:
    return read(f"rules: [{{id: r, phase: ask, why: because, then: [block], {members}}}]").rules[0]


def then(action: str) -> object:
    return read(f"rules: [{{id: r, phase: ask, why: because, then: {action}}}]").rules[0].then


def refused(text: str) -> list[tuple[str, str | None]]:
    with pytest.raises(ContractErrors) as caught:
        read(text)
    return [(error.message, error.hint) for error in caught.value.errors]


@pytest.mark.parametrize("file", WRITTEN, ids=lambda file: file.stem)
def test_the_canonical_form_is_the_same_policy(file: Path) -> None:
    (found,) = decode(file.read_bytes(), file.name)
    data = canonical(found.value)

    assert restored(data) == found.value
    (again,) = decode(data, "policy.json")
    assert again.value == found.value
    assert digest(again.value) == digest(found.value)


@pytest.mark.parametrize("file", WRITTEN, ids=lambda file: file.stem)
def test_the_schema_admits_what_decodes(file: Path) -> None:
    document = YAML(typ="safe", pure=True).load(file.read_text())

    assert list(jsonschema_rs.validator_for(schema("policy")).iter_errors(document)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"id": "R"},
        {"when": {"equals": ["who", "ann"]}},
        {"when": {"eq": ["who"]}},
        {"when": {"gt": ["size", "large"]}},
        {"when": {"all": []}},
        {"then": [{"bloc": {}}]},
        {"then": [{"block": {"reason": "x"}}]},
        {"then": []},
        {"on": ["texts"]},
        {"enforce": "on"},
        {"unless": [{"eq": ["who", "ann"]}]},
    ],
)
def test_the_usual_slips_do_not_validate(change: dict[str, object]) -> None:
    good = {"id": "r", "phase": "request", "why": "w", "when": {"eq": ["who", "ann"]}, "then": ["block"]}
    validator = jsonschema_rs.validator_for(schema("policy"))

    assert validator.is_valid({"kind": "policy", "name": "p", "rules": [good]})
    assert not validator.is_valid({"kind": "policy", "name": "p", "rules": [{**good, **change}]})


def test_every_operator_and_action_is_known_on_both_sides() -> None:
    assert set(OPERATORS) == set(EVALUATED)
    assert set(ACTIONS) == set(RANKS)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("when: {in: [who, [a, b]]}", "when: {in: {field: who, value: [a, b]}}"),
        ("when: {exists: who}", "when: {exists: [who]}"),
        ("when: {between: [size, 1, 2]}", "when: {between: {field: size, low: 1, high: 2}}"),
        ("when: {any_of: [tags, [a]]}", "when: {any_of: {field: tags, in: [a]}}"),
        ("when: {gt: [share, 0.50]}", "when: {gt: [share, '0.5']}"),
        ("when: {contains: [body, x]}", "when: {contains: [body, [x]]}"),
        ("unless: [{name: n, eq: [who, a]}]", "unless: [{name: n, when: {eq: [who, a]}}]"),
        ("on: [text], match: {contains: x}", "on: [{channel: text}], match: {contains: {value: x}}"),
        (
            "on: [{tool_arguments: {tool: a}}], match: {regex: x}",
            "on: [{channel: tool_arguments, tool: a}], match: {op: regex, values: [x]}",
        ),
    ],
)
def test_spellings_of_a_rule_are_one_value(one: str, other: str) -> None:
    assert rule(one) == rule(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("block", "[block]"),
        ("[{block: no}]", "[{block: {code: no}}]"),
        ("[{deny: no}]", "[{act: block, code: no}]"),
        ("[{ask: why}]", "[{require_approval: {message: why}}]"),
        ("[{restrict_routes: local}]", "[{restrict_routes: {to: [local]}}]"),
        ("[{restrict_routes: [b, a]}]", "[{restrict_routes: [a, b]}]"),
    ],
)
def test_spellings_of_an_action_are_one_value(one: str, other: str) -> None:
    assert then(one) == then(other)


def test_the_order_of_lists_and_macros_means_nothing() -> None:
    rules = "rules: [{id: r, phase: ask, why: because, then: [block], when: {macro: m}}]\n"
    one = "lists: {x: [b, a, b], y: [1]}\nmacros: {m: {exists: who}, n: {exists: size}}\n"
    other = "macros: {n: {exists: size}, m: {exists: who}}\nlists: {y: [1], x: [a, b]}\n"

    assert digest(read(one + rules)) == digest(read(other + rules))


@pytest.mark.parametrize(
    ("members", "message", "hint"),
    [
        ("when: {equals: [who, a]}", "`equals` is no operator", "known here: all, all_of, any, any_of, between"),
        ("when: {prefx: [who, a]}", "`prefx` is no operator", "did you mean `prefix`?"),
        (
            "when: {eq: [who, a], in: [who, [b]]}",
            "a condition is one word, and this has `eq` and `in`",
            "put them into",
        ),
        ("when: {eq: [who, [a, b]]}", "`eq` takes text, a number, true or false; here stands a list", None),
        ("when: {eq: [who]}", "`eq` takes its field and one value; here are 0 operands", "write `eq: [FIELD, VALUE]`"),
        ("when: {in: [who, a]}", "`in` takes a list; here stands the text `a`", "put it in brackets"),
        ("when: {in: [who, $crew]}", "this policy has no list `crew`", "add it under `lists`"),
        ("when: {macro: crew}", "this policy has no macro `crew`", None),
        ("when: {gt: [size, large]}", "`gt` compares numbers", None),
        ("when: {between: [size, 2, 1]}", "nothing lies between 2 and 1", "write the smaller number first"),
        ("when: {contains: {field: body, value: x, ignorecase: true}}", "`contains` has no member", "did you mean"),
        ("when: {eq: {field: body, value: x, ignore_case: true}}", "`eq` has no member `ignore_case`", None),
        ("when: [{exists: who}]", "a condition is a mapping of one word; here stands a list", "write `eq:"),
        ("when: {all: []}", "`all` is a list of conditions; here stands a list", None),
        ("match: {contains: x}", "`match` needs `on`: the channels it looks at", "add `on: [text]`"),
        ("on: [text], match: {prefix: x}", "`prefix` cannot search a channel", "use `contains`, `regex` or"),
        ("on: [text]", "`on` means nothing without a `match`", "remove it"),
        ("on: [{channel: text, tool: x}], match: {regex: x}", "`tool` and `pointer` belong to `tool_arguments`", None),
        ("hold: {mode: boundary}, on: [text], match: {regex: x}", "`mode: boundary` needs a `boundary`", "add"),
        ("after_retries: [block]", "`after_retries` means nothing: this rule never retries", "move its actions"),
        ("ties: [{rule: s, why: x}]", "this policy has no other rule `s`", None),
        ("priority: 5000", "`priority` is a whole number from -1,000 to 1,000", None),
        ("examples: {fires: [{who: {parts: [a]}}]}", "`who` holds a mapping", "write a value, a list"),
    ],
)
def test_a_member_that_means_nothing_is_refused(members: str, message: str, hint: str | None) -> None:
    ((told, advice),) = refused(f"rules: [{{id: r, phase: ask, why: because, then: [block], {members}}}]")

    assert told.startswith(message)
    assert (advice or "").startswith(hint or "")


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ("blok", "`blok` is no action"),
        ("{block: {cod: x}}", "`block` has no member `cod`"),
        ("{drop: 3}", "`drop` takes members or nothing; here stands `3`"),
        ("{restrict_routes: []}", "`to` names at least one pattern"),
        ("{restrict_routes: 'a b'}", "`a b` is not a pattern"),
        ("{inject_reminder: ''}", "a reminder has text"),
        ("{transform: {}}", "a transform puts a `preamble` or a `postscript`"),
        (
            "{retry_with_reminder: {text: x, once_per: turn, after_turns: 2}}",
            "`once_per` and `after_turns` cannot both",
        ),
    ],
)
def test_an_action_that_means_nothing_is_refused(action: str, message: str) -> None:
    ((told, _),) = refused(f"rules: [{{id: r, phase: ask, why: because, then: [{action}]}}]")

    assert told.startswith(message)


def test_a_rule_without_a_reason_is_refused() -> None:
    assert refused("rules: [{id: r, phase: ask, then: [block]}]") == [("a rule needs `why`", "add `why: …`")]
    assert refused("rules: [{id: r, phase: ask, why: ' ', then: [block]}]")[0][0] == "`why` is empty"


def test_a_macro_that_leads_back_to_itself_is_refused() -> None:
    text = "macros: {a: {macro: b}, b: {not: {macro: a}}}\nrules: [{id: r, phase: ask, why: w, then: [block]}]\n"

    assert refused(text) == [("the macro `a` leads back to itself", "write one of its parts out")]


def test_macros_that_unfold_into_too_much_are_refused() -> None:
    doubled = ", ".join(f"m{n}: {{all: [{{macro: m{n - 1}}}, {{macro: m{n - 1}}}]}}" for n in range(1, 12))
    text = f"macros: {{m0: {{exists: who}}, {doubled}}}\n"
    text += "rules: [{id: r, phase: ask, why: w, then: [block], when: {macro: m11}}]\n"

    assert refused(text)[0][0] == "`r` makes 2048 comparisons, macros unfolded; it may make 256"


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("{count: leak, scope: session}", "the state `s` has no `within`: nothing would ever leave it"),
        ("{sum: leak, scope: session, within: {turns: 3}}", "`sum` and `distinct` need `of`"),
        ("{sequence: leak, scope: session, within: {turns: 3}}", "a sequence has at least two events"),
        ("{count: leak, scope: planet, within: {turns: 3}}", "`scope` is `agent`, `attempt`, `model`"),
    ],
)
def test_state_that_cannot_be_kept_is_refused(state: str, message: str) -> None:
    found = refused(f"state: {{s: {state}}}\nrules: [{{id: r, phase: ask, why: w, then: [block]}}]\n")

    assert found[0][0].startswith(message)


def test_a_credential_is_refused_whole_and_read_in_pieces() -> None:
    key = "AKIA" + "IOSFODNN7EXAMPLE"
    text = "rules: [{{id: r, phase: ask, why: w, then: [block], examples: {{fires: [{{body: {0}}}]}}}}]"

    assert refused(text.format(key))[0][0] == "this looks like an access key of AWS"
    (fact,) = read(text.format("{pieces: [AKIA, IOSFODNN7EXAMPLE]}")).rules[0].examples.fires[0].facts
    assert (fact.shape, fact.values) == ("pieces", ("AKIA", "IOSFODNN7EXAMPLE"))


# Beside models

MODEL = """
kind: provider
name: far
base_url: http://localhost:1
---
kind: model
name: m
targets: [{name: a, provider: far, model: x, context_window: 8K}]
policies: [%s]
---
kind: policy
name: guard
rules: [{id: r, phase: request, why: w, then: [block]}]
"""


def test_a_model_may_name_policies_that_exist() -> None:
    right = gather(decode((MODEL % "guard").encode(), "m.yaml"))
    assert check(right.models, right.providers, right.policies).errors == ()

    wrong = gather(decode((MODEL % "gaurd").encode(), "m.yaml"))
    (error,) = check(wrong.models, wrong.providers, wrong.policies).errors
    assert (error.message, error.hint) == ("no policy is named `gaurd`", "did you mean `guard`?")
    assert str(error.place) == "m.yaml:9:12 (policies[0])"


def test_a_model_without_policies_keeps_its_digest() -> None:
    found = gather(decode((MODEL % "").encode(), "m.yaml"))

    assert b"policies" not in canonical(found.models["m"].value)


def test_a_closure_names_the_policies_that_govern() -> None:
    found = gather(decode((MODEL % "guard").encode(), "m.yaml"))
    models: dict[str, ModelContract] = {name: one.value for name, one in found.models.items()}
    providers: dict[str, Provider] = {name: one.value for name, one in found.providers.items()}
    policies: dict[str, PolicyContract] = {name: one.value for name, one in found.policies.items()}

    value = closure("m", models, providers, "1", policies)
    assert value.policies == (("guard", digest(policies["guard"])),)
    ungoverned = {"m": msgspec.structs.replace(models["m"], policies=())}
    assert b"policies" not in msgspec.json.encode(closure("m", ungoverned, providers, "1", policies))


def test_a_change_of_a_rule_is_told_by_its_name() -> None:
    old = read("rules: [{id: r, phase: ask, why: w, then: [block]}, {id: s, phase: ask, why: w, then: [block]}]")
    new = read(
        "rules: [{id: r, phase: ask, why: w, then: [block], priority: 3}, {id: t, phase: ask, why: w, then: [allow]}]"
    )

    assert [change.sentence for change in diff(old, new)] == [
        "`priority` of the rule `r` went from 0 to 3.",
        "The rule `s` was removed.",
        "The rule `t` was added.",
    ]
    assert diff(old, old) == ()


def test_the_place_of_a_condition_is_known() -> None:
    text = "kind: policy\nname: p\nrules:\n- id: r\n  phase: ask\n  why: w\n  then: block\n"
    text += "  when:\n    all:\n    - {exists: who}\n"
    (found,) = decode(text.encode(), "p.yaml")

    assert isinstance(found, Located)
    assert str(found.place("rules[0].when.conditions[0]")) == "p.yaml:10:7 (rules[0].when.all[0])"
