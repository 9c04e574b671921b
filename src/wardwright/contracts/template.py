"""Texts with holes: `{name}` stands for the argument of that name, `{{` and `}}` for the braces themselves.

A hole holds a name and nothing else: no expressions, no formats, so what a template may say is seen at load.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

_PIECE: Final = re.compile(r"\{\{|\}\}|\{([a-z][a-z0-9_]*)\}|[{}]|[^{}]+")


class Hole(msgspec.Struct, frozen=True):
    """Where an argument goes."""

    name: str


class Malformed(ValueError):
    """A brace that neither opens nor closes a hole."""


def pieces(text: str) -> tuple[str | Hole, ...]:
    """The texts and holes of a template, in order. Raises Malformed.

    >>> pieces("{repository}/.git")
    (Hole(name='repository'), '/.git')
    """
    found: list[str | Hole] = []
    for match in _PIECE.finditer(text):
        if match[1] is not None:
            found.append(Hole(match[1]))
            continue
        if match[0] in ("{", "}"):
            raise Malformed(f"the `{match[0]}` at character {match.start() + 1} is not part of a `{{name}}`")
        plain = {"{{": "{", "}}": "}"}.get(match[0], match[0])
        if found and isinstance(found[-1], str):
            found[-1] += plain
        else:
            found.append(plain)
    return tuple(found)


def holes(text: str) -> tuple[str, ...]:
    """The names in a template, in order. Raises Malformed."""
    return tuple(piece.name for piece in pieces(text) if isinstance(piece, Hole))


def only_hole(text: str) -> str | None:
    """The name, where the template is one hole and no more: it then stands for a value of any type."""
    match pieces(text):
        case (Hole(name=name),):
            return name
        case _:
            return None


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with its holes filled. Every name must be among the values.

    >>> filled("{{{name}}}", {"name": "x"})
    '{x}'
    """
    return "".join(values[piece.name] if isinstance(piece, Hole) else piece for piece in pieces(text))
