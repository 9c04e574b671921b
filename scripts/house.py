"""The picture of the house in ARCHITECTURE.md, drawn from what the code and the import contracts say.

The rooms are the packages on disk, their words the first sentence of each package's docstring, the floors the layers of
`[tool.importlinter]`. So the picture cannot show an arrow that the checks would refuse.
"""

from __future__ import annotations

import ast
import textwrap
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

ROOT: Final = Path(__file__).parent.parent
PACKAGE: Final = ROOT / "src" / "wardwright"
WIDTH: Final = 116
"""Characters a line, the frame included."""

Nature = Literal["pure", "half", "adapter", "shell"]

_MARKS: Final[dict[Nature, str]] = {"pure": "○", "half": "◐", "adapter": "◇", "shell": " "}
_LEGEND: Final = (
    "A package imports only what stands on floors below its own; packages on one floor do not import each other.",
    "○ pure: no clock, no luck, no I/O    ◐ pure in its core/    ◇ adapter: only runtime and testing import it",
)


@dataclass(frozen=True)
class Room:
    """One package."""

    name: str
    sentence: str
    nature: Nature


def picture() -> str:
    """The house as a fenced block of text."""
    floors = _floors()
    name_width = max(len(room.name) for floor in floors for room in floor)
    rule = "├" + "─" * (WIDTH - 2) + "┤"
    storeys = ["\n".join(line for room in floor for line in _lines(room, name_width)) for floor in floors]
    body = f"\n{rule}\n".join(storeys)
    roof, ground = "┌" + "─" * (WIDTH - 2) + "┐", "└" + "─" * (WIDTH - 2) + "┘"
    return "\n".join(["```text", roof, body, ground, *_LEGEND, "```"])


def _lines(room: Room, name_width: int) -> list[str]:
    """A room's name and words, wrapped to the width of the house."""
    inner = WIDTH - 4
    head = f"{_MARKS[room.nature]} {room.name:<{name_width}}  "
    wrapped = textwrap.wrap(room.sentence, inner, initial_indent=head, subsequent_indent=" " * len(head))
    return [f"│ {line:<{inner}} │" for line in wrapped]


def _floors() -> list[list[Room]]:
    """The layers from the top down, without those that have no code yet."""
    contracts = _contracts()
    pure = set(contracts["forbidden"]["source_modules"])
    adapters = set(contracts["protected"]["protected_modules"])

    def nature(name: str) -> Nature:
        if f"wardwright.{name}" in pure:
            return "pure"
        if f"wardwright.{name}.core" in pure:
            return "half"
        return "adapter" if f"wardwright.{name}" in adapters else "shell"

    floors = [[name for name in _names(layer) if _source(name) is not None] for layer in contracts["layers"]["layers"]]
    return [[Room(name, _sentence(name), nature(name)) for name in floor] for floor in floors if floor]


def _contracts() -> dict[str, dict[str, Any]]:
    """The import contracts by their type; each type stands once."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return {contract["type"]: contract for contract in settings["tool"]["importlinter"]["contracts"]}


def _names(layer: str) -> Sequence[str]:
    """`(storage) | (providers)` names two packages."""
    return [name.strip().strip("()") for name in layer.split("|")]


def _source(name: str) -> Path | None:
    for path in (PACKAGE / name / "__init__.py", PACKAGE / f"{name}.py"):
        if path.is_file():
            return path
    return None


def _sentence(name: str) -> str:
    path = _source(name)
    assert path is not None
    text = ast.get_docstring(ast.parse(path.read_text()))
    if not text:
        raise SystemExit(f"error: {path.relative_to(ROOT)} has no docstring to name the package in the house")
    first, _, _ = " ".join(text.split()).partition(". ")
    return first.rstrip(".")
