"""What tool documents say about each other. Whether a name is a built-in tool is judged where those are known
(`harness.core.judged`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from wardwright.contracts.decode import Located
from wardwright.contracts.refusal import in_order
from wardwright.contracts.tool import ToolContract
from wardwright.kernel.errors import WardwrightError

Tools: TypeAlias = Mapping[str, Located[ToolContract]]


def check_tools(tools: Tools) -> tuple[WardwrightError, ...]:
    """Tools whose steps, or ways out, lead back to themselves; each ring is told once."""
    errors: list[WardwrightError] = []
    done: set[str] = set()
    for name in sorted(tools):
        errors.extend(_rings(name, tools, done))
    return tuple(in_order(errors))


def _rings(start: str, tools: Tools, done: set[str]) -> Iterator[WardwrightError]:
    """Depth first, without recursion; a name that was left once is never entered again."""
    if start in done:
        return
    way = [start]
    rest = [_onward(tools[start].value)]
    while way:
        found = next(rest[-1], None)
        if found is None:
            done.add(way.pop())
            rest.pop()
        elif found[1] in way:
            path, name = found
            ring = " → ".join([*way[way.index(name) :], name])
            place = tools[way[-1]].place(path)
            message = f"the tool leads back to itself: {ring}"
            yield WardwrightError("contract_cycle", message, place=place, hint="leave one of these steps out")
        elif found[1] in tools and found[1] not in done:
            way.append(found[1])
            rest.append(_onward(tools[found[1]].value))


def _onward(tool: ToolContract) -> Iterator[tuple[str, str]]:
    """Where a tool leads, each name with the path of the member that holds it."""
    for index, step in enumerate(tool.steps):
        yield f"steps[{index}].tool", step.tool
    if tool.degrade is not None:
        yield "degrade", tool.degrade
