"""A route as lines of text, for `model show` and `model plan`: what stands where, and in which order it is tried."""

from __future__ import annotations

from typing import Final, assert_never

from wardwright.contracts.route_words import condition
from wardwright.routing.graph import Alloy, Detour, Gate, Leaf, Ordered, Route, RouteNode

_BRANCH: Final = ("├─ ", "│  ")
_LAST: Final = ("└─ ", "   ")


def outline(route: Route) -> list[str]:
    """The tree of a route, a node a line, aliases unfolded. Windows are what routing may fill.

    A dispatcher's members stand in the order of their windows.
    """
    return [route.name, *_below([("", route.root)])]


def _below(branches: list[tuple[str, RouteNode]]) -> list[str]:
    lines: list[str] = []
    for place, (said, node) in enumerate(branches, 1):
        first, further = _LAST if place == len(branches) else _BRANCH
        lines.append(first + said + _title(node))
        lines.extend(further + line for line in _below(_branches(node)))
    return lines


def _title(node: RouteNode) -> str:
    match node:
        case Leaf():
            target = node.candidate.target
            barred = "" if node.barred is None else f", restricted: {node.barred.detail}"
            return f"{target.name}: {target.provider}/{target.model}, window {node.window}{barred}"
        case Ordered():
            return node.kind
        case Alloy():
            holds = f"ceiling {node.window}" if node.gauges else "members drop out as they are outgrown"
            return f"alloy, {node.strategy} per {node.per}, {holds}"
        case Gate():
            return f"guard: {node.why}" if node.why else "guard"
        case Detour():
            return f"alias {node.model}"
        case _:
            assert_never(node)


def _branches(node: RouteNode) -> list[tuple[str, RouteNode]]:
    match node:
        case Leaf():
            return []
        case Ordered():
            return [("", member) for member in node.members]
        case Alloy():
            return [(_share(node, index), member) for index, member in enumerate(node.members)]
        case Gate():
            then = (f"when {condition(node.when) or 'always'}: ", node.then)
            return [then] if node.otherwise is None else [then, ("otherwise: ", node.otherwise)]
        case Detour():
            return [("", node.node)]
        case _:
            assert_never(node)


def _share(alloy: Alloy, index: int) -> str:
    match alloy.strategy:
        case "weighted":
            return f"{alloy.weights[index]}/{sum(alloy.weights)} "
        case "sequence":
            return f"{alloy.sequence.count(index)}/{len(alloy.sequence)} "
        case "round_robin":
            return ""
        case _:
            assert_never(alloy.strategy)
