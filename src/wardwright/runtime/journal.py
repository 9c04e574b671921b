"""The journal as one thing: the writer, what lies on disk, its index, its retention."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from wardwright.calls.rows import COLUMNS, row_of_call
from wardwright.journal.checkpoint import checkpoint_of
from wardwright.journal.record import read
from wardwright.journal.status import ChainStatus, IndexStatus, JournalStatus, Mark, Pulse
from wardwright.journal.store import ChainKey
from wardwright.journal.verify import Verdict, verify
from wardwright.kernel.ids import Clock
from wardwright.runtime.settings import Retention, Settings
from wardwright.runtime.worker import ALONE, Worker
from wardwright.storage import layout
from wardwright.storage.index import SqliteIndex
from wardwright.storage.keys import Identity, SignatureCheck, public_keys
from wardwright.storage.pending import Loop
from wardwright.storage.reader import SegmentReader, last_line
from wardwright.storage.retention import RetentionPolicy, finish, retire_segments
from wardwright.storage.segments import SegmentWriter, Started
from wardwright.storage.settings import JournalSettings
from wardwright.storage.slots import open_writer

INDEX_FILE: Final = "index.sqlite"

log = logging.getLogger("wardwright.journal")


class Journal:
    """One state directory's journal, held by this process. Construct, `open`, `close`."""

    def __init__(
        self, state: Path, node: Identity, settings: Settings, clock: Clock, *, worker: Worker = ALONE
    ) -> None:
        self.reader = SegmentReader(state)
        self.index = index_of(state, self.reader, deferred=settings.index == "deferred" or not worker.keeper)
        self.state = state
        self.writer: SegmentWriter
        self._clock = clock
        self._node = node
        self._settings = settings
        self._worker = worker

    def open(self, loop: Loop, *, address: str | None) -> Started:
        """Take the lock, record what was lost, start writing. Raises what `storage.segments` raises."""
        settings = self._settings

        def make(slot: str) -> SegmentWriter:
            return SegmentWriter(
                self.state,
                node=self._node.node,
                slot=slot,
                signer=self._node.signer,
                clock=self._clock,
                loop=loop,
                settings=JournalSettings(
                    durability=settings.durability,
                    commit_delay_ms=settings.commit_delay_ms,
                    segment_age_s=settings.segment_age_s,
                    segment_bytes_max=settings.segment_bytes_max,
                ),
                on_failure=self._changed,
            )

        self.writer, started = open_writer(
            make, self.state, node=self._node.node, slot=self._worker.slot, now_us=self._clock.now_us(), address=address
        )
        for torn in started.torn:
            log.warning("cut %d unfinished bytes off the end of %s; they are kept aside", torn.bytes, torn.chain)
        if started.lost:
            log.warning("%d calls were under way when the gateway last ended: recorded as lost", started.lost)
        self.index.open()
        return started

    def close(self) -> None:
        """Write what is left and the closing checkpoints. Blocks; call it off the event loop."""
        self.index.close()
        self.writer.close()

    # -- for operators (api.front.Journal) -----------------------------------------------------------------------------

    def pulse(self) -> Pulse:
        failure = self.writer.failure
        return Pulse(
            failure=None if failure is None else str(failure), refused=self.writer.refused, waiting=self.writer.waiting
        )

    def status(self) -> JournalStatus:
        failure = self.index.failure
        return JournalStatus(
            chains=tuple(chain_status(self.state, self.reader, key) for key in self.reader.chains()),
            index=IndexStatus(
                behind=self.index.query(limit=1).behind, failure=None if failure is None else str(failure)
            ),
            pulse=self.pulse(),
            writer=self.writer.writer,
        )

    def verify(self) -> tuple[Verdict, ...]:
        return verified(self.state, self.reader)

    # -- retention -----------------------------------------------------------------------------------------------------

    def finish_retirements(self) -> None:
        """Delete what was retired before the last stop. Reads the control chain; call it off the event loop."""
        finish(self.state, self.writer.writer)

    def retire(self) -> int:
        """Retire the segments of calls that the settings no longer keep. Belongs to the event loop's thread."""
        return retire_segments(
            self.state,
            self.writer.writer,
            self.writer,
            self._node.signer,
            policy_of(self._settings.retention),
            self._clock.now_us(),
            self._gone,
        )

    def oldest_us(self) -> int | None:
        """The instant of the oldest record of a call that is still held. Reads files: call it off the event loop."""
        firsts = [
            next((read(line.text).at for line in self.reader.lines(key) if line.whole), None)
            for key in self.reader.chains()
            if key.chain == "calls"
        ]
        return min((at for at in firsts if at is not None), default=None)

    def _gone(self, segment: int, failure: Exception | None) -> None:
        if failure is None:
            log.info("retired segment %d of calls", segment)
        else:
            log.error("segment %d of calls could not be retired: %s", segment, failure)

    def _changed(self, failure: Exception | None) -> None:
        if failure is None:
            log.warning("the journal can be written again")
        else:
            log.error(
                "the journal cannot be written: %s (on_journal_failure: %s)", failure, self._settings.on_journal_failure
            )


def index_of(state: Path, reader: SegmentReader, *, deferred: bool) -> SqliteIndex:
    """The receipt index of a state directory; `open` it before it is asked."""
    return SqliteIndex(state / INDEX_FILE, COLUMNS, row_of_call, reader, mode="deferred" if deferred else "trailing")


def verified(state: Path, reader: SegmentReader) -> tuple[Verdict, ...]:
    """A verdict for every chain of a state directory. Reads every record."""
    return verify(reader, SignatureCheck(public_keys(state)))


def policy_of(retention: Retention) -> RetentionPolicy:
    days = retention.calls_days
    return RetentionPolicy(age_max_s=None if days is None else days * 86_400, bytes_max=retention.calls_bytes_max)


def chain_status(state: Path, reader: SegmentReader, key: ChainKey) -> ChainStatus:
    """One chain as it lies on disk: its tail and its files alone are looked at."""
    segments = reader.segments(key)
    last = reader.last(key)
    mark: Mark | None = None
    for segment in reversed(segments):
        line = last_line(layout.segment_path(state, key, segment))
        record = None if line is None else read(line)
        checkpoint = None if record is None else checkpoint_of(record)
        if record is not None and checkpoint is not None:
            mark = Mark(at=record.at, reason=checkpoint.seal.reason, seq=record.seq)
            break
    sizes = (layout.segment_path(state, key, segment) for segment in segments)
    return ChainStatus(
        bytes=sum(path.stat().st_size for path in sizes if path.exists()),
        chain=key,
        checkpoint=mark,
        head=None if last is None else last.id,
        segments=len(segments),
        seq=0 if last is None else last.seq,
    )
