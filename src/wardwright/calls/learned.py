"""What a call of a model teaches: for whoever folds the journal."""

from __future__ import annotations

from typing import Final

import msgspec

from wardwright.calls.receipt import CLOSED, Caller, Selected, Status, Timings, said
from wardwright.journal.entry import Record
from wardwright.limits.observed import Observation, Outcome, key_of

_OUTCOMES: Final[dict[Status, Outcome]] = {"completed": "succeeded", "failed": "failed"}
"""What a model is to answer for. What rules refused, or the client left, says nothing of it."""


class _Request(msgspec.Struct, frozen=True):
    kind: str = "chat"


class _Contract(msgspec.Struct, frozen=True):
    name: str


class _Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked at; the rest of a receipt is passed over unread."""

    caller: Caller
    contract: _Contract | None = None
    cost_nano_usd: int = 0
    request: _Request = _Request()
    selected: Selected | None = None
    simulation: bool = False
    started_at: int
    status: Status
    timings: Timings


_decode: Final = msgspec.json.Decoder(_Receipt).decode


def observation_of(record: Record) -> Observation | None:
    """A closed call of a model as one try; None for any other record, and where nothing was tried."""
    if record.kind != CLOSED:
        return None
    receipt = _decode(record.data)
    outcome = _OUTCOMES.get(receipt.status)
    if outcome is None or receipt.contract is None or receipt.simulation:
        return None
    selected = receipt.selected
    return Observation(
        at_us=receipt.started_at + receipt.timings.total_us,
        cost_nano_usd=receipt.cost_nano_usd or None,  # receipts hold 0 where no price was named
        key=key_of(
            receipt.caller.tenant.value,
            kind="model",
            name=receipt.contract.name,
            shape=receipt.request.kind,
            house=said(receipt.caller.house) or "",
            target="" if selected is None else selected.target,
            model="" if selected is None else selected.model,
        ),
        latency_us=receipt.timings.total_us,
        order=record.seq,
        outcome=outcome,
        writer=record.writer,
    )
