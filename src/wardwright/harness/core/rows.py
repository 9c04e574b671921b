"""From records of tool calls to the rows by which they are found."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

import msgspec

from wardwright.calls.receipt import said
from wardwright.harness.core import receipt as tr
from wardwright.harness.core.houses import Shown
from wardwright.journal.entry import Record
from wardwright.journal.rows import Column, Row, columns_of, row_of

PATH_CHARS: Final = 16
"""Of a path's digest, by which receipts that touch it are found: it is looked for, and the receipt then looked at."""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A tool call in one row."""

    receipt: str
    started_at: int
    """µs since the epoch."""
    tool: str
    effect: str
    status: str
    error: str | None
    house: str
    mode: str
    tenant: str
    agent: str | None
    run: str | None
    session: str | None
    arguments: str
    """Their keyed digest."""
    reads: str
    """Digests of paths within its reach, by spaces."""
    writes: str
    """The same, of those it may write."""
    attempts: int
    total_us: int
    cached_from: str | None
    parent: str | None
    predicted_ppm: int | None
    abstained: bool | None


SOUGHT: Final = frozenset({"run", "session", "tool", "house"})
"""Columns that get an index of their own."""

COLUMNS: Final[tuple[Column, ...]] = columns_of(Summary, SOUGHT)

_closed: Final = msgspec.json.Decoder(tr.ToolReceipt).decode
_opened: Final = msgspec.json.Decoder(tr.Opened).decode


def receipt_in(record: Record) -> tr.ToolReceipt | None:
    """The receipt that a record is; None for any other record."""
    return _closed(record.data) if record.kind == tr.CLOSED else None


def opened_in(record: Record) -> tr.Opened | None:
    return _opened(record.data) if record.kind == tr.OPENED else None


def row_of_tool(record: Record, opened: Record | None) -> Row | None:
    """The row of a tool call from the record that ended it; `opened` goes with `tool.lost`. None for any other."""
    receipt = receipt_in(record)
    if receipt is not None:
        return row_of(summary_of(receipt))
    if record.kind == tr.LOST and opened is not None and opened.kind == tr.OPENED:
        return row_of(summary_of(lost_receipt(_opened(opened.data))))
    return None


def lost_in(records: Iterable[Record]) -> tr.ToolReceipt | None:
    """What is known of a call that is recorded as lost; None for one that may still be under way."""
    found = tuple(records)
    if not any(record.kind == tr.LOST for record in found):
        return None
    return next((lost_receipt(opened) for record in found if (opened := opened_in(record)) is not None), None)


def lost_receipt(opened: tr.Opened) -> tr.ToolReceipt:
    """What is known of a call whose process ended first."""
    return tr.ToolReceipt(
        arguments=opened.arguments,
        caller=opened.caller,
        effect=opened.effect,
        house=opened.house,
        receipt=opened.receipt,
        scope=opened.scope,
        snapshots=opened.snapshots,
        started_at=opened.started_at,
        status="lost",
        tool=opened.tool,
    )


def summary_of(receipt: tr.ToolReceipt) -> Summary:
    caller, scope, prediction = receipt.caller, receipt.scope, receipt.prediction
    return Summary(
        abstained=None if prediction is None else prediction.abstained,
        agent=said(caller.agent),
        arguments=receipt.arguments,
        attempts=len(receipt.attempts),
        cached_from=receipt.cached_from,
        effect=receipt.effect,
        error=receipt.error,
        house=receipt.house,
        mode=receipt.mode,
        parent=receipt.parent,
        predicted_ppm=None if prediction is None else prediction.success_ppm,
        reads="" if scope is None else _digests(scope.read),
        receipt=receipt.receipt,
        run=said(caller.run),
        session=said(caller.session),
        started_at=receipt.started_at,
        status=receipt.status,
        tenant=caller.tenant.value,
        tool=receipt.tool.name,
        total_us=receipt.timings.total_us,
        writes="" if scope is None else _digests(scope.write),
    )


def shown(receipt: tr.ToolReceipt) -> Shown:
    """The receipt as obligations look at it."""
    scope = receipt.scope
    return Shown(
        arguments=receipt.arguments,
        completed=receipt.status == "completed",
        effect=receipt.effect,
        failed=receipt.status == "failed",
        house=receipt.house,
        reads=() if scope is None else scope.read,
        receipt=receipt.receipt,
        order=receipt.order or receipt.started_at,
        tool=receipt.tool.name,
        writes=() if scope is None else scope.write,
    )


def path_digest(path: str) -> str:
    return hashlib.sha256(path.encode()).hexdigest()[:PATH_CHARS]


def _digests(paths: Iterable[str]) -> str:
    return " ".join(path_digest(path) for path in paths)
