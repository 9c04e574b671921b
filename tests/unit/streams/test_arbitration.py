"""Which edits win the same text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wardwright.streams.arbitration import Edit, arbitrate, clusters
from wardwright.streams.rule import Action, Drop, Rewrite


def edit(start: int, end: int, id: str, action: Action, priority: int = 0) -> Edit:
    return Edit(start, end, 0, id, action, priority)


def test_a_rewrite_wins_over_a_drop_whatever_their_priorities() -> None:
    rulings = arbitrate([edit(0, 3, "drop", Drop(), 9), edit(2, 5, "rewrite", Rewrite("x"))])
    assert [(one.edit.id, one.lost_to) for one in rulings] == [("drop", "rewrite"), ("rewrite", None)]


def test_among_equals_the_priority_decides_then_the_start_then_the_id() -> None:
    rulings = arbitrate(
        [edit(0, 3, "b", Drop()), edit(1, 4, "a", Drop(), 1), edit(4, 6, "d", Drop()), edit(4, 6, "c", Drop())]
    )
    assert {one.edit.id: one.lost_to for one in rulings} == {"b": "a", "a": None, "c": None, "d": "c"}


def test_edits_that_touch_do_not_overlap() -> None:
    assert len(clusters([edit(0, 2, "a", Drop()), edit(2, 4, "b", Drop())])) == 2


def test_edits_hang_together_through_others() -> None:
    assert len(clusters([edit(0, 3, "a", Drop()), edit(5, 8, "c", Drop()), edit(2, 6, "b", Drop())])) == 1


@given(
    st.permutations(
        [edit(0, 4, "a", Drop(), 1), edit(2, 6, "b", Rewrite("")), edit(5, 9, "c", Drop()), edit(8, 9, "d", Drop())]
    )
)
def test_the_order_of_rules_decides_nothing(edits: list[Edit]) -> None:
    (cluster,) = clusters(edits)
    assert [one.edit.id for one in arbitrate(cluster) if one.lost_to is None] == ["b", "d"]
