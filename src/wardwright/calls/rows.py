"""From records of the journal to the rows by which receipts are found."""

from __future__ import annotations

from typing import Final

import msgspec

from wardwright.calls import receipt as rc
from wardwright.calls.receipt import CLOSED, LOST, OPENED, Opened, Summary, summary_of, summary_of_lost
from wardwright.contracts.policy import ActionName
from wardwright.journal.entry import Record
from wardwright.journal.rows import Column, Row, columns_of, row_of
from wardwright.kernel.usage import Usage

SOUGHT: Final = frozenset({"agent", "conversation", "key", "model", "run", "session", "user"})
"""Columns that get an index of their own: a filter on them leaves few of many rows."""

LISTS: Final = frozenset({"policy_rules"})
"""Columns that hold several words: a filter on them names one."""

COLUMNS: Final[tuple[Column, ...]] = columns_of(Summary, SOUGHT)


class _Facts(msgspec.Struct, frozen=True, gc=False):
    conversation: str = ""


class _Reason(msgspec.Struct, frozen=True, gc=False):
    policy: str
    rule: str


class _Decision(msgspec.Struct, frozen=True, gc=False):
    effect: ActionName = "allow"
    reasons: tuple[_Reason, ...] = ()


class _Ruling(msgspec.Struct, frozen=True, gc=False):
    decision: _Decision = _Decision()


class _Receipt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a row takes of a receipt; the rest is passed over unread."""

    attempts: tuple[msgspec.Raw, ...] = ()
    caller: rc.Caller
    client: rc.Client
    contract: rc.Contract | None = None
    cost_nano_usd: int = 0
    error: str | None = None
    facts: _Facts | None = None
    policy: tuple[_Ruling, ...] = ()
    receipt: str
    replans: tuple[msgspec.Raw, ...] = ()
    request: rc.Request
    selected: rc.Selected | None = None
    simulation: bool = False
    started_at: int
    status: rc.Status
    timings: rc.Timings
    usage: Usage = Usage()


_receipt = msgspec.json.Decoder(_Receipt)
_opened = msgspec.json.Decoder(Opened)


def row_of_call(record: Record, opened: Record | None) -> Row | None:
    """The row of a call from the record that ended it; `opened` goes with `call.lost`. None for any other record."""
    if record.kind == CLOSED:
        return row_of(summary_of(_receipt.decode(record.data)))
    if record.kind == LOST and opened is not None and opened.kind == OPENED:
        return row_of(summary_of_lost(_opened.decode(opened.data)))
    return None
