"""A JSON Schema per kind, in the author's spelling, for editors.

It is made from the same types and rules that the decoder reads, and its descriptions are the docstrings of the types.
The decoder stays the judge: what holds between members (a `sequence` within its alloy, say) is not in the schema.
"""

from __future__ import annotations

import inspect as source_of
import types
from functools import cache
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import inspect

from wardwright.contracts import budget, model, policy, policy_schema, provider, tool
from wardwright.contracts.attribute_docs import docs_in, sentence
from wardwright.contracts.decode import KINDS
from wardwright.contracts.model import Alias, Alloy, Guard, Member, ModelContract, TargetRef
from wardwright.contracts.policy import PolicyContract
from wardwright.contracts.provider import Provider
from wardwright.contracts.route_syntax import NODES, TAG
from wardwright.contracts.shapes import Rules, fields_of, type_of, unwrapped
from wardwright.contracts.tool import Parameter, Step, ToolContract

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

JsonSchema: TypeAlias = dict[str, Any]
"""JSON Schema is an open vocabulary; only this file writes it."""

_DECIMAL: Final = r"^\+?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$"
_WINDOW: Final = r"^[0-9]+ *[KM]$"
_ADDRESS: Final = r"^https?://[^\s@]+$"
_REFERENCE: Final = r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:\S.*)$"


def schema(kind: str) -> JsonSchema:
    """The JSON Schema of one kind of document."""
    cls, rules = KINDS[kind]
    writer = _Writer(rules)
    root = writer.object(cls)
    root["properties"]["kind"] = {"const": kind}
    if cls is ModelContract:
        root["required"] = ["kind", "name"]
        root["anyOf"] = [{"required": ["targets"]}, {"required": ["route"]}]
    else:
        root["required"] = ["kind", *root["required"]]
    if cls is ToolContract:
        root["required"].remove("reversal")
        root["anyOf"] = [{"required": ["implements"]}, {"required": ["steps", "doc"]}]
    if cls is PolicyContract:
        policy_schema.define(writer)
    return {"$schema": DIALECT, "title": f"Wardwright {kind}", **root, "$defs": dict(sorted(writer.defs.items()))}


class _Writer:
    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self.defs: dict[str, JsonSchema] = {}

    def object(self, cls: type[msgspec.Struct]) -> JsonSchema:
        fields = fields_of(cls)
        docs = _attribute_docs().get(cls.__name__, {})
        return {
            "type": "object",
            "description": sentence(cls.__doc__),
            "properties": {name: self._property(cls, field, docs.get(name)) for name, field in fields.items()},
            "required": [name for name, field in fields.items() if field.required],
            "additionalProperties": False,
        }

    def _property(self, cls: type[msgspec.Struct], field: inspect.Field, doc: str | None) -> JsonSchema:
        written = _SPELLED.get((cls, field.name)) or self._type(field.type)
        if (cls, field.name) in self._rules.sets:
            written = {**written, "uniqueItems": True}
        if doc is not None:
            written = {"description": doc, **written}
        if isinstance(field.default, str | int):
            written["default"] = field.default
        return written

    def _type(self, type_: inspect.Type) -> JsonSchema:
        inner, word = unwrapped(type_)
        match inner:
            case inspect.StrType() if word == "decimal":
                return {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": _DECIMAL}]}
            case inspect.StrType():
                return _without_none({"type": "string", "pattern": inner.pattern, "maxLength": inner.max_length})
            case inspect.IntType():
                number = _without_none({"type": "integer", "minimum": inner.ge, "maximum": inner.le})
                if word == "tokens":
                    return {"anyOf": [number, {"type": "string", "pattern": _WINDOW}]}
                return number
            case inspect.BoolType():
                return {"type": "boolean"}
            case inspect.LiteralType():
                return {"enum": list(inner.values)}
            case inspect.VarTupleType():
                return {"type": "array", "items": self._type(inner.item_type)}
            case inspect.StructType():
                return self._reference(inner.cls)
            case inspect.UnionType():
                options = [option for option in inner.types if not isinstance(option, inspect.NoneType)]
                written = self._type(options[0]) if len(options) == 1 else self._node()
                return {"anyOf": [written, {"type": "null"}]} if len(options) < len(inner.types) else written
            case _:
                raise AssertionError(f"no schema for {inner!r}")

    def _reference(self, cls: type[msgspec.Struct]) -> JsonSchema:
        if cls is Member:
            return self._member()
        name = cls.__name__
        if cls in policy_schema.ONE_WORD:
            return {"$ref": f"#/$defs/{name}"}
        if name not in self.defs:
            self.defs[name] = {}
            self.defs[name] = self.object(cls)
        return {"$ref": f"#/$defs/{name}"}

    def _node(self) -> JsonSchema:
        if "Node" not in self.defs:
            self.defs["Node"] = {}
            words = [self._word(word, weighed=False) for word in NODES]
            name = {**self._type(type_of(TargetRef, "target")), "description": "The name of a target."}
            self.defs["Node"] = {"description": "A node of the route.", "anyOf": [name, *words]}
        return {"$ref": "#/$defs/Node"}

    def _member(self) -> JsonSchema:
        if "Member" not in self.defs:
            self.defs["Member"] = {}
            plain = {**self.object(Member), "required": [TAG]}
            weighed = [self._word(word, weighed=True) for word in NODES]
            self.defs["Member"] = {"description": plain["description"], "anyOf": [self._node(), plain, *weighed]}
        return {"$ref": "#/$defs/Member"}

    def _word(self, word: str, *, weighed: bool) -> JsonSchema:
        """A mapping with one word that makes it a node."""
        cls = NODES[word]
        if cls is TargetRef or cls is Alias:
            inside = self._type(type_of(cls, "target" if cls is TargetRef else "model"))
        elif cls is Guard:
            inside = self._reference(cls)
        else:
            members = self._member() if cls is Alloy else self._node()
            inside = {"anyOf": [{"type": "array", "items": members, "minItems": 1}, self._reference(cls)]}
        properties: JsonSchema = {word: {**inside, "description": sentence(cls.__doc__)}}
        if weighed:
            properties["weight"] = self._type(type_of(Member, "weight"))
        required = [word, "weight"] if weighed else [word]
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


_TEXTS: Final[JsonSchema] = {"type": "object", "additionalProperties": {"type": "string"}}

_VALUE: Final[JsonSchema] = {
    "anyOf": [{"type": ["string", "integer", "boolean"]}, {"type": "array", "items": {"type": "string"}}]
}
_VALUES: Final[JsonSchema] = {"type": "object", "additionalProperties": _VALUE}

_SPELLED: Final[dict[tuple[type[msgspec.Struct], str], JsonSchema]] = {
    (Provider, "headers"): _TEXTS,
    (Provider, "base_url"): {"type": ["string", "null"], "pattern": _ADDRESS},
    (Provider, "proxy"): {"type": ["string", "null"], "pattern": _ADDRESS},
    (Provider, "credential"): {"type": ["string", "null"], "pattern": _REFERENCE},
    (Parameter, "default"): {"anyOf": [*_VALUE["anyOf"], {"type": "null"}]},
    (Step, "arguments"): _VALUES,
    (Step, "expect"): _VALUES,
    **policy_schema.SPELLED,
}
"""Members whose spelling is not that of their type."""


def _without_none(written: JsonSchema) -> JsonSchema:
    return {key: value for key, value in written.items() if value is not None}


@cache
def _attribute_docs() -> dict[str, dict[str, str]]:
    """The string after each annotated member of each class."""
    return {**_docs_of(model), **_docs_of(policy), **_docs_of(budget), **_docs_of(provider), **_docs_of(tool)}


def _docs_of(module: types.ModuleType) -> dict[str, dict[str, str]]:
    return docs_in(source_of.getsource(module))
