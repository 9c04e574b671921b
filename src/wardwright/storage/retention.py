"""Retiring old calls: whole segments, each behind a signed statement that stays.

Rule 1: `control` is never retired, nor are the last KEPT segments of `calls`: the one being written, and the one before
it, whose checkpoint a start reads.
Rule 2: the statement is durable before the file goes. A stop in between leaves a segment that the next round deletes,
and a chain that verifies either way.
Rule 3: segments go oldest first, without gaps.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from wardwright.journal.checkpoint import RETIRED, Retirement, Signer, checkpoint_of, retire, retired_of
from wardwright.journal.entry import Entry, Record, Writer
from wardwright.journal.record import read
from wardwright.journal.store import ChainKey
from wardwright.kernel.errors import Place, WardwrightError
from wardwright.kernel.units import SECOND_US
from wardwright.storage import layout
from wardwright.storage.files import sync_dir
from wardwright.storage.reader import SegmentReader, last_line

KEPT: Final = 2


class RetentionPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept of `calls`; a segment goes when either bound is passed. None: no such bound."""

    age_max_s: int | None = None
    """Counted from a segment's last record."""
    bytes_max: int | None = None
    """Of one writer's sealed segments together."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A sealed segment that may be retired."""

    at: int
    """Of its last record, µs since the epoch."""
    bytes: int
    head: str
    segment: int
    seq: int


def due(candidates: tuple[Candidate, ...], policy: RetentionPolicy, now_us: int) -> tuple[Candidate, ...]:
    """Which of the candidates, oldest first, the policy no longer keeps."""
    kept = sum(candidate.bytes for candidate in candidates)
    gone = []
    for candidate in candidates:
        old = policy.age_max_s is not None and now_us - candidate.at > policy.age_max_s * SECOND_US
        big = policy.bytes_max is not None and kept > policy.bytes_max
        if not (old or big):
            break
        kept -= candidate.bytes
        gone.append(candidate)
    return tuple(gone)


def candidates(state: Path, writer: str) -> tuple[Candidate, ...]:
    """What may be retired of a writer's calls, oldest first: every segment but the last KEPT."""
    key = ChainKey(writer, "calls")
    found = []
    for segment in layout.segments(state, key)[:-KEPT]:
        path = layout.segment_path(state, key, segment)
        line = last_line(path)
        record = None if line is None else read(line)
        if record is None or checkpoint_of(record) is None:
            raise WardwrightError(
                "journal_broken", "the segment ends without a checkpoint", place=Place(file=str(path))
            )
        found.append(
            Candidate(at=record.at, bytes=path.stat().st_size, head=record.id, segment=segment, seq=record.seq)
        )
    return tuple(found)


def retire_segments(
    state: Path,
    writer_name: str,
    writer: Writer,
    signer: Signer,
    policy: RetentionPolicy,
    now_us: int,
    on_gone: Callable[[int, Exception | None], None],
) -> int:
    """Put a retirement for every segment that is due, and delete each once its retirement is durable; how many.

    Call it on the loop's thread: the deletion happens in the writer's call-back there, and `on_gone` hears the number
    of the segment and what kept it from going.
    """
    key = ChainKey(writer_name, "calls")
    gone = due(candidates(state, writer_name), policy, now_us)
    for candidate in gone:
        first = _first(state, key, candidate.segment)
        statement = Retirement(
            chain="calls",
            first=first.seq,
            head=candidate.head,
            key=signer.key,
            segment=candidate.segment,
            seq=candidate.seq,
            writer=writer_name,
        )
        entry = Entry(RETIRED, retire(statement, signer), at=now_us, chain="control", actor="journal")
        entry.on_durable = _deletion(state, key, candidate.segment, on_gone)
        writer.put(entry)
    return len(gone)


def finish(state: Path, writer: str) -> tuple[int, ...]:
    """Delete the segments whose retirement is durable and that are still there: a stop came in between.

    Reads the control chain; call it at leisure, after the writer was opened.
    """
    reader = SegmentReader(state)
    key = ChainKey(writer, "calls")
    there = layout.segments(state, key)
    if not there:
        return ()
    done = []
    for line in reader.lines(ChainKey(writer, "control")):
        if not line.whole or b'"kind":"segment.retired"' not in line.text:
            continue
        retired = retired_of(read(line.text))
        if retired is not None and retired.retirement.segment in there[:-KEPT]:
            _delete(state, key, retired.retirement.segment)
            done.append(retired.retirement.segment)
    return tuple(done)


def _deletion(
    state: Path, key: ChainKey, segment: int, on_gone: Callable[[int, Exception | None], None]
) -> Callable[[Exception | None], None]:
    def durable(failure: Exception | None) -> None:
        if failure is None:
            try:
                _delete(state, key, segment)
            except OSError as error:
                failure = error
        on_gone(segment, failure)

    return durable


def _delete(state: Path, key: ChainKey, segment: int) -> None:
    path = layout.segment_path(state, key, segment)
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    sync_dir(path.parent)


def _first(state: Path, key: ChainKey, segment: int) -> Record:
    with open(layout.segment_path(state, key, segment), "rb") as file:
        return read(file.readline().rstrip(b"\n"))
