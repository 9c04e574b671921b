"""What changed between two contracts, each change as data and as one sentence.

Rule 1: what has a name is compared by its name: moving a target in the file is not a change of the target.
Rule 2: nodes of a route are compared by what they are; where a node became another kind of node, the whole is told.
Rule 3: no changes if and only if the digests are equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal, assert_never

import msgspec

from wardwright.contracts.digest import Contract
from wardwright.contracts.house import HouseContract
from wardwright.contracts.model import (
    Alloy,
    Cascade,
    Dispatcher,
    Guard,
    ModelContract,
    Node,
    Price,
    Target,
    Transforms,
)
from wardwright.contracts.policy import PolicyContract
from wardwright.contracts.provider import Provider, Script
from wardwright.contracts.route_words import condition, described
from wardwright.contracts.tool import Step, ToolContract
from wardwright.contracts.wording import SHOWN_CHARS_MAX, shown

ROUTE_TEXT_CHARS_MAX: Final = 240
"""Characters of a route told in one sentence."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change."""

    kind: Literal["added", "removed", "changed"]
    path: str
    """In the typed value; members of named lists by their name, such as `targets[fast].price.input`."""
    old: str | None
    """In words; None for what was added."""
    new: str | None
    """In words; None for what was removed."""
    sentence: str


def diff(old: Contract, new: Contract) -> tuple[Change, ...]:
    """The changes that lead from one contract to the other, in the order of its members."""
    if isinstance(old, ModelContract) and isinstance(new, ModelContract):
        return tuple(_model(old, new))
    if isinstance(old, Provider) and isinstance(new, Provider):
        return tuple(_members("", f"the provider `{new.name}`", old, new))
    if isinstance(old, PolicyContract) and isinstance(new, PolicyContract):
        return tuple(_policy(old, new))
    if isinstance(old, HouseContract) and isinstance(new, HouseContract):
        return tuple(_members("", f"the house `{new.name}`", old, new))
    if isinstance(old, ToolContract) and isinstance(new, ToolContract):
        return tuple(_tool(old, new))
    return (_changed("kind", old.kind, new.kind, f"It was a {old.kind} and is now a {new.kind}."),)


# Models


def _model(old: ModelContract, new: ModelContract) -> Iterator[Change]:
    for field in msgspec.structs.fields(ModelContract):
        before, after = getattr(old, field.name), getattr(new, field.name)
        match field.name:
            case "targets":
                yield from _targets(old.targets, new.targets)
            case "route":
                yield from _route("route", "the route", old.route, new.route)
            case "transforms":
                yield from _transforms(old.transforms, new.transforms)
            case name:
                yield from _member(name, f"`{name}`", before, after)


def _targets(old: tuple[Target, ...], new: tuple[Target, ...]) -> Iterator[Change]:
    before, after = {one.name: one for one in old}, {one.name: one for one in new}
    for name, target in before.items():
        path = f"targets[{name}]"
        if name not in after:
            told = f"{target.provider}/{target.model}"
            yield _removed(path, told, f"The target `{name}` ({told}) was removed.")
        else:
            yield from _members(path, f"the target `{name}`", target, after[name])
    for name, target in after.items():
        if name not in before:
            told = f"{target.provider}/{target.model}"
            sentence = f"The target `{name}` ({told}, {target.context_window:,} tokens) was added."
            yield _added(f"targets[{name}]", told, sentence)
    yield from _order("targets", "the targets", list(before), list(after))


def _transforms(old: Transforms, new: Transforms) -> Iterator[Change]:
    yield from _member("transforms.preamble", "the preamble", old.preamble, new.preamble)
    yield from _member("transforms.postscript", "the postscript", old.postscript, new.postscript)
    before, after = {one.name: one for one in old.variants}, {one.name: one for one in new.variants}
    for name, variant in before.items():
        path = f"transforms.variants[{name}]"
        if name not in after:
            yield _removed(path, name, f"The variant `{name}` was removed.")
        else:
            yield from _members(path, f"the variant `{name}`", variant, after[name])
    for name, variant in after.items():
        if name not in before:
            path = f"transforms.variants[{name}]"
            yield _added(path, name, f"The variant `{name}` was added with weight {variant.weight}.")
    yield from _order("transforms.variants", "the variants", list(before), list(after))


# Policies


def _policy(old: PolicyContract, new: PolicyContract) -> Iterator[Change]:
    nouns = {
        "lists": ("list", "name"),
        "macros": ("macro", "name"),
        "state": ("state", "name"),
        "machines": ("machine", "name"),
        "budgets": ("budget", "name"),
        "rules": ("rule", "id"),
    }
    for field in msgspec.structs.fields(PolicyContract):
        before, after = getattr(old, field.name), getattr(new, field.name)
        if field.name in nouns:
            yield from _named(field.name, *nouns[field.name], before, after)
        else:
            yield from _member(field.name, f"`{field.name}`", before, after)


def _named(
    path: str, noun: str, attribute: str, old: Sequence[msgspec.Struct], new: Sequence[msgspec.Struct]
) -> Iterator[Change]:
    """Values by their name; their order means nothing to decisions, and is told where it is all that changed."""
    before, after = {getattr(one, attribute): one for one in old}, {getattr(one, attribute): one for one in new}
    for name in [*before, *(name for name in after if name not in before)]:
        place = f"{path}[{name}]"
        if name not in after:
            yield _removed(place, name, f"The {noun} `{name}` was removed.")
        elif name not in before:
            yield _added(place, name, f"The {noun} `{name}` was added.")
        else:
            yield from _members(place, f"the {noun} `{name}`", before[name], after[name])
    yield from _order(path, f"the {noun}s", list(before), list(after))


# Tools


def _tool(old: ToolContract, new: ToolContract) -> Iterator[Change]:
    for field in msgspec.structs.fields(ToolContract):
        before, after = getattr(old, field.name), getattr(new, field.name)
        match field.name:
            case "parameters":
                yield from _named("parameters", "parameter", "name", old.parameters, new.parameters)
            case "steps":
                yield from _steps(old.steps, new.steps)
            case "retry" | "breaker" | "scope":
                yield from _members(field.name, f"`{field.name}`", before, after)
            case "cache":
                ttl_old, ttl_new = (None if one is None else one.ttl_s for one in (before, after))
                yield from _member("cache.ttl_s", "`ttl_s` of `cache`", ttl_old, ttl_new)
            case name:
                yield from _member(name, f"`{name}`", before, after)


def _steps(old: tuple[Step, ...], new: tuple[Step, ...]) -> Iterator[Change]:
    """Steps by their tools; where the tools are the same in the same order, what changed inside each."""
    before, after = [step.tool for step in old], [step.tool for step in new]
    if before != after:
        told_old, told_new = _short(", ".join(before)) or "none", _short(", ".join(after)) or "none"
        yield _changed("steps", told_old, told_new, f"The steps were {told_old} and are now {told_new}.")
        return
    for index, (one, other) in enumerate(zip(old, new, strict=True)):
        what = f"step {index + 1}, `{one.tool}`"
        for member in ("arguments", "expect"):
            path = f"steps[{index}].{member}"
            given_old, given_new = dict(getattr(one, member)), dict(getattr(other, member))
            for name in sorted({*given_old, *given_new}):
                told = f"`{name}` of `{member}` of {what}"
                yield from _member(f"{path}.{name}", told, given_old.get(name), given_new.get(name))
        yield from _member(f"steps[{index}].why", f"the reason of {what}", one.why, other.why)


# Routes


def _route(path: str, what: str, old: Node, new: Node) -> Iterator[Change]:
    if old == new:
        return
    match old, new:
        case Dispatcher(), Dispatcher():
            yield from _nodes(f"{path}.members", f"the dispatcher at `{path}`", old.members, new.members)
        case Cascade(), Cascade():
            yield from _nodes(f"{path}.members", f"the cascade at `{path}`", old.members, new.members)
            yield from _member(f"{path}.order", f"`order` of the cascade at `{path}`", old.order, new.order)
        case Alloy(), Alloy():
            yield from _alloy(path, old, new)
        case Guard(), Guard():
            yield from _guard(path, old, new)
        case _:
            before, after = _short(described(old)), _short(described(new))
            sentence = f"{_capital(what)} was {before} and is now {after}."
            yield _changed(path, before, after, sentence)


def _nodes(path: str, what: str, old: Sequence[Node], new: Sequence[Node]) -> Iterator[Change]:
    """Members by what they are; where the same number stand in both and one changed inside, that one."""
    before, after = [described(node) for node in old], [described(node) for node in new]
    if before == after:
        for index, pair in enumerate(zip(old, new, strict=True)):
            yield from _route(f"{path}[{index}]", f"member {index} of {what}", *pair)
        return
    differing = [index for index, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]]
    if len(before) == len(after) and len(differing) == 1:
        index = differing[0]
        yield from _route(f"{path}[{index}]", f"member {index} of {what}", old[index], new[index])
        return
    yield from _set_and_order(path, what, before, after)


def _alloy(path: str, old: Alloy, new: Alloy) -> Iterator[Change]:
    what = f"the alloy at `{path}`"
    nodes_old, nodes_new = [one.node for one in old.members], [one.node for one in new.members]
    yield from _nodes(f"{path}.members", what, nodes_old, nodes_new)
    if [described(node) for node in nodes_old] == [described(node) for node in nodes_new]:
        for index, (before, after) in enumerate(zip(old.members, new.members, strict=True)):
            if before.weight != after.weight:
                sentence = (
                    f"The weight of {described(after.node)} in {what} went from {before.weight} to {after.weight}."
                )
                place = f"{path}.members[{index}].weight"
                yield _changed(place, str(before.weight), str(after.weight), sentence)
    elif {described(one.node): one.weight for one in old.members} != {
        described(one.node): one.weight for one in new.members
    }:
        weights_old, weights_new = _weights(old), _weights(new)
        if weights_old != weights_new and any(one.weight != 1 for one in (*old.members, *new.members)):
            sentence = f"The weights of {what} were {weights_old} and are now {weights_new}."
            yield _changed(f"{path}.members", weights_old, weights_new, sentence)
    for name in ("strategy", "sequence", "per", "partial_context", "min_context_window"):
        yield from _member(f"{path}.{name}", f"`{name}` of {what}", getattr(old, name), getattr(new, name))


def _weights(alloy: Alloy) -> str:
    return ", ".join(f"{described(one.node)} {one.weight}" for one in alloy.members)


def _guard(path: str, old: Guard, new: Guard) -> Iterator[Change]:
    what = f"the guard at `{path}`"
    yield from _member(f"{path}.when", f"the condition of {what}", condition(old.when), condition(new.when))
    yield from _route(f"{path}.then", f"`then` of {what}", old.then, new.then)
    before, after = old.otherwise, new.otherwise
    if before is None and after is not None:
        told = _short(described(after))
        sentence = f"{_capital(what)} refused where its condition did not hold; it now goes on to {told}."
        yield _added(f"{path}.otherwise", told, sentence)
    elif before is not None and after is None:
        told = _short(described(before))
        sentence = f"{_capital(what)} went on to {told} where its condition did not hold; it now refuses."
        yield _removed(f"{path}.otherwise", told, sentence)
    elif before is not None and after is not None:
        yield from _route(f"{path}.otherwise", f"`otherwise` of {what}", before, after)
    yield from _member(f"{path}.why", f"the reason of {what}", old.why, new.why)


# Members


def _members(path: str, what: str, old: msgspec.Struct, new: msgspec.Struct) -> Iterator[Change]:
    for field in msgspec.structs.fields(type(old)):
        before, after = getattr(old, field.name), getattr(new, field.name)
        inside = f"{path}.{field.name}" if path else field.name
        if field.name == "scripts":
            yield from _scripts(inside, before, after)
            continue
        match before, after:
            case Price() as price, None:
                yield _removed(inside, _price(price), f"The price of {what} was removed.")
            case None, Price() as price:
                yield _added(inside, _price(price), f"{_capital(what)} now has a price: {_price(price)}.")
            case Price(), Price():
                yield from _prices(inside, what, before, after)
            case msgspec.Struct(), msgspec.Struct():
                yield from _members(inside, f"`{field.name}` of {what}", before, after)
            case _:
                yield from _member(inside, f"`{field.name}` of {what}", before, after)


def _prices(path: str, what: str, old: Price, new: Price) -> Iterator[Change]:
    for field in msgspec.structs.fields(Price):
        before, after = getattr(old, field.name), getattr(new, field.name)
        if before == after:
            continue
        words = field.name.replace("_", " ")
        told_old, told_new = _usd(before), _usd(after)
        sentence = f"The {words} price of {what} went from {told_old} to {told_new}."
        yield Change(
            kind=_kind(before, after), path=f"{path}.{field.name}", old=told_old, new=told_new, sentence=sentence
        )


def _usd(amount: str | None) -> str:
    return "unset" if amount is None else f"${amount} per million tokens"


def _price(price: Price) -> str:
    return f"${price.input} in, ${price.output} out per million tokens"


def _scripts(path: str, old: tuple[Script, ...], new: tuple[Script, ...]) -> Iterator[Change]:
    before, after = {one.model: one for one in old}, {one.model: one for one in new}
    for model in [*before, *(model for model in after if model not in before)]:
        place = f"{path}[{model}]"
        if model not in after:
            yield _removed(place, model, f"The script of `{model}` was removed.")
        elif model not in before:
            yield _added(place, model, f"A script of `{model}` was added with {len(after[model].steps)} steps.")
        elif before[model] != after[model]:
            steps_old, steps_new = f"{len(before[model].steps)} steps", f"{len(after[model].steps)} steps"
            yield _changed(place, steps_old, steps_new, f"The script of `{model}` changed.")
    yield from _order(path, "the scripts", list(before), list(after))


def _member(path: str, what: str, old: object, new: object) -> Iterator[Change]:
    if old == new:
        return
    if isinstance(old, tuple) and isinstance(new, tuple) and all(isinstance(one, str) for one in (*old, *new)):
        yield from _set_and_order(path, what, [str(one) for one in old], [str(one) for one in new])
        return
    before, after = _words(old), _words(new)
    kind = _kind(old, new)
    if kind == "changed" and isinstance(old, str) and isinstance(new, str) and (_long(old) or _long(new)):
        sentence = f"{_capital(what)} was rewritten: {len(old):,} characters before, {len(new):,} now."
        yield _changed(path, before, after, sentence)
        return
    match kind:
        case "added":
            sentence = f"{_capital(what)} is now {after}; it was not set."
        case "removed":
            sentence = f"{_capital(what)} is no longer set; it was {before}."
        case "changed":
            sentence = f"{_capital(what)} went from {before} to {after}."
        case _:
            assert_never(kind)
    yield Change(
        kind=kind,
        path=path,
        old=None if kind == "added" else before,
        new=None if kind == "removed" else after,
        sentence=sentence,
    )


def _set_and_order(path: str, what: str, old: list[str], new: list[str]) -> Iterator[Change]:
    """Words that came, went or moved."""
    gone, come = list(old), []
    for word in new:
        if word in gone:
            gone.remove(word)
        else:
            come.append(word)
    for word in gone:
        yield _removed(path, word, f"{_capital(what)} lost {shown(_short(word))}.")
    for word in come:
        yield _added(path, word, f"{_capital(what)} gained {shown(_short(word))}.")
    yield from _order(path, what, old, new)


def _order(path: str, what: str, old: list[str], new: list[str]) -> Iterator[Change]:
    """The order of what stands in both."""
    before, after = [word for word in old if word in new], [word for word in new if word in old]
    if before != after:
        told_old, told_new = _short(", ".join(before)), _short(", ".join(after))
        sentence = f"The order of {what} was {told_old} and is now {told_new}."
        yield _changed(path, told_old, told_new, sentence)


# Words


def _added(path: str, new: str, sentence: str) -> Change:
    return Change(kind="added", path=path, old=None, new=new, sentence=sentence)


def _removed(path: str, old: str, sentence: str) -> Change:
    return Change(kind="removed", path=path, old=old, new=None, sentence=sentence)


def _changed(path: str, old: str, new: str, sentence: str) -> Change:
    return Change(kind="changed", path=path, old=old, new=new, sentence=sentence)


def _kind(old: object, new: object) -> Literal["added", "removed", "changed"]:
    if old in (None, ""):
        return "added"
    return "removed" if new in (None, "") else "changed"


def _words(value: object) -> str:
    match value:
        case None | "":
            return "unset"
        case bool():
            return "on" if value else "off"
        case int():
            return f"{value:,}"
        case str():
            return shown(value)
        case tuple():
            return _short(" or ".join(_words(one) for one in value)) if value else "empty"
        case _:
            return _short(str(msgspec.to_builtins(value)))


def _long(text: str) -> bool:
    return len(text) > SHOWN_CHARS_MAX or not text.isprintable()


def _short(text: str) -> str:
    return text if len(text) <= ROUTE_TEXT_CHARS_MAX else text[: ROUTE_TEXT_CHARS_MAX - 1] + "…"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
