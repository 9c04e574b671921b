"""What could still become a match: all patterns of a bank in one automaton, built while it runs.

Rule 1: it answers three questions after every character, exactly: which patterns have just matched and from where, is
anything still alive, and where does the oldest living start lie. It does not say which of two matches a pattern
prefers: spans of rewrites are `regex`'s word (`kernel.patterns.search`).
Rule 2: time is linear in the text. A step is one look into a dict, or the making of one node; no pattern can make it
go back.
Rule 3: the nodes are a memory of steps, shared by every stream of the bank and bounded by EDGES_MAX: past it they are
forgotten and made again.

A position is one character of a pattern: see `kernel.patterns.positions`. A node is a tuple of groups, one a start that
is alive, oldest first; a group is the set of positions that this start has reached and no older start has: where both
could go on, the older start decides what is held. Conditions (`\\b`, `^`, `$`) lie on the ways between positions and
are judged when the next character is known.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

import msgspec

from wardwright.kernel.patterns.language import Chars
from wardwright.kernel.patterns.positions import (
    END,
    FREE,
    OTHER,
    START,
    Conditions,
    Positions,
    Ways,
    hold,
    kind,
    partition,
)

EDGES_MAX: Final = 20_000
"""Steps that one automaton remembers."""


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
        self._accepts_if: dict[int, Ways] = {}
        """Positions that end a match where one of these holds."""
        self._alive = 0
        """Positions from which a match could still come."""
        self.territories: tuple[int, ...] = ()
        """For each pattern: its positions."""
        first = 0
        first_if: list[tuple[Conditions, int]] = []
        chars: list[Chars] = []
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
                if FREE in ends:
                    self._accepts |= bit
                elif ends:
                    self._accepts_if[base + position] = ends
                if ways or (ends and FREE not in ends):
                    self._alive |= bit
            self.territories += (((1 << len(one.chars)) - 1) << base,)
        self._first, self._first_if = first, tuple(first_if)
        self._conditional = bool(self._first_if or self._accepts_if or any(self._follow_if))
        self._bounds, self._masks = partition(chars)
        self._nodes: dict[tuple[tuple[int, ...], int, bool], Node] = {}
        self._edges = 0
        self.start = self._node((), START if self._conditional else OTHER, False)

    def step(self, node: Node, char: str) -> Node:
        """The node after a character, made and remembered."""
        here = kind(char) if self._conditional else OTHER
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
                    if hold(conditions, node.prev, here):
                        reached |= targets
                for conditions in self._accepts_if.get(position, ()):
                    if hold(conditions, node.prev, here):
                        hits.setdefault((self._owner[position], True), start)
            if start < 0:
                reached = self._first
                for conditions, targets in self._first_if:
                    if hold(conditions, node.prev, here):
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
                if any(hold(conditions, node.prev, END) for conditions in self._accepts_if.get(position, ())):
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


def _split(ways: dict[int, Ways], base: int) -> tuple[int, list[tuple[Conditions, int]]]:
    """The targets that are free, as a set of bits, and the others by their conditions."""
    free = 0
    conditional: dict[Conditions, int] = {}
    for target, alls in ways.items():
        bit = 1 << (base + target)
        if FREE in alls:
            free |= bit
            continue
        for conditions in alls:
            conditional[conditions] = conditional.get(conditions, 0) | bit
    return free, list(conditional.items())


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
