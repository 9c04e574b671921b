"""Is the journal what its writers wrote? Intact, broken at a place, or incomplete.

*intact*: every record is proven and the chain ends with a checkpoint that closed it. *broken*: a record was changed,
dropped, moved or added; the place is the first line that cannot be so. *incomplete*: everything there is proven, yet
the end is not: the writer still runs, was killed, or the tail was cut off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import msgspec

from wardwright.journal.chain import ChainWalk
from wardwright.journal.checkpoint import Check
from wardwright.journal.entry import Chain, Record
from wardwright.journal.store import ChainKey, Line, Reader
from wardwright.kernel.errors import Place, WardwrightError


class Intact(msgspec.Struct, frozen=True, kw_only=True, tag="intact", tag_field="verdict"):
    chain: ChainKey
    checkpoints: int
    head: str
    """The id of the last record: compare it with a copy kept elsewhere."""
    records: int
    refs_unseen: int
    """References to records outside the chain."""
    seq: int


class Incomplete(msgspec.Struct, frozen=True, kw_only=True, tag="incomplete", tag_field="verdict"):
    chain: ChainKey
    place: Place | None
    """The torn line, or the last one; None for a chain that holds nothing."""
    reason: str
    records: int


class Broken(msgspec.Struct, frozen=True, kw_only=True, tag="broken", tag_field="verdict"):
    chain: ChainKey
    place: Place
    reason: str
    records: int
    """How many were proven before the place."""


Verdict: TypeAlias = Intact | Incomplete | Broken


class Fork(msgspec.Struct, frozen=True, kw_only=True):
    """Two histories of one chain: a writer ran twice, or a copy was continued."""

    chain: ChainKey
    ids: tuple[str, str]
    seq: int
    """Where they part."""


def verify(reader: Reader, check: Check) -> tuple[Verdict, ...]:
    """A verdict for every chain of a journal, control chains before what they account for."""
    verdicts: list[Verdict] = []
    keys = set(reader.chains())
    for writer in sorted({key.writer for key in keys}):
        control = ChainKey(writer, "control")
        retirements: dict[Chain, dict[int, str]] = {}
        if control in keys:
            walk = ChainWalk(control, check)
            verdicts.append(_walked(walk, reader.lines(control)))
            retirements = walk.retirements
        key = ChainKey(writer, "calls")
        if key in keys or retirements.get("calls"):
            verdicts.append(verify_chain(key, reader.lines(key), check, retirements.get("calls")))
    return tuple(verdicts)


def verify_chain(
    key: ChainKey, lines: Iterable[Line], check: Check, retired: Mapping[int, str] | None = None
) -> Verdict:
    """The verdict over one chain. `retired` is what its control chain accounts for: the id that stood at a `seq`."""
    return _walked(ChainWalk(key, check, retired), lines)


def fork(key: ChainKey, left: Iterable[Record], right: Iterable[Record]) -> Fork | None:
    """Where two copies of one chain part, both walked by rising `seq`; None when one merely goes on further."""
    ones, others = iter(left), iter(right)
    one, other = next(ones, None), next(others, None)
    while one is not None and other is not None:
        if one.seq < other.seq:
            one = next(ones, None)
        elif other.seq < one.seq:
            other = next(others, None)
        elif one.id != other.id:
            return Fork(chain=key, ids=(one.id, other.id), seq=one.seq)
        else:
            one, other = next(ones, None), next(others, None)
    return None


def _walked(walk: ChainWalk, lines: Iterable[Line]) -> Verdict:
    try:
        for line in lines:
            walk.step(line)
    except WardwrightError as error:
        if error.code != "journal_broken" or error.place is None:
            raise
        return Broken(chain=walk.key, place=error.place, reason=error.message, records=walk.records)
    return _verdict(walk)


def _verdict(walk: ChainWalk) -> Verdict:
    if walk.torn is not None:
        reason = "the last line is torn"
        return Incomplete(chain=walk.key, place=walk.torn, reason=reason, records=walk.records)
    if walk.last is None:
        return Incomplete(chain=walk.key, place=None, reason="the chain holds no record", records=0)
    if walk.sealed is None or walk.sealed.seal.reason != "closed":
        reason = "no closing checkpoint: the writer still runs, or did not end in good order"
        return Incomplete(chain=walk.key, place=walk.place, reason=reason, records=walk.records)
    return Intact(
        chain=walk.key,
        checkpoints=walk.checkpoints,
        head=walk.last.id,
        records=walk.records,
        refs_unseen=walk.refs_unseen,
        seq=walk.last.seq,
    )
