"""A call as a sequence of steps: what its receipt says, put in order.

A projection: every instant stands in the receipt once, in the part it belongs to, and is never stored twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

from wardwright.calls.receipt import Receipt
from wardwright.contracts.policy import ActionName

Type: TypeAlias = Literal[
    "accepted", "decided", "attempt_started", "answer_started", "released", "attempt_failed", "attempt_finished",
    "attempt_abandoned", "client_left", "deadline_passed", "closed", "rule_fired", "blocked", "approval_required",
    "retried", "replanned",
]  # fmt: skip


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of a call."""

    at_us: int
    """From the call's acceptance."""
    attempt: int | None = None
    """Index in the receipt's `attempts`."""
    rule: str | None = None
    """The rule that spoke, or that decided, as `policy/rule`."""
    sequence: int
    """From 1 without gaps."""
    shadow: bool = False
    """The rule is in shadow: it changed nothing."""
    type: Type
    """What happened."""


_ORDER: Final[dict[Type, int]] = {
    "accepted": 0, "attempt_started": 1, "answer_started": 2, "released": 3, "client_left": 4, "deadline_passed": 4,
    "rule_fired": 5, "blocked": 6, "approval_required": 6, "retried": 6, "decided": 7, "attempt_failed": 7,
    "attempt_finished": 7, "attempt_abandoned": 7, "replanned": 8, "closed": 9,
}  # fmt: skip
"""What comes first of steps in the same microsecond; a later attempt comes after an earlier one."""

_DECIDING: Final[dict[ActionName, Type]] = {
    "block": "blocked",
    "require_approval": "approval_required",
    "retry": "retried",
    "retry_with_reminder": "retried",
    "reroute": "retried",
}
"""Effects that end an attempt or the call."""


class _Step(NamedTuple):
    """One step before it has its number; sorts by the first three."""

    at_us: int
    place: int
    """0 before the first attempt, from 1 on in an attempt, then behind the last."""
    order: int
    type: Type
    attempt: int | None = None
    rule: str | None = None
    shadow: bool = False


def events_of(receipt: Receipt) -> tuple[Event, ...]:
    """The steps of a call in order."""
    found = sorted((*_way(receipt), *_rules(receipt)), key=lambda step: step[:3])
    return tuple(
        Event(
            at_us=step.at_us,
            attempt=step.attempt,
            rule=step.rule,
            sequence=number,
            shadow=step.shadow,
            type=step.type,
        )
        for number, step in enumerate(found, start=1)
    )


def _way(receipt: Receipt) -> Iterator[_Step]:
    """What the call did."""
    timings, last = receipt.timings, len(receipt.attempts)
    yield _step("accepted", 0, 0)
    if receipt.plan is not None:
        yield _step("decided", timings.decided_us, 0)
    for index, tried in enumerate(receipt.attempts):
        yield _step("attempt_started", tried.started_us, index + 1, index)
        if tried.answered_us is not None:
            yield _step("answer_started", tried.started_us + tried.answered_us, index + 1, index)
        ended: Type = "attempt_failed" if tried.failure else "attempt_finished" if tried.finish else "attempt_abandoned"
        yield _step(ended, tried.started_us + tried.took_us, index + 1, index)
    for replanned in receipt.replans:
        yield _step("replanned", _end_us(receipt, replanned.after - 1), replanned.after)
    if timings.first_byte_us is not None:
        yield _step("released", timings.first_byte_us, last, last - 1 if last else None)
    if receipt.client.left_us is not None:
        yield _step("client_left", receipt.client.left_us, last)
    if timings.deadline_us is not None:
        yield _step("deadline_passed", timings.deadline_us, last)
    yield _step("closed", timings.total_us, last + 1)


def _rules(receipt: Receipt) -> Iterator[_Step]:
    """What its rules said: at the end of the phase in which they did."""
    timings, last = receipt.timings, len(receipt.attempts)
    for ruling in receipt.policy:
        if ruling.attempt is not None:
            at_us, place = _end_us(receipt, ruling.attempt), min(ruling.attempt, last) + 1
        elif ruling.phase == "receipt":
            at_us, place = timings.total_us, last + 1
        else:
            at_us, place = timings.decided_us if receipt.plan is not None else timings.total_us, 0
        attempt = ruling.attempt if ruling.attempt is not None and ruling.attempt < last else None
        for one in ruling.decision.reasons:
            step = _step("rule_fired", at_us, place, attempt)
            yield step._replace(rule=one.rule_name, shadow=one.shadow)
        winner, deciding = ruling.decision.winner, _DECIDING.get(ruling.decision.effect)
        if winner is not None and deciding is not None:
            yield _step(deciding, at_us, place, attempt)._replace(rule=winner.rule_name)


def _step(type_: Type, at_us: int, place: int, attempt: int | None = None) -> _Step:
    return _Step(at_us, place, _ORDER[type_], type_, attempt)


def _end_us(receipt: Receipt, attempt: int) -> int:
    """When an attempt ended; the end of the call for one that was never made."""
    if attempt >= len(receipt.attempts):
        return receipt.timings.total_us
    tried = receipt.attempts[attempt]
    return tried.started_us + tried.took_us
