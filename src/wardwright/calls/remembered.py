"""What a call's receipt adds to state over time: for whoever folds the journal again."""

from __future__ import annotations

from typing import Final

import msgspec

from wardwright.calls.receipt import CLOSED, Caller, Timings
from wardwright.journal.entry import Record
from wardwright.journal.life import TOOL_CLOSED
from wardwright.limits.budget_record import Charge, Entry
from wardwright.limits.events import CallEvents


class _Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked at; the rest of a receipt is passed over unread."""

    budget_order: int = 0
    budgets: tuple[Charge, ...] = ()
    caller: Caller
    started_at: int
    timings: Timings


class _Events(msgspec.Struct, frozen=True):
    """The same, for history alone."""

    history: CallEvents | None = None


_decode: Final = msgspec.json.Decoder(_Receipt).decode
_decode_events: Final = msgspec.json.Decoder(_Events).decode


def events_of(record: Record) -> CallEvents | None:
    """What a closed call, of a model or of a tool, added to history."""
    return _decode_events(record.data).history if record.kind in (CLOSED, TOOL_CLOSED) else None


def entry_of(record: Record) -> Entry | None:
    """What a closed call counted in budgets."""
    receipt = _decode(record.data) if record.kind == CLOSED else None
    if receipt is None or not receipt.budget_order:
        return None
    return Entry(
        at_us=receipt.started_at + receipt.timings.total_us,
        charges=receipt.budgets,
        order=receipt.budget_order,
        tenant=receipt.caller.tenant.value,
        writer=record.writer,
    )
