"""The writer: a thread that takes what the event loop put, and appends it to segments.

Rule 1: one write and one sync a batch and chain; `control` before `calls`, so that no call is durable before the
contract it was served under.
Rule 2: a line is placed once and written until it is durable, as the same bytes. A failed write is told to everyone who
waits, to `failure` and to `on_failure`; what was put stays and is written when the disk recovers.
Rule 3: nothing is lost in silence. What was refused, or could not be placed, is counted in a `journal.gap` record.
Rule 4: a segment ends with a signed checkpoint. After the `closed` one nothing follows in that segment.
Rule 5: a chain whose last segment does not verify is not continued.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from wardwright.journal.checkpoint import Signer
from wardwright.journal.entry import Entry
from wardwright.journal.life import lost
from wardwright.journal.scribe import Scribe
from wardwright.journal.statements import Gap, GapReason, Torn, gap, torn
from wardwright.journal.store import ChainKey
from wardwright.kernel.errors import Place, WardwrightError
from wardwright.kernel.ids import Clock
from wardwright.kernel.units import SECOND_US
from wardwright.storage import layout
from wardwright.storage.disk import Disk, LocalDisk
from wardwright.storage.lock import Holder, Lock
from wardwright.storage.pending import Loop, Pending, taken
from wardwright.storage.settings import JournalSettings
from wardwright.storage.tail import ChainTail, open_tail

_TELL_AGAIN_S: Final = 0.05


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """What opening a writer found and did."""

    lost: int
    """Calls that were open when the writer last ended; each has its `call.lost` now."""
    torn: tuple[Torn, ...]
    """Tails that were cut off and kept aside."""


class SegmentWriter:
    """Appends for one writer, `<node>/<slot>`. Construct, `open`, `put` from the loop's thread, `close`."""

    def __init__(
        self,
        state: Path,
        *,
        node: str,
        slot: str,
        signer: Signer,
        clock: Clock,
        loop: Loop,
        settings: JournalSettings | None = None,
        disk: Disk | None = None,
        on_failure: Callable[[Exception | None], None] | None = None,
    ) -> None:
        """`slot` is `<role>-<slot>`. `on_failure` hears on the loop that writing fails; None: that it works again."""
        self.state = state
        self.writer = f"{node}/{slot}"
        self.failure: Exception | None = None
        self.settings = settings or JournalSettings()
        self._node = node
        self._signer = signer
        self._clock = clock
        self._disk = disk or LocalDisk()
        self._on_failure = on_failure
        self._pending = Pending(loop, self.settings.pending_max)
        self._lock = Lock(layout.writer_dir(state, self.writer) / "lock")
        self._thread: threading.Thread | None = None
        self._tails: tuple[ChainTail, ...] = ()
        self._control: ChainTail
        self._calls: ChainTail
        self._scribe: Scribe
        self._refused_told = 0
        self._busy = False
        """The thread holds entries that it took and has not written."""
        self._unwritten = 0
        self._abandoned = False

    def open(self, *, address: str | None = None) -> Started:
        """Take the lock, find the tails, record what was lost, start the thread.

        Raises `journal_locked`, `journal_broken` (the chain stays as it is), or `journal_write`.
        """
        try:
            self._lock.take(Holder(address=address, pid=os.getpid()))
            started = self._recover()
        except OSError as error:
            self._release()
            raise self._write_error(error) from error
        except BaseException:
            self._release()
            raise
        self._thread = threading.Thread(target=self._run, name=f"journal {self.writer}", daemon=True)
        self._thread.start()
        return started

    def put(self, entry: Entry) -> None:
        self._pending.put(entry)

    @property
    def waiting(self) -> int:
        """Entries that were put and not written yet; those in the thread's hands count as one."""
        return len(self._pending) + self._busy

    @property
    def refused(self) -> int:
        """Entries that found the queue full or the writer closed, since it was opened."""
        return self._pending.refused

    def close(self) -> None:
        """Write what was put, close each chain with a checkpoint, let the lock go.

        Blocks for at most `close_timeout_s`. Raises `journal_write` when entries could not be written. Closing twice is
        harmless.
        """
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._pending.stopping = True
        self._pending.wake()
        thread.join(self.settings.close_timeout_s)
        if thread.is_alive():
            raise WardwrightError("journal_write", "the journal's disk does not answer; last records may be missing")
        self._release()
        if self._unwritten:
            raise WardwrightError(
                "journal_write",
                f"{self._unwritten} journal entries could not be written",
                place=Place(file=str(layout.writer_dir(self.state, self.writer))),
            ) from self.failure

    def abandon(self) -> None:
        """Stop after the batch under way and write nothing more: the chains stay without an end, as after a crash."""
        self._abandoned = True
        thread, self._thread = self._thread, None
        if thread is not None:
            self._pending.stopping = True
            self._pending.wake()
            thread.join(self.settings.close_timeout_s)
            self._release()

    # Starting

    def _recover(self) -> Started:
        self._control, control_torn = open_tail(self.state, ChainKey(self.writer, "control"), self._disk)
        self._calls, calls_torn = open_tail(self.state, ChainKey(self.writer, "calls"), self._disk)
        self._tails = (self._control, self._calls)
        heads = {tail.key.chain: tail.head for tail in self._tails}
        self._scribe = Scribe(node=self._node, writer=self.writer, heads=heads)
        now = self._clock.now_us()
        for tail in self._tails:
            tail.began_us = now
        found = tuple(cut for cut in (control_torn, calls_torn) if cut is not None)
        open_calls = self._calls.open.calls()
        for cut in found:
            self._place(torn(cut, now))
        for call in open_calls:
            self._place(lost(call, now))
        for tail in self._tails:
            tail.write()
        return Started(lost=len(open_calls), torn=found)

    # On the writer's thread

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as defect:
            self._crash(defect)

    def _work(self) -> None:
        pending, settings = self._pending, self.settings
        delay_s = settings.commit_delay_ms / 1000 if settings.durability == "batch" else 0.0
        retry_ms = settings.retry_ms
        while True:
            if not self._unsettled():
                pending.wait()
                if delay_s and not pending.stopping and len(pending) < settings.batch_max:
                    pending.pause(delay_s)
            if self._abandoned:
                return
            try:
                self._commit()
                if pending.stopping and not len(pending):
                    self._finish()
                    return
            except OSError as error:
                self._fail(error)
                if pending.stopping:
                    self._give_up()
                    return
                pending.pause(retry_ms / 1000)
                retry_ms = min(2 * retry_ms, settings.retry_max_ms)
            else:
                retry_ms = settings.retry_ms
                if self.failure is not None:
                    self._set_failure(None)

    def _unsettled(self) -> bool:
        return any(tail.unwritten for tail in self._tails)

    def _commit(self) -> None:
        self._busy = True  # before anything leaves the queue, so that nothing is ever in neither count
        if not self._unsettled():
            for entry in self._pending.take(self.settings.batch_max):
                self._place(entry)
            self._record_refused()
            self._end_segments()
        self._write()
        self._busy = False

    def _place(self, entry: Entry) -> None:
        tail = self._calls if entry.chain == "calls" else self._control
        try:
            tail.add(entry, self._scribe)
        except Exception as error:
            failure = error if isinstance(error, WardwrightError) else _unplaceable(entry, error)
            self._pending.tell(taken((entry,)), failure)
            self._add_gap(1, "invalid", failure.message)

    def _record_refused(self) -> None:
        refused = self._pending.refused
        if refused > self._refused_told:
            self._add_gap(refused - self._refused_told, "full", "")
            self._refused_told = refused

    def _add_gap(self, count: int, reason: GapReason, detail: str) -> None:
        text = detail.encode("ascii", "backslashreplace").decode()
        self._control.add(gap(Gap(count=count, detail=text, reason=reason), self._clock.now_us()), self._scribe)

    def _end_segments(self) -> None:
        now = self._clock.now_us()
        age_max_us = self.settings.segment_age_s * SECOND_US
        for tail in self._tails:
            if tail.bytes >= self.settings.segment_bytes_max or (tail.bytes and now - tail.began_us >= age_max_us):
                tail.seal("rotated", self._scribe, self._signer, now)

    def _write(self) -> None:
        durable = []
        try:
            for tail in self._tails:
                if tail.unwritten:
                    durable += tail.write()
        finally:
            self._pending.tell(durable, None)

    def _finish(self) -> None:
        self._record_refused()
        now = self._clock.now_us()
        for tail in self._tails:
            if not tail.closed:
                tail.seal("closed", self._scribe, self._signer, now)
        self._write()
        if self.failure is not None:
            self._set_failure(None)

    def _fail(self, error: OSError) -> None:
        failure = self._write_error(error)
        self._set_failure(failure)
        for tail in self._tails:
            self._pending.tell(tail.untold(), failure)
        self._pending.tell_waiting(failure)

    def _give_up(self) -> None:
        self._unwritten = len(self._pending) + sum(len(tail.unwritten) for tail in self._tails)

    def _crash(self, defect: BaseException) -> None:
        failure = WardwrightError("journal_write", f"the journal's writer stopped: {type(defect).__name__}: {defect}")
        failure.__cause__ = defect
        self._pending.stopping = True
        self._set_failure(failure)
        for tail in self._tails:
            self._pending.tell(tail.untold(), failure)
        self._pending.tell_waiting(failure)
        self._pending.pause(_TELL_AGAIN_S)  # a put that was under way has come to rest by now
        self._pending.tell_waiting(failure)
        self._give_up()

    def _set_failure(self, failure: Exception | None) -> None:
        changed = (self.failure is None) != (failure is None)
        self.failure = failure
        self._pending.failure = failure
        if changed and self._on_failure is not None:
            self._pending.hand_over(self._on_failure, failure)

    def _write_error(self, error: OSError) -> WardwrightError:
        failure = WardwrightError(
            "journal_write",
            f"the journal cannot be written: {error.strerror or error}",
            place=Place(file=str(layout.writer_dir(self.state, self.writer))),
        )
        failure.__cause__ = error
        return failure

    def _release(self) -> None:
        for tail in self._tails:
            with contextlib.suppress(OSError):
                tail.close()
        self._lock.drop()


def _unplaceable(entry: Entry, error: Exception) -> WardwrightError:
    failure = WardwrightError("record_invalid", f"{entry.kind}: {type(error).__name__}: {error}")
    failure.__cause__ = error
    return failure
