"""A synthetic model's route with everything about it that never changes between calls worked out.

`resolve` expands aliases into the routes they stand for, so planning never looks a name up. It ends on every graph: a
contract that leads back to itself, a path deeper than ROUTE_DEPTH_MAX and a route that unfolds to more than
ROUTE_TARGETS_MAX ends (shared aliases multiply) are refused with the path named. A name that means nothing is refused
too: nothing is guessed.

What a contract restricts holds for everything below it: an alias reaches only targets that the `restrict` lists of
*all* contracts on the way admit. What they do not admit is barred here, once; planning merely says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias, assert_never

import msgspec

from wardwright.contracts import model as contract
from wardwright.contracts.digest import digest
from wardwright.kernel.errors import Place, WardwrightError
from wardwright.routing.constraints import excluded_by
from wardwright.routing.draw import WEIGHTS_TOTAL_MAX, Keyed
from wardwright.routing.fit import Candidate, Hindrance, candidate, restricted
from wardwright.routing.plan import Attempt, Plan


class Gauge(NamedTuple):
    """One thing an alloy's ceiling asks: that this candidate's need stays within the bound."""

    candidate: int
    """Index of the candidate."""
    bound: int
    """Tokens."""


class Leaf(msgspec.Struct, frozen=True, kw_only=True):
    """One place of the route where a candidate stands."""

    attempt: Attempt
    barred: Hindrance | None
    """Set where a contract on the way does not admit it."""
    candidate: Candidate
    index: int
    """Of the candidate."""
    label: str
    window: int

    @property
    def leaves(self) -> tuple[Leaf, ...]:
        return (self,)


class Ordered(msgspec.Struct, frozen=True, kw_only=True):
    """A dispatcher or a cascade: its members in the order in which they are tried."""

    kind: Literal["dispatcher", "cascade"]
    label: str
    learned: bool = False
    """What was learned of its members changes their order."""
    leaves: tuple[Leaf, ...]
    """Every leaf beneath."""
    members: tuple[RouteNode, ...]
    window: int
    """Tokens: the most that a member holds."""


class Alloy(msgspec.Struct, frozen=True, kw_only=True):
    """Members of which one is drawn per throw."""

    gauges: tuple[Gauge, ...]
    """Unless all hold, the alloy is over its ceiling. None with `partial_context`."""
    label: str
    leaves: tuple[Leaf, ...]
    lineage: tuple[str, ...]
    luck: Keyed
    luck_domain: bytes
    """The place of the alloy in the route: nested alloys throw independently."""
    members: tuple[RouteNode, ...]
    per: Literal["step", "turn"]
    """`turn` also where a member declares no tools: it cannot take over a tool loop."""
    sequence: tuple[int, ...]
    strategy: Literal["round_robin", "weighted", "sequence"]
    weights: tuple[int, ...]
    window: int
    """Tokens: its ceiling; with `partial_context` the most that a member holds."""


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """A guard and its branches."""

    label: str
    leaves: tuple[Leaf, ...]
    otherwise: RouteNode | None
    then: RouteNode
    when: contract.When
    why: str
    window: int
    """Tokens: of the branch that holds more."""


class Detour(msgspec.Struct, frozen=True, kw_only=True):
    """An alias, and the route that it stands for."""

    label: str
    leaves: tuple[Leaf, ...]
    model: str
    node: RouteNode
    window: int


RouteNode: TypeAlias = Leaf | Ordered | Alloy | Gate | Detour


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """What a synthetic model name stands for, ready to plan."""

    candidates: tuple[Candidate, ...]
    """Every target of the route once, in the order in which the route first names them."""
    contracts: tuple[str, ...]
    """The contracts that take part: this one, then those that aliases lead to."""
    learns: bool
    """Some cascade of it is in the order of what was learned."""
    leaves: tuple[Leaf, ...]
    """Every place where a candidate stands."""
    margin_ppm: int
    """The largest margin that a candidate asks for."""
    name: str
    root: RouteNode
    whole: Plan | None
    """The plan of a call that nothing keeps from any candidate; None where that is not one plan, or one is barred."""
    window: int
    """Tokens: what every candidate holds."""


def resolve(name: str, models: Mapping[str, contract.ModelContract]) -> Route:
    """The route of the contract `name`, aliases expanded through `models`.

    Raises `contract_reference` for a name without contract or target, `contract_cycle`, `contract_too_deep`, and
    `contract_invalid` for an alloy that cannot be drawn and a route that unfolds without measure; each with the path.
    """
    resolver = _Resolver(models)
    root = resolver.expand(name, _Way((), ("route",), ()))
    candidates = tuple(resolver.candidates.values())
    return Route(
        candidates=candidates,
        contracts=tuple(resolver.lucks),
        learns=_learns(root),
        leaves=root.leaves,
        margin_ppm=max((candidate.margin_ppm for candidate in candidates), default=0),
        name=name,
        root=root,
        whole=_whole(root),
        window=min((candidate.window for candidate in candidates), default=0),
    )


class _Way(NamedTuple):
    """How the resolver came to a node. Each node above a target adds one to the lineage, so it counts the depth."""

    chain: tuple[str, ...]
    """The contracts, aliases followed."""
    lineage: tuple[str, ...]
    constraints: tuple[tuple[str, ...], ...]

    def down(self, step: str) -> _Way:
        lineage = (*self.lineage, step)
        if len(lineage) - 1 > contract.ROUTE_DEPTH_MAX:
            path = ".".join(lineage)
            raise WardwrightError(
                "contract_too_deep",
                f"the route of `{self.chain[0]}` nests deeper than {contract.ROUTE_DEPTH_MAX} nodes: {path}",
                place=Place(path=path),
            )
        return self._replace(lineage=lineage)

    def refusal(self, code: str, message: str) -> WardwrightError:
        return WardwrightError(code, message, place=Place(path=".".join(self.lineage)))


class _Resolver:
    def __init__(self, models: Mapping[str, contract.ModelContract]) -> None:
        self._models = models
        self._targets: dict[str, dict[str, contract.Target]] = {}
        self._ends = 0
        self.candidates: dict[tuple[str, str], Candidate] = {}
        self.lucks: dict[str, Keyed] = {}

    def expand(self, name: str, way: _Way) -> RouteNode:
        if name in way.chain:
            path = " → ".join((*way.chain[way.chain.index(name) :], name))
            raise way.refusal("contract_cycle", f"the route leads back to itself: {path}")
        model = self._models.get(name)
        if model is None:
            raise way.refusal("contract_reference", f"no model contract is named `{name}`")
        if name not in self.lucks:
            self.lucks[name] = Keyed(digest(model).encode())
            self._targets[name] = {target.name: target for target in model.targets}
        constraints = (*way.constraints, model.restrict) if model.restrict else way.constraints
        return self._node(model.route, _Way((*way.chain, name), way.lineage, constraints))

    def _node(self, node: contract.Node, way: _Way) -> RouteNode:
        if isinstance(node, contract.TargetRef) or not getattr(node, "members", True):
            self._ends += 1
            if self._ends > contract.ROUTE_TARGETS_MAX:
                message = f"the route of `{way.chain[0]}` unfolds to more than {contract.ROUTE_TARGETS_MAX} targets"
                raise way.refusal("contract_invalid", message)
        match node:
            case contract.TargetRef():
                return self._leaf(node, way)
            case contract.Dispatcher():
                ranked = sorted(self._members("dispatcher", node.members, way), key=lambda m: (m.window, m.label))
                return _ordered("dispatcher", tuple(ranked))
            case contract.Cascade():
                members = self._members("cascade", node.members, way)
                return _ordered("cascade", members, learned=node.order == "learned")
            case contract.Alloy():
                return self._alloy(node, way)
            case contract.Guard():
                return self._gate(node, way)
            case contract.Alias():
                label = f"alias:{node.model}"
                beyond = self.expand(node.model, way.down(label))
                return Detour(label=label, leaves=beyond.leaves, model=node.model, node=beyond, window=beyond.window)
            case _:
                assert_never(node)

    def _members(self, kind: str, members: tuple[contract.Node, ...], way: _Way) -> tuple[RouteNode, ...]:
        return tuple(self._node(member, way.down(f"{kind}[{index}]")) for index, member in enumerate(members))

    def _leaf(self, node: contract.TargetRef, way: _Way) -> Leaf:
        owner = way.chain[-1]
        found = self.candidates.get((owner, node.target))
        if found is None:
            target = self._targets[owner].get(node.target)
            if target is None:
                raise way.refusal("contract_reference", f"`{owner}` has no target named `{node.target}`")
            found = candidate(len(self.candidates), owner, target)
            self.candidates[owner, node.target] = found
        target = found.target
        excluded = excluded_by(way.constraints, target)
        return Leaf(
            attempt=Attempt(
                contract=owner, lineage=way.lineage, model=target.model, provider=target.provider, target=target.name
            ),
            barred=None if excluded is None else restricted(excluded),
            candidate=found,
            index=found.index,
            label=target.name,
            window=found.window,
        )

    def _alloy(self, node: contract.Alloy, way: _Way) -> Alloy:
        weights = tuple(member.weight for member in node.members)
        if any(weight < 1 for weight in weights) or sum(weights) > WEIGHTS_TOTAL_MAX:
            raise way.refusal(
                "contract_invalid", f"weights of an alloy are at least 1 and at most {WEIGHTS_TOTAL_MAX} together"
            )
        named = node.sequence if node.strategy == "sequence" else ()
        if node.strategy == "sequence" and not (named and all(0 <= index < len(weights) for index in named)):
            raise way.refusal("contract_invalid", "a sequence names members of its alloy by index, at least one")
        members = self._members("alloy", tuple(member.node for member in node.members), way)
        leaves = _leaves(members)
        if node.partial_context:
            gauges: tuple[Gauge, ...] = ()
            window = max((member.window for member in members), default=0)
        else:
            ceiling = node.min_context_window
            if ceiling is None:
                gauges = tuple(gauge for member in members for gauge in _gauges(member))
            else:
                gauges = tuple(Gauge(leaf.index, ceiling) for leaf in leaves)
            window = min((gauge.bound for gauge in gauges), default=0)
        return Alloy(
            gauges=gauges,
            label="alloy",
            leaves=leaves,
            lineage=way.lineage,
            luck=self.lucks[way.chain[-1]],
            luck_domain=".".join(way.lineage).encode(),
            members=members,
            per="turn" if any(_cannot_take_over(leaf) for leaf in leaves) else node.per,
            sequence=named,
            strategy=node.strategy,
            weights=weights,
            window=window,
        )

    def _gate(self, node: contract.Guard, way: _Way) -> Gate:
        then = self._node(node.then, way.down("guard.then"))
        otherwise = None if node.otherwise is None else self._node(node.otherwise, way.down("guard.otherwise"))
        branches = (then,) if otherwise is None else (then, otherwise)
        return Gate(
            label="guard",
            leaves=_leaves(branches),
            otherwise=otherwise,
            then=then,
            when=node.when,
            why=node.why,
            window=max(branch.window for branch in branches),
        )


def _whole(root: RouteNode) -> Plan | None:
    """Every candidate at its first place, in the order of the places."""
    if not root.leaves or any(leaf.barred is not None for leaf in root.leaves) or not _is_still(root):
        return None
    first = {leaf.index: leaf.attempt for leaf in reversed(root.leaves)}
    return Plan(attempts=tuple(first[index] for index in dict.fromkeys(leaf.index for leaf in root.leaves)))


def _learns(node: RouteNode) -> bool:
    match node:
        case Leaf():
            return False
        case Ordered():
            return node.learned or any(_learns(member) for member in node.members)
        case Alloy():
            return any(_learns(member) for member in node.members)
        case Gate():
            return _learns(node.then) or (node.otherwise is not None and _learns(node.otherwise))
        case Detour():
            return _learns(node.node)
        case _:
            assert_never(node)


def _is_still(node: RouteNode) -> bool:
    """Whether its order is the same for every call."""
    match node:
        case Leaf():
            return True
        case Ordered():
            return not node.learned and all(_is_still(member) for member in node.members)
        case Detour():
            return _is_still(node.node)
        case Alloy() | Gate():
            return False
        case _:
            assert_never(node)


def _ordered(
    kind: Literal["dispatcher", "cascade"], members: tuple[RouteNode, ...], *, learned: bool = False
) -> Ordered:
    window = max((member.window for member in members), default=0)
    return Ordered(kind=kind, label=kind, learned=learned, leaves=_leaves(members), members=members, window=window)


def _leaves(members: tuple[RouteNode, ...]) -> tuple[Leaf, ...]:
    return tuple(leaf for member in members for leaf in member.leaves)


def _gauges(node: RouteNode) -> tuple[Gauge, ...]:
    """What must hold for a member to count as not outgrown: that its roomiest choice is not."""
    match node:
        case Leaf():
            return (Gauge(node.index, node.window),)
        case Detour():
            return _gauges(node.node)
        case Alloy() if node.gauges:
            return node.gauges
        case Ordered() | Alloy():
            choices = node.members
        case Gate():
            choices = (node.then,) if node.otherwise is None else (node.then, node.otherwise)
        case _:
            assert_never(node)
    return _gauges(max(choices, key=lambda choice: choice.window)) if choices else ()


def _cannot_take_over(leaf: Leaf) -> bool:
    capabilities = leaf.candidate.capabilities
    return leaf.barred is None and capabilities is not None and "tools" not in capabilities
