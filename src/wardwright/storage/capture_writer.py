"""From the event loop to captures on disk: a bounded queue, and a thread that empties it.

Rule 1: the loop's thread never waits and never touches the disk. Where the queue is full, or the disk fails, captures
are dropped and counted, and whoever runs the gateway is told.
Rule 2: what was put before a question or a forgetting has been written when that is answered.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final

from wardwright.journal.captures import Capture, CapturePulse
from wardwright.kernel.errors import WardwrightError
from wardwright.storage.captures import CaptureFiles

WAITING_MAX: Final = 1024
"""Captures that may wait, those of calls that are about to end among them."""
WAITING_BYTES_MAX: Final = 64 * 1024 * 1024
"""No capture is admitted while so many bytes wait."""
FLUSH_TIMEOUT_S: Final = 5.0
"""How long whoever forgets waits for what was put before."""
CLOSE_TIMEOUT_S: Final = 30.0


class CaptureFileWriter:
    """Keeps captures. Construct, `open` where capture is on, `close`; questions are answered without `open` too.

    Implements `journal.captures.CaptureWriter` and `journal.captures.Captures`.
    """

    def __init__(
        self,
        files: CaptureFiles,
        *,
        bytes_max: int,
        on_loss: Callable[[int, Exception | None], None],
        waiting_max: int = WAITING_MAX,
        waiting_bytes_max: int = WAITING_BYTES_MAX,
        flush_timeout_s: float = FLUSH_TIMEOUT_S,
    ) -> None:
        """`on_loss` hears on the writer's thread how many captures were dropped, and of the disk's failure if it has
        one: when captures begin to be lost, and again when the queue is through."""
        self.bytes_max = bytes_max
        self.files = files
        self._failure: Exception | None = None
        self._flush_timeout_s = flush_timeout_s
        self._on_loss = on_loss
        self._queue: SimpleQueue[tuple[str, str, Capture] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._waiting_bytes_max = waiting_bytes_max
        self._waiting_max = waiting_max
        # Each counter has one thread that counts: the loop's these,
        self._admitted = 0
        self._put = 0
        self._put_bytes = 0
        self._refused = 0
        self._stopping = False
        # and the writer's those.
        self._failed = 0
        self._losing = False
        self._told = 0
        self._written = 0
        """Or failed: they are through."""
        self._written_bytes = 0
        self._progress = threading.Condition()

    def open(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="captures", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what was put. Blocks for at most CLOSE_TIMEOUT_S. Closing twice, or what was never opened, is harmless.

        Raises `journal_write` when the disk does not answer.
        """
        self._stopping = True
        thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            thread.join(CLOSE_TIMEOUT_S)
            if thread.is_alive():
                raise WardwrightError("journal_write", "the disk does not answer; last captures may be missing")

    # -- for calls (journal.captures.CaptureWriter) --------------------------------------------------------------------

    def admit(self) -> bool:
        if (
            self._stopping
            or self._admitted - self._written >= self._waiting_max
            or self._put_bytes - self._written_bytes >= self._waiting_bytes_max
        ):
            self._refused += 1
            return False
        self._admitted += 1
        return True

    def put(self, tenant: str, receipt: str, capture: Capture) -> None:
        if self._stopping:
            self._refused += 1
            return
        self._put += 1
        self._put_bytes += _size(capture)
        self._queue.put((tenant, receipt, capture))

    # -- for operators (journal.captures.Captures) ---------------------------------------------------------------------

    def get(self, tenant: str, receipt: str) -> Capture | None:
        self._flush()
        return self.files.get(tenant, receipt)

    def forget(self, tenant: str, receipt: str) -> bool:
        self._require_flush()
        return self.files.forget(tenant, receipt)

    def forget_tenant(self, tenant: str) -> int:
        self._require_flush()
        return self.files.forget_tenant(tenant)

    def pulse(self) -> CapturePulse:
        failure = self._failure
        return CapturePulse(
            dropped=self._refused + self._failed,
            failure=None if failure is None else str(failure),
            waiting=self._admitted - self._written,
        )

    def _flush(self) -> bool:
        """Wait until what was put so far is through; whether it is."""
        mark = self._put
        with self._progress:
            return self._progress.wait_for(lambda: self._written >= mark, self._flush_timeout_s)

    def _require_flush(self) -> None:
        if not self._flush():
            raise WardwrightError("journal_write", "captures wait for the disk; nothing was forgotten")

    # -- on the writer's thread ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            try:
                self.files.put(*item)
                self._failure = None
            except Exception as error:  # a full disk, or a defect: the next capture has another chance
                self._failure = error
                self._failed += 1
            with self._progress:
                self._written += 1
                self._written_bytes += _size(item[2])
                self._progress.notify_all()
            self._tell()

    def _tell(self) -> None:
        through = self._queue.empty()
        lost = self._refused + self._failed - self._told
        if lost and (through or not self._losing):
            self._told += lost
            self._on_loss(lost, self._failure)
        self._losing = not through and (self._losing or lost > 0)


def _size(capture: Capture) -> int:
    return len(capture.request.content) + len(capture.answer.content)
