"""A pattern as positions: what each character of it may be, and which may follow which.

The positions are those of Glushkov's construction ("The abstract theory of automata", 1961): one a character of the
pattern, counted loops unrolled. Conditions (`\\b`, `^`, `$`) lie on the ways between positions; a way that no pair of
neighbours allows is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias, assert_never

import msgspec

from wardwright.kernel.patterns import language as p

POSITIONS_MAX: Final = 1024
"""Characters of one pattern, its counted loops unrolled."""

START, NEWLINE, WORD, OTHER, END = range(5)
"""What stands beside a place: the start of the text, a kind of character, the end."""
PLACES: Final = (NEWLINE, WORD, OTHER)

Conditions: TypeAlias = frozenset[p.Condition]
"""All of these must hold."""
FREE: Final[Conditions] = frozenset()
Ways: TypeAlias = set[Conditions]
"""Any of these."""


class Positions(msgspec.Struct, frozen=True):
    """One pattern as positions: what each may be, and which may follow which under what conditions."""

    chars: tuple[p.Chars, ...]
    first: dict[int, Ways]
    follow: tuple[dict[int, Ways], ...]
    last: dict[int, Ways]
    nullable: bool
    """It matches the empty text somewhere."""
    relooped: bool
    """Two loops lead over one way, as in `(?:a+)+`: the same text can be cut among them as one likes."""

    @property
    def deterministic(self) -> bool:
        """No character ever leaves two ways open, so that even a matcher that tries ways in turn never goes back."""
        _, masks = partition(self.chars)
        targets = [sum(1 << target for target in ways) for ways in (self.first, *self.follow)]
        return all((target & mask).bit_count() <= 1 for target in targets for mask in masks)


def positions(node: p.Node) -> Positions:
    """Glushkov's positions of a pattern. Raises PatternProblem where there are more than POSITIONS_MAX."""
    maker = _Maker()
    whole = maker.make(node)
    kinds_of = {chars: _kinds(chars) for chars in set(maker.chars)}
    kinds = [kinds_of[chars] for chars in maker.chars]
    first = {to: ways for to, alls in whole.first.items() if (ways := _possible(alls, (START, *PLACES), kinds[to]))}
    last = {at: ways for at, alls in whole.last.items() if (ways := _possible(alls, kinds[at], (*PLACES, END)))}
    follow = [
        {to: ways for to, alls in targets.items() if (ways := _possible(alls, kinds[at], kinds[to]))}
        for at, targets in enumerate(maker.follow)
    ]
    useful = _leading_to(last, follow)
    follow = [{to: ways for to, ways in targets.items() if to in useful} for targets in follow]
    first = {to: ways for to, ways in first.items() if to in useful}
    relooped = any(
        _possible(once, kinds[at], kinds[to]) and _possible(again, kinds[at], kinds[to])
        for at, to, once, again in maker.relooped
    )
    return Positions(tuple(maker.chars), first, tuple(follow), last, bool(whole.empty), relooped)


def joined(patterns: Sequence[Positions]) -> Positions:
    """Any of the patterns."""
    chars: list[p.Chars] = []
    first: dict[int, Ways] = {}
    follow: list[dict[int, Ways]] = []
    last: dict[int, Ways] = {}
    for one in patterns:
        base = len(chars)
        chars += one.chars
        first.update({base + to: ways for to, ways in one.first.items()})
        last.update({base + at: ways for at, ways in one.last.items()})
        follow += [{base + to: ways for to, ways in targets.items()} for targets in one.follow]
    nullable, relooped = any(one.nullable for one in patterns), any(one.relooped for one in patterns)
    return Positions(tuple(chars), first, tuple(follow), last, nullable, relooped)


def _leading_to(ends: Iterable[int], follow: Sequence[Iterable[int]]) -> set[int]:
    """The positions from which an end is reached."""
    into: list[list[int]] = [[] for _ in follow]
    for at, targets in enumerate(follow):
        for to in targets:
            into[to].append(at)
    found = set(ends)
    fresh = list(found)
    while fresh:
        more = [at for at in into[fresh.pop()] if at not in found]
        found.update(more)
        fresh += more
    return found


class _Part(msgspec.Struct):
    """A part of a pattern: how it can be empty, which positions begin it, which end it."""

    empty: Ways
    first: dict[int, Ways]
    last: dict[int, Ways]


class _Maker:
    def __init__(self) -> None:
        self.chars: list[p.Chars] = []
        self.follow: list[dict[int, Ways]] = []
        self.relooped: list[tuple[int, int, Ways, Ways]] = []
        """Ways on which a loop was closed although they were there before."""

    def make(self, node: p.Node) -> _Part:
        match node:
            case p.Chars():
                position = len(self.chars)
                if position >= POSITIONS_MAX:
                    raise p.PatternProblem(
                        f"its loops unroll to more than {POSITIONS_MAX} characters",
                        "use smaller counts, or a loop without bound: the rule's cap bounds what is held",
                    )
                self.chars.append(node)
                self.follow.append({})
                return _Part(set(), {position: {FREE}}, {position: {FREE}})
            case p.Look():
                return _Part({frozenset((node.condition,))}, {}, {})
            case p.Sequence():
                whole = _Part({FREE}, {}, {})
                for item in node.items:
                    whole = self._then(whole, self.make(item))
                return whole
            case p.Choice():
                whole = _Part(set(), {}, {})
                for option in node.options:
                    part = self.make(option)
                    whole.empty = _least(whole.empty | part.empty)
                    _merge(whole.first, part.first)
                    _merge(whole.last, part.last)
                return whole
            case p.Repeat():
                return self._repeat(node)
            case _:
                assert_never(node)

    def _then(self, one: _Part, two: _Part) -> _Part:
        self._link(one.last, two.first)
        first, last = dict(one.first), dict(two.last)
        _merge(first, {to: _both(one.empty, ways) for to, ways in two.first.items() if one.empty})
        _merge(last, {at: _both(ways, two.empty) for at, ways in one.last.items() if two.empty})
        return _Part(_both(one.empty, two.empty), first, last)

    def _link(self, lasts: dict[int, Ways], firsts: dict[int, Ways]) -> None:
        for at, ends in lasts.items():
            _merge(self.follow[at], {to: _both(ends, begins) for to, begins in firsts.items()})

    def _repeat(self, node: p.Repeat) -> _Part:
        tail = _Part({FREE}, {}, {})
        if node.most is None:
            tail = self.make(node.item)
            for at, ends in tail.last.items():
                for to in tail.first.keys() & self.follow[at].keys():
                    self.relooped.append((at, to, self.follow[at][to], _both(ends, tail.first[to])))
            self._link(tail.last, tail.first)
            if node.least == 0:
                tail.empty = {FREE}
        else:
            for _ in range(node.most - node.least):
                tail = self._then(self.make(node.item), tail)
                tail.empty = {FREE}
        for _ in range(node.least - (node.most is None)):
            tail = self._then(self.make(node.item), tail)
        return tail


def _both(one: Ways, two: Ways) -> Ways:
    return _least({first | second for first in one for second in two})


def _least(ways: Ways) -> Ways:
    """Without ways that ask more than another."""
    if len(ways) < 2:
        return ways
    return {way for way in ways if not any(other < way for other in ways)}


def _merge(into: dict[int, Ways], more: dict[int, Ways]) -> None:
    for position, ways in more.items():
        into[position] = _least(into.get(position, set()) | ways)


def _possible(ways: Ways, before: Iterable[int], after: Iterable[int]) -> Ways:
    """The ways that some pair of neighbours allows."""
    return {way for way in ways if any(hold(way, one, two) for one in before for two in after)}


def hold(conditions: Conditions, before: int, after: int) -> bool:
    """Whether all conditions hold between two neighbours."""
    return all(_holds(condition, before, after) for condition in conditions)


def _holds(condition: p.Condition, before: int, after: int) -> bool:
    match condition:
        case "edge":
            return (before == WORD) != (after == WORD)
        case "no_edge":
            return (before == WORD) == (after == WORD)
        case "text_start":
            return before == START
        case "line_start":
            return before in (START, NEWLINE)
        case "text_end":
            return after == END
        case "line_end":
            return after in (END, NEWLINE)
        case _:
            assert_never(condition)


def kind(char: str) -> int:
    """What a character is beside a place."""
    if char == "\n":
        return NEWLINE
    return WORD if p.WORD.holds(char) else OTHER


def _kinds(chars: p.Chars) -> tuple[int, ...]:
    """The kinds of character that a set holds."""
    out: set[int] = set()
    points = {point for low, high in chars.ranges for point in (low, high)}
    points |= {
        point for edge in (0x0A, 0x2F, 0x3A, 0x40, 0x5B, 0x5E, 0x60, 0x7B) for point in (edge - 1, edge, edge + 1)
    }
    for point in points:
        if any(low <= point <= high for low, high in chars.ranges):
            out.add(kind(chr(point)))
    return tuple(sorted(out))


def partition(chars: Sequence[p.Chars]) -> tuple[list[int], list[int]]:
    """Characters that no pattern tells apart, as bounds, and for each part the positions that take it."""
    by_set: dict[p.Chars, int] = {}
    for position, one in enumerate(chars):
        by_set[one] = by_set.get(one, 0) | 1 << position
    bounds = sorted({edge for one in by_set for low, high in one.ranges for edge in (low, high + 1)})
    masks = [0]
    for bound in bounds:
        point = min(bound, p.CODE_POINT_MAX)
        masks.append(sum(mask for one, mask in by_set.items() if any(low <= point <= high for low, high in one.ranges)))
    return bounds, masks
