"""The plan of one call: a pure function of a route and the facts, the same plan for the same facts, bit for bit.

Rule 1: no attempt is planned on a target that cannot hold the request, cannot do what it asks, may not serve it, or
rests. What each node of a route means for the order stands in `routing.graph` and `routing.draw`.
Rule 2: every target of the route is either attempted once, at its first place, or skipped once. Where it stands at
several places, the reason that came closest to serving is given.
Rule 3: without an attempt there is a refusal, by the gate that the closest target failed: a route of which one target
only rests is unavailable; else one that only lacks room is too small; else one that lacks a capability; else refused.
Its message goes to the caller: it names no target and no pattern.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import repeat
from typing import assert_never

import msgspec

from wardwright.contracts.condition import holds
from wardwright.routing.draw import rotated, sequenced, weighed
from wardwright.routing.fit import GATES, MILLION, Hindrance, hindrance, needs
from wardwright.routing.graph import Alloy, Detour, Gate, Leaf, Ordered, Route, RouteNode
from wardwright.routing.plan import Attempt, Draw, Plan, Refusal, RouteFacts, Skip


def plan(route: Route, facts: RouteFacts) -> Plan:
    """What will be tried, in order; what will not, and why."""
    if route.whole is not None and _is_free(route, facts):
        return route.whole
    planning = _Planning(route, facts)
    serving = planning.order(route.root)
    attempts: list[Attempt] = []
    planned = 0
    for leaf in serving:
        bit = 1 << leaf.index
        if not planned & bit:
            planned |= bit
            attempts.append(leaf.attempt)
    if len(attempts) == len(route.candidates):
        return Plan(attempts=tuple(attempts), draws=tuple(planning.draws))
    met = planning.met
    skipped = tuple(
        Skip(contract=out.contract, detail=met[out.index].detail, reason=met[out.index].reason, target=out.target.name)
        for out in route.candidates
        if not planned >> out.index & 1
    )
    refusal = None if attempts else _refusal(route.name, facts, met.values())
    return Plan(attempts=tuple(attempts), draws=tuple(planning.draws), refusal=refusal, skipped=skipped)


def spoke_before(route: Route, facts: RouteFacts) -> Attempt | None:
    """Whose turn the step before this one was, on the same facts; None for a first step.

    No state remembers who answered: the draw of the step before is made again. Where another target had to stand in
    for it then, this is the one that should have spoken.
    """
    if facts.step == 0:
        return None
    turn = facts.turn if facts.in_tool_loop else max(facts.turn - 1, 0)
    before = plan(route, msgspec.structs.replace(facts, resting=(), step=facts.step - 1, turn=turn))
    return before.attempts[0] if before.attempts else None


def _is_free(route: Route, facts: RouteFacts) -> bool:
    """Whether no gate can stop any candidate of the route: nearly every call, told without asking them one by one."""
    if facts.constraints or facts.capabilities or facts.in_tool_loop or facts.resting:
        return False
    return facts.output_tokens - (-facts.input_tokens * route.margin_ppm // MILLION) <= route.window


class _Planning:
    """The working state of one plan."""

    __slots__ = ("_facts", "_needs", "_standing", "draws", "met")

    def __init__(self, route: Route, facts: RouteFacts) -> None:
        self._facts = facts
        self._needs = [needs(candidate, facts) for candidate in route.candidates]
        self._standing = list(map(hindrance, route.candidates, self._needs, repeat(facts)))
        """By index of the candidate: what keeps it from serving, wherever it stands."""
        self.draws: list[Draw] = []
        self.met: dict[int, Hindrance] = {}
        """By index of the candidate: of the hindrances met at its places, the one closest to serving."""

    def order(self, node: RouteNode) -> list[Leaf]:
        """The leaves beneath a node that can serve, in the order in which they are tried."""
        match node:
            case Leaf():
                out = node.barred or self._standing[node.index]
                if out is None:
                    return [node]
                self._meet(node.index, out)
                return []
            case Ordered():
                serving: list[Leaf] = []
                standing = self._standing
                for member in self._by_success(node.members) if node.learned and self._facts.learned else node.members:
                    # A leaf that serves is nearly every member of nearly every call: it is not worth a call of its own.
                    if isinstance(member, Leaf) and member.barred is None and standing[member.index] is None:
                        serving.append(member)
                    else:
                        serving += self.order(member)
                return serving
            case Alloy():
                return self._drawn(node)
            case Gate():
                return self._gated(node)
            case Detour():
                return self.order(node.node)
            case _:
                assert_never(node)

    def _by_success(self, members: tuple[RouteNode, ...]) -> list[RouteNode]:
        """Members by how surely their first target succeeds; where that is not known, as one of two would."""
        learned = dict(self._facts.learned)

        def fails_ppm(member: RouteNode) -> int:
            first = member.leaves[0].attempt if member.leaves else None
            known = None if first is None else learned.get(f"{first.contract}/{first.target}")
            return MILLION - (MILLION // 2 if known is None else known)

        return sorted(members, key=fails_ppm)

    def _drawn(self, alloy: Alloy) -> list[Leaf]:
        for index, bound in alloy.gauges:
            if self._needs[index] > bound:
                self._shut(alloy.leaves, _over_ceiling(self._needs[index], alloy.window))
                return []
        place = len(self.draws)
        serving = [self.order(member) for member in alloy.members]
        index = self._facts.step if alloy.per == "step" else self._facts.turn
        order = [member for member in self._throw(alloy, index, serving) if serving[member]]
        if not order:
            return []
        draw = Draw(index=index, lineage=alloy.lineage, order=tuple(order), strategy=alloy.strategy)
        self.draws.insert(place, draw)
        return [leaf for member in order for leaf in serving[member]]

    def _throw(self, alloy: Alloy, index: int, serving: list[list[Leaf]]) -> list[int]:
        match alloy.strategy:
            case "round_robin":
                # A member that only rests keeps its turn: the others take it as fallbacks and the rotation holds.
                taking_turns = [m for m, leaves in enumerate(serving) if leaves or self._rests(alloy.members[m])]
                return rotated(taking_turns, index)
            case "sequence":
                return sequenced(alloy.sequence, len(serving), index)
            case "weighted":
                message = b"%b\0%b\0%d" % (self._facts.conversation.encode(), alloy.luck_domain, index)
                return weighed(alloy.weights, alloy.luck, message)
            case _:
                assert_never(alloy.strategy)

    def _gated(self, gate: Gate) -> list[Leaf]:
        if holds(gate.when, self._facts):
            if gate.otherwise is not None:
                self._shut(gate.otherwise.leaves, _behind(gate, "the condition holds"))
            return self.order(gate.then)
        self._shut(gate.then.leaves, _behind(gate, "the condition does not hold"))
        return [] if gate.otherwise is None else self.order(gate.otherwise)

    def _shut(self, leaves: Iterable[Leaf], closing: Hindrance) -> None:
        """None of the leaves may serve here. One that fails an earlier gate fails that one first."""
        for leaf in leaves:
            own = leaf.barred or self._standing[leaf.index]
            self._meet(leaf.index, own if own is not None and own.gate < closing.gate else closing)

    def _meet(self, index: int, out: Hindrance) -> None:
        met = self.met.get(index)
        if met is None or met.gate < out.gate:
            self.met[index] = out

    def _rests(self, member: RouteNode) -> bool:
        return any(
            leaf.index in self.met and self.met[leaf.index].gate == GATES["breaker_open"] for leaf in member.leaves
        )


def _over_ceiling(need: int, ceiling: int) -> Hindrance:
    detail = f"needs {need} tokens, the alloy holds {ceiling}"
    return Hindrance(GATES["alloy_ceiling"], "alloy_ceiling", detail, ceiling, need)


def _behind(gate: Gate, how: str) -> Hindrance:
    return Hindrance(GATES["guard"], "guard", f"{how}: {gate.why}" if gate.why else how)


def _refusal(name: str, facts: RouteFacts, met: Iterable[Hindrance]) -> Refusal:
    closest = max((out.gate for out in met), default=GATES["guard"])
    outs = [out for out in met if out.gate == closest]
    match closest:
        case 4 if all(out.reason == "rate_limited" for out in outs):
            message = f"Every target of `{name}` that may serve this request is rate limited."
            return Refusal(code="upstream_rate_limited", message=message)
        case 4:
            message = f"Every target of `{name}` that may serve this request is cooling down."
            return Refusal(code="upstream_unavailable", message=message)
        case 3:
            widest = max(outs, key=lambda out: (out.holds, -out.need))
            message = (
                f"The maximum context length of `{name}` for this request is {widest.holds} tokens; it needs "
                f"{widest.need} (about {facts.input_tokens} of input before the safety margin, and "
                f"{facts.output_tokens} at most of output). Shorten the messages or ask for less output."
            )
            return Refusal(code="context_length_exceeded", message=message)
        case 2:
            asked = ", ".join(facts.capabilities) or "tools"
            message = f"No target of `{name}` that may serve this request can do all that it asks: {asked}."
            return Refusal(code="unsupported_capability", message=message)
        case _:
            message = f"The guards and constraints of `{name}` leave no target for this request."
            return Refusal(code="route_refused", message=message)
