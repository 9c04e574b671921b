"""The calls of a run, in their order."""

from __future__ import annotations

from wardwright.cli.why import Step, _in_order


def step(receipt: str, at: int, parent: str | None = None) -> Step:
    return Step(
        cost_nano_usd=0,
        depth=0,
        error=None,
        house="",
        kind="tool",
        name=receipt,
        parent=parent,
        receipt=receipt,
        started_at=at,
        status="completed",
        total_us=1,
    )


def test_steps_stand_behind_what_they_are_steps_of_and_everything_by_time() -> None:
    steps = [step("d", 5), step("c", 3, "a"), step("b2", 2, "b"), step("b", 1, "a"), step("a", 0), step("m", 2)]
    found = [(one.receipt, one.depth) for one in _in_order(steps)]
    assert found == [("a", 0), ("b", 1), ("b2", 2), ("c", 1), ("m", 0), ("d", 0)]


def test_a_step_whose_whole_is_not_there_stands_alone() -> None:
    assert [(one.receipt, one.depth) for one in _in_order([step("b", 1, "gone")])] == [("b", 0)]
