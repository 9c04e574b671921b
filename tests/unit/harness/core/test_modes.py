"""What each mode demands."""

from __future__ import annotations

from itertools import pairwise

import pytest

from wardwright.contracts.tool import EFFECTS, Effect
from wardwright.harness.core.modes import DEMANDS, Mode, Requirement

TABLE: list[tuple[Mode, Effect, Requirement]] = [
    (Mode.SIMPLE, "read", "none"),
    (Mode.SIMPLE, "irreversible", "none"),
    (Mode.INTELLIGENT, "read", "none"),
    (Mode.INTELLIGENT, "write-local", "programs"),
    (Mode.INTELLIGENT, "irreversible", "programs"),
    (Mode.SOVEREIGN, "read", "all"),
    (Mode.SOVEREIGN, "irreversible", "all"),
]


@pytest.mark.parametrize(("mode", "effect", "walls"), TABLE)
def test_walls_are_required_from_an_effect_on(mode: Mode, effect: Effect, walls: Requirement) -> None:
    assert DEMANDS[mode].requirement(effect) == walls


def test_every_mode_has_a_row_and_each_demands_at_least_what_the_one_before_does() -> None:
    rows = [DEMANDS[mode] for mode in Mode]
    grades = ("none", "programs", "all")
    for one, next_ in pairwise(rows):
        for name in ("asks_below_bound", "keeps_results", "predicts", "refuses_without_journal"):
            assert getattr(one, name) <= getattr(next_, name), name
        for effect in EFFECTS:
            assert grades.index(one.requirement(effect)) <= grades.index(next_.requirement(effect))
