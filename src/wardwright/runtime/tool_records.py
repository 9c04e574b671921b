"""Receipts of tool calls where they lie: found in their index, and straight from the journal. Reading takes no lock."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self, TypeAlias

import msgspec

from wardwright.harness.core.receipt import CLOSED, LOST, ToolReceipt
from wardwright.harness.core.rows import COLUMNS, Summary, lost_receipt, opened_in, receipt_in, row_of_tool
from wardwright.journal.entry import Record
from wardwright.journal.record import read
from wardwright.journal.rows import value_of
from wardwright.journal.store import ChainKey, Reader, Where
from wardwright.kernel.errors import WardwrightError
from wardwright.limits.patterns import Patterns
from wardwright.runtime.learning import observed
from wardwright.runtime.tool_runtime import INDEX_FILE
from wardwright.storage.index import SqliteIndex
from wardwright.storage.reader import SegmentReader

Standing: TypeAlias = Literal["open", "closed", "lost"]
"""`open`: it is under way, or its record is not written yet; `lost`: the process ended before the call did."""

PAGE_MAX: Final = 500
"""Rows that the index gives at once."""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Some tool calls, newest first."""

    data: tuple[Summary, ...]
    next: str | None
    """The cursor of the next page; null on the last."""
    behind: bool
    """Whether the journal holds calls that these rows do not reflect yet."""


class ToolRecords:
    """Open it with `with`. Blocks."""

    def __init__(self, state: Path) -> None:
        self._reader = SegmentReader(state)
        self._index = SqliteIndex(state / INDEX_FILE, COLUMNS, row_of_tool, self._reader, mode="deferred")

    def __enter__(self) -> Self:
        self._index.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._index.close()

    def records(self, id_: str) -> tuple[Record, ...]:
        """All that the journal holds of one call, oldest first; none where it is not there."""
        return self._index.get(id_)

    def receipt(self, id_: str) -> ToolReceipt:
        """One receipt; of a call that was never closed, what is known of it. Raises `receipt_not_found`."""
        found = receipt_among(self.records(id_))
        if found is None:
            hint = "`wardwright receipt list --tools` shows them"
            raise WardwrightError("receipt_not_found", f"no tool call has the receipt `{id_[:64]}`", hint=hint)
        return found

    def page(self, where: tuple[Where, ...] = (), *, limit: int, cursor: str | None = None) -> Page:
        """Raises `invalid_request` for a column or cursor that cannot be."""
        page = self._index.query(where, limit=limit, cursor=cursor)
        rows = tuple(value_of(row, Summary) for row in page.rows)
        return Page(data=rows, next=page.next, behind=page.behind)


def standing_of(records: tuple[Record, ...]) -> Standing:
    """Whether a call is under way, closed, or was lost."""
    kinds = {record.kind for record in records}
    return "closed" if CLOSED in kinds else "lost" if LOST in kinds else "open"


def receipt_among(records: tuple[Record, ...]) -> ToolReceipt | None:
    """The receipt among the records of a call; what is known of it where it was opened and never closed."""
    for record in records:
        if (closed := receipt_in(record)) is not None:
            return closed
    for record in records:
        if (opened := opened_in(record)) is not None:
            return lost_receipt(opened)
    return None


def in_time(reader: Reader) -> Iterator[Record]:
    """Every record of calls, of models and tools, by the time at which it was written."""

    def of(key: ChainKey) -> Iterator[Record]:
        return (read(line.text) for line in reader.lines(key) if line.whole)

    chains = (of(key) for key in reader.chains() if key.chain == "calls")
    return heapq.merge(*chains, key=lambda record: (record.at, record.writer, record.seq))


def learned(reader: Reader) -> Patterns:
    """What all calls taught, from the journal alone: nothing that anybody keeps is touched."""
    patterns = Patterns()
    for record in in_time(reader):
        for observation in observed(record):
            patterns.learn(observation)
    return patterns


def closed_calls(reader: Reader) -> Iterator[ToolReceipt]:
    """Every receipt of a tool call, straight from the journal, chain by chain."""
    for key in reader.chains():
        if key.chain == "calls":
            for line in reader.lines(key):
                if line.whole and (record := read(line.text)).kind == CLOSED:
                    yield msgspec.json.decode(record.data, type=ToolReceipt)
