"""What a writer has to know of its chain before it goes on: read from the last segment alone.

The bytes are proven by hash and link only (`verify` does the rest at leisure), and decoded only where a call is opened
or closed. A tail that no newline ends, or a page of zeros that the disk never received, is torn: it was never
acknowledged. Anything else that does not fit is `journal_broken`, and the chain is not continued.
"""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

from wardwright.journal.checkpoint import Checkpoint, OpenCall, checkpoint_of
from wardwright.journal.entry import GENESIS, Record
from wardwright.journal.life import OpenCalls
from wardwright.journal.record import named, read
from wardwright.journal.scribe import Head
from wardwright.journal.store import ChainKey, segment_name
from wardwright.kernel.errors import Place, WardwrightError

_CALLS: Final = (b',"kind":"call.', b',"kind":"tool.')
_OPENED: Final = (b',"kind":"call.opened"', b',"kind":"tool.opened"')
_CHECKPOINT: Final = b',"kind":"journal.checkpoint"'


class Content(Protocol):
    """The bytes of a segment: `bytes`, or a mapped file."""

    def find(self, sub: bytes, start: int, /) -> int: ...
    def __getitem__(self, piece: slice, /) -> bytes: ...


class Recovered(msgspec.Struct, frozen=True, kw_only=True):
    """Where a chain stands."""

    checkpoint: str | None
    """The id of the chain's last checkpoint."""
    checkpoint_seq: int
    closed: bool
    """Whether the writer ended in good order."""
    head: Head
    kept: int
    """Bytes of the segment that hold whole records; what lies beyond is torn."""
    open: tuple[OpenCall, ...]
    sealed: bool
    """Whether the segment ends with a checkpoint, so that the next record opens a new one."""


NOTHING: Final = Recovered(checkpoint=None, checkpoint_seq=0, closed=True, head=Head(), kept=0, open=(), sealed=False)
"""A chain that has not begun."""


def recover(key: ChainKey, segment: int, content: Content, before: Record | None) -> Recovered:
    """Where a chain stands, from the bytes of its last segment and the last record of the segment before.

    `before` is None for the first segment alone. Raises `journal_broken` with the place.
    """
    scan = _Scan(before)
    offset = 0
    line_number = 0
    while (end := content.find(b"\n", offset)) >= 0:
        line_number += 1
        line = content[offset:end]
        try:
            scan.step(line)
        except WardwrightError as error:
            if b"\0" in line:
                break
            place = Place(file=segment_name(key, segment), line=line_number)
            raise WardwrightError("journal_broken", error.message, place=place, hint=_HINT) from error
        offset = end + 1
    try:
        return scan.recovered(key, kept=offset)
    except WardwrightError as error:
        place = Place(file=segment_name(key, segment), line=max(line_number, 1))
        raise WardwrightError("journal_broken", error.message, place=place, hint=_HINT) from error


_HINT: Final = "`wardwright journal verify` says more; a new writer slot leaves this chain as it is"


class _Scan:
    def __init__(self, before: Record | None) -> None:
        self.sealed: Checkpoint | None = None
        self.count = 0
        self.line = b""
        self.before = before
        self._prev = _prev(GENESIS if before is None else before.id)
        checkpoint = None if before is None else checkpoint_of(before)
        if before is not None and checkpoint is None:
            raise WardwrightError("journal_broken", "the segment before ends without a checkpoint")
        self.open = OpenCalls(() if checkpoint is None else checkpoint.seal.open)

    def step(self, line: bytes) -> None:
        name, tail = named(line)
        if self._prev not in tail:
            raise WardwrightError("journal_broken", "prev is not the id of the record before")
        if self.sealed is not None:
            raise WardwrightError("journal_broken", "a record follows the checkpoint that ends its segment")
        if tail.startswith(_CALLS):
            self._step_call(line, tail)
        elif tail.startswith(_CHECKPOINT):
            self.sealed = checkpoint_of(read(line))
        self._prev = _prev(name)
        self.count += 1
        self.line = line

    def _step_call(self, line: bytes, tail: bytes) -> None:
        # A call that was never opened needs no decoding to be closed.
        if len(self.open) or tail.startswith(_OPENED):
            self.open.step(read(line))

    def recovered(self, key: ChainKey, kept: int) -> Recovered:
        before = self.before
        start = 0 if before is None else before.seq
        last = before if self.count == 0 else read(self.line)
        if last is None:
            return NOTHING
        if (last.writer, last.chain) != (key.writer, key.chain):
            raise WardwrightError("journal_broken", f"the record belongs to {last.writer}/{last.chain}")
        if last.seq != start + self.count:
            raise WardwrightError("journal_broken", f"seq {last.seq} where {start + self.count} records stand")
        checkpoint = last if self.sealed is not None else before
        return Recovered(
            checkpoint=None if checkpoint is None else checkpoint.id,
            checkpoint_seq=0 if checkpoint is None else checkpoint.seq,
            closed=self.sealed is not None and self.sealed.seal.reason == "closed",
            head=Head(at=last.at, id=last.id, lam=last.lam, seq=last.seq),
            kept=kept,
            open=self.open.calls() if self.sealed is None else self.sealed.seal.open,
            sealed=self.sealed is not None,
        )


def _prev(name: str) -> bytes:
    return f'"prev":"{name}"'.encode()
