"""Wardwright: a governed front door for agentic systems."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wardwright.harness.core.houses import House as House
    from wardwright.harness.core.modes import Mode as Mode
    from wardwright.runtime.harness import Harness as Harness
    from wardwright.runtime.harness import ToolResult as ToolResult

__version__ = "0.1.0"

_PUBLIC = {
    "Harness": "wardwright.runtime.harness",
    "House": "wardwright.harness.core.houses",
    "Mode": "wardwright.harness.core.modes",
    "ToolResult": "wardwright.runtime.harness",
}
"""Public names and where they live; loaded when they are asked for, so that importing one part imports no other."""


def __getattr__(name: str) -> object:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
