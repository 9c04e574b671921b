"""Keeping what was learned from calls beside the journal: taken up at the start, listened for, stored now and then.

Rule 1: calls of this process are learned from the moment they end; those of other processes once they lie in their
segments. What was told already is known by its order.
Rule 2: it is a projection: where its store fails or is gone, it is learned from the journal again.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from wardwright.calls import learned
from wardwright.harness.core.rows import receipt_in
from wardwright.harness.workshop import observation_of
from wardwright.journal.entry import Record
from wardwright.journal.state import Reached, Stale, StateStore, follow, restore
from wardwright.journal.store import ChainKey, Reader
from wardwright.kernel.errors import WardwrightError
from wardwright.limits.observed import Observation
from wardwright.limits.patterns import Patterns
from wardwright.storage.state import SqliteStateStore

HEAR_S: Final = 0.05
"""How often a gateway looks for what its calls have taught."""

SAVE_S: Final = 5.0

log = logging.getLogger("wardwright")


def observed(record: Record) -> tuple[Observation, ...]:
    """What a record teaches, whatever it is of."""
    receipt = receipt_in(record)
    if receipt is None:
        return learned.observations_of(record)
    observation = observation_of(receipt, record.writer)
    return () if observation is None else (observation,)


class Learning:
    """Patterns of a gateway: learned from its journal while some route goes by them. Construct, `start`, spawn `keep`,
    `aclose`."""

    def __init__(self, patterns: Patterns, store: SqliteStateStore, reader: Reader) -> None:
        self._keeper = PatternKeeper(patterns, store, reader)
        self._opening = asyncio.Lock()
        self._started = False
        self._store = store

    async def start(self) -> None:
        """Bring patterns to where the journal ends; once. Raises `state_write`."""
        async with self._opening:
            if not self._started:
                await asyncio.to_thread(self._store.open)
                await asyncio.to_thread(self._keeper.start)
                self._started = True

    async def keep(self) -> None:
        """Learn from what calls wrote, and store it now and then. Runs until it is cancelled."""
        since_s = 0.0
        while True:
            await asyncio.sleep(HEAR_S)
            if not self._started:
                continue
            since_s += HEAR_S
            try:
                await self._keeper.hear()
                if since_s >= SAVE_S:
                    since_s = 0.0
                    await self._keeper.save()
            except (OSError, Stale, WardwrightError) as failure:
                log.error("what calls taught cannot be kept: %s", failure)

    async def aclose(self) -> None:
        """What was not stored is learned from the journal again."""
        if self._started:
            await asyncio.to_thread(self._store.close)


class PatternKeeper:
    """Patterns, their store and the journal. One call at a time."""

    def __init__(self, patterns: Patterns, store: StateStore, reader: Reader, *, writer: str = "") -> None:
        """`writer` is whose calls are learned from the moment they end; without one, all are once they are written."""
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
        for observation in observed(record):
            self._patterns.learn(observation)
