"""How authors write a route.

A node is the name of a target, or a mapping with exactly one of

    target: fast
    dispatcher: [small, large]                 # or {members: [...]}
    cascade: [primary, spare]                  # or {members: [...], order: learned}
    alloy: {members: [fast, {node: strong, weight: 3}], strategy: weighted}
    alias: another-model
    guard: {when: {tags: [urgent]}, then: strong, otherwise: fast, why: ...}

where every member is a node again. The canonical form, `{"node": "cascade", "members": [...]}`, is read too.
A member of an alloy is a node, a node with a `weight` beside it, or `{node: ..., weight: ...}`.
"""

from __future__ import annotations

from typing import Final, cast

from wardwright.contracts.model import Alias, Alloy, Cascade, Dispatcher, Guard, Member, Node, TargetRef
from wardwright.contracts.refusal import did_you_mean
from wardwright.contracts.shapes import WRONG, At, Read, Reader, fields_of, type_of
from wardwright.contracts.tree import Entry, Items, Scalar, Table, Tree
from wardwright.contracts.wording import either, found, shown_key

NODES: Final[dict[str, type[TargetRef | Dispatcher | Cascade | Alloy | Alias | Guard]]] = {
    "target": TargetRef,
    "dispatcher": Dispatcher,
    "cascade": Cascade,
    "alloy": Alloy,
    "alias": Alias,
    "guard": Guard,
}
"""Every word that makes a mapping a node."""

TAG: Final = "node"
"""The member that names the node's word in canonical form."""

_ONE_OF: Final = "a node is the name of a target, or a mapping with one of " + either(list(NODES))


def node(reader: Reader, tree: Tree, at: At) -> Read:
    """Any node of a route, in the author's spelling or the canonical one."""
    match tree:
        case Scalar(form="text"):
            return _leaf(reader, "target", tree, at)
        case Table() if (tag := _canonical_tag(tree)) is not None:
            return reader.members(NODES[tag], tree.without(TAG), at)
        case Table():
            return _written(reader, tree, at)
        case _:
            return reader.invalid(tree, at, f"{_ONE_OF}; here stands {found(tree)}")


def member(reader: Reader, tree: Tree, at: At) -> Read:
    """A member of an alloy."""
    if isinstance(tree, Table) and _is_member(tree):
        return reader.members(Member, tree, at)
    inside = At(at.member(TAG).typed, at.written)
    weight = tree.get("weight") if isinstance(tree, Table) else None
    if not isinstance(tree, Table) or weight is None:
        value = node(reader, tree, inside)
        return WRONG if value is WRONG else Member(node=cast(Node, value))
    value = node(reader, tree.without("weight"), inside)
    number = reader.value(type_of(Member, "weight"), weight.value, at.member("weight"))
    return WRONG if value is WRONG or number is WRONG else Member(node=cast(Node, value), weight=cast(int, number))


def _canonical_tag(table: Table) -> str | None:
    entry = table.get(TAG)
    if entry is None or not isinstance(entry.value, Scalar):
        return None
    tag = entry.value.value
    return tag if isinstance(tag, str) and tag in NODES else None


def _is_member(table: Table) -> bool:
    keys = {entry.key for entry in table.entries}
    return TAG in keys and keys <= {TAG, "weight"}


def _written(reader: Reader, table: Table, at: At) -> Read:
    words = [entry for entry in table.entries if entry.key in NODES]
    others = [entry for entry in table.entries if entry.key not in NODES]
    if not words:
        return _no_word(reader, table, others, at)
    first = words[0]
    for entry in words[1:]:
        message = f"a node is one thing, and this is both `{first.key}` and `{entry.key}`"
        hint = "put one inside the other, or make them two members of a list"
        reader.refuse("contract_invalid", message, reader.place(entry.key_at, at.under(entry.key)), hint)
    for entry in others:
        message = f"`{shown_key(entry.key)}` stands beside `{first.key}`"
        inside = entry.key in fields_of(NODES[first.key])
        advice = f"move it into `{first.key}`" if inside else did_you_mean(entry.key, list(NODES))
        place = reader.place(entry.key_at, at.under(shown_key(entry.key)))
        reader.refuse("contract_unknown_key", message, place, advice)
    if len(words) > 1:
        return WRONG
    value = _node_of(reader, first, at.under(first.key))
    return WRONG if others else value


def _no_word(reader: Reader, table: Table, others: list[Entry], at: At) -> Read:
    if not others:
        return reader.invalid(table, at, f"{_ONE_OF}; here stands an empty mapping")
    entry = others[0]
    place = reader.place(entry.key_at, at.under(shown_key(entry.key)))
    message = f"`{shown_key(entry.key)}` is no kind of node"
    return reader.refuse("contract_unknown_key", message, place, did_you_mean(entry.key, list(NODES)))


def _node_of(reader: Reader, entry: Entry, at: At) -> Read:
    match entry.key:
        case "target" | "alias" as leaf:
            return _leaf(reader, leaf, entry.value, at)
        case "dispatcher" | "cascade" | "alloy" if isinstance(entry.value, Items):
            members = Entry("members", entry.key_at, entry.value)
            reader.note(entry.value, at)
            return reader.members(NODES[entry.key], Table((members,), entry.value.at), at, bare="members")
        case word:
            reader.note(entry.value, at)
            return reader.members(NODES[word], entry.value, at)


def _leaf(reader: Reader, word: str, tree: Tree, at: At) -> Read:
    """A node that is one name."""
    cls: type[TargetRef | Alias] = TargetRef if word == "target" else Alias
    name = "target" if word == "target" else "model"
    reader.note(tree, at)
    value = reader.value(type_of(cls, name), tree, At(at.member(name).typed, at.written))
    return WRONG if value is WRONG else cls(**{name: cast(str, value)})
