"""Which member of an alloy speaks: drawn from the facts alone, so that every worker and every retry draws alike.

No server state, no floats. A draw gives a whole order: the first speaks, the others are its fallbacks.

- `round_robin`: the members in declared order, rotated by the index of the throw.
- `sequence`: the declared sequence read from the index on, each member where it first comes up; members that it never
  names follow in declared order.
- `weighted`: sampling without replacement. The words of luck are HMAC-SHA256 under the contract's digest over
  conversation, lineage of the alloy, index and block; each is scaled to the weights that are left
  (`word × total ≫ 64`), so a member's chance differs from its share by less than total / 2⁶⁴.

A weighted draw throws for all members and then leaves out those that cannot serve. Sampling without replacement is
indifferent to members that are left out (the rest come in the order, and with the chances, of a draw among
themselves), so a member that rests never changes which of two others comes first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

Strategy: TypeAlias = Literal["round_robin", "weighted", "sequence"]

WEIGHTS_TOTAL_MAX: Final = 2**32
"""The weights of one alloy together: keeps the bias of scaling below 2⁻³²."""

_BLOCK_BYTES: Final = 64
_WORD_BYTES: Final = 8
_WORDS_A_BLOCK: Final = 4


class Keyed:
    """HMAC-SHA256 with its key absorbed once: a third of the time of a fresh one for short messages."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        if len(key) > _BLOCK_BYTES:
            key = hashlib.sha256(key).digest()
        key = key.ljust(_BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in key))

    def digest(self, message: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()


def rotated(members: Sequence[int], index: int) -> list[int]:
    """`round_robin`: the members from the one whose throw it is.

    >>> [rotated([0, 1, 2], step) for step in range(3)]
    [[0, 1, 2], [1, 2, 0], [2, 0, 1]]
    """
    if not members:
        return []
    first = index % len(members)
    return [*members[first:], *members[:first]]


def sequenced(sequence: Sequence[int], count: int, index: int) -> list[int]:
    """`sequence`: of `count` members, in the order in which the sequence names them from the index on.

    >>> [sequenced([0, 0, 1], 3, step) for step in range(3)]
    [[0, 1, 2], [0, 1, 2], [1, 0, 2]]
    """
    return list(dict.fromkeys([*rotated(sequence, index), *range(count)]))


def weighed(weights: Sequence[int], luck: Keyed, message: bytes) -> list[int]:
    """`weighted`: every member once, each next one with the chance of its weight among those that are left."""
    left, total, order = list(range(len(weights))), sum(weights), []
    words = b""
    for throw in range(len(weights) - 1):
        at = throw % _WORDS_A_BLOCK * _WORD_BYTES
        if at == 0:
            words = luck.digest(b"%b\0%d" % (message, throw // _WORDS_A_BLOCK))
        point = int.from_bytes(words[at : at + _WORD_BYTES], "big") * total >> 64
        for place, member in enumerate(left):
            weight = weights[member]
            if point < weight:
                del left[place]
                order.append(member)
                total -= weight
                break
            point -= weight
    return order + left
