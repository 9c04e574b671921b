"""What documents say about each other: the load-time check of a whole set.

Rule 1: nothing is guessed: a name that leads nowhere is an error with the nearest name that exists.
Rule 2: it ends on every graph: aliases are followed by counting, never by walking all paths.
Rule 3: an error refuses the contract it stands in and every contract whose route leads there; the rest may serve.
Rule 4: what is merely odd is a warning and refuses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias, assert_never

import msgspec

from wardwright.contracts.decode import Document, Located
from wardwright.contracts.digest import aliases, leaves
from wardwright.contracts.house import HouseContract
from wardwright.contracts.model import (
    ROUTE_DEPTH_MAX,
    ROUTE_TARGETS_MAX,
    Alias,
    Alloy,
    Cascade,
    Dispatcher,
    Guard,
    ModelContract,
    Node,
    Target,
    TargetRef,
)
from wardwright.contracts.policy import PolicyContract
from wardwright.contracts.pricing import unpriced
from wardwright.contracts.provider import Provider
from wardwright.contracts.refusal import did_you_mean, in_order
from wardwright.contracts.tool import ToolContract
from wardwright.kernel.errors import Place, WardwrightError

Models: TypeAlias = Mapping[str, Located[ModelContract]]
Policies: TypeAlias = Mapping[str, Located[PolicyContract]]
Providers: TypeAlias = Mapping[str, Located[Provider]]

SHOWN_CYCLE_MAX: Final = 12
"""Contracts of a cycle that its error names."""


class Gathered(msgspec.Struct, frozen=True, kw_only=True):
    """Documents by kind and name."""

    models: dict[str, Located[ModelContract]]
    policies: dict[str, Located[PolicyContract]]
    providers: dict[str, Located[Provider]]
    houses: dict[str, Located[HouseContract]]
    tools: dict[str, Located[ToolContract]]
    errors: tuple[WardwrightError, ...]
    """Second documents of one kind and name; the first of them stands in the maps."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a set, and which model contracts may not serve because of it."""

    errors: tuple[WardwrightError, ...]
    """By file, line and column."""
    warnings: tuple[WardwrightError, ...]
    refused: frozenset[str]
    """Names of models with an error of their own or behind an alias."""


def gather(documents: Iterable[Document]) -> Gathered:
    """Sort documents by kind and name; a name that comes twice within a kind is an error."""
    models: dict[str, Located[ModelContract]] = {}
    policies: dict[str, Located[PolicyContract]] = {}
    providers: dict[str, Located[Provider]] = {}
    houses: dict[str, Located[HouseContract]] = {}
    tools: dict[str, Located[ToolContract]] = {}
    of_kind: dict[str, Mapping[str, Document]] = {
        "house": houses,
        "model": models,
        "policy": policies,
        "provider": providers,
        "tool": tools,
    }
    errors: list[WardwrightError] = []
    for document in documents:
        kind, name = document.value.kind, document.value.name
        first = of_kind[kind].get(name)
        if first is not None:
            hint = f"the first stands at {_line(first)}; rename one of them"
            message = f"two {kind} documents are called `{name}`"
            errors.append(WardwrightError("contract_duplicate", message, place=document.place("name"), hint=hint))
            continue
        match document.value:
            case ModelContract():
                models[name] = document
            case PolicyContract():
                policies[name] = document
            case Provider():
                providers[name] = document
            case HouseContract():
                houses[name] = document
            case ToolContract():
                tools[name] = document
            case _:
                assert_never(document.value)
    return Gathered(
        errors=tuple(in_order(errors)),
        houses=houses,
        models=models,
        policies=policies,
        providers=providers,
        tools=tools,
    )


def check(models: Models, providers: Providers, policies: Policies, *, complete: bool = True) -> Verdict:
    """Everything that is wrong between the documents of a set. Rules are judged by `policy.compiler`.

    Where the set is not `complete`, since some file could not be read, a policy that is missing may have been stored
    before; whoever serves the models knows.
    """
    errors: dict[str, list[WardwrightError]] = {name: [] for name in models}
    warnings: list[WardwrightError] = []
    for name, located in models.items():
        errors[name].extend(_targets(located, providers))
        errors[name].extend(_references(located, models))
        if complete:
            errors[name].extend(_governed(located, policies))
        warnings.extend(_unused(located))
    for name, error in _unpriced(models, policies):
        errors[name].append(error)
    warnings.extend(_shared_names(models, providers))
    _measure(models, errors)
    return Verdict(
        errors=tuple(in_order(error for found in errors.values() for error in found)),
        warnings=tuple(in_order(warnings)),
        refused=_refused(models, {name for name, found in errors.items() if found}),
    )


# Names


def _targets(located: Located[ModelContract], providers: Providers) -> Iterator[WardwrightError]:
    for index, target in enumerate(located.value.targets):
        path = f"targets[{index}]"
        provider = providers.get(target.provider)
        if provider is None:
            hint = did_you_mean(target.provider, providers) or "add a document of `kind: provider` with that name"
            message = f"no provider is named `{target.provider}`"
            yield WardwrightError("contract_reference", message, place=located.place(f"{path}.provider"), hint=hint)
        elif not _plays(provider.value, target):
            scripts = [script.model for script in provider.value.scripts]
            message = f"the scripted provider `{target.provider}` has no script for `{target.model}`"
            place = located.place(f"{path}.model")
            yield WardwrightError("contract_reference", message, place=place, hint=did_you_mean(target.model, scripts))


def _plays(provider: Provider, target: Target) -> bool:
    scripts = provider.scripts
    return not scripts or any(script.model == target.model for script in scripts)


def _references(located: Located[ModelContract], models: Models) -> Iterator[WardwrightError]:
    targets = [target.name for target in located.value.targets]
    for path, node in nodes(located.value.route, "route"):
        if isinstance(node, TargetRef) and node.target not in targets:
            message, known = f"this contract has no target `{node.target}`", targets
        elif isinstance(node, Alias) and node.model not in models:
            message, known = f"no model contract is named `{node.model}`", list(models)
        else:
            continue
        hint = did_you_mean(_named(node), known)
        yield WardwrightError("contract_reference", message, place=located.place(path), hint=hint)


def _governed(located: Located[ModelContract], policies: Policies) -> Iterator[WardwrightError]:
    for index, name in enumerate(located.value.policies):
        if name not in policies:
            hint = did_you_mean(name, policies) or "add a document of `kind: policy` with that name"
            place = located.place(f"policies[{index}]")
            yield WardwrightError("contract_reference", f"no policy is named `{name}`", place=place, hint=hint)


def _unpriced(models: Models, policies: Policies) -> Iterator[tuple[str, WardwrightError]]:
    """Each target that a budget of money cannot count, once: not for those whose alias leads to it again."""
    plain = {name: located.value for name, located in models.items()}
    rules = {name: located.value for name, located in policies.items()}
    if not any(policy.budgets for policy in rules.values()):
        return
    found = {name: unpriced(name, plain, rules) for name in plain}
    for name, contract in plain.items():
        told = (found[alias.model] for alias in aliases(contract.route) if alias.model in found)
        for one in sorted(found[name].difference(*told)):
            yield name, one.refusal(models[one.contract].place(one.path))


def _named(node: TargetRef | Alias) -> str:
    return node.target if isinstance(node, TargetRef) else node.model


def _unused(located: Located[ModelContract]) -> Iterator[WardwrightError]:
    used = {leaf.target for leaf in leaves(located.value.route) if isinstance(leaf, TargetRef)}
    for index, target in enumerate(located.value.targets):
        if target.name not in used:
            message = f"the route never leads to the target `{target.name}`"
            place = located.place(f"targets[{index}].name")
            yield WardwrightError("contract_unused", message, place=place, hint="add it to the route, or remove it")


def _shared_names(models: Models, providers: Providers) -> Iterator[WardwrightError]:
    for name in sorted(models.keys() & providers.keys()):
        hint = f"the provider stands at {_line(providers[name])}; two names would read better"
        message = f"a model and a provider are both called `{name}`"
        yield WardwrightError("contract_duplicate", message, place=models[name].place("name"), hint=hint)


def _line(located: Document) -> str:
    place = located.place("name")
    return str(Place(file=place.file, line=place.line, column=place.column))


def nodes(node: Node, path: str) -> Iterator[tuple[str, Node]]:
    """Every node of a route with its path in the typed value, parents first."""
    yield path, node
    match node:
        case TargetRef() | Alias():
            return
        case Dispatcher() | Cascade():
            for index, member in enumerate(node.members):
                yield from nodes(member, f"{path}.members[{index}]")
        case Alloy():
            for index, voice in enumerate(node.members):
                yield from nodes(voice.node, f"{path}.members[{index}].node")
        case Guard():
            yield from nodes(node.then, f"{path}.then")
            if node.otherwise is not None:
                yield from nodes(node.otherwise, f"{path}.otherwise")
        case _:
            assert_never(node)


# The graph of aliases


def _measure(models: Models, errors: dict[str, list[WardwrightError]]) -> None:
    """Depth and breadth of every route with its aliases unfolded, the contracts that are reached first."""
    onward = {name: {alias.model for alias in aliases(one.value.route)} & models.keys() for name, one in models.items()}
    order, looping = _sorted_by_reach(onward)
    for cycle in _cycles(looping, onward):
        errors[cycle[0]].append(_cycle_error(models[cycle[0]], cycle))
    depths: dict[str, int] = {}
    breadths: dict[str, int] = {}
    for name in order:
        route = models[name].value.route
        depths[name], deepest = _depth(route, depths)
        breadths[name] = _breadth(route, breadths)
        if any(depths[one] > ROUTE_DEPTH_MAX or breadths[one] > ROUTE_TARGETS_MAX for one in onward[name]):
            continue
        if depths[name] > ROUTE_DEPTH_MAX:
            message = f"the route is {depths[name]} nodes deep, aliases followed; it may be {ROUTE_DEPTH_MAX}"
            place = models[name].place(deepest)
            hint = "name targets directly, or put lists that stand inside one another into one"
            errors[name].append(WardwrightError("contract_too_deep", message, place=place, hint=hint))
        if breadths[name] > ROUTE_TARGETS_MAX:
            message = f"the route leads to {breadths[name]:,} targets, aliases followed; it may be {ROUTE_TARGETS_MAX}"
            place = models[name].place("route")
            errors[name].append(WardwrightError("contract_invalid", message, place=place, hint="split the contract"))


def _sorted_by_reach(onward: Mapping[str, set[str]]) -> tuple[list[str], set[str]]:
    """Contracts so that each follows all that it leads to; and those in or before a cycle, which have no such place."""
    waits = {name: len(others) for name, others in onward.items()}
    back: dict[str, list[str]] = {name: [] for name in onward}
    for name, others in onward.items():
        for other in others:
            back[other].append(name)
    ready = sorted(name for name, count in waits.items() if count == 0)
    order: list[str] = []
    while ready:
        name = ready.pop()
        order.append(name)
        for before in back[name]:
            waits[before] -= 1
            if waits[before] == 0:
                ready.append(before)
    return order, set(onward) - set(order)


def _cycles(looping: set[str], onward: Mapping[str, set[str]]) -> Iterator[list[str]]:
    """Cycles that share no contract, each from its first name in the alphabet; every contract here leads into one."""
    seen: set[str] = set()
    for start in sorted(looping):
        walk: dict[str, int] = {}
        name = start
        while name not in seen and name not in walk:
            walk[name] = len(walk)
            name = min(onward[name] & looping)
        if name in walk:
            cycle = list(walk)[walk[name] :]
            first = cycle.index(min(cycle))
            yield cycle[first:] + cycle[:first]
        seen.update(walk)


def _cycle_error(located: Located[ModelContract], cycle: list[str]) -> WardwrightError:
    onward = cycle[1] if len(cycle) > 1 else cycle[0]
    path = next(
        path for path, node in nodes(located.value.route, "route") if isinstance(node, Alias) and node.model == onward
    )
    names = cycle if len(cycle) <= SHOWN_CYCLE_MAX else [*cycle[:SHOWN_CYCLE_MAX], "…"]
    message = "the route leads back to itself: " + " → ".join([*names, cycle[0]])
    hint = f"let one of {len(cycle)} contracts name targets instead of an alias" if len(cycle) > 1 else None
    return WardwrightError("contract_cycle", message, place=located.place(path), hint=hint)


def _depth(route: Node, depths: Mapping[str, int]) -> tuple[int, str]:
    """Nodes above the deepest target, and the path of the leaf below which it lies."""
    deepest, at = -1, "route"
    for path, node in nodes(route, "route"):
        if isinstance(node, TargetRef | Alias):
            depth = _nodes_above(path) + (1 + depths.get(node.model, 0) if isinstance(node, Alias) else 0)
            if depth > deepest:
                deepest, at = depth, path
    return max(deepest, 0), at


def _nodes_above(path: str) -> int:
    """How many nodes hold the node at this typed path."""
    return path.count(".members[") + path.count(".then") + path.count(".otherwise")


def _breadth(route: Node, breadths: Mapping[str, int]) -> int:
    return sum(1 if isinstance(leaf, TargetRef) else breadths.get(leaf.model, 0) for leaf in leaves(route))


def _refused(models: Models, wrong: set[str]) -> frozenset[str]:
    """Those with an error, and all whose aliases lead to one."""
    back: dict[str, list[str]] = {}
    for name, located in models.items():
        for alias in aliases(located.value.route):
            back.setdefault(alias.model, []).append(name)
    refused: set[str] = set()
    waiting = sorted(wrong)
    while waiting:
        name = waiting.pop()
        if name not in refused:
            refused.add(name)
            waiting.extend(back.get(name, ()))
    return frozenset(refused)
