from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from parts import call_stage as stage
from parts import governed_past
from parts.call_stage import FIRST, MS, SSE
from wardwright.calls.effects import Close, Effect
from wardwright.calls.receipt import Receipt
from wardwright.calls.story import events_of
from wardwright.dialects.exchange import Failure


def receipt_of(effects: tuple[Effect, ...]) -> Receipt:
    (close,) = [effect for effect in effects if isinstance(effect, Close)]
    return close.receipt


def test_a_call_that_fell_through_and_was_left_reads_in_order() -> None:
    call = stage.machine(stream=True)
    stage.decided(call)
    call.failed(Failure(kind="connect", message="refused"), 2 * MS)
    call.head(200, SSE, 3 * MS)
    call.event(FIRST, 4 * MS)
    steps = events_of(receipt_of(call.client_left(5 * MS)))
    assert [(step.type, step.attempt, step.at_us) for step in steps] == [
        ("accepted", None, 0),
        ("decided", None, 1000),
        ("attempt_started", 0, 1000),
        ("attempt_failed", 0, 2000),
        ("attempt_started", 1, 2000),
        ("answer_started", 1, 3000),
        ("released", 1, 4000),
        ("client_left", None, 5000),
        ("attempt_abandoned", 1, 5000),
        ("closed", None, 5000),
    ]


def test_what_rules_did_stands_between_what_the_call_did(tmp_path: Path) -> None:
    asked_again, refused, labelled = governed_past.play(tmp_path)
    assert [(step.type, step.rule) for step in events_of(refused)] == [
        ("accepted", None),
        ("rule_fired", "desk/no-night-owls"),
        ("blocked", "desk/no-night-owls"),
        ("closed", None),
    ]
    steps = [step for step in events_of(asked_again) if step.type != "released"]  # at once with the end of the answer
    assert [(step.type, step.attempt, step.rule) for step in steps] == [
        ("accepted", None, None),
        ("decided", None, None),
        ("attempt_started", 0, None),
        ("answer_started", 0, None),
        ("rule_fired", 0, "desk/old-client"),
        ("retried", 0, "desk/old-client"),
        ("attempt_failed", 0, None),
        ("replanned", None, None),
        ("attempt_started", 1, None),
        ("answer_started", 1, None),
        ("rule_fired", 1, "desk/watch-tokens"),
        ("attempt_finished", 1, None),
        ("closed", None, None),
    ]
    assert [step.rule for step in events_of(asked_again) if step.shadow] == ["desk/watch-tokens"]
    assert [step.type for step in events_of(labelled)][:3] == ["accepted", "rule_fired", "decided"]


@given(gaps=st.lists(st.integers(0, 3), min_size=6, max_size=6), failures=st.integers(0, 2))
def test_steps_never_go_back_in_time_and_are_numbered_without_gaps(gaps: list[int], failures: int) -> None:
    now = 1 * MS
    call = stage.machine()
    stage.decided(call, targets=3)
    for gap in gaps[:failures]:
        now += gap * MS
        call.failed(Failure(kind="reset", message="gone"), now)
    now += gaps[3] * MS
    effects = call.tick(now)
    steps = events_of(receipt_of(effects))
    assert [step.sequence for step in steps] == list(range(1, len(steps) + 1))
    assert [step.at_us for step in steps] == sorted(step.at_us for step in steps)
    assert (steps[0].type, steps[-1].type) == ("accepted", "closed")
    assert sum(step.type == "attempt_started" for step in steps) == failures + 1
