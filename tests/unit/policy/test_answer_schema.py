"""Schemas that may not be used are refused when they are loaded, where the mistake stands."""

from __future__ import annotations

import pytest

from parts.expectations import expecting
from wardwright.contracts.refusal import ContractErrors
from wardwright.policy.answer_schema import SUBSCHEMAS_MAX


def refused(expect: str, more: str = "") -> tuple[str, str, str | None, str]:
    """Code, message, hint and path of the one refusal."""
    with pytest.raises(ContractErrors) as caught:
        expecting(expect, more)
    (error,) = caught.value.errors
    assert error.place is not None
    assert error.place.line is not None
    return error.code, error.message, error.hint, error.place.path or ""


@pytest.mark.parametrize(
    ("schema", "code", "message", "hint", "path"),
    [
        ("{typ: object}", "contract_unknown_key", "`typ` is no keyword of a schema", "did you mean `type`?", "typ"),
        ("{type: objct}", "contract_invalid", "`type` cannot be that in a schema", None, "type"),
        (
            "{properties: {a: {type: [string, null]}}}",
            "contract_invalid",
            "`type` cannot be that in a schema",
            "put quotes around `null`: without them it is nothing",
            "properties.a.type",
        ),
        (
            "{properties: {a: {minimum: '1'}}}",
            "contract_invalid",
            "`minimum` cannot be that",
            None,
            "properties.a.minimum",
        ),
        ("{properties: {a: 3}}", "contract_invalid", "a schema is a mapping, `true` or `false`", None, "properties.a"),
        ("{allOf: {a: true}}", "contract_invalid", "`allOf` is a list of schemas", None, "allOf"),
        ("{properties: [a]}", "contract_invalid", "`properties` is a mapping of schemas", None, "properties"),
        ("{required: a}", "contract_invalid", "`required` cannot be that in a schema", None, "required"),
        (
            "{properties: {a: {pattern: 'x(?=y)'}}}",
            "policy_pattern",
            "this is no pattern that can be matched in linear time",
            "look-around and back-references",
            "properties.a.pattern",
        ),
        (
            "{pattern: '(a)\\1'}",
            "policy_pattern",
            "this is no pattern that can be matched in linear time",
            "look",
            "pattern",
        ),
        ("{pattern: '(a{1000}){1000}'}", "policy_pattern", "this is no pattern that can be", "look", "pattern"),
        (
            "{patternProperties: {'(?!a)': true}}",
            "policy_pattern",
            "this is no pattern that can",
            "look",
            "patternProperties.(?!a)",
        ),
        ("{format: dat}", "contract_invalid", "there is no such format", "leave it out", "format"),
        (
            "{$ref: 'http://localhost/s.json'}",
            "contract_invalid",
            "a reference leads to a definition of the same schema: nothing is fetched",
            "write `$ref: '#/$defs/NAME'`",
            "$ref",
        ),
        ("{$ref: '#'}", "contract_invalid", "a reference leads to a definition", "write `$ref:", "$ref"),
        (
            "{items: {$ref: '#/$defs/tre'}, $defs: {tree: true}}",
            "contract_invalid",
            "this schema has no definition `tre`",
            "did you mean `tree`?",
            "items.$ref",
        ),
        (
            "{$ref: '#/$defs/t', $defs: {t: {items: {$ref: '#/$defs/t'}}}}",
            "contract_invalid",
            "the definition `t` leads back to itself",
            "write its levels out as far as answers go",
            "$defs.t.items.$ref",
        ),
        ("{definitions: {a: true}}", "contract_invalid", "definitions stand under `$defs`", "rename it", "definitions"),
        ("{items: {$defs: {a: true}}}", "contract_invalid", "`$defs` stands at the root", None, "items.$defs"),
        (
            "{$id: 'http://localhost'}",
            "contract_invalid",
            "`$id` is not read here: a schema stands alone",
            "use",
            "$id",
        ),
        (
            "{$schema: 'http://json-schema.org/draft-07/schema#'}",
            "contract_invalid",
            "schemas are read as JSON Schema 2020-12 alone",
            "remove `$schema`",
            "$schema",
        ),
    ],
)
def test_a_schema_that_means_nothing_is_refused_where_it_stands(
    schema: str, code: str, message: str, hint: str | None, path: str
) -> None:
    told = refused(f"{{json: {{schema: {schema}}}}}")

    assert told[0] == code
    assert told[1].startswith(message)
    assert (told[2] or "").startswith(hint or "")
    assert told[3] == f"rules[0].expect.json.schema.{path}"


def test_definitions_that_double_are_refused_before_they_are_followed() -> None:
    """Twenty-two definitions that each name the next twice: judging one value would take four million steps."""
    doubled = ", ".join(
        f"d{n}: {{allOf: [{{$ref: '#/$defs/d{n + 1}'}}, {{$ref: '#/$defs/d{n + 1}'}}]}}" for n in range(22)
    )
    told = refused(f"{{json: {{schema: {{$ref: '#/$defs/d0', $defs: {{{doubled}, d22: {{type: string}}}}}}}}}}")

    assert told[1] == f"the schema has more than {SUBSCHEMAS_MAX:,} parts once its references are written out"


def test_a_schema_that_is_refused_inside_an_alternative_is_told_there() -> None:
    told = refused("{json: {any_of: [{name: a, schema: {type: string}}, {name: b, schema: {minLenght: 2}}]}}")

    assert told[2:] == ("did you mean `minLength`?", "rules[0].expect.json.any_of[1].schema.minLenght")


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("{pointer: /a, regex: '(a+)+$'}", "a loop can read the same text in several ways"),
        ("{pointer: /a, detector: secret}", "there is no detector `secret`"),
    ],
)
def test_a_requirement_that_cannot_be_asked_is_refused(where: str, message: str) -> None:
    told = refused(f"{{json: {{where: [{where}]}}}}")

    assert told[1].startswith(message)
    assert told[3].startswith("rules[0].expect.json.where[0]")


def test_a_list_that_is_not_there_is_refused() -> None:
    told = refused("{json: {where: [{pointer: /a, in: $known}]}}")

    assert told[1:3] == ("this policy has no list `known`", "add it under `lists`")
