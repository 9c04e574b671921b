"""The author's spelling of conditions, comparisons and actions as JSON Schema, for `contracts.schema`."""

from __future__ import annotations

from typing import Any, Final, Protocol, TypeAlias

import msgspec

from wardwright.contracts.policy import (
    OPERATORS,
    Alternative,
    Channel,
    Comparison,
    Example,
    Exempt,
    JsonExpectation,
    Machine,
    MachineState,
    Operands,
    PolicyContract,
    Requirement,
    Rule,
    State,
    Transition,
    XmlExpectation,
)
from wardwright.contracts.policy_syntax import ACTIONS, ALIASES, GROUPS, QUANTIFIERS

JsonSchema: TypeAlias = dict[str, Any]


class Writer(Protocol):
    """What `contracts.schema` lends."""

    defs: dict[str, JsonSchema]

    def object(self, cls: type[msgspec.Struct]) -> JsonSchema: ...


def _ref(name: str) -> JsonSchema:
    return {"$ref": f"#/$defs/{name}"}


_FIELD: Final[JsonSchema] = {"type": "string", "description": "A field of the phase, such as `caller.tenant`."}
_TEXT: Final[JsonSchema] = {"type": "string", "minLength": 1}
_VALUE: Final[JsonSchema] = {"type": ["string", "number", "boolean"]}
_LIST: Final[JsonSchema] = {"type": "string", "pattern": r"^\$."}
_VALUES: Final[JsonSchema] = {"type": "array", "items": _VALUE, "minItems": 1}
_NUMBER: Final[JsonSchema] = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^[0-9.]+$"}]}

_OPERAND: Final[dict[Operands, JsonSchema]] = {
    "one": _VALUE,
    "many": {"anyOf": [_VALUES, _LIST]},
    "texts": {"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}]},
    "number": _NUMBER,
    "name": _TEXT,
}

_NAME: Final[JsonSchema] = {"pattern": r"^[a-z0-9][a-z0-9._-]*$", "maxLength": 96}

SPELLED: Final[dict[tuple[type[msgspec.Struct], str], JsonSchema]] = {
    (PolicyContract, "lists"): {"type": "object", "propertyNames": _NAME, "additionalProperties": _VALUES},
    (PolicyContract, "macros"): {
        "type": "object",
        "propertyNames": _NAME,
        "additionalProperties": _ref("Condition"),
    },
    (PolicyContract, "state"): {"type": "object", "propertyNames": _NAME, "additionalProperties": _ref("State")},
    (PolicyContract, "machines"): {
        "type": "object",
        "propertyNames": _NAME,
        "additionalProperties": _ref("Machine"),
    },
    (Machine, "states"): {
        "type": "object",
        "propertyNames": _NAME,
        "additionalProperties": {"anyOf": [_ref("MachineState"), {"type": "null"}]},
        "minProperties": 1,
    },
    (Machine, "transitions"): {"type": "array", "items": _ref("Transition"), "minItems": 1},
    (Rule, "when"): {"anyOf": [_ref("Condition"), {"type": "null"}]},
    (Rule, "unless"): {"type": "array", "items": _ref("Exempt")},
    (Rule, "match"): {"anyOf": [_ref("Comparison"), {"type": "null"}]},
    (Rule, "expect"): {"anyOf": [_ref("Expectation"), {"type": "null"}]},
    (Rule, "on"): {"type": "array", "items": _ref("Channel")},
    (Alternative, "schema"): {"type": "object"},
    (Alternative, "where"): {"type": "array", "items": _ref("Requirement")},
    (Rule, "then"): _ref("Actions"),
    (Rule, "after_retries"): _ref("Actions"),
}
"""Members whose spelling is not that of their type."""

ONE_WORD: Final = (Comparison, Channel, Exempt, Example, Requirement)
"""Types that `define` writes under their own name."""


def define(writer: Writer) -> None:
    """Add what SPELLED refers to."""
    words = [_condition_word(word) for word in (*GROUPS, *QUANTIFIERS, *OPERATORS)]
    writer.defs |= {
        "Condition": {"description": "A condition: a mapping of one word.", "anyOf": words},
        "Comparison": {
            "description": "One comparison of what a channel carries.",
            "anyOf": [_one(op, _operation(op)) for op in ("contains", "regex")],
        },
        "Exempt": {
            "description": "A named exception: a condition with a `name` beside it, or `{name, when}`.",
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": "string", **_NAME}, "when": _ref("Condition")},
            "minProperties": 2,
            "maxProperties": 2,
        },
        "Channel": _channel(writer),
        "Expectation": _expectation(writer),
        "Requirement": _requirement(writer),
        "Example": {
            "description": "What fields hold and channels carry. Fields that are left out are absent.",
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {
                "anyOf": [
                    _VALUE,
                    {"type": "array", "items": _VALUE},
                    _one("pieces", {"type": "array", "items": {"type": "string"}}),
                ]
            },
        },
        "State": _state(writer),
        "Machine": _without_name(writer.object(Machine)),
        "MachineState": _without_name(writer.object(MachineState)),
        "Transition": _transition(writer),
        "Action": _action(writer),
        "Actions": {"anyOf": [_ref("Action"), {"type": "array", "items": _ref("Action"), "minItems": 1}]},
    }


def _one(word: str, inside: JsonSchema) -> JsonSchema:
    return {"type": "object", "properties": {word: inside}, "required": [word], "additionalProperties": False}


def _condition_word(word: str) -> JsonSchema:
    if word in ("all", "any"):
        return _one(word, {"type": "array", "items": _ref("Condition"), "minItems": 1})
    if word == "not":
        return _one(word, _ref("Condition"))
    if word == "macro":
        return _one(word, _TEXT)
    if word in QUANTIFIERS:
        pair = {"type": "array", "prefixItems": [_FIELD, _OPERAND["many"]], "minItems": 2, "maxItems": 2}
        operations = [
            {
                "type": "object",
                "properties": {"field": _FIELD, op: _operation(op)},
                "required": ["field", op],
                "additionalProperties": False,
            }
            for op in OPERATORS
        ]
        return _one(word, {"anyOf": [pair, *operations]})
    return _one(word, _leaf(word))


def _leaf(op: str) -> JsonSchema:
    wanted = OPERATORS[op]  # type: ignore[index]
    if wanted == "none":
        return {"anyOf": [_FIELD, {"type": "array", "items": _FIELD, "minItems": 1, "maxItems": 1}]}
    operands = [_NUMBER, _NUMBER] if wanted == "range" else [_OPERAND[wanted]]
    length = 1 + len(operands)
    pair = {"type": "array", "prefixItems": [_FIELD, *operands], "minItems": length, "maxItems": length}
    spelled = _spelled_out(op)
    spelled["properties"] = {"field": _FIELD, **spelled["properties"]}
    spelled["required"] = ["field", *spelled["required"]]
    return {"anyOf": [pair, spelled]}


def _operation(op: str) -> JsonSchema:
    wanted = OPERATORS[op]  # type: ignore[index]
    if wanted == "none":
        return {"type": "array", "maxItems": 0}
    if wanted == "range":
        bare: JsonSchema = {"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2}
    else:
        bare = _OPERAND[wanted]
    return {"anyOf": [bare, _spelled_out(op)]}


def _spelled_out(op: str) -> JsonSchema:
    wanted = OPERATORS[op]  # type: ignore[index]
    properties = {"low": _NUMBER, "high": _NUMBER} if wanted == "range" else {"value": _OPERAND[wanted]}
    required = list(properties)
    if wanted == "texts":
        properties = {**properties, "ignore_case": {"type": "boolean"}}
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _channel(writer: Writer) -> JsonSchema:
    whole = writer.object(Channel)
    inside = {**whole, "properties": {name: whole["properties"][name] for name in ("tool", "pointer")}, "required": []}
    return {
        "description": whole["description"],
        "anyOf": [whole["properties"]["channel"], _one("tool_arguments", inside), whole],
    }


def _expectation(writer: Writer) -> JsonSchema:
    json, xml, one = writer.object(JsonExpectation), writer.object(XmlExpectation), writer.object(Alternative)
    lone = {name: one["properties"][name] for name in ("schema", "where")}
    fenced = {"fenced": json["properties"]["fenced"]}
    alone = {**json, "properties": {**lone, **fenced}}
    bare = {"const": "well_formed"}
    return {
        "description": "What a whole answer must be.",
        "anyOf": [
            {"enum": ["json", "xml"]},
            _one("json", {"description": json["description"], "anyOf": [json, alone, bare]}),
            _one("xml", {"description": xml["description"], "anyOf": [xml, bare]}),
        ],
    }


def _requirement(writer: Writer) -> JsonSchema:
    whole = writer.object(Requirement)
    shared = {name: whole["properties"][name] for name in ("pointer", "why")}
    tests: dict[str, JsonSchema] = {op: _operation(op) for op in OPERATORS}
    tests["exists"] = {"type": "boolean"}
    items = [_VALUES, _LIST, *(_one(op, _operation(op)) for op in OPERATORS)]
    tests |= {word: {"anyOf": items} for word in QUANTIFIERS}
    tests["not"] = {"anyOf": [_one(word, inside) for word, inside in tests.items()]}
    return {
        "description": whole["description"],
        "anyOf": [
            {
                "type": "object",
                "properties": {**shared, word: inside},
                "required": ["pointer", word],
                "additionalProperties": False,
            }
            for word, inside in tests.items()
        ],
    }


def _state(writer: Writer) -> JsonSchema:
    whole = writer.object(State)
    properties = {name: made for name, made in whole["properties"].items() if name not in ("name", "measure")}
    events = properties.pop("events")
    label = {"anyOf": [events["items"], events]}
    measures = ["count", "sum", "distinct", "formerly", "sequence", "absent"]
    return {
        **whole,
        "properties": {**dict.fromkeys(measures, label), **properties},
        "required": ["scope", "within"],
        "oneOf": [{"required": [measure]} for measure in measures],
    }


def _without_name(whole: JsonSchema) -> JsonSchema:
    """A struct whose name is the key before it."""
    properties = {name: made for name, made in whole["properties"].items() if name != "name"}
    return {**whole, "properties": properties, "required": [name for name in whole["required"] if name != "name"]}


def _transition(writer: Writer) -> JsonSchema:
    whole = writer.object(Transition)
    properties = {"from" if name == "origin" else name: made for name, made in whole["properties"].items()}
    return {**whole, "properties": properties, "required": ["from", "on", "to"]}


def _action(writer: Writer) -> JsonSchema:
    options: list[JsonSchema] = []
    bare_words: list[str] = []
    spellings = {**{word: word for word in ACTIONS}, **ALIASES}
    for spelling, word in spellings.items():
        cls, bare = ACTIONS[word]
        whole = writer.object(cls)
        if not whole["required"] and word != "transform":
            bare_words.append(spelling)
        forms = [whole]
        if bare is not None:
            forms.append(whole["properties"][bare])
        if bare == "to":
            whole["properties"]["to"] = {**whole["properties"]["to"], "minItems": 1}
            forms.append(whole["properties"]["to"]["items"])
        options.append(_one(spelling, {"description": whole["description"], "anyOf": forms}))
    return {"description": "What a rule proposes.", "anyOf": [{"enum": bare_words}, *options]}
