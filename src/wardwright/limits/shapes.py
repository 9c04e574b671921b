"""What the arguments of a call look like, without what they say: names, types and sizes of members, never values.

    shape_of({"path": "/etc/hosts", "lines": [1, 2]})    'lines:list1[int],path:text1'

Rule 1: no value is in a shape. Two argument objects whose members have the same names, types and size classes have the
same shape.
Rule 2: a member's name is spelled only where it looks like one that a program declares (letters in snake or camel case,
NAME_CHARS_MAX at most) and stands not deeper than DEPTH_MAX; any other is `*`, since a map may have data for names.
Rule 3: a shape is at most SHAPE_CHARS_MAX characters; a longer one is told by its digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final

import regex

DEPTH_MAX: Final = 2
"""Levels whose members are told; what lies deeper is its type and size alone."""

MEMBERS_MAX: Final = 32
"""Members of one object that are told, by name; of a list, its first items."""

NAME_CHARS_MAX: Final = 24

SHAPE_CHARS_MAX: Final = 160

_NAME: Final = regex.compile(rf"(?=.{{1,{NAME_CHARS_MAX}}}\Z)[a-z_]+(?:[A-Z][a-z_]+)*")


def shape_of(arguments: object) -> str:
    """The shape of a JSON value.

    >>> shape_of({"query": "x" * 300, "limit": 10, "token2": "s3cret", "deep": {"er": {"est": 1}}})
    '*:text1,deep:{er:object1},limit:int,query:text3'
    """
    shape = _members(arguments, 0) if isinstance(arguments, Mapping) else _kind(arguments, 0)
    if len(shape) <= SHAPE_CHARS_MAX:
        return shape
    return "digest:" + hashlib.sha256(shape.encode()).hexdigest()[:32]


def size_class(size: int) -> int:
    """How many hexadecimal digits a size has: 0 for none, 1 to 15, 2 to 255, 3 to 4,095 and so on."""
    return (size.bit_length() + 3) // 4


def _kind(value: object, depth: int) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "number"
        case str():
            return f"text{size_class(len(value))}"
        case Mapping():
            return f"{{{_members(value, depth)}}}" if depth < DEPTH_MAX else f"object{size_class(len(value))}"
        case list() | tuple():
            size = f"list{size_class(len(value))}"
            if depth >= DEPTH_MAX or not value:
                return size
            return f"{size}[{_told({_kind(item, depth + 1) for item in value[:MEMBERS_MAX]})}]"
        case _:
            return "other"


def _members(value: Mapping[object, object], depth: int) -> str:
    names = sorted(value, key=str)
    told = [f"{_spelled(name)}:{_kind(value[name], depth + 1)}" for name in names[:MEMBERS_MAX]]
    return _told(told) + (f",…{size_class(len(names))}" if len(names) > MEMBERS_MAX else "")


def _told(parts: Iterable[str]) -> str:
    return ",".join(sorted(parts))


def _spelled(name: object) -> str:
    return name if isinstance(name, str) and _NAME.fullmatch(name) else "*"
