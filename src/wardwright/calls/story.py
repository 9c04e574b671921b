"""A call as a sequence of steps: what its receipt says, put in order.

A projection: every instant stands in the receipt once, in the part it belongs to, and is never stored twice.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from wardwright.calls.receipt import Receipt

Type: TypeAlias = Literal[
    "accepted", "decided", "attempt_started", "answer_started", "released", "attempt_failed", "attempt_finished",
    "attempt_abandoned", "client_left", "deadline_passed", "closed",
]  # fmt: skip


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of a call."""

    at_us: int
    """From the call's acceptance."""
    attempt: int | None = None
    """Index in the receipt's `attempts`."""
    sequence: int
    """From 1 without gaps."""
    type: Type
    """What happened."""


_ORDER: Final[dict[Type, int]] = {
    "accepted": 0, "decided": 1, "attempt_started": 2, "answer_started": 3, "released": 4, "client_left": 5,
    "deadline_passed": 5, "attempt_failed": 6, "attempt_finished": 6, "attempt_abandoned": 6, "closed": 8,
}  # fmt: skip
"""What comes first of steps in the same microsecond; a later attempt comes after an earlier one."""


def events_of(receipt: Receipt) -> tuple[Event, ...]:
    """The steps of a call in order."""
    found: list[tuple[int, int, int, Type, int | None]] = []

    def note(at_us: int, type_: Type, attempt: int | None = None, place: int | None = None) -> None:
        at = 0 if place is None else place
        found.append((at_us, at, _ORDER[type_], type_, attempt))

    last = len(receipt.attempts)
    note(0, "accepted")
    if receipt.plan is not None:
        note(receipt.timings.decided_us, "decided")
    for index, tried in enumerate(receipt.attempts):
        place = index + 1
        note(tried.started_us, "attempt_started", index, place)
        if tried.answered_us is not None:
            note(tried.started_us + tried.answered_us, "answer_started", index, place)
        ended: Type = "attempt_failed" if tried.failure else "attempt_finished" if tried.finish else "attempt_abandoned"
        note(tried.started_us + tried.took_us, ended, index, place)
    if receipt.timings.first_byte_us is not None:
        note(receipt.timings.first_byte_us, "released", last - 1 if last else None, last)
    if receipt.client.left_us is not None:
        note(receipt.client.left_us, "client_left", None, last)
    if receipt.timings.deadline_us is not None:
        note(receipt.timings.deadline_us, "deadline_passed", None, last)
    note(receipt.timings.total_us, "closed", None, last + 1)
    found.sort(key=lambda step: step[:3])
    return tuple(
        Event(at_us=at_us, attempt=attempt, sequence=number, type=type_)
        for number, (at_us, _, _, type_, attempt) in enumerate(found, start=1)
    )
