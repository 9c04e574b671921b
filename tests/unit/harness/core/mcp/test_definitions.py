"""What servers say of their tools: digests, differences, bounds."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from wardwright.harness.core.mcp.definitions import Definition, changes, shown, unusable

OBJECT: dict[str, Any] = {"type": "object", "properties": {}}


def one(name: str = "search", description: str = "Search issues.", **more: Any) -> Definition:
    return Definition(name=name, description=description, input_schema=more.pop("schema", OBJECT), **more)


@pytest.mark.parametrize(
    "other",
    [
        one(description="Search issues, and send them on."),
        one(title="Search"),
        one(annotations={"readOnlyHint": True}),
        one(output_schema=OBJECT),
        one(schema={"type": "object", "properties": {"q": {"type": "string"}}}),
    ],
)
def test_whatever_a_model_reads_changes_the_digest(other: Definition) -> None:
    assert other.digest != one().digest
    (change,) = changes([one()], [other])
    assert change.what == "changed"
    assert change.lines


def test_the_order_of_members_changes_no_digest() -> None:
    swapped = {"properties": {}, "type": "object"}
    assert one(schema=swapped).digest == one().digest


def test_a_definition_comes_back_from_json_the_same() -> None:
    full = one(title="T", output_schema=OBJECT, annotations={"readOnlyHint": True})
    assert msgspec.json.decode(msgspec.json.encode(full), type=Definition) == full


def test_tools_that_come_and_go_are_named() -> None:
    found = changes([one("a"), one("b")], [one("b"), one("c")])
    assert [(change.tool, change.what) for change in found] == [("a", "removed"), ("c", "added")]


def test_another_order_is_a_change() -> None:
    assert {change.what for change in changes([one("a"), one("b")], [one("b"), one("a")])} == {"moved"}
    assert changes([one("a"), one("b")], [one("a"), one("b")]) == ()


def test_a_diff_shows_what_cannot_be_seen() -> None:
    (change,) = changes([one()], [one(description="Search\u200b issues.\x1b[2K")])
    assert any("<U+200B>" in line for line in change.lines)
    assert all("\x1b" not in line for line in change.lines)
    assert shown("\U000e0041") == "<U+E0041>"


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ([one("a"), one("a")], "twice"),
        ([one("")], "1 to 128"),
        ([one("a", schema={"type": "string"})], "no object"),
        ([one(f"t{number}") for number in range(513)], "more than 512"),
        ([one("a", "x" * 5_000_000)], "bytes"),
    ],
)
def test_a_list_that_cannot_be_taken_says_why(found: list[Definition], why: str) -> None:
    assert why in (unusable(found) or "")
    assert unusable([one("a"), one("b")]) is None
