"""The built-in tools, by the parts of the world that they touch. Nothing registers itself: this is the list."""

from __future__ import annotations

from typing import Final

from wardwright.harness.core.tool import AnyTool
from wardwright.harness.tools import file, network
from wardwright.harness.tools.git import reading, writing
from wardwright.harness.tools.system import machine, service

GROUPS: Final[tuple[tuple[str, tuple[AnyTool, ...]], ...]] = (
    ("system", (*machine.TOOLS, *service.TOOLS)),
    ("git", (*reading.TOOLS, *writing.TOOLS)),
    ("network", network.TOOLS),
    ("file", file.TOOLS),
)

BUILT_IN: Final[tuple[AnyTool, ...]] = tuple(tool for _, tools in GROUPS for tool in tools)
