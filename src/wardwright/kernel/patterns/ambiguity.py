"""Loops that a text can be cut among in ever more ways.

A matcher that tries ways in turn, as `regex` does, takes time that doubles with every few characters where a loop reads
one text in two ways: `(?:a+)+`, `(?:\\w+ ?)+`, `(?:a|aa)+`. The test is that of Weber and Seidl ("On the degree of
ambiguity of finite automata", 1991): two ways through the positions part and meet again inside one loop over the same
characters.

Rule 1: counts above LOOP_COUNT_MIN are loops here, since they cost as much; smaller counts are unrolled.
Rule 2: what cannot be settled within PAIRS_MAX steps counts as unambiguous. A search by `regex` has a timeout wherever
it is not proved to be short, so the price of a mistake is a search without a result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, assert_never

from wardwright.kernel.patterns import language as p
from wardwright.kernel.patterns.positions import Positions, partition, positions

LOOP_COUNT_MIN: Final = 64
PAIRS_MAX: Final = 50_000
"""Pairs of positions that one pattern's test looks at."""


def require_unambiguous(node: p.Node) -> None:
    """Raises PatternProblem."""
    loosened = _loosened(node)
    if not _has_loop(loosened):
        return
    loose = positions(loosened)
    if loose.relooped or _parts_and_meets(loose):
        raise _ambiguous()


def _ambiguous() -> p.PatternProblem:
    return p.PatternProblem(
        "a loop can read the same text in several ways, and trying them all may take for ever",
        "let one thing repeat, such as `[a-z ]+` for `(?:[a-z]+ ?)+`, and keep alternatives apart",
    )


def _loosened(node: p.Node) -> p.Node:
    """The pattern with its large counts as loops."""
    match node:
        case p.Chars() | p.Look():
            return node
        case p.Sequence():
            return p.Sequence(tuple(_loosened(item) for item in node.items))
        case p.Choice():
            return p.Choice(tuple(_loosened(option) for option in node.options))
        case p.Repeat():
            item = _loosened(node.item)
            fixed = node.least == node.most and isinstance(item, p.Chars)
            if fixed or (node.most is not None and node.most <= LOOP_COUNT_MIN):
                return p.Repeat(item, node.least, node.most, node.lazy)
            if node.most is not None and p.width(item)[0] == 0:
                raise _ambiguous()  # any of its rounds may be the empty ones
            return p.Repeat(item, min(node.least, 1), None, node.lazy)
        case _:
            assert_never(node)


def _has_loop(node: p.Node) -> bool:
    match node:
        case p.Chars() | p.Look():
            return False
        case p.Sequence(items=parts) | p.Choice(options=parts):
            return any(_has_loop(part) for part in parts)
        case p.Repeat():
            return node.most is None or _has_loop(node.item)
        case _:
            assert_never(node)


def _parts_and_meets(loose: Positions) -> bool:
    """Whether two ways part at one position and meet at one, in a loop, over the same characters."""
    follow = [sorted(targets) for targets in loose.follow]
    loop = _loops(follow)
    follow = [[to for to in targets if loop[to] == loop[at]] for at, targets in enumerate(follow)]
    kinds = _kinds(loose.chars)
    pairs = {(at, at) for at, targets in enumerate(follow) if targets}
    fresh = list(pairs)
    while fresh and len(pairs) < PAIRS_MAX:
        one, two = fresh.pop()
        for left in follow[one]:
            for right in follow[two]:
                if left == right and one != two:
                    return True
                pair = (left, right) if left < right else (right, left)
                if pair not in pairs and kinds[left] & kinds[right]:
                    pairs.add(pair)
                    fresh.append(pair)
    return False


def _kinds(chars: Sequence[p.Chars]) -> list[int]:
    """For each position, the parts of the alphabet that it takes, as a set of bits."""
    _, masks = partition(chars)
    return [sum(1 << part for part, mask in enumerate(masks) if mask >> at & 1) for at in range(len(chars))]


def _loops(follow: Sequence[Sequence[int]]) -> list[int]:
    """For each position, the name of its loop: positions share it that lead to each other (Kosaraju's two passes)."""
    order = _finished(follow, range(len(follow)))
    into: list[list[int]] = [[] for _ in follow]
    for at, targets in enumerate(follow):
        for to in targets:
            into[to].append(at)
    loop = [-1] * len(follow)
    for root in reversed(order):
        stack = [root] if loop[root] < 0 else []
        while stack:
            at = stack.pop()
            if loop[at] < 0:
                loop[at] = root
                stack += [one for one in into[at] if loop[one] < 0]
    return loop


def _finished(follow: Sequence[Sequence[int]], roots: Sequence[int]) -> list[int]:
    """The positions in the order in which a walk in depth leaves them."""
    order: list[int] = []
    seen: set[int] = set()
    for root in roots:
        stack = [(root, iter(follow[root]))] if root not in seen else []
        seen.add(root)
        while stack:
            at, targets = stack[-1]
            onward = next((to for to in targets if to not in seen), None)
            if onward is None:
                order.append(at)
                stack.pop()
            else:
                seen.add(onward)
                stack.append((onward, iter(follow[onward])))
    return order
