"""Keeping what was learned from calls beside the journal: taken up at the start, listened for, stored now and then.

Rule 1: calls of this process are learned from the moment they end; those of other processes once they lie in their
segments. What was told already is known by its order.
Rule 2: it is a projection: where its store fails or is gone, it is learned from the journal again.
"""

from __future__ import annotations

import asyncio
from typing import Final

from wardwright.calls import learned
from wardwright.harness.core.rows import receipt_in
from wardwright.harness.workshop import observation_of
from wardwright.journal.entry import Record
from wardwright.journal.state import Reached, StateStore, follow, restore
from wardwright.journal.store import ChainKey, Reader
from wardwright.kernel.errors import WardwrightError
from wardwright.limits.observed import Observation
from wardwright.limits.patterns import Patterns

ROWS_MAX: Final = 4_096
"""Rows that are stored in one step at the most before the next is looked for."""


def observed(record: Record) -> Observation | None:
    """What a record teaches, whatever it is of."""
    receipt = receipt_in(record)
    return learned.observation_of(record) if receipt is None else observation_of(receipt, record.writer)


class PatternKeeper:
    """Patterns, their store and the journal. One call at a time."""

    def __init__(self, patterns: Patterns, store: StateStore, reader: Reader, *, writer: str) -> None:
        self.failure: WardwrightError | None = None
        """Why patterns could not be stored the last time, if they could not."""
        self._patterns = patterns
        self._reached: tuple[Reached, ...] = ()
        self._reader = reader
        self._store = store
        self._writer = writer

    def start(self) -> None:
        """Bring patterns to where the journal ends. Blocks; call it before the first call."""
        self._reached = restore(
            self._store,
            self._reader,
            self._patterns.name,
            lambda rows: self._patterns.restore(rows.items()),
            self._fold,
        )

    async def hear(self) -> None:
        """Learn from what other processes wrote since. Raises `journal.state.Stale`, `journal_broken`."""
        heard: list[Record] = []
        reached = await asyncio.to_thread(
            lambda: follow(self._reader, self._reached, heard.append, only=self._of_others)
        )
        for record in heard:
            self._fold(record)
        self._reached = reached

    async def save(self) -> None:
        """Store what has changed."""
        reached = await asyncio.to_thread(lambda: follow(self._reader, self._reached, only=self._own))
        rows = self._patterns.changes()
        if not rows:
            return
        try:
            await asyncio.to_thread(
                self._store.save, self._patterns.name, {row.key: row.value for row in rows}, reached
            )
        except WardwrightError as error:
            self.failure = error
            self._patterns.unsaved(rows)
            return
        self.failure, self._reached = None, reached

    def _own(self, key: ChainKey) -> bool:
        return key.chain == "calls" and key.writer == self._writer

    def _of_others(self, key: ChainKey) -> bool:
        return key.chain == "calls" and key.writer != self._writer

    def _fold(self, record: Record) -> None:
        observation = observed(record)
        if observation is not None:
            self._patterns.learn(observation)
