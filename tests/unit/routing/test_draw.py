from __future__ import annotations

import hmac
import itertools
from collections import Counter
from collections.abc import Mapping
from typing import TypeVar

import pytest

from wardwright.routing.draw import Keyed, rotated, sequenced, weighed

_Outcome = TypeVar("_Outcome")
LUCK = Keyed(b"sha256:0000")
KNOWN = [[1, 0, 2], [2, 0, 1], [0, 1, 2], [0, 1, 2], [2, 0, 1], [0, 2, 1]]
"""Worked out once: receipts of earlier versions must stay reproducible."""


@pytest.mark.parametrize("key", [b"", b"k", b"k" * 64, b"k" * 65, b"k" * 500])
def test_keyed_is_hmac_sha256(key: bytes) -> None:
    assert Keyed(key).digest(b"message") == hmac.digest(key, b"message", "sha256")


def test_round_robin_gives_each_member_its_turn_and_the_next_as_fallback() -> None:
    assert [rotated([0, 2, 5], step) for step in range(4)] == [[0, 2, 5], [2, 5, 0], [5, 0, 2], [0, 2, 5]]


def test_a_sequence_speaks_as_declared_and_falls_back_on_those_who_come_next() -> None:
    assert [sequenced((0, 0, 1), 3, step)[0] for step in range(6)] == [0, 0, 1, 0, 0, 1]
    assert sequenced((0, 0, 1), 3, 2) == [1, 0, 2]


def test_a_weighted_draw_is_an_order_of_all_members() -> None:
    for throw in range(50):
        assert sorted(weighed([5, 1, 1, 3, 2, 8, 1], LUCK, b"%d" % throw)) == list(range(7))


def test_a_weighted_draw_is_the_same_for_the_same_words_and_another_for_others() -> None:
    draws = [tuple(weighed([1, 1, 1, 1], LUCK, b"%d" % throw)) for throw in range(20)]
    assert draws == [tuple(weighed([1, 1, 1, 1], Keyed(b"sha256:0000"), b"%d" % throw)) for throw in range(20)]
    assert len(set(draws)) > 5
    assert draws != [tuple(weighed([1, 1, 1, 1], Keyed(b"sha256:0001"), b"%d" % throw)) for throw in range(20)]


def test_a_known_draw_never_changes_between_versions() -> None:
    assert [weighed([3, 1, 2], LUCK, b"conversation\0route\0%d" % step) for step in range(6)] == KNOWN


def chi_square(counts: Mapping[_Outcome, int], expected: Mapping[_Outcome, float]) -> float:
    return sum((counts.get(outcome, 0) - mean) ** 2 / mean for outcome, mean in expected.items())


def test_weighted_orders_have_the_chances_of_sampling_without_replacement() -> None:
    weights, throws = [5, 3, 2], 6000
    expected = {}
    for order in itertools.permutations(range(3)):
        left, chance = sum(weights), 1.0
        for member in order:
            chance *= weights[member] / left
            left -= weights[member]
        expected[order] = chance * throws
    counts = Counter(tuple(weighed(weights, LUCK, b"%d" % throw)) for throw in range(throws))
    assert chi_square(counts, expected) < 20.5, (
        "χ² of 5 degrees of freedom: 1 in 1,000 by chance, and the seed is fixed"
    )


def test_leaving_a_member_out_of_the_order_is_a_draw_among_the_others() -> None:
    weights, throws = [5, 3, 2], 6000
    firsts = Counter(
        next(member for member in weighed(weights, LUCK, b"%d" % throw) if member != 0) for throw in range(throws)
    )
    assert chi_square(firsts, {1: throws * 3 / 5, 2: throws * 2 / 5}) < 10.9
