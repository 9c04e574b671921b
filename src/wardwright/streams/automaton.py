"""What could still become a match: all patterns of a bank in one automaton, built while it runs.

Rule 1: it answers three questions after every character, exactly: which patterns have just matched and from where, is
anything still alive, and where does the oldest living start lie. It does not say which of two matches a pattern
prefers: spans of rewrites are `regex`'s word (`matcher`).
Rule 2: time is linear in the text. A step is one look into a dict, or the making of one node; no pattern can make it
go back.
Rule 3: the nodes are a memory of steps, shared by every stream of the bank and bounded by EDGES_MAX: past it they are
forgotten and made again.

The positions are those of Glushkov's construction ("The abstract theory of automata", 1961): one a character of the
pattern, counted loops unrolled. A node is a tuple of groups, one a start that is alive, oldest first; a group is the
set of positions that this start has reached and no older start has: where both could go on, the older start decides
what is held. Conditions (`\\b`, `^`, `$`) lie on the ways between positions and are judged when the next character is
known.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeAlias, assert_never

import msgspec

from wardwright.streams import pattern as p

POSITIONS_MAX: Final = 1024
"""Characters of one pattern, its counted loops unrolled."""
EDGES_MAX: Final = 20_000
"""Steps that one automaton remembers."""

_START, _NEWLINE, _WORD, _OTHER, _END = range(5)
"""What stands beside a place: the start of the text, a kind of character, the end."""
_PLACES: Final = (_NEWLINE, _WORD, _OTHER)

Conditions: TypeAlias = frozenset[p.Condition]
"""All of these must hold."""
_FREE: Final[Conditions] = frozenset()
_Ways: TypeAlias = set[Conditions]
"""Any of these."""


class Hit(msgspec.Struct, frozen=True):
    """One pattern has just matched."""

    pattern: int
    start: int
    """Index into the starts before the step; -1: the character itself."""
    late: bool
    """The match ended before this character, which was needed to be sure."""


Move: TypeAlias = tuple[tuple[int, ...] | None, tuple[Hit, ...]]
"""For each group after a step: the group before it that it continues, or -1 (None: all go on); then what matched."""


class Node(dict[str, "Node"]):
    """Where the automaton is. Indexing it with a character takes the step; `moves` has the steps' particulars."""

    __slots__ = ("_automaton", "groups", "matched", "moves", "prev")

    def __init__(self, automaton: Automaton, groups: tuple[int, ...], prev: int, matched: bool) -> None:
        super().__init__()
        self._automaton = automaton
        self.groups = groups
        self.prev = prev
        self.matched = matched
        """A pattern matched on the step that led here."""
        self.moves: dict[str, Move] = {}

    def __missing__(self, char: str) -> Node:
        return self._automaton.step(self, char)


class Automaton:
    """The patterns of one bank. `start` is the node before the first character."""

    __slots__ = (
        "_accepts", "_accepts_if", "_alive", "_bounds", "_conditional", "_edges", "_first", "_first_if", "_follow",
        "_follow_if", "_masks", "_nodes", "_owner", "start", "territories",
    )  # fmt: skip

    def __init__(self, patterns: Sequence[Positions]) -> None:
        self._owner = [index for index, one in enumerate(patterns) for _ in one.chars]
        self._follow: list[int] = []
        self._follow_if: list[tuple[tuple[Conditions, int], ...]] = []
        self._accepts = 0
        """Positions that end a match."""
        self._accepts_if: dict[int, _Ways] = {}
        """Positions that end a match where one of these holds."""
        self._alive = 0
        """Positions from which a match could still come."""
        self.territories: tuple[int, ...] = ()
        """For each pattern: its positions."""
        first = 0
        first_if: list[tuple[Conditions, int]] = []
        chars: list[p.Chars] = []
        for one in patterns:
            base = len(chars)
            chars += one.chars
            free, conditional = _split(one.first, base)
            first |= free
            first_if += conditional
            for position in range(len(one.chars)):
                ways, ends = one.follow[position], one.last.get(position, set())
                free, conditional = _split(ways, base)
                self._follow.append(free)
                self._follow_if.append(tuple(conditional))
                bit = 1 << (base + position)
                if _FREE in ends:
                    self._accepts |= bit
                elif ends:
                    self._accepts_if[base + position] = ends
                if ways or (ends and _FREE not in ends):
                    self._alive |= bit
            self.territories += (((1 << len(one.chars)) - 1) << base,)
        self._first, self._first_if = first, tuple(first_if)
        self._conditional = bool(self._first_if or self._accepts_if or any(self._follow_if))
        self._bounds, self._masks = _partition(chars)
        self._nodes: dict[tuple[tuple[int, ...], int, bool], Node] = {}
        self._edges = 0
        self.start = self._node((), _START if self._conditional else _OTHER, False)

    def step(self, node: Node, char: str) -> Node:
        """The node after a character, made and remembered."""
        here = _kind(char) if self._conditional else _OTHER
        mask = self._masks[bisect_right(self._bounds, ord(char))]
        hits: dict[tuple[int, bool], int] = {}
        groups: list[int] = []
        kept: list[int] = []
        seen = 0
        for index, group in enumerate((*node.groups, 0)):
            start = index if index < len(node.groups) else -1
            reached = 0
            for position in _bits(group):
                reached |= self._follow[position]
                for conditions, targets in self._follow_if[position]:
                    if _hold(conditions, node.prev, here):
                        reached |= targets
                for conditions in self._accepts_if.get(position, ()):
                    if _hold(conditions, node.prev, here):
                        hits.setdefault((self._owner[position], True), start)
            if start < 0:
                reached = self._first
                for conditions, targets in self._first_if:
                    if _hold(conditions, node.prev, here):
                        reached |= targets
            reached &= mask & ~seen
            seen |= reached
            for position in _bits(reached & self._accepts):
                hits.setdefault((self._owner[position], False), start)
            if reached & self._alive:
                groups.append(reached & self._alive)
                kept.append(start)
        if self._edges >= EDGES_MAX:
            self._forget()
        self._edges += 1
        found = tuple(Hit(owner, start, late) for (owner, late), start in hits.items())
        node.moves[char] = (None if kept == list(range(len(node.groups))) else tuple(kept), found)
        node[char] = after = self._node(tuple(groups), here, bool(found))
        return after

    def ends(self, node: Node) -> tuple[Hit, ...]:
        """What matches where the text ends here: the matches that waited for what comes next."""
        hits: dict[int, int] = {}
        for index, group in enumerate(node.groups):
            for position in _bits(group):
                if any(_hold(conditions, node.prev, _END) for conditions in self._accepts_if.get(position, ())):
                    hits.setdefault(self._owner[position], index)
        return tuple(Hit(owner, start, True) for owner, start in hits.items())

    def _node(self, groups: tuple[int, ...], prev: int, matched: bool) -> Node:
        key = (groups, prev, matched)
        node = self._nodes.get(key)
        if node is None:
            node = self._nodes[key] = Node(self, groups, prev, matched)
        return node

    def _forget(self) -> None:
        for node in self._nodes.values():
            node.clear()
            node.moves.clear()
        self._nodes = {}
        self._edges = 0


class Positions(msgspec.Struct, frozen=True):
    """One pattern as positions: what each may be, and which may follow which under what conditions."""

    chars: tuple[p.Chars, ...]
    first: dict[int, _Ways]
    follow: tuple[dict[int, _Ways], ...]
    last: dict[int, _Ways]
    nullable: bool
    """It matches the empty text somewhere."""

    @property
    def deterministic(self) -> bool:
        """No character ever leaves two ways open, so that even a matcher that tries ways in turn never goes back."""
        _, masks = _partition(self.chars)
        targets = [sum(1 << target for target in ways) for ways in (self.first, *self.follow)]
        return all((target & mask).bit_count() <= 1 for target in targets for mask in masks)


def positions(node: p.Node) -> Positions:
    """Glushkov's positions of a pattern. Raises PatternProblem where there are more than POSITIONS_MAX."""
    maker = _Maker()
    whole = maker.make(node)
    kinds = [_kinds(chars) for chars in maker.chars]
    first = {to: ways for to, alls in whole.first.items() if (ways := _possible(alls, (_START, *_PLACES), kinds[to]))}
    last = {at: ways for at, alls in whole.last.items() if (ways := _possible(alls, kinds[at], (*_PLACES, _END)))}
    follow = [
        {to: ways for to, alls in targets.items() if (ways := _possible(alls, kinds[at], kinds[to]))}
        for at, targets in enumerate(maker.follow)
    ]
    useful = set(last)
    while more := {at for at, targets in enumerate(follow) if at not in useful and not useful.isdisjoint(targets)}:
        useful |= more
    follow = [{to: ways for to, ways in targets.items() if to in useful} for targets in follow]
    first = {to: ways for to, ways in first.items() if to in useful}
    return Positions(tuple(maker.chars), first, tuple(follow), last, bool(whole.empty))


class _Part(msgspec.Struct):
    """A part of a pattern: how it can be empty, which positions begin it, which end it."""

    empty: _Ways
    first: dict[int, _Ways]
    last: dict[int, _Ways]


class _Maker:
    def __init__(self) -> None:
        self.chars: list[p.Chars] = []
        self.follow: list[dict[int, _Ways]] = []

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
                return _Part(set(), {position: {_FREE}}, {position: {_FREE}})
            case p.Look():
                return _Part({frozenset((node.condition,))}, {}, {})
            case p.Sequence():
                whole = _Part({_FREE}, {}, {})
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

    def _link(self, lasts: dict[int, _Ways], firsts: dict[int, _Ways]) -> None:
        for at, ends in lasts.items():
            _merge(self.follow[at], {to: _both(ends, begins) for to, begins in firsts.items()})

    def _repeat(self, node: p.Repeat) -> _Part:
        tail = _Part({_FREE}, {}, {})
        if node.most is None:
            tail = self.make(node.item)
            self._link(tail.last, tail.first)
            if node.least == 0:
                tail.empty = {_FREE}
        else:
            for _ in range(node.most - node.least):
                tail = self._then(self.make(node.item), tail)
                tail.empty = {_FREE}
        for _ in range(node.least - (node.most is None)):
            tail = self._then(self.make(node.item), tail)
        return tail


def _both(one: _Ways, two: _Ways) -> _Ways:
    return _least({first | second for first in one for second in two})


def _least(ways: _Ways) -> _Ways:
    """Without ways that ask more than another."""
    if len(ways) < 2:
        return ways
    return {way for way in ways if not any(other < way for other in ways)}


def _merge(into: dict[int, _Ways], more: dict[int, _Ways]) -> None:
    for position, ways in more.items():
        into[position] = _least(into.get(position, set()) | ways)


def _possible(ways: _Ways, before: Iterable[int], after: Iterable[int]) -> _Ways:
    """The ways that some pair of neighbours allows."""
    return {way for way in ways if any(_hold(way, one, two) for one in before for two in after)}


def _hold(conditions: Conditions, before: int, after: int) -> bool:
    """Whether all conditions hold between two neighbours."""
    return all(_holds(condition, before, after) for condition in conditions)


def _holds(condition: p.Condition, before: int, after: int) -> bool:
    match condition:
        case "edge":
            return (before == _WORD) != (after == _WORD)
        case "no_edge":
            return (before == _WORD) == (after == _WORD)
        case "text_start":
            return before == _START
        case "line_start":
            return before in (_START, _NEWLINE)
        case "text_end":
            return after == _END
        case "line_end":
            return after in (_END, _NEWLINE)
        case _:
            assert_never(condition)


def _kind(char: str) -> int:
    if char == "\n":
        return _NEWLINE
    return _WORD if p.WORD.holds(char) else _OTHER


def _kinds(chars: p.Chars) -> tuple[int, ...]:
    """The kinds of character that a set holds."""
    out: set[int] = set()
    points = {point for low, high in chars.ranges for point in (low, high)}
    points |= {
        point for edge in (0x0A, 0x2F, 0x3A, 0x40, 0x5B, 0x5E, 0x60, 0x7B) for point in (edge - 1, edge, edge + 1)
    }
    for point in points:
        if any(low <= point <= high for low, high in chars.ranges):
            out.add(_kind(chr(point)))
    return tuple(sorted(out))


def _split(ways: dict[int, _Ways], base: int) -> tuple[int, list[tuple[Conditions, int]]]:
    """The targets that are free, as a set of bits, and the others by their conditions."""
    free = 0
    conditional: dict[Conditions, int] = {}
    for target, alls in ways.items():
        bit = 1 << (base + target)
        if _FREE in alls:
            free |= bit
            continue
        for conditions in alls:
            conditional[conditions] = conditional.get(conditions, 0) | bit
    return free, list(conditional.items())


def _partition(chars: Sequence[p.Chars]) -> tuple[list[int], list[int]]:
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


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
