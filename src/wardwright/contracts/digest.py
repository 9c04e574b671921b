"""One contract, one digest, however it was spelled.

Rule 1: the canonical form leaves out every member that *equals* its default, at any depth, so spelling a default out
changes nothing. (msgspec's `omit_defaults` compares by identity, and a decoded 600 is another object than the 600 of
the class.)
Rule 2: `format` stands in every canonical form: a later format may have other defaults.
Rule 3: a provider's digest covers its references to credentials, never the credentials: those are not in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Final, TypeAlias

import msgspec

from wardwright.contracts.house import HouseContract
from wardwright.contracts.model import Alias, Alloy, Cascade, Dispatcher, Guard, ModelContract, Node, TargetRef
from wardwright.contracts.policy import PolicyContract, SwitchModel
from wardwright.contracts.provider import Provider
from wardwright.contracts.tool import ToolContract
from wardwright.kernel import canonical as canonical_json

Contract: TypeAlias = HouseContract | ModelContract | PolicyContract | Provider | ToolContract

ALWAYS: Final = frozenset({"kind", "format"})
"""Members that stand in the canonical form of a document though they equal their defaults."""


class Closure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Every digest that took part in serving a name: what a receipt points at. Members in alphabetical order."""

    build: str
    """The version of this program."""
    models: tuple[tuple[str, str], ...]
    """(name, digest) of the contract and of each that its aliases reach, sorted."""
    policies: tuple[tuple[str, str], ...] = ()
    """(name, digest) of each policy that governs the models, sorted."""
    providers: tuple[tuple[str, str], ...]
    """(name, digest) of each provider that their targets name, sorted."""


def canonical(contract: Contract) -> bytes:
    """The canonical JSON of a contract. Decoding it gives an equal value.

    >>> canonical(ModelContract(name="m", targets=(), route=Alias(model="base")))
    b'{"format":1,"kind":"model","name":"m","route":{"model":"base","node":"alias"},"targets":[]}'
    """
    return canonical_json.encode(plain(contract))


def digest(contract: Contract) -> str:
    """`sha256:` and the hex digest of the canonical bytes."""
    return canonical_json.digest(plain(contract))


def plain(contract: Contract) -> dict[str, object]:
    """The canonical form as plain values."""
    members = _members(contract)
    members.update((name, getattr(contract, name)) for name in ALWAYS)
    return members


def restored(data: bytes) -> Contract:
    """The contract of canonical bytes from the store: trusted, so without places and reasons. `decode` judges."""
    match msgspec.json.decode(data, type=_Kind).kind:
        case "provider":
            return msgspec.json.decode(data, type=Provider)
        case "policy":
            return msgspec.json.decode(data, type=PolicyContract)
        case "house":
            return msgspec.json.decode(data, type=HouseContract)
        case "tool":
            return msgspec.json.decode(data, type=ToolContract)
        case _:
            return msgspec.json.decode(data, type=ModelContract)


class _Kind(msgspec.Struct):
    kind: str


def closure(
    name: str,
    models: Mapping[str, ModelContract],
    providers: Mapping[str, Provider],
    build: str,
    policies: Mapping[str, PolicyContract] | None = None,
) -> Closure:
    """The closure of a model name in a checked set. Names that lead nowhere are left out."""
    known = policies or {}
    reached = reach(name, models)
    reached = reached.union(*(reach(other, models) for other in switched_to(governing(reached, models), known)))
    used = {target.provider for one in reached for target in models[one].targets}
    return Closure(
        build=build,
        models=tuple((one, digest(models[one])) for one in sorted(reached)),
        policies=tuple((one, digest(known[one])) for one in governing(reached, models) if one in known),
        providers=tuple((one, digest(providers[one])) for one in sorted(used) if one in providers),
    )


def reach(name: str, models: Mapping[str, ModelContract]) -> set[str]:
    """The model and every model that its aliases lead to, cycles included."""
    reached: set[str] = set()
    waiting = [name]
    while waiting:
        one = waiting.pop()
        if one in models and one not in reached:
            reached.add(one)
            waiting.extend(alias.model for alias in aliases(models[one].route))
    return reached


def governing(reached: Iterable[str], models: Mapping[str, ModelContract]) -> tuple[str, ...]:
    """The policies that these models name, sorted."""
    return tuple(sorted({policy for one in reached for policy in models[one].policies}))


def switched_to(names: Iterable[str], policies: Mapping[str, PolicyContract]) -> tuple[str, ...]:
    """The models that rules of these policies may switch a call to, sorted."""
    rules = (rule for name in names if name in policies for rule in policies[name].rules)
    return tuple(sorted({action.model for rule in rules for action in rule.then if isinstance(action, SwitchModel)}))


def aliases(node: Node) -> Iterator[Alias]:
    """The aliases of a route, in its order."""
    return (leaf for leaf in leaves(node) if isinstance(leaf, Alias))


def leaves(node: Node) -> Iterator[TargetRef | Alias]:
    """The ends of a route within its own contract, in its order."""
    match node:
        case TargetRef() | Alias():
            yield node
        case Dispatcher() | Cascade():
            for member in node.members:
                yield from leaves(member)
        case Alloy():
            for voice in node.members:
                yield from leaves(voice.node)
        case Guard():
            yield from leaves(node.then)
            if node.otherwise is not None:
                yield from leaves(node.otherwise)


def _members(value: msgspec.Struct) -> dict[str, object]:
    """The members of a struct that differ from their defaults, and its tag."""
    config = type(value).__struct_config__
    members: dict[str, object] = {}
    if config.tag_field is not None:
        members[config.tag_field] = config.tag
    for name, default in _defaults(type(value)):
        member = getattr(value, name)
        if member != default:
            members[name] = _plain(member)
    return members


def _plain(value: object) -> object:
    match value:
        case msgspec.Struct():
            return _members(value)
        case tuple():
            return [_plain(item) for item in value]
        case _:
            return value


@cache
def _defaults(cls: type[msgspec.Struct]) -> tuple[tuple[str, object], ...]:
    """Each member's name and default; msgspec.NODEFAULT, equal to nothing, where there is none."""
    return tuple((field.name, field.default) for field in msgspec.structs.fields(cls))
