"""From records of the journal to the rows by which receipts are found."""

from __future__ import annotations

from typing import Final

import msgspec

from wardwright.calls.receipt import CLOSED, LOST, OPENED, Opened, Receipt, Summary, summary_of, summary_of_lost
from wardwright.journal.entry import Record
from wardwright.journal.rows import Column, Row, columns_of, row_of

SOUGHT: Final = frozenset({"agent", "conversation", "key", "model", "run", "session", "status", "tenant", "user"})
"""Columns that get an index of their own: a filter on them leaves few of many rows."""

COLUMNS: Final[tuple[Column, ...]] = columns_of(Summary, SOUGHT)

_receipt = msgspec.json.Decoder(Receipt)
_opened = msgspec.json.Decoder(Opened)


def row_of_call(record: Record, opened: Record | None) -> Row | None:
    """The row of a call from the record that ended it; `opened` goes with `call.lost`. None for any other record."""
    if record.kind == CLOSED:
        return row_of(summary_of(_receipt.decode(record.data)))
    if record.kind == LOST and opened is not None and opened.kind == OPENED:
        return row_of(summary_of_lost(_opened.decode(opened.data)))
    return None
