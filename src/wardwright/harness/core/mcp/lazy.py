"""Three tools in the place of all: find one, read its definition, call it. A prompt then holds three definitions.

Rule 1: whoever searches finds what a list would have shown, nothing that is hidden from it.
Rule 2: equal searches of equal tools have equal answers: no clock, no luck, ties by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from wardwright.harness.core.mcp.offered import Hints, Offered
from wardwright.harness.core.tool import JsonSchema

SEARCH: Final = "search_tools"
DESCRIBE: Final = "describe_tool"
CALL: Final = "call_tool"

FOUND_MAX: Final = 10
"""Tools that one search shows."""
QUERY_CHARS_MAX: Final = 400


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One tool that a search found."""

    name: str
    description: str


def _text(description: str) -> JsonSchema:
    return {"type": "string", "description": description}


def _object(properties: dict[str, JsonSchema], *required: str) -> JsonSchema:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


LAZY: Final = (
    Offered(
        name=SEARCH,
        title="Find tools",
        description="Find tools by words of their names and descriptions. Empty words list the first of all.",
        input_schema=_object({"query": _text("What you want to do, in a few words.")}, "query"),
        output_schema=None,
        hints=Hints(read_only=True, destructive=False, idempotent=True, open_world=False),
    ),
    Offered(
        name=DESCRIBE,
        title="Read a tool's definition",
        description="The arguments, the result and the effect of one tool.",
        input_schema=_object({"name": _text("A name that `search_tools` gave.")}, "name"),
        output_schema=None,
        hints=Hints(read_only=True, destructive=False, idempotent=True, open_world=False),
    ),
    Offered(
        name=CALL,
        title="Call a tool",
        description="Call one tool with its arguments, as `describe_tool` tells them.",
        input_schema=_object(
            {
                "name": _text("A name that `search_tools` gave."),
                "arguments": {"type": "object", "description": "The tool's own arguments."},
            },
            "name",
        ),
        output_schema=None,
        hints=Hints(read_only=False, destructive=True, idempotent=False, open_world=True),
    ),
)
"""What a lazy client is offered."""


def search(tools: Iterable[Offered], query: str) -> tuple[Found, ...]:
    """The tools that fit the words best, at most FOUND_MAX. A word in the name counts more than one in the text."""
    words = _words(query[:QUERY_CHARS_MAX])
    scored = [(_score(one, words), one) for one in tools]
    best = sorted((pair for pair in scored if pair[0] or not words), key=lambda pair: (-pair[0], pair[1].name))
    return tuple(Found(name=one.name, description=one.description) for _, one in best[:FOUND_MAX])


def _score(tool: Offered, words: frozenset[str]) -> int:
    name, text = _words(tool.name), _words(tool.description)
    begun = sum(3 for word in words if any(part.startswith(word) for part in name))
    return begun + sum(1 for word in words if any(part.startswith(word) for part in text))


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z0-9]+", text.lower()))
