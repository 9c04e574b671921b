"""The tools that there are: the built-in ones, and those that installed extensions bring."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from wardwright.harness.core.tool import ENTRY_POINTS, AnyTool, Tool, Tools
from wardwright.harness.mcp.peers import Peers
from wardwright.harness.tools.built_in import BUILT_IN
from wardwright.kernel.errors import WardwrightError
from wardwright.runtime.servers import Unreached, folders_of, functions_in


@cache
def installed() -> tuple[Tools, tuple[WardwrightError, ...]]:
    """All tools, and why extensions are left out of them. Looked at once."""
    return gathered(entry_points(group=ENTRY_POINTS))


def available(
    paths: Iterable[Path], peers: Peers | None = None, environment: Mapping[str, str] | None = None
) -> tuple[Tools, tuple[WardwrightError, ...]]:
    """All tools with those of the MCP servers that the folders among the paths declare, and why some are left out.
    Without `peers` they are there to be judged and listed. Blocks."""
    functions, errors = installed()
    folders = folders_of(paths)
    if not folders:
        return functions, errors
    brought, refused = functions_in(
        folders, peers or Unreached(), None if peers is None else peers.add, environment or {}
    )
    own = tuple(functions.get(name) for name in functions.names)
    try:
        return Tools((*own, *brought)), (*errors, *refused)
    except WardwrightError as clash:
        return functions, (*errors, *refused, clash)


def gathered(points: Iterable[EntryPoint]) -> tuple[Tools, tuple[WardwrightError, ...]]:
    """The built-in tools and those of entry points. An extension with anything wrong in it is left out whole."""
    tools, errors = Tools(BUILT_IN), []
    brought: tuple[AnyTool, ...] = ()
    for point in sorted(points, key=lambda one: one.name):
        try:
            more = (*brought, *_brought(point.load()))
            tools = Tools((*BUILT_IN, *more))
        except Exception as cause:  # whatever an extension raises is told, and stops nobody else
            reason = cause.message if isinstance(cause, WardwrightError) else f"{type(cause).__name__}: {cause}"
            message = f"the extension `{point.name}` ({point.value}) brings no tools: {reason}"
            errors.append(WardwrightError("extra_missing", message))
            continue
        brought = more
    return tools, tuple(errors)


def _brought(loaded: Any) -> Iterator[AnyTool]:
    for one in (loaded,) if isinstance(loaded, Tool) else loaded:
        if not isinstance(one, Tool):
            raise TypeError(f"{type(one).__name__} is not a Tool")
        yield one
