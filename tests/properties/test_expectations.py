"""Judging whole answers against a second opinion: Python's own JSON reader, jsonschema-rs and a naive comparison."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import jsonschema_rs
from hypothesis import assume, given
from hypothesis import strategies as st

from parts.expectations import FORMS, VERDICT, rule
from wardwright.contracts.policy import Comparison, Requirement
from wardwright.policy.answer_schema import admit
from wardwright.policy.answers import REMINDER_CHARS_MAX, Answer, objections, reminder
from wardwright.policy.expectation import (
    MESSAGE_CHARS_MAX,
    POINTER_CHARS_MAX,
    PROBLEMS_MAX,
    Expecting,
    Form,
    JsonExpecting,
    XmlExpecting,
)
from wardwright.policy.operators import Comparing
from wardwright.policy.requirements import required

KEYS = st.sampled_from(("a", "b", "c", "confidence", "é/~"))
NUMBERS = st.one_of(
    st.integers(-3, 3),
    st.sampled_from((0.5, 0.7, 0.25, 1.5, -0.5)),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, st.sampled_from(("", "a", "ab", "😀", '\\"{}[]```')))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)
TYPES = st.sampled_from(("object", "array", "string", "number", "integer", "boolean", "null"))
LEAF_SCHEMAS: st.SearchStrategy[Any] = st.one_of(
    st.booleans(),
    TYPES.map(lambda one: {"type": one}),
    st.lists(TYPES, min_size=1, max_size=3, unique=True).map(lambda some: {"type": some}),
    st.lists(SCALARS, min_size=1, max_size=3).map(lambda some: {"enum": some}),
    SCALARS.map(lambda one: {"const": one}),
    NUMBERS.map(lambda one: {"minimum": one}),
    NUMBERS.map(lambda one: {"exclusiveMaximum": one}),
    st.integers(0, 3).map(lambda one: {"minLength": one, "maxItems": one}),
    st.sampled_from(("^a", "b$", "[😀]", "^$")).map(lambda one: {"pattern": one}),
    st.lists(KEYS, max_size=2, unique=True).map(lambda some: {"required": some}),
    st.just({"uniqueItems": True}),
    st.just({"$ref": "#/$defs/d"}),
)
SCHEMAS = st.recursive(
    LEAF_SCHEMAS,
    lambda inner: st.one_of(
        st.dictionaries(KEYS, inner, min_size=1, max_size=3).map(lambda some: {"properties": some}),
        st.tuples(st.dictionaries(KEYS, inner, max_size=2), inner).map(
            lambda pair: {"properties": pair[0], "additionalProperties": pair[1]}
        ),
        inner.map(lambda one: {"items": one}),
        inner.map(lambda one: {"not": one}),
        inner.map(lambda one: {"contains": one}),
        st.lists(inner, min_size=1, max_size=3).map(lambda some: {"anyOf": some}),
        st.lists(inner, min_size=1, max_size=3).map(lambda some: {"oneOf": some}),
        st.lists(inner, min_size=1, max_size=3).map(lambda some: {"allOf": some}),
        st.tuples(inner, inner, inner).map(lambda three: {"if": three[0], "then": three[1], "else": three[2]}),
    ),
    max_leaves=6,
).map(lambda one: {"$defs": {"d": {"type": ["string", "array"]}}, **(one if isinstance(one, dict) else {"not": {}})})
BOUNDS = st.integers(0, 1000).map(lambda one: Decimal(one) / 100)


def judging(schema: Any, *where: Requirement) -> JsonExpecting:
    """One form, put together without a document."""
    asked = tuple(
        required(one, Comparing(op=one.test.op, type="text", values=one.test.values, ignore_case=one.test.ignore_case))
        for one in where
    )
    return JsonExpecting((Form("value", admit(json.dumps(schema)), asked),), "refuse")


def expecting(text: str) -> Expecting:
    found = rule(text).expecting
    assert found is not None
    return found


VERDICTS = expecting(VERDICT)
BY_VERSION = expecting(FORMS)
ANY = expecting("json")
FENCED = expecting("{json: {fenced: accept}}")


@given(SCHEMAS, VALUES)
def test_a_verdict_is_that_of_the_schema(schema: Any, value: Any) -> None:
    verdict = judging(schema).judge(json.dumps(value))

    assert verdict.met is jsonschema_rs.Draft202012Validator(schema).is_valid(value)
    assert verdict.met is not bool(verdict.problems)


@given(SCHEMAS, VALUES, BOUNDS)
def test_a_verdict_is_that_of_the_schema_and_the_requirement(schema: Any, value: Any, bound: Decimal) -> None:
    least = Requirement(pointer="/confidence", test=Comparison(op="gte", values=(str(bound.normalize()),)))
    verdict = judging(schema, least).judge(json.dumps(value))

    admitted = jsonschema_rs.Draft202012Validator(schema).is_valid(value)
    found = value.get("confidence") if isinstance(value, dict) else None
    sure = isinstance(found, int | float) and not isinstance(found, bool) and Decimal(str(found)) >= bound
    assert verdict.met is (admitted and sure)
    kinds = {one.kind for one in verdict.problems}
    assert kinds == (set() if verdict.met else {"semantic"} if admitted else {"schema"})


@given(VALUES)
def test_every_json_value_is_read_as_python_reads_it(value: Any) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=2)):
        same = judging({"const": value})
        assert same.judge(text).met
        assert FENCED.judge(f"```json\n{text}\n```").met
        assert FENCED.judge(text).met


@given(VALUES, st.data())
def test_a_value_that_is_cut_short_is_never_met(value: Any, data: st.DataObject) -> None:
    text = json.dumps(value)
    cut = text[: data.draw(st.integers(0, max(0, len(text) - 1)))]
    try:
        json.loads(cut)
    except ValueError:
        assert not ANY.judge(cut).met
        assert [one.kind for one in ANY.judge(cut).problems] == ["syntax"]
    else:
        assert not isinstance(value, dict | list | str)


@given(st.text(max_size=40) | st.text('[]{}",:01.eE- \\tu', max_size=20))
def test_what_python_does_not_read_is_never_met(text: str) -> None:
    try:
        json.loads(text, parse_constant=lambda word: json.loads(""))
    except ValueError:
        assert not ANY.judge(text).met
    assert len(ANY.judge(text).problems) <= 1


@given(
    st.decimals(max_value=Decimal("0.7"), allow_nan=False, allow_infinity=False),
    st.sampled_from(
        ("{}", '{{"company": "Acme", "confidence": {}}}', '{{"version": 1, "company": "x", "confidence": {}}}')
    ),
)
def test_a_confidence_below_the_bound_never_completes(confidence: Decimal, around: str) -> None:
    assume(confidence < Decimal("0.7"))
    text = around.format(f"{confidence:f}" if abs(confidence.adjusted()) < 400 else str(confidence))

    assert not VERDICTS.judge(text).met
    assert not BY_VERSION.judge(text).met


@given(VALUES, SCHEMAS)
def test_what_is_told_is_bounded_and_repeats_no_text_of_the_answer(value: Any, schema: Any) -> None:
    text = json.dumps({"a": "hunter2hunter2", "confidence": ["hunter2hunter2", value], "b": value})
    verdict = judging({**schema, "properties": {"a": {"maxLength": 3}, "b": schema.get("items", True)}}).judge(text)

    assert len(verdict.problems) <= PROBLEMS_MAX
    assert all(len(one.message) <= MESSAGE_CHARS_MAX for one in verdict.problems)
    assert all(len(one.pointer) <= POINTER_CHARS_MAX for one in verdict.problems)
    assert "hunter2" not in str(verdict)


@given(st.text(max_size=30) | VALUES.map(json.dumps))
def test_a_reminder_is_given_exactly_where_an_answer_is_unmet(text: str) -> None:
    compiled = rule(VERDICT)
    found = objections(compiled, Answer(text))

    assert bool(found) is not VERDICTS.judge(text).met
    told = reminder("Again.", found)
    assert (told == "Again.") is not bool(found)
    assert len(told) <= REMINDER_CHARS_MAX + len("Again.\n\n- …") + 1


@given(st.recursive(st.just(""), lambda inner: st.lists(inner, max_size=3).map(lambda some: f"<a>{''.join(some)}</a>")))
def test_xml_that_is_cut_short_is_never_met(inside: str) -> None:
    judge = XmlExpecting(None, "refuse").judge
    text = f"<r>{inside}</r>"

    assert judge(text).met
    assert not any(judge(text[:at]).met for at in range(len(text)))
