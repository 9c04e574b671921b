"""Tools that extensions bring."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import msgspec

from wardwright.contracts.tool import ToolContract
from wardwright.harness.core.tool import ENTRY_POINTS, Context, Tool
from wardwright.harness.tools.file import READ
from wardwright.runtime.tools import gathered


class Nothing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """No arguments, and no result."""


async def rest(arguments: Nothing, context: Context) -> Nothing:
    """Do nothing."""
    return Nothing()


def tool(name: str) -> Tool[Nothing, Nothing]:
    contract = ToolContract(name=name, effect="read", reversal="T0", implements=name)
    return Tool(contract=contract, arguments=Nothing, result=Nothing, run=rest)


ONE = tool("extra.one")
SEVERAL = [tool("extra.two"), tool("extra.three")]
TAKEN = READ
NO_TOOLS = 7
MIXED = [tool("extra.four"), "x"]


class Brought(EntryPoint):
    """An entry point of this module."""

    def load(self) -> object:
        return globals()[self.attr]


def points(*names: str) -> list[EntryPoint]:
    return [Brought(name.lower(), f"extension:{name}", ENTRY_POINTS) for name in names]


def test_an_extension_brings_one_tool_or_several() -> None:
    tools, errors = gathered(points("ONE", "SEVERAL"))
    assert {"extra.one", "extra.two", "extra.three", "git.status"} < set(tools.names)
    assert errors == ()


def test_an_extension_that_brings_no_tools_is_told_and_stops_no_other() -> None:
    tools, errors = gathered(points("MISSING", "MIXED", "NO_TOOLS", "ONE", "TAKEN"))
    assert "extra.one" in tools
    assert "extra.four" not in tools
    assert [(error.code, error.message.partition(": ")[2]) for error in errors] == [
        ("extra_missing", "KeyError: 'MISSING'"),
        ("extra_missing", "TypeError: str is not a Tool"),
        ("extra_missing", "TypeError: 'int' object is not iterable"),
        ("extra_missing", "two tools are named `file.read`"),
    ]
