"""Conditions ready to be weighed: lists resolved, macros unfolded, fields typed, patterns admitted.

Two readings of one tree: `fast` makes a closure that answers true or false and raises where it cannot; `weigh` answers
true, false or None (cannot be told), by Kleene's three-valued logic. Where `fast` answers, `weigh` answers the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias, assert_never

import msgspec

from wardwright.kernel import canonical
from wardwright.policy.operators import OPERATORS, Check, Comparing, quantified
from wardwright.policy.phases import Facts, View
from wardwright.policy.regions import BOXES_MAX, Box, Region, complement, product


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison of one field."""

    field: str
    over: str
    """`value`, or `any` or `all` for the items of a list."""
    test: Comparing
    check: Check


class AllOf(msgspec.Struct, frozen=True):
    """Every part holds; no parts: always."""

    parts: tuple[Node, ...]


class AnyOf(msgspec.Struct, frozen=True):
    """Some part holds."""

    parts: tuple[Node, ...]


class Inverse(msgspec.Struct, frozen=True):
    """The part does not hold."""

    part: Node


Node: TypeAlias = Compared | AllOf | AnyOf | Inverse

KEY_CHARS: Final = 16

ALWAYS: Final = AllOf(())
"""The condition of a rule that has none."""


class Untold(msgspec.Struct, frozen=True):
    """A comparison that could not be told."""

    field: str
    why: str

    def __str__(self) -> str:
        return f"{self.field} {self.why}"


def compared(field: str, over: str, test: Comparing) -> Compared:
    """A comparison with its check."""
    check = OPERATORS[test.op].check(field, test) if over == "value" else quantified(over, field, test)
    return Compared(field=field, over=over, test=test, check=check)


def leaves(node: Node) -> Iterator[Compared]:
    """Every comparison, in the author's order."""
    match node:
        case Compared():
            yield node
        case AllOf() | AnyOf():
            for part in node.parts:
                yield from leaves(part)
        case Inverse():
            yield from leaves(node.part)
        case _:
            assert_never(node)


def key_of(leaf: Compared) -> str:
    """What tells one comparison from all others, in every policy and version: 16 hex characters."""
    test = leaf.test
    said = (leaf.field, leaf.over, test.op, test.type, test.values, test.ignore_case)
    return canonical.digest(said).removeprefix("sha256:")[:KEY_CHARS]


def cost(node: Node) -> int:
    """What weighing it costs, in units of one cheap comparison."""
    return sum(OPERATORS[leaf.test.op].cost * (3 if leaf.over != "value" else 1) for leaf in leaves(node))


# Fast


def fast(node: Node) -> Check:
    """True or false; cheap parts are asked first. Raises where the condition cannot be told."""
    match node:
        case Compared():
            return node.check
        case Inverse():
            check = fast(node.part)
            return lambda view: not check(view)
        case AllOf(parts=()):
            return lambda view: True
        case AllOf() | AnyOf():
            checks = [fast(part) for part in sorted(node.parts, key=cost)]
            return _all(checks) if isinstance(node, AllOf) else _any(checks)
        case _:
            assert_never(node)


def _all(checks: list[Check]) -> Check:
    """Written out for the usual lengths: a loop costs as much as a cheap comparison."""
    match checks:
        case [first]:
            return first
        case [first, second]:
            return lambda view: first(view) and second(view)
        case [first, second, third]:
            return lambda view: first(view) and second(view) and third(view)
        case [first, second, third, fourth]:
            return lambda view: first(view) and second(view) and third(view) and fourth(view)
        case [first, second, third, *more]:
            rest = _all(more)
            return lambda view: first(view) and second(view) and third(view) and rest(view)
        case _:
            raise AssertionError("no checks")


def _any(checks: list[Check]) -> Check:
    match checks:
        case [first]:
            return first
        case [first, second]:
            return lambda view: first(view) or second(view)
        case [first, second, *more]:
            rest = _any(more)
            return lambda view: first(view) or second(view) or rest(view)
        case _:
            raise AssertionError("no checks")


# Three-valued


def weigh(node: Node, facts: Facts, view: View, untold: list[Untold]) -> bool | None:
    """Whether it holds; None where that cannot be told, and `untold` then says what was missing."""
    match node:
        case Compared():
            return _weigh_leaf(node, facts, view, untold)
        case Inverse():
            held = weigh(node.part, facts, view, untold)
            return None if held is None else not held
        case AllOf():
            return _weigh_parts(node.parts, facts, view, untold, ends=False)
        case AnyOf():
            return _weigh_parts(node.parts, facts, view, untold, ends=True)
        case _:
            assert_never(node)


def _weigh_parts(parts: tuple[Node, ...], facts: Facts, view: View, untold: list[Untold], *, ends: bool) -> bool | None:
    """One part that equals `ends` decides; else one that cannot be told leaves all untold."""
    missing: list[Untold] = []
    told = True
    for part in parts:
        held = weigh(part, facts, view, missing)
        if held is ends:
            return ends
        told = told and held is not None
    if told:
        return not ends
    untold.extend(missing)
    return None


def _weigh_leaf(leaf: Compared, facts: Facts, view: View, untold: list[Untold]) -> bool | None:
    why = facts.unavailable.get(leaf.field)
    if why is not None and facts.told:
        held = facts.told.get(key_of(leaf))
        if held is not None:
            return held
    if why is None:
        try:
            return leaf.check(view)
        except KeyError:
            why = "was not supplied"
        except TimeoutError:
            why = "could not be searched in time"
        except TypeError:
            why = f"is no {leaf.test.type}"
    untold.append(Untold(leaf.field, why))
    return None


def holds(leaf: Compared, view: View) -> bool:
    """Whether one comparison can be told and holds."""
    try:
        return leaf.check(view)
    except (KeyError, TimeoutError, TypeError):
        return False


# For analysis


def boxes(node: Node, *, holds: bool = True) -> list[Box] | None:
    """Boxes that together hold every snapshot in which the condition is `holds`; None where there are too many."""
    match node:
        case Compared():
            region = _region(node)
            return [{node.field: one} for one in ([region] if holds else complement(region)) if not one.empty]
        case Inverse():
            return boxes(node.part, holds=not holds)
        case AllOf() | AnyOf():
            met = isinstance(node, AllOf) is holds
            found: list[Box] = [{}] if met else []
            for part in node.parts:
                more = boxes(part, holds=holds)
                joined = None if more is None else product(found, more) if met else found + more
                if joined is None or len(joined) > BOXES_MAX:
                    return None
                found = joined
            return found
        case _:
            assert_never(node)


def _region(leaf: Compared) -> Region:
    if leaf.over == "value":
        return OPERATORS[leaf.test.op].lower(leaf.test)
    return Region(present=True, opaque=True)
