"""A journal in memory: the same records, chains, checkpoints and recovery, without a disk or a thread.

Writing happens on the loop, in the turn after `put`. Passes `wardwright.testing.journal_kit` as the store on disk does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from wardwright.journal.checkpoint import Signer
from wardwright.journal.entry import Durable, Entry, Record
from wardwright.journal.life import KINDS, OpenCalls, lost
from wardwright.journal.record import read
from wardwright.journal.recovery import NOTHING, Recovered, recover
from wardwright.journal.scribe import Scribe
from wardwright.journal.statements import Gap, ending, gap
from wardwright.journal.store import START, ChainKey, Cursor, Line
from wardwright.kernel.errors import WardwrightError
from wardwright.kernel.ids import Clock
from wardwright.storage.keys import NodeSigner
from wardwright.storage.pending import Loop, taken


def signer_of(seed: str = "signer") -> NodeSigner:
    """A signing key that is the same for the same seed. Never for a real journal."""
    return NodeSigner(Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed.encode()).digest()))


class MemoryStore:
    """What outlives a writer: the bytes of every segment. Implements `journal.store.Reader`."""

    def __init__(self) -> None:
        self.content: dict[ChainKey, dict[int, bytearray]] = {}
        """By chain and number. Tests may change it to see what is noticed."""
        self.held: set[str] = set()
        """Writers that are open."""

    def chains(self) -> tuple[ChainKey, ...]:
        return tuple(sorted(key for key, segments in self.content.items() if segments))

    def segments(self, key: ChainKey) -> tuple[int, ...]:
        return tuple(sorted(self.content.get(key, ())))

    def lines(self, key: ChainKey, after: Cursor = START) -> Iterator[Line]:
        for segment in self.segments(key):
            if segment < after.segment:
                continue
            content = bytes(self.content[key][segment])
            start = after.offset if segment == after.segment else 0
            while (end := content.find(b"\n", start)) >= 0:
                yield Line(content[start:end], segment, start)
                start = end + 1
            if start < len(content) or start == 0:
                yield Line(content[start:], segment, start, whole=False)

    def line_at(self, key: ChainKey, at: Cursor, size: int) -> bytes | None:
        content = self.content.get(key, {}).get(at.segment, bytearray())
        text = bytes(content[at.offset : at.offset + size + 1])
        return text[:-1] if len(text) == size + 1 and text.endswith(b"\n") else None

    def last(self, key: ChainKey) -> Record | None:
        last = None
        for line in self.lines(key):
            last = line.text if line.whole else last
        return None if last is None else read(last)


class _Tail:
    def __init__(self, key: ChainKey, found: Recovered, segment: int) -> None:
        self.key = key
        self.open = OpenCalls(found.open)
        self.checkpoint = (found.checkpoint_seq, found.checkpoint)
        self.closed = found.closed
        self.segment = segment


class MemoryJournal:
    """A writer over a `MemoryStore`. Implements `journal.entry.Writer`."""

    def __init__(
        self,
        store: MemoryStore,
        *,
        loop: Loop,
        clock: Clock,
        node: str = "node_test",
        slot: str = "gateway-0",
        signer: Signer | None = None,
        pending_max: int = 1024,
        segment_bytes_max: int = 1 << 20,
        fail_at: int | None = None,
    ) -> None:
        """From the `fail_at`-th record on, counted from 1, nothing can be written, until `mend`."""
        self.store = store
        self.writer = f"{node}/{slot}"
        self.failure: Exception | None = None
        self.fail_at = fail_at
        self.written = 0
        """Records since it was opened."""
        self._node = node
        self._loop = loop
        self._clock = clock
        self._signer = signer or signer_of()
        self._pending_max = pending_max
        self._segment_bytes_max = segment_bytes_max
        self._pending: list[Entry] = []
        self._placed: list[tuple[Entry, bytes]] = []
        self._refused = 0
        self._is_open = False
        self._tails: dict[str, _Tail] = {}
        self._scribe: Scribe

    def open(self) -> int:
        """Take the chains up where they end; how many calls were lost."""
        if self.writer in self.store.held:
            raise WardwrightError("journal_locked", "another holds this writer")
        heads = {}
        for key in (ChainKey(self.writer, "control"), ChainKey(self.writer, "calls")):
            found, segment = self._recovered(key)
            self._tails[key.chain] = _Tail(key, found, segment)
            heads[key.chain] = found.head
        self._scribe = Scribe(node=self._node, writer=self.writer, heads=heads)
        self.store.held.add(self.writer)
        self._is_open = True
        calls = self._tails["calls"].open.calls()
        for call in calls:
            self._add(lost(call, self._clock.now_us()))
        self._write()
        return len(calls)

    def put(self, entry: Entry) -> None:
        failure = self.failure
        if not self._is_open:
            failure = WardwrightError("not_ready", "the journal is closed")
            self._refused += 1
        elif len(self._pending) >= self._pending_max:
            failure = failure or WardwrightError("overloaded", f"{self._pending_max} journal entries wait")
            self._refused += 1
        else:
            self._pending.append(entry)
            self._loop.call_soon_threadsafe(self._turn)
        if failure is not None:
            self._tell(taken((entry,)), failure)

    def mend(self) -> None:
        """Let writing work again."""
        self.fail_at = None
        self._turn()

    def close(self) -> None:
        """Write what was put and close the chains. Raises `journal_write` when it could not all be written."""
        if not self._is_open:
            return
        self._turn()
        if self.failure is None:
            for tail in self._tails.values():
                if not tail.closed:
                    self._seal(tail, "closed")
            self._write()
        unwritten = len(self._pending) + len(self._placed)
        self.kill()
        if unwritten:
            raise WardwrightError("journal_write", f"{unwritten} journal entries could not be written")

    def kill(self) -> None:
        """End as a process does that is killed."""
        self._is_open = False
        self.store.held.discard(self.writer)

    def _recovered(self, key: ChainKey) -> tuple[Recovered, int]:
        segments = self.store.content.setdefault(key, {})
        if not segments:
            return NOTHING, 1
        last = max(segments)
        before = None
        if last - 1 in segments:
            before = read(bytes(segments[last - 1]).splitlines()[-1])
        found = recover(key, last, bytes(segments[last]), before)
        del segments[last][found.kept :]
        return found, last + 1 if found.sealed else last

    def _turn(self) -> None:
        if not self._is_open:
            return
        pending, self._pending = self._pending, []
        if self._placed:
            self._pending = pending
        else:
            for entry in pending:
                self._add(entry)
            if self._refused:
                data = Gap(count=self._refused, detail="", reason="full")
                self._refused = 0
                self._add(gap(data, self._clock.now_us()))
        self._write()
        if self._pending and not self._placed:
            self._turn()

    def _add(self, entry: Entry) -> None:
        tail = self._tails[entry.chain]
        try:
            line = self._scribe.place(entry)
        except WardwrightError as error:
            self._tell(taken((entry,)), error)
            detail = error.message.encode("ascii", "backslashreplace").decode()
            self._add(gap(Gap(count=1, detail=detail, reason="invalid"), self._clock.now_us()))
            return
        if entry.kind in KINDS:
            receipt: str = getattr(entry.data, "receipt", "")
            tail.open.saw(entry.kind, receipt, entry.id or "")
        tail.closed = False
        self._placed.append((entry, line))

    def _seal(self, tail: _Tail, reason: Literal["closed", "rotated"]) -> None:
        head = self._scribe.head(tail.key.chain)
        now = self._clock.now_us()
        entry = ending(tail.key, head, tail.checkpoint, tail.open.calls(), reason, self._signer, now)
        self._add(entry)
        tail.checkpoint = (head.seq + 1, entry.id)
        tail.closed = reason == "closed"

    def _write(self) -> None:
        durable: list[Entry] = []
        while self._placed:
            if self.fail_at is not None and self.written + 1 >= self.fail_at:
                self._fail(durable)
                return
            entry, line = self._placed.pop(0)
            tail = self._tails[entry.chain]
            segment = self.store.content[tail.key].setdefault(tail.segment, bytearray())
            segment += line
            self.written += 1
            durable.append(entry)
            if entry.kind == "journal.checkpoint":
                tail.segment += 1
            elif len(segment) >= self._segment_bytes_max and not any(e.chain == entry.chain for e, _ in self._placed):
                self._seal(tail, "rotated")
        self.failure = None
        self._tell(taken(durable), None)

    def _fail(self, durable: list[Entry]) -> None:
        self._tell(taken(durable), None)
        self.failure = WardwrightError("journal_write", "the journal cannot be written")
        self._tell(taken([entry for entry, _ in self._placed] + self._pending), self.failure)

    def _tell(self, callbacks: list[Durable], failure: Exception | None) -> None:
        if callbacks:
            self._loop.call_soon_threadsafe(_deliver, callbacks, failure)


def _deliver(callbacks: list[Durable], failure: Exception | None) -> None:
    for callback in callbacks:
        callback(failure)
