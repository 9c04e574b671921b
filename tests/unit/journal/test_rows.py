"""Flat rows and the Structs they come from."""

from __future__ import annotations

from typing import Literal

import msgspec
import pytest

from wardwright.journal.rows import Column, columns_of, row_of, value_of


class Flat(msgspec.Struct, frozen=True):
    name: str
    count: int | None
    on: bool
    status: Literal["a", "b"]


class Deep(msgspec.Struct, frozen=True):
    names: tuple[str, ...]


def test_columns_follow_the_members() -> None:
    assert columns_of(Flat, frozenset({"name"})) == (
        Column("name", "text", True),
        Column("count", "integer"),
        Column("on", "integer"),
        Column("status", "text"),
    )


def test_a_member_that_is_no_column_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Deep\.names"):
        columns_of(Deep)


@pytest.mark.parametrize("value", [Flat("x", None, True, "a"), Flat("", 0, False, "b")])
def test_a_row_turns_back_into_its_struct(value: Flat) -> None:
    stored = tuple(int(member) if isinstance(member, bool) else member for member in row_of(value))
    assert value_of(stored, Flat) == value
