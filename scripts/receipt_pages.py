"""What a receipt holds: the JSON Schema in docs/, and the page for people, both from `calls.receipt` itself."""

from __future__ import annotations

import json
from typing import Final

import msgspec
from msgspec import inspect

from wardwright.api.schemas import schema_document, structs_in
from wardwright.calls.receipt import Opened, Receipt, Summary
from wardwright.kernel.docs import members_of, sentence_of

_HEAD: Final = """\
# What a receipt holds

Every call of an authenticated caller leaves one receipt: the `data` of its `call.closed` record. A streamed call also
leaves a `call.opened` before its first byte, and a call that the process did not live to close a `call.lost`.

Receipts hold no text of the caller or the model, no credential and no address: digests and counts stand for them.
Members that equal their default are left out. Instants are µs since the epoch, durations µs from the call's acceptance,
money nano-USD (10⁻⁹ USD). The same in JSON Schema: [receipt.schema.json](receipt.schema.json).

`wardwright receipt show ID` and `GET /v1/receipts/{id}` show one; `wardwright receipt replay ID` makes its decisions
again from `facts` and the contracts that `contract.closure` names.
"""


def schema() -> str:
    """The JSON Schema of a receipt."""
    document = {"title": "Wardwright receipt, format 1", **schema_document(Receipt)}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def page() -> str:
    """Every type a receipt is made of, its members in the order in which they are written."""
    parts = [_HEAD, "\n## The receipt\n"]
    seen = structs_in([Receipt])
    parts += [_section(cls) for cls in seen]
    parts.append("\n## What is written before a stream's first byte\n")
    parts += [_section(cls) for cls in structs_in([Opened]) if cls not in seen]
    parts.append("\n## By what receipts are found\n")
    parts.append(_section(Summary))
    return "".join(parts)


def _section(cls: type[msgspec.Struct]) -> str:
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)
    docs = members_of(cls)
    rows = [
        f"| `{field.encode_name}` | {_type(field)} | {_default(field)} | {docs.get(field.name, '')} |\n"
        for field in info.fields
    ]
    head = "\n| Member | Type | Unless set | Means |\n|---|---|---|---|\n"
    return f"\n### {cls.__name__}\n\n{sentence_of(cls)}\n{head}{''.join(rows)}"


def _type(field: inspect.Field) -> str:
    """A member without a default is written as null; one that has None for its default is left out."""
    words = _words(field.type)
    return f"{words} or null" if field.required and _may_be_none(field.type) else words


def _may_be_none(type_: inspect.Type) -> bool:
    return isinstance(type_, inspect.UnionType) and type_.includes_none


def _words(type_: inspect.Type) -> str:
    match type_:
        case inspect.StructType():
            return f"[{type_.cls.__name__}](#{type_.cls.__name__.lower()})"
        case inspect.VarTupleType():
            return f"list of {_words(type_.item_type)}"
        case inspect.TupleType():
            return f"[{', '.join(_words(item) for item in type_.item_types)}]"
        case inspect.LiteralType():
            return " · ".join(f"`{value}`" for value in type_.values)
        case inspect.UnionType():
            options = [option for option in type_.types if not isinstance(option, inspect.NoneType)]
            return " or ".join(_words(option) for option in options)
        case inspect.Metadata():
            return _words(type_.type)
        case inspect.StrType():
            return "text"
        case inspect.IntType():
            return "integer"
        case inspect.BoolType():
            return "boolean"
        case _:
            raise AssertionError(f"no words for {type_!r}")


def _default(field: inspect.Field) -> str:
    if field.required:
        return "always there"
    default = field.default
    if isinstance(default, msgspec.Struct):
        members = msgspec.json.decode(msgspec.json.encode(default))
        return f"`{json.dumps(members)}`" if members else "empty"
    match default:
        case None:
            return "absent"
        case () | "":
            return "empty"
        case bool():
            return f"`{str(default).lower()}`"
        case _:
            return f"`{default}`"
