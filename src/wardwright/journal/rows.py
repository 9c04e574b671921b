"""Flat rows: how a call looks to an index, and the Struct it comes from and turns back into."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias, TypeVar

import msgspec
from msgspec import inspect

from wardwright.journal.entry import Record

Flat = TypeVar("Flat", bound=msgspec.Struct)

Row: TypeAlias = tuple[str | int | None, ...]
"""Values in the order of the columns."""

RowOf: TypeAlias = Callable[[Record, Record | None], Row | None]
"""(the record that ended a call, its `call.opened` where the journal holds one and the call was lost) -> its row."""


class Column(msgspec.Struct, frozen=True):
    """One column of the index: a member of the row."""

    name: str
    type: Literal["text", "integer"]
    sought: bool = False
    """Whether it gets its own way in: worth it where a filter leaves few of many rows."""


def columns_of(flat: type[msgspec.Struct], sought: frozenset[str] = frozenset()) -> tuple[Column, ...]:
    """The columns of a Struct whose members are text, integers or booleans, each perhaps None.

    >>> class Sum(msgspec.Struct):
    ...     receipt: str
    ...     tokens: int | None
    >>> [(column.name, column.type) for column in columns_of(Sum)]
    [('receipt', 'text'), ('tokens', 'integer')]
    """
    return tuple(
        Column(name, _type(hint, f"{flat.__name__}.{name}"), name in sought) for name, hint in _members(flat).items()
    )


def row_of(value: msgspec.Struct) -> Row:
    """The row of a flat Struct. Booleans come back from an index as 0 and 1."""
    return msgspec.structs.astuple(value)


def value_of(row: Row, flat: type[Flat]) -> Flat:
    """The flat Struct of a row."""
    return msgspec.convert(dict(zip(flat.__struct_fields__, row, strict=True)), flat, strict=False)


def _members(flat: type[msgspec.Struct]) -> dict[str, inspect.Type]:
    info = inspect.type_info(flat)
    assert isinstance(info, inspect.StructType)
    return {field.name: field.type for field in info.fields}


def _type(hint: inspect.Type, path: str) -> Literal["text", "integer"]:
    if isinstance(hint, inspect.UnionType):
        (hint,) = (member for member in hint.types if not isinstance(member, inspect.NoneType))
    match hint:
        case inspect.StrType() | inspect.LiteralType():
            return "text"
        case inspect.IntType() | inspect.BoolType():
            return "integer"
        case _:
            raise TypeError(f"{path}: {type(hint).__name__} is no column")
