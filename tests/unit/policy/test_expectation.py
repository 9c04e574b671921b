"""Whole answers judged: every row of the matrix of structured output by its name, and the edges of each stage."""

from __future__ import annotations

import json
from time import thread_time

import pytest

from parts.expectations import FORMS, VERDICT, judged, wrong
from wardwright.policy.expectation import ANSWER_CHARS_MAX, MESSAGE_CHARS_MAX, POINTER_CHARS_MAX, PROBLEMS_MAX

GOOD = '{"company": "Acme", "confidence": 0.9}'
UNSURE = '{"company": "Acme", "confidence": 0.4}'
MISSHAPEN = '{"company": "Acme"}'
BROKEN = '{"company": "Acme", "confidence": 0.9'


def kinds(expect: str, *texts: str) -> list[str]:
    """For each text the kind of its problems, or `met`."""
    told: list[str] = []
    for text in texts:
        verdict = judged(expect, text)
        told.append("met" if verdict.met else "+".join(sorted({one.kind for one in verdict.problems})))
    return told


# The matrix


def test_valid_first() -> None:
    verdict = judged(VERDICT, GOOD)

    assert (verdict.met, verdict.alternative, verdict.problems) == (True, "value", ())


def test_semantic_then_ok() -> None:
    assert kinds(VERDICT, UNSURE, GOOD) == ["semantic", "met"]
    assert wrong(VERDICT, UNSURE) == [
        ("semantic", "/confidence", "must be one that is at least `0.7`: below that a person decides")
    ]


def test_syntax_schema_semantic_then_ok_in_order() -> None:
    assert kinds(VERDICT, BROKEN, MISSHAPEN, UNSURE, GOOD) == ["syntax", "schema", "semantic", "met"]


def test_fenced_json() -> None:
    fenced = f"```json\n{GOOD}\n```"

    assert wrong(VERDICT, fenced) == [("syntax", "", "stands in a code fence; it must be the value alone")]
    assert judged("{json: {fenced: accept}}", fenced).met


def test_refusal() -> None:
    assert kinds(VERDICT, "I cannot help with that.", "", " \n") == ["syntax"] * 3
    assert wrong(VERDICT, "") == [("syntax", "", "is empty")]


def test_truncated() -> None:
    assert wrong(VERDICT, BROKEN) == [("syntax", "", "ends before its JSON value does (line 1 column 37)")]


def test_extra_field() -> None:
    extra = '{"company": "Acme", "confidence": 0.9, "mood": "good"}'

    assert wrong(VERDICT, extra) == [("schema", "", "may not have the member `mood`")]


def test_wrong_type() -> None:
    text = '{"company": "Acme", "confidence": "0.9"}'

    assert wrong(VERDICT, text) == [("schema", "/confidence", "must be a number, not text")]


def test_over_correction() -> None:
    """Told that it was not sure enough, the model is now surer than can be, and says more than was asked."""
    text = '{"company": "Acme", "confidence": 7, "note": "surely at least 0.7"}'

    assert sorted(wrong(VERDICT, text)) == [
        ("schema", "", "may not have the member `note`"),
        ("schema", "/confidence", "must be at most 1"),
    ]


def test_budget_by_syntax() -> None:
    """Three attempts that are no JSON each count against the same rule, with a problem of the same kind."""
    assert kinds(VERDICT, "no", BROKEN, f"{GOOD} indeed") == ["syntax"] * 3


def test_mixed() -> None:
    assert kinds(VERDICT, UNSURE, BROKEN, UNSURE, MISSHAPEN) == ["semantic", "syntax", "semantic", "schema"]


def test_v2_alternative() -> None:
    verdict = judged(FORMS, '{"version": 2, "verdicts": [1]}')

    assert (verdict.met, verdict.alternative) == (True, "v2")


def test_none_matches() -> None:
    verdict = judged(FORMS, '{"version": 2, "verdicts": []}')

    assert (verdict.met, verdict.alternative, verdict.closest) == (False, None, "v2")
    assert [one.message for one in verdict.problems] == ["must have at least 1 items"]


def test_per_rule_budget() -> None:
    """Whatever is wrong with it, an answer is unmet once: one verdict, however many problems it holds."""
    verdict = judged(VERDICT, '{"confidence": "x", "a": 1, "tags": [1, 2]}')

    assert not verdict.met
    assert len(verdict.problems) == 5


@pytest.mark.parametrize(
    "confidence", ["0.69999999999999999999", "0", "-1", "6.9e-1", "0.7e-1", "null", '"0.7"', "true"]
)
def test_a_confidence_below_the_bound_is_never_met(confidence: str) -> None:
    assert not judged(VERDICT, f'{{"company": "Acme", "confidence": {confidence}}}').met
    assert not judged("{json: {where: [{pointer: /confidence, gte: 0.7}]}}", f'{{"confidence": {confidence}}}').met


# Syntax


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "a": 2}', "has a key twice in one object (line 1 column 14)"),
        ("[1] and so on", "has something after its JSON value (line 1 column 5)"),
        ("[1,]", "is no JSON: trailing comma (line 1 column 4)"),
        ("{'a': 1}", "is no JSON: key must be a string (line 1 column 2)"),
        ("NaN", "is no JSON: expected value (line 1 column 1)"),
        ("[1e400]", "holds a number beyond 10^308"),
        ("[1e-999999999]", "holds a number beyond 10^308"),
        ("[1e99999999999999999999]", "holds a number that cannot be read (line 1 column 24)"),
        ("[" * 300 + "]" * 300, "nests too deeply (line 1 column 202)"),
        ("1" * 5000, "holds a number that is too long (line 1 column 4302)"),
        ('"\ud800"', "holds half a character"),
        (
            '"' + "x" * ANSWER_CHARS_MAX + '"',
            "has 262,146 characters; one that is judged has at most 262,144",
        ),
    ],
)
def test_what_two_readers_could_read_differently_is_no_json(text: str, message: str) -> None:
    assert wrong("json", text) == [("syntax", "", message)]


@pytest.mark.parametrize("text", ["1", "null", '"é"', '"\\ud83d\\ude00"', " [1e300] ", '{"e1": "1e999"}', "[]"])
def test_any_json_value_is_json(text: str) -> None:
    assert judged("json", text).met


@pytest.mark.parametrize(
    "text",
    [
        "```\n[1]\n```",
        "```json\n[1]\n```",
        "  ```json5\r\n[1]\r\n```\n",
        "```json\n[1]```",
        '```json\n["a ``` b"]\n```',
    ],
)
def test_one_fence_around_the_whole_is_taken_off(text: str) -> None:
    assert judged("{json: {fenced: accept}}", text).met


@pytest.mark.parametrize(
    "text",
    [
        "Here it is:\n```json\n[1]\n```",
        "```json\n[1]\n```\n```json\n[2]\n```",
        "```json\n[1]",
        "```[1]```",
        "```a b\n[1]\n```",
    ],
)
def test_more_or_less_than_one_fence_around_the_whole_stays(text: str) -> None:
    assert kinds("{json: {fenced: accept}}", text) == ["syntax"]


# Schema


@pytest.mark.parametrize(
    ("schema", "text", "pointer", "message"),
    [
        ("{enum: [a, 2, null]}", '"b"', "", 'must be one of `"a"`, `2` or `null`'),
        ("{const: 0.50}", "1", "", "must be `0.5`"),
        ("{type: [string, integer]}", "[]", "", "must be a whole number or text, not a list"),
        ("{items: {minimum: 1}}", "[1, 0]", "/1", "must be at least 1"),
        ("{items: {maxLength: 2}}", '["abc"]', "/0", "must have at most 2 characters, and has 3"),
        ("{multipleOf: 0.01}", "0.015", "", "must be a multiple of 0.01"),
        ("{pattern: '^a+$'}", '"b"', "", "must match the pattern `^a+$`"),
        ("{format: date}", '"2026-13-01"', "", "must have the format `date`"),
        ("{uniqueItems: true}", "[1, 1.0]", "", "must not have the same item twice"),
        ("{contains: {type: string}}", "[1]", "", "does not have the items that it must contain"),
        ("{minProperties: 1}", "{}", "", "must have at least 1 members"),
        ("{properties: {a: false}}", '{"a": 1}', "/a", "may not be here"),
        ("{not: {type: string}}", '"a"', "", "has a form that is not allowed here"),
        ("{oneOf: [{type: string}, {minLength: 1}]}", '"a"', "", "has several of the forms of which it must have one"),
        ("{propertyNames: {maxLength: 1}}", '{"ab": 1}', "", "has a member whose name is not allowed"),
        ("{prefixItems: [true], items: false}", "[1, 2]", "/1", "may not be here"),
        ("{prefixItems: [true], unevaluatedItems: false}", "[1, 2]", "", "has more items than it may have"),
        ("{dependentRequired: {a: [b]}}", '{"a": 1}', "", "needs the member `b`"),
        (
            "{anyOf: [{type: string}, {type: object, required: [q]}]}",
            '{"a": 1}',
            "",
            "has none of the 2 forms allowed here; the nearest: it needs the member `q`",
        ),
        ("{exclusiveMinimum: 1}", "1", "", "must be more than 1"),
        ("{exclusiveMaximum: 1}", "1", "", "must be less than 1"),
        ("{maximum: 1}", "1.5", "", "must be at most 1"),
        ("{maxItems: 1}", "[1, 2]", "", "must have at most 1 items"),
        ("{minLength: 1}", '""', "", "must have at least 1 characters"),
        ("{maxProperties: 0}", '{"a": 1}', "", "must have at most 0 members"),
    ],
)
def test_what_a_schema_wants_is_said_in_words(schema: str, text: str, pointer: str, message: str) -> None:
    assert wrong(f"{{json: {{schema: {schema}}}}}", text) == [("schema", pointer, message)]


def test_of_many_options_some_are_listed() -> None:
    options = ", ".join(str(number) for number in range(40))
    ((_, _, message),) = wrong(f"{{json: {{schema: {{enum: [{options}]}}}}}}", "40")

    assert message == "must be one of " + ", ".join(f"`{number}`" for number in range(12)) + " or 28 more"


def test_no_value_of_the_answer_is_repeated() -> None:
    secret = "hunter2-" * 40
    text = json.dumps({"company": secret, "confidence": secret, "tags": [secret]})
    schema = (
        "{json: {schema: {properties: {company: {enum: [a]}, confidence: {type: number}, tags: {items: {const: b}}}}}}"
    )

    assert len(judged(schema, text).problems) == 3
    assert "hunter2" not in str(judged(schema, text))


def test_what_looks_like_a_credential_is_not_repeated_as_a_key() -> None:
    key = "sk-" + "abcdefghijklmnopqrstuvwx"
    told = wrong("{json: {schema: {properties: {a: true}, additionalProperties: false}}}", json.dumps({key: 1}))
    inside = wrong("{json: {schema: {additionalProperties: {type: string}}}}", json.dumps({key: 1}))

    assert told == [("schema", "", "may not have the member `…`")]
    assert inside == [("schema", "/…", "must be text, not a number")]


def test_problems_are_bounded_in_number_and_length() -> None:
    text = json.dumps({"k" * 300: {"j" * 300: 1}, **{f"m{n}": 1 for n in range(30)}})
    verdict = judged("{json: {schema: {additionalProperties: {type: object, additionalProperties: false}}}}", text)

    assert len(verdict.problems) == PROBLEMS_MAX
    assert verdict.more == 31 - PROBLEMS_MAX
    assert all(len(one.message) <= MESSAGE_CHARS_MAX for one in verdict.problems)
    assert all(len(one.pointer) <= POINTER_CHARS_MAX for one in verdict.problems)


def test_a_large_answer_is_judged_soon_and_told_in_one_problem() -> None:
    schema = "{json: {schema: {items: {allOf: [{type: string}, {minLength: 3}, {enum: [a]}]}}}}"
    started = thread_time()
    told = wrong(schema, "[" + "1," * 120_000 + "1]")

    assert told == [("schema", "", "is not what the schema admits, and too large to say where")]
    assert thread_time() - started < 2


def test_an_answer_that_is_too_large_for_its_schema_is_not_admitted() -> None:
    parts = ", ".join(f"{{minimum: -{n}}}" for n in range(900))
    told = wrong(f"{{json: {{schema: {{items: {{allOf: [{parts}]}}}}}}}}", "[" + "1," * 120_000 + "1]")

    assert told == [("schema", "", "is too large to be judged by its schema")]


def test_a_pattern_takes_linear_time() -> None:
    started = thread_time()

    assert not judged("{json: {schema: {pattern: '^(a|aa)+$'}}}", json.dumps("a" * 200_000 + "b")).met
    assert thread_time() - started < 2


# Requirements


@pytest.mark.parametrize(
    ("where", "text", "met"),
    [
        ("{pointer: /a, eq: 0.5}", '{"a": 0.50}', True),
        ("{pointer: /a, eq: 1}", '{"a": 1.0}', True),
        ("{pointer: /a, eq: 1}", '{"a": true}', False),
        ("{pointer: /a, eq: true}", '{"a": 1}', False),
        ("{pointer: /a, eq: yes}", '{"a": "yes"}', True),
        ("{pointer: /a, in: [x, 2]}", '{"a": 2}', True),
        ("{pointer: /a, between: [1, 2]}", '{"a": 2.0}', True),
        ("{pointer: /a, between: [1, 2]}", '{"a": 2.0000000000000000001}', False),
        ("{pointer: /a, gt: 1}", '{"a": 1.0}', False),
        ("{pointer: /a, lt: 1}", '{"a": 0.9999999999999999999999}', True),
        ("{pointer: /a, lte: 1}", '{"a": -3}', True),
        ("{pointer: /a, gte: 1}", '{"a": true}', False),
        ("{pointer: /a, not: {gte: 1}}", '{"a": "0"}', False),
        ("{pointer: /a, contains: x}", '{"a": "axb"}', True),
        ("{pointer: /a, not: {contains: [x, y]}}", '{"a": "axb"}', False),
        ("{pointer: /a, not: {contains: x}}", "{}", True),
        ("{pointer: /a, contains: x}", "{}", False),
        ("{pointer: /a, regex: '^[A-Z]+$'}", '{"a": "ABC"}', True),
        ("{pointer: /a, prefix: {value: AB, ignore_case: true}}", '{"a": "abc"}', True),
        ("{pointer: /a, exists: true}", '{"a": false}', True),
        ("{pointer: /a, exists: true}", '{"a": null}', False),
        ("{pointer: /a, exists: false}", '{"b": 1}', True),
        ("{pointer: /a, exists: false}", '{"a": 0}', False),
        ("{pointer: /a, any_of: [x]}", '{"a": ["y", "x"]}', True),
        ("{pointer: /a, any_of: [x]}", '{"a": []}', False),
        ("{pointer: /a, all_of: {gte: 1}}", '{"a": [1, 2]}', True),
        ("{pointer: /a, all_of: {gte: 1}}", '{"a": [1, "2"]}', False),
        ("{pointer: /a, all_of: [x]}", '{"a": "x"}', False),
        ("{pointer: /a, not: {any_of: [x]}}", '{"a": ["y"]}', True),
        ("{pointer: /a, not: {all_of: {prefix: x}}}", '{"a": ["x1", "y"]}', True),
        ("{pointer: /l/1/b, eq: 2}", '{"l": [0, {"b": 2}]}', True),
        ("{pointer: /l/01, eq: 2}", '{"l": [0, 2]}', False),
        ("{pointer: /l/5, exists: true}", '{"l": [0, 2]}', False),
        ("{pointer: /x~1y~0z, eq: 2}", '{"x/y~z": 2}', True),
        ("{pointer: '', eq: 2}", "2", True),
        ("{pointer: /a, detector: secrets}", '{"a": "nothing"}', False),
    ],
)
def test_a_requirement_compares_what_stands_at_its_pointer(where: str, text: str, met: bool) -> None:
    assert judged(f"{{json: {{where: [{where}]}}}}", text).met is met


@pytest.mark.parametrize(
    ("where", "text", "message"),
    [
        ("{pointer: /a, gte: 1}", "{}", "is missing, and must be one that is at least 1"),
        ("{pointer: /a, gte: 1}", '{"a": "2"}', "is text, not a number, and must be one that is at least 1"),
        ("{pointer: /a, not: {contains: x}}", '{"a": "x"}', "must be one that does not contain `x`"),
        ("{pointer: /a, contains: x}", '{"a": 1}', "is a number, not text, and must be one that contains `x`"),
        ("{pointer: /a, eq: 1}", '{"a": [1]}', "is a list, and must be one that is 1"),
        ("{pointer: /a, any_of: [x]}", '{"a": 1}', "is a number, not a list, and must have some item that is `x`"),
        ("{pointer: /a, all_of: {prefix: x}}", '{"a": ["y"]}', "must have no item but such as begins with `x`"),
        ("{pointer: /a, not: {any_of: [x]}}", '{"a": ["x"]}', "must have no item that is `x`"),
        ("{pointer: /a, exists: true}", "{}", "is missing, and must be there"),
        ("{pointer: /a, exists: false, why: drafts have no id}", '{"a": 1}', "must not be there: drafts have no id"),
    ],
)
def test_what_a_requirement_wants_is_said_in_words(where: str, text: str, message: str) -> None:
    assert wrong(f"{{json: {{where: [{where}]}}}}", text) == [("semantic", "/a", message)]


# Alternatives


@pytest.mark.parametrize(
    ("text", "closest"),
    [
        ('{"version": 1, "company": "Acme", "confidence": 0.1}', "v1"),
        ('{"version": 1, "company": 3}', "v1"),
        ('{"version": 2}', "v2"),
        ('{"verdicts": 3}', "v2"),
        ("[]", "v1"),
    ],
)
def test_the_closest_of_several_alternatives_is_told(text: str, closest: str) -> None:
    assert judged(FORMS, text).closest == closest


# XML


@pytest.mark.parametrize(
    "text",
    ["<a/>", "\n<?xml version='1.0' encoding='UTF-16'?>\n<a b='&lt;'>é<!-- c --></a>\n", "<a:b xmlns:a='u'/>"],
)
def test_well_formed_xml_is_met(text: str) -> None:
    assert judged("xml", text).met


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<a><b></a>", "it is not well-formed XML: mismatched tag at line 1 column 9"),
        ("<a>", "it is not well-formed XML: no element found at line 1 column 4"),
        ("<a/><b/>", "it is not well-formed XML: junk after document element at line 1 column 5"),
        ("<a>&nbsp;</a>", "it is not well-formed XML: undefined entity at line 1 column 4"),
        ("Here: <a/>", "it is not well-formed XML: syntax error at line 1 column 1"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "it declares a document type, which is not accepted"),
        ("<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>", "it declares a document type, which is not accepted"),
        ("<a>" * 300 + "</a>" * 300, "its elements nest deeper than 256 levels"),
        ("<a>\ud800</a>", "it holds half a character"),
    ],
)
def test_what_is_no_xml_is_told_with_its_place(text: str, message: str) -> None:
    assert wrong("xml", text) == [("syntax", "", f"is not accepted: {message}")]


def test_another_root_element_is_told() -> None:
    told = wrong("{xml: {root: report}}", "<rapport/>")

    assert told == [("schema", "", "has a form that is not accepted: its root element must be `report`, not `rapport`")]


def test_a_fence_around_xml_is_taken_off_where_the_rule_says_so() -> None:
    assert judged("{xml: {fenced: accept}}", "```xml\n<a/>\n```").met
    assert not judged("xml", "```xml\n<a/>\n```").met
