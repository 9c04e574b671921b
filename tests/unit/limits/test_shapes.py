"""Shapes of arguments tell names, types and sizes, and no value."""

from __future__ import annotations

import pytest

from wardwright.limits.shapes import DEPTH_MAX, MEMBERS_MAX, SHAPE_CHARS_MAX, shape_of, size_class


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        ({}, ""),
        ({"path": ""}, "path:text0"),
        ({"path": "/etc/hosts", "follow": True}, "follow:bool,path:text1"),
        ({"limit": 10, "offset": -5, "ratio": 0.5, "after": None}, "after:null,limit:int,offset:int,ratio:number"),
        ({"lines": [1, 2, "x"], "tags": []}, "lines:list1[int,text1],tags:list0"),
        ({"filter": {"maxAge": 3, "by": {"deep": 1}}}, "filter:{by:object1,maxAge:int}"),
        ([{"a": 1}], "list1[{a:int}]"),
        ("text", "text1"),
    ],
)
def test_a_shape_tells_names_types_and_sizes(arguments: object, shape: str) -> None:
    assert shape_of(arguments) == shape


@pytest.mark.parametrize("name", ["sk-live-1", "AKIAIOSFODNNEXAMPLE", "ann@example.com", "x" * 25, "Größe", "a b", ""])
def test_a_name_that_may_be_data_is_not_spelled(name: str) -> None:
    assert shape_of({"env": {name: "v"}}) == "env:{*:text1}"


def test_what_lies_deep_is_told_by_size_alone() -> None:
    value: object = {"secret": 1}
    for _ in range(DEPTH_MAX):
        value = {"in": value}
    assert shape_of(value) == "in:{in:object1}"


def test_an_object_of_many_members_is_told_by_its_first_and_its_size() -> None:
    shape = shape_of({f"{number:03}": 1 for number in range(MEMBERS_MAX + 1)})
    assert shape.endswith(",…2") or shape.startswith("digest:")
    assert len(shape) <= SHAPE_CHARS_MAX


def test_a_long_shape_is_told_by_its_digest() -> None:
    long = {f"name_{letter * 10}": "" for letter in "abcdefghijklmn"}
    shape = shape_of(long)
    assert shape.startswith("digest:")
    assert shape == shape_of(dict(reversed(long.items()))) != shape_of(long | {"more": 1})


def test_sizes_are_told_by_their_hexadecimal_digits() -> None:
    assert [size_class(size) for size in (0, 1, 15, 16, 255, 256, 4095, 4096)] == [0, 1, 1, 2, 2, 3, 3, 4]
