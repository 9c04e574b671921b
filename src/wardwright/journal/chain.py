"""One walk along a chain, line by line, that stops at the first thing that is wrong.

What is proven of every record: canonical bytes, an id that hashes them, `prev` and `seq` that follow the record before,
`lam` that rises past it and past what it refers to, `at` that never falls. Of every checkpoint: that it states what the
walk saw, and its signature. Of the segments: that none is missing, and that each but the last ends with a checkpoint.

A chain may begin past its first record only where a signed retirement in the control chain says what stood before.
Memory is bounded: the ids of the last REFS_KEPT records are kept to judge what refers to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NoReturn

from wardwright.journal.checkpoint import Check, Checkpoint, Retired, checkpoint_of, retired_of, signed
from wardwright.journal.entry import GENESIS, Chain, Record
from wardwright.journal.life import OpenCalls
from wardwright.journal.record import parse
from wardwright.journal.store import ChainKey, Line, segment_name
from wardwright.kernel.errors import Place, WardwrightError

REFS_KEPT: Final = 262_144


class ChainWalk:
    """The state of one walk. Feed every line of the chain to `step`, oldest first."""

    def __init__(self, key: ChainKey, check: Check, retired: Mapping[int, str] | None = None) -> None:
        self.key = key
        self.records = 0
        self.checkpoints = 0
        self.refs_unseen = 0
        """References to records outside this chain, or further back than REFS_KEPT."""
        self.last: Record | None = None
        self.sealed: Checkpoint | None = None
        """The checkpoint that `last` is, if it is one."""
        self.torn: Place | None = None
        """Where the chain's tail is torn: an unfinished line, or a page that the disk never received."""
        self.retirements: dict[Chain, dict[int, str]] = {}
        """What this (control) chain says was retired: by chain, the id that stood at a `seq`."""
        self._check = check
        self._retired = retired or {}
        self._segment = 0
        self._line = 0
        self._checkpoint: tuple[int, str | None] = (0, None)
        self._lams: dict[str, int] = {}
        self._open: OpenCalls | None = OpenCalls()

    def step(self, line: Line) -> Record | None:
        """The record of the next line, proven; None for what belongs to a torn tail.

        Raises `journal_broken` with the place.
        """
        self._enter(line)
        if self.torn is not None:
            return None
        if not line.whole:
            self.torn = self.place
            return None
        try:
            record = parse(line.text)
            self._follow(record)
            self._judge_refs(record)
            self._judge_statements(record)
        except WardwrightError as error:
            if b"\0" in line.text:
                self.torn = self.place
                return None
            raise WardwrightError(error.code, error.message, place=self.place, hint=error.hint) from error
        self.last = record
        self.records += 1
        return record

    @property
    def place(self) -> Place:
        """The line that was looked at last."""
        return Place(file=segment_name(self.key, self._segment), line=self._line)

    def _enter(self, line: Line) -> None:
        if line.segment == self._segment:
            self._line += 1
            return
        before, self._segment, self._line = self._segment, line.segment, 1
        if not before:
            return
        if self.torn is not None:
            raise WardwrightError("journal_broken", "records follow a torn line", place=self.torn)
        if line.segment != before + 1:
            self._stop(f"segment {before + 1} is missing")
        if self.sealed is None:
            self._stop(f"segment {before} ends without a checkpoint")

    def _follow(self, record: Record) -> None:
        if record.writer != self.key.writer or record.chain != self.key.chain:
            _broken(f"the record belongs to {record.writer}/{record.chain}")
        if not record.writer.startswith(f"{record.node}/"):
            _broken(f"the writer {record.writer} is none of node {record.node}")
        last = self.last
        if last is None:
            self._begin(record)
            return
        if self.sealed is not None and self._line > 1:
            _broken("a record follows the checkpoint that ends its segment")
        if record.seq <= last.seq:
            _broken(f"a fork: seq {record.seq} after seq {last.seq}")
        if record.seq != last.seq + 1:
            _broken(f"seq {record.seq} after seq {last.seq}: {record.seq - last.seq - 1} records are missing")
        if record.prev != last.id:
            _broken("prev is not the id of the record before")
        if record.lam <= last.lam:
            _broken(f"lam {record.lam} does not exceed {last.lam}")
        if record.at < last.at:
            _broken(f"at {record.at} runs backwards")

    def _begin(self, record: Record) -> None:
        if record.seq == 1 and record.prev == GENESIS:
            return
        if record.seq == 1 or self._retired.get(record.seq - 1) != record.prev:
            _broken(f"the chain begins at seq {record.seq}, and no signed retirement accounts for what stood before")
        self._checkpoint = (record.seq - 1, record.prev)
        self._open = None

    def _judge_refs(self, record: Record) -> None:
        lams = self._lams
        for ref in record.refs:
            lam = lams.get(ref.id)
            if lam is None:
                self.refs_unseen += 1
            elif lam >= record.lam:
                _broken(f"lam {record.lam} does not exceed that of the record it refers to")
        lams[record.id] = record.lam
        if len(lams) > REFS_KEPT:
            del lams[next(iter(lams))]

    def _judge_statements(self, record: Record) -> None:
        checkpoint = checkpoint_of(record)
        if checkpoint is not None:
            self._judge_seal(record, checkpoint)
            self.checkpoints += 1
            self._checkpoint = (record.seq, record.id)
            self._open = OpenCalls(checkpoint.seal.open)
        elif self._open is not None:
            self._open.step(record)
        self.sealed = checkpoint
        retired = retired_of(record)
        if retired is not None:
            self._judge_retired(retired)

    def _judge_seal(self, record: Record, checkpoint: Checkpoint) -> None:
        seal = checkpoint.seal
        before, name = self._checkpoint
        if (seal.writer, seal.chain) != (record.writer, record.chain):
            _broken("the checkpoint speaks of another chain")
        if (seal.seq, seal.head) != (record.seq - 1, record.prev):
            _broken("the checkpoint states another head than the record before it")
        if (seal.first, seal.count, seal.prev) != (before + 1, record.seq - 1 - before, name):
            _broken("the checkpoint does not follow the checkpoint before it")
        if self._open is not None and seal.open != self._open.calls():
            _broken("the checkpoint states other open calls than the chain")
        if not signed(seal, checkpoint.signature, self._check):
            _broken(f"the checkpoint's signature does not verify under key {seal.key}")

    def _judge_retired(self, retired: Retired) -> None:
        statement = retired.retirement
        if self.key.chain != "control" or statement.writer != self.key.writer or statement.chain == "control":
            _broken("a retirement that this chain has no say in")
        if not signed(statement, retired.signature, self._check):
            _broken(f"the retirement's signature does not verify under key {statement.key}")
        self.retirements.setdefault(statement.chain, {})[statement.seq] = statement.head

    def _stop(self, message: str) -> NoReturn:
        raise WardwrightError("journal_broken", message, place=self.place)


def _broken(message: str) -> NoReturn:
    raise WardwrightError("journal_broken", message)
