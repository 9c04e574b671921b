"""JSON Schemas of our types, with what each member means: read from the source, so that no page can differ from it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import inspect

from wardwright.kernel.docs import members_of, sentence_of

JsonSchema: TypeAlias = dict[str, Any]
"""JSON Schema is an open vocabulary."""

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def schemas_of(types: Iterable[type], ref_template: str) -> tuple[list[JsonSchema], dict[str, JsonSchema]]:
    """A schema for each type, and the named schemas they refer to. Raises ValueError where two share a name."""
    wanted = list(types)
    schemas, named = msgspec.json.schema_components(wanted, ref_template=ref_template)
    clash = [name for name in named if "." in name]
    if clash:
        raise ValueError(f"types with one name: {', '.join(clash)}")
    for cls in structs_in(wanted):
        _describe(named[cls.__name__], cls)
    return list(schemas), dict(sorted(named.items()))


def schema_document(root: type[msgspec.Struct]) -> JsonSchema:
    """A whole document for one type."""
    _, named = schemas_of([root], "#/$defs/{name}")
    body = named.pop(root.__name__)
    return {"$schema": DIALECT, **body, "$defs": named}


def structs_in(types: Iterable[type]) -> list[type[msgspec.Struct]]:
    """The Structs that the types hold, themselves among them, in the order in which a reader meets them."""
    found: dict[type[msgspec.Struct], None] = {}
    for type_ in types:
        _walk(inspect.type_info(type_), found)
    return list(found)


def _walk(type_: inspect.Type, found: dict[type[msgspec.Struct], None]) -> None:
    match type_:
        case inspect.Metadata():
            _walk(type_.type, found)
        case inspect.StructType():
            if type_.cls not in found:
                found[type_.cls] = None
                for field in type_.fields:
                    _walk(field.type, found)
        case inspect.UnionType():
            for option in type_.types:
                _walk(option, found)
        case inspect.VarTupleType() | inspect.ListType():
            _walk(type_.item_type, found)
        case inspect.TupleType():
            for item in type_.item_types:
                _walk(item, found)
        case inspect.DictType():
            _walk(type_.value_type, found)
        case _:
            return


def _describe(schema: JsonSchema, cls: type[msgspec.Struct]) -> None:
    schema["description"] = sentence_of(cls)
    tag = cls.__struct_config__.tag_field
    if tag is not None:
        schema["properties"][tag]["description"] = "Which of its kind this is."
    docs = members_of(cls)
    for field in msgspec.structs.fields(cls):
        if field.name in docs:
            written = schema["properties"][field.encode_name]
            schema["properties"][field.encode_name] = {"description": docs[field.name], **written}
