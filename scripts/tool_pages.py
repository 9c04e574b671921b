"""The reference of the built-in tools for `docs/tools.md`, from their contracts and types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import inspect

from wardwright.contracts.shapes import unwrapped
from wardwright.harness.core.tool import AnyTool, attribute_docs
from wardwright.harness.tools.built_in import BUILT_IN, GROUPS


def overview() -> str:
    """One row a tool."""
    lines = ["| Tool | Effect | Reversal | Touches |", "|---|---|---|---|"]
    lines += [
        f"| [`{tool.name}`](#{tool.name.replace('.', '')}) | {tool.contract.effect} | {tool.contract.reversal} | "
        f"{_touches(tool)} |"
        for tool in BUILT_IN
    ]
    return "\n".join(lines)


def reference() -> str:
    """Every tool with its arguments and its result."""
    return "\n\n".join(
        "\n\n".join([f"## {name.capitalize()}", *(_tool(tool) for tool in tools)]) for name, tools in GROUPS
    )


def _tool(tool: AnyTool) -> str:
    contract = tool.contract
    facts = f"Effect `{contract.effect}`, reversal `{contract.reversal}`, {contract.timeout_s} s. {_touches(tool)}."
    parts = [f"### {tool.name}", tool.doc, facts]
    if fields := _table(tool.arguments):
        parts += ["Arguments:", fields]
    parts += ["Result:", _table(tool.result)]
    for cls in _inner(tool.result, []):
        parts += [f"Each `{cls.__name__}`:", _table(cls)]
    return "\n\n".join(parts)


def _touches(tool: AnyTool) -> str:
    scope = tool.contract.scope
    words = {
        "Reads": scope.read,
        "writes": scope.write,
        "reaches": scope.hosts,
        "runs": scope.programs,
        "passes on": scope.environment,
    }
    said = [f"{word} {', '.join(f'`{entry}`' for entry in entries)}" for word, entries in words.items() if entries]
    text = "; ".join(said)
    return text[0].upper() + text[1:]


def _table(cls: type[msgspec.Struct]) -> str:
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)
    docs = attribute_docs(cls)
    rows = [
        f"| `{field.name}` | {_words(field.type)}{_default(field)} | {docs.get(field.name, '')} |"
        for field in info.fields
    ]
    return "\n".join(["| Name | Is | |", "|---|---|---|", *rows]) if rows else ""


def _default(field: inspect.Field) -> str:
    if field.required:
        return ""
    value: Any = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    return "; may be left out" if value is None else f"; `{json.dumps(value, ensure_ascii=False)}`"


def _words(type_: inspect.Type) -> str:
    inner, _ = unwrapped(type_)
    match inner:
        case inspect.StrType():
            return "text"
        case inspect.IntType(ge=low, le=high) if low is not None and high is not None:
            return f"whole number, {low:,} to {high:,}"
        case inspect.IntType():
            return "whole number"
        case inspect.BoolType():
            return "`true` or `false`"
        case inspect.LiteralType(values=values):
            return ", ".join(f"`{value}`" for value in values)
        case inspect.VarTupleType(item_type=item):
            return f"list of {_words(item)}"
        case inspect.TupleType(item_types=items):
            return f"[{', '.join(_words(item) for item in items)}]"
        case inspect.DictType(value_type=value):
            return f"names to {_words(value)}"
        case inspect.StructType(cls=cls):
            return f"`{cls.__name__}`"
        case inspect.UnionType(types=types):
            return " or ".join("null" if isinstance(one, inspect.NoneType) else _words(one) for one in types)
        case _:
            raise AssertionError(f"no words for {inner!r}")


def _inner(cls: type[msgspec.Struct], known: list[type[msgspec.Struct]]) -> list[type[msgspec.Struct]]:
    """The structs within a struct, in the order in which they are met."""
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)
    for field in info.fields:
        for found in _structs(field.type):
            if found not in known:
                known.append(found)
                _inner(found, known)
    return known


def _structs(type_: inspect.Type) -> Iterator[type[msgspec.Struct]]:
    inner, _ = unwrapped(type_)
    match inner:
        case inspect.StructType(cls=cls):
            yield cls
        case inspect.VarTupleType(item_type=item):
            yield from _structs(item)
        case inspect.UnionType(types=types):
            for one in types:
                yield from _structs(one)
        case _:
            return
