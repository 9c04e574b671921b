"""`wardwright receipt tail`: calls as they end.

It follows the journal itself, not the index: records stand there in the order in which calls ended.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import msgspec

from wardwright.calls.receipt import CLOSED, LOST, Receipt, Summary, summary_of
from wardwright.cli import receipt_words
from wardwright.cli.options import json_option, state_option
from wardwright.cli.output import Output
from wardwright.journal.life import mentioned
from wardwright.journal.record import read
from wardwright.journal.rows import value_of
from wardwright.journal.store import ChainKey, Cursor, Where
from wardwright.runtime.offline import StoredJournal, require_state

FOLLOW_S: Final = 0.25
"""How often the journal is looked at."""

SEGMENTS_BEFORE: Final = 2
"""Segments of a chain that are read for the calls to begin with."""

_WIDTHS: Final = (20, 9, 20, 24, 5, 9, 11, 7)
"""Least widths of the columns: a line is written before the next is known."""


@click.command()
@click.option(
    "-n", "--lines", "before", type=click.IntRange(0, 1000), default=10, show_default=True, help="Calls to begin with."
)
@click.option("--count", type=click.IntRange(0), help="End after so many new calls.")
@state_option
@json_option
def tail(before: int, count: int | None, state: Path, out: Output) -> None:
    """Show receipts as calls end, until interrupted.

    With `--json`: one document a line.
    """
    require_state(state)
    journal = StoredJournal(state)
    journal.index.open()
    try:
        following = _Following(journal)
        if not out.as_json:
            out.note(_line(receipt_words.HEADERS))
        for summary in deque(following.ended(), maxlen=before):
            _tell(summary, out)
        shown = 0
        while shown != count:
            time.sleep(FOLLOW_S)
            for summary in following.ended():
                _tell(summary, out)
                shown += 1
                if shown == count:
                    break
    finally:
        journal.index.close()


class _Following:
    """The calls that end, chain by chain."""

    def __init__(self, journal: StoredJournal) -> None:
        self._journal = journal
        self._after: dict[ChainKey, Cursor] = {}

    def ended(self) -> Iterator[Summary]:
        """Those that ended since this was asked last."""
        reader = self._journal.reader
        for key in reader.chains():
            if key.chain != "calls":
                continue
            if key not in self._after:
                self._after[key] = Cursor(segment=reader.segments(key)[-SEGMENTS_BEFORE:][0])
            for line in reader.lines(key, self._after[key]):
                if not line.whole:
                    break  # it is being written
                self._after[key] = line.next
                record = read(line.text)
                if record.kind == CLOSED:
                    yield summary_of(msgspec.json.decode(record.data, type=Receipt))
                elif record.kind == LOST:
                    yield from self._lost(mentioned(record.data))

    def _lost(self, receipt: str) -> Iterator[Summary]:
        """What the index knows of a call that was opened and never closed."""
        for row in self._journal.index.query((Where("receipt", "eq", receipt),), limit=1).rows:
            yield value_of(row, Summary)


def _tell(summary: Summary, out: Output) -> None:
    if out.as_json:
        click.echo(msgspec.json.encode(summary))
    else:
        click.echo(_line(receipt_words.row(summary)))
    sys.stdout.flush()


def _line(row: tuple[str, ...]) -> str:
    return "  ".join([*map(str.ljust, row[:-1], _WIDTHS), row[-1]])
