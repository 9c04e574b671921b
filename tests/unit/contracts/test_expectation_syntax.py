"""The `expect` of a rule: every spelling is one value, and what means nothing is refused where it stands."""

from __future__ import annotations

import json

import jsonschema_rs
import pytest

from wardwright.contracts.decode import decode
from wardwright.contracts.difference import diff
from wardwright.contracts.digest import canonical, digest
from wardwright.contracts.expectation_syntax import SCHEMA_CHARS_MAX, SCHEMA_DEPTH_MAX
from wardwright.contracts.policy import JsonExpectation, PolicyContract, XmlExpectation
from wardwright.contracts.refusal import ContractErrors
from wardwright.contracts.schema import schema


def read(expect: str, more: str = "", file: str = "p.yaml") -> PolicyContract:
    text = f"kind: policy\nname: p\nrules:\n- id: r\n  phase: output\n  why: w\n  then: [block]\n  expect: {expect}\n"
    (found,) = decode(f"{text}  {more}\n".encode(), file)
    assert isinstance(found.value, PolicyContract)
    return found.value


def expectation(expect: str) -> JsonExpectation | XmlExpectation:
    (rule,) = read(expect).rules
    assert rule.expect is not None
    return rule.expect


def refused(expect: str, more: str = "") -> tuple[str, str | None, str]:
    with pytest.raises(ContractErrors) as caught:
        read(expect, more)
    error = caught.value.errors[0]
    assert error.place is not None
    return error.message, error.hint, error.place.path or ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("json", "{json: {}}"),
        ("json", "{json: well_formed}"),
        ("json", "{syntax: json}"),
        ("xml", "{xml: well_formed}"),
        ("{xml: {root: a}}", "{syntax: xml, root: a}"),
        ("{json: {schema: {type: object}}}", "{json: {any_of: [{schema: {type: object}}]}}"),
        ("{json: {schema: {type: object}}}", """{json: {schema: '{"type": "object"}'}}"""),
        ("{json: {schema: {a: {}, b: {}}}}", "{json: {schema: {b: {}, a: {}}}}"),
        ("{json: {schema: {minimum: 0.50}}}", "{json: {schema: {minimum: 0.5}}}"),
        ("{json: {schema: {minimum: 1.0}}}", "{json: {schema: {minimum: 1}}}"),
        (
            "{json: {where: [{pointer: /a, gte: 0.70, why: w}]}}",
            "{json: {where: [{pointer: /a, test: {op: gte, values: ['0.7']}, why: w}]}}",
        ),
        ("{json: {where: [{pointer: /a, contains: x}]}}", "{json: {where: [{pointer: /a, contains: {value: [x]}}]}}"),
        ("{json: {where: [{pointer: /a, any_of: [x]}]}}", "{json: {where: [{pointer: /a, any_of: {in: [x]}}]}}"),
        ("{json: {where: [{pointer: /a, exists: false}]}}", "{json: {where: [{pointer: /a, not: {exists: true}}]}}"),
    ],
)
def test_spellings_of_an_expectation_are_one_value(one: str, other: str) -> None:
    assert expectation(one) == expectation(other)
    assert digest(read(one)) == digest(read(other))


@pytest.mark.parametrize("one", ["json", "{xml: {root: a}}", "{json: {fenced: accept, schema: {const: 'é\"'}}}"])
def test_the_canonical_form_is_the_same_expectation(one: str) -> None:
    policy = read(one)
    (again,) = decode(canonical(policy), "p.json")

    assert again.value == policy


def test_a_schema_is_kept_as_canonical_json() -> None:
    expect = expectation("{json: {schema: {type: object, maximum: 1e2, enum: [a, null, 0.250, true]}}}")

    assert isinstance(expect, JsonExpectation)
    assert expect.any_of[0].schema == '{"enum":["a",null,0.25,true],"maximum":100,"type":"object"}'


@pytest.mark.parametrize(
    ("expect", "message", "hint", "path"),
    [
        ("3", "`expect` is `json` or `xml`; here stands `3`", "write `json`, `xml`, or", ""),
        ("yaml", "`expect` is `json` or `xml`; here stands the text `yaml`", "write `json`", ""),
        ("{}", "`expect` is `json` or `xml`; here stands a mapping", "write `json`", ""),
        ("{jsn: {}}", "`expect` has no member `jsn`", "did you mean `json`?", ".jsn"),
        ("{json: {}, xml: {}}", "`expect` is `json` or `xml`; here stands a mapping", "write `json`", ""),
        ("{syntax: yaml}", "`expect` has no member `syntax`", "known here: json, xml", ".syntax"),
        ("{json: {schem: {}}}", "`json` has no member `schem`", "did you mean `schema`?", ".json.schem"),
        ("{json: {fenced: maybe}}", "`fenced` is `accept` or `refuse`", None, ".json.fenced"),
        ("{json: 3}", "`json` is a mapping of its members; here stands `3`", None, ".json"),
        ("{json: {schema: [a]}}", "`schema` is a mapping; here stands a list", None, ".json.schema"),
        ("{json: {schema: x}}", "`schema` is a mapping; here stands text that is no JSON", None, ".json.schema"),
        ("{json: {schema: '[1]'}}", "`schema` is a mapping; here stands a list", None, ".json.schema"),
        ("{json: {schema: {}, any_of: []}}", "`schema` stands beside `any_of`", "put it into", ".json.schema"),
        ("{json: {schema: {const: 1e99}}}", "a number in a schema has at most 17 digits", None, ".json.schema.const"),
        ("{json: {schema: {const: .inf}}}", "`.inf` is no number of JSON", None, ".json.schema.const"),
        ("{xml: {roots: a}}", "`xml` has no member `roots`", "did you mean `root`?", ".xml.roots"),
        ("{xml: {root: 'a b'}}", "`a b` is no name of an element", None, ".xml.root"),
    ],
)
def test_an_expectation_that_means_nothing_is_refused_where_it_stands(
    expect: str, message: str, hint: str | None, path: str
) -> None:
    told = refused(expect)

    assert told[0].startswith(message)
    assert (told[1] or "").startswith(hint or "")
    assert told[2] == f"rules[0].expect{path}"


@pytest.mark.parametrize(
    ("alternatives", "message", "path"),
    [
        ("{nam: a}", "an alternative has no member `nam`", "[0].nam"),
        ("{name: a, schema: {type: object}}, {name: a}", "two alternatives have the name `a`", "[1].name"),
        ("{name: a}, {name: b, schema: {}}", "the alternative `a` accepts every JSON value", "[0]"),
        (
            ", ".join(f"{{name: a{n}, schema: {{}}}}" for n in range(9)),
            "`any_of` has 9 alternatives; it may have 8",
            "",
        ),
    ],
)
def test_alternatives_that_mean_nothing_are_refused(alternatives: str, message: str, path: str) -> None:
    told = refused(f"{{json: {{any_of: [{alternatives}]}}}}")

    assert told[0].startswith(message)
    assert told[2] == f"rules[0].expect.json.any_of{path}"


@pytest.mark.parametrize(
    ("where", "message", "hint", "path"),
    [
        ("{gte: 1}", "a requirement needs the `pointer`", "add `pointer: /…`", "[0]"),
        ("{pointer: /a}", "a requirement has one operator beside its pointer; here are 0", "add one", "[0]"),
        (
            "{pointer: /a, gt: 1, lt: 3}",
            "a requirement has one operator beside its pointer; here are 2",
            "write",
            "[0]",
        ),
        ("{pointer: a, gt: 1}", "`a` is no JSON pointer", "write `/a`", "[0].pointer"),
        ("{pointer: /a~2, gt: 1}", "`/a~2` is no JSON pointer", "write `~` as `~0`", "[0].pointer"),
        ("{pointer: /a, gtt: 1}", "`gtt` is no operator", "did you mean `gt`?", "[0].gtt"),
        ("{pointer: /a, gt: x}", "`gt` compares numbers", None, "[0].gt"),
        ("{pointer: /a, exists: 1}", "`exists` is `true` or `false`; here stands `1`", None, "[0].exists"),
        ("{pointer: /a, not: x}", "`not` stands around one operator", "write `not:", "[0].not"),
        ("{pointer: /a, not: {not: {eq: 1}}}", "`not` stands around one operator", "write `not:", "[0].not"),
        ("{pointer: /a, any_of: 3}", "`any_of` takes what the items are compared with", "write", "[0].any_of"),
        ("{pointer: /a, in: $crew}", "this policy has no list `crew`", "add it under", "[0]"),
        (", ".join(["{pointer: /a, eq: 1}"] * 65), "`where` has 65 requirements; it may have 64", None, ""),
    ],
)
def test_a_requirement_that_means_nothing_is_refused_where_it_stands(
    where: str, message: str, hint: str | None, path: str
) -> None:
    told = refused(f"{{json: {{where: [{where}]}}}}")

    assert told[0].startswith(message)
    assert (told[1] or "").startswith(hint or "")
    assert told[2] == f"rules[0].expect.json.where{path}"


@pytest.mark.parametrize(
    ("more", "message", "path"),
    [
        ("match: {contains: x}", "`match` and `expect` stand side by side", "expect"),
        ("hold: {mode: full}", "`hold` means nothing beside `expect`", "hold"),
        ("on: [reasoning]", "`expect` judges the text or the arguments of tool calls", "on[0]"),
        (
            "on: [{tool_arguments: {pointer: /a}}]",
            "`expect` judges the whole arguments",
            "on[0].tool_arguments.pointer",
        ),
    ],
)
def test_what_does_not_go_with_an_expectation_is_refused(more: str, message: str, path: str) -> None:
    told = refused("json", more)

    assert told[0].startswith(message)
    assert told[2] == f"rules[0].{path}"


def test_a_schema_is_bounded_in_size_and_depth() -> None:
    deep = "{items: " * SCHEMA_DEPTH_MAX + "{}" + "}" * SCHEMA_DEPTH_MAX
    wide = ", ".join(f"{{const: {'x' * 100}{n}}}" for n in range(SCHEMA_CHARS_MAX // 100))

    assert refused(f"{{json: {{schema: {deep}}}}}")[0] == f"the schema nests deeper than {SCHEMA_DEPTH_MAX} levels"
    assert refused(f"{{json: {{schema: {{anyOf: [{wide}]}}}}}}")[0].endswith("characters as JSON; it may have 65,536")


def test_a_date_in_a_schema_is_refused() -> None:
    text = 'kind = "policy"\nname = "p"\n[[rules]]\nid = "r"\nphase = "output"\nwhy = "w"\nthen = ["block"]\n'
    with pytest.raises(ContractErrors, match="JSON has no dates"):
        decode(f"{text}[rules.expect.json.schema]\nconst = 2026-01-02\n".encode(), "p.toml")


def test_a_credential_in_a_schema_is_refused() -> None:
    key = "AKIA" + "IOSFODNN7EXAMPLE"

    assert refused(f"{{json: {{schema: {{const: {key}}}}}}}")[0].startswith("this looks like")


def test_a_change_of_an_expectation_is_told() -> None:
    old, new = read("{json: {schema: {type: object}}}"), read("{json: {schema: {type: array}}}")

    assert diff(old, new)
    assert diff(old, read("{json: {schema: {type: object}}}")) == ()


@pytest.mark.parametrize(
    ("expect", "fits"),
    [
        ("json", True),
        ({"json": {"schema": {"type": "object"}, "where": [{"pointer": "/a", "gte": 0.7, "why": "w"}]}}, True),
        (
            {
                "json": {
                    "any_of": [
                        {"name": "a", "schema": {"const": 1}},
                        {"name": "b", "where": [{"pointer": "", "eq": 2}]},
                    ]
                }
            },
            True,
        ),
        ({"json": {"where": [{"pointer": "", "not": {"any_of": ["x"]}}, {"pointer": "/a", "exists": False}]}}, True),
        ({"xml": {"root": "a", "fenced": "accept"}}, True),
        ({"xml": "well_formed"}, True),
        ("yaml", False),
        ({"json": {"schema": "{}"}}, False),
        ({"json": {"schema": {}, "any_of": []}}, False),
        ({"json": {"where": [{"pointer": "/a"}]}}, False),
        ({"json": {"where": [{"gte": 1}]}}, False),
        ({"json": {"where": [{"pointer": "/a", "gte": 1, "lte": 2}]}}, False),
        ({"json": {"fence": "accept"}}, False),
        ({"xml": {"schema": {}}}, False),
    ],
)
def test_editors_are_told_the_same(expect: object, fits: bool) -> None:
    rule = {"id": "r", "phase": "output", "why": "w", "then": ["block"], "expect": expect}
    validator = jsonschema_rs.validator_for(schema("policy"))

    assert validator.is_valid({"kind": "policy", "name": "p", "rules": [rule]}) is fits
    if fits:
        assert expectation(json.dumps(expect)) is not None
