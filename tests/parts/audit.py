"""What every gateway that a test ran must leave behind: a journal that verifies, and receipts whose decisions replay.

Rule 1: a gateway that ended in good order leaves every chain intact; one that was killed leaves none broken.
Rule 2: a call has one receipt. Whatever was opened is closed, or after a kill lost at the next start.
Rule 3: every decision that a receipt records comes out again from its facts and the stored contracts; `unknown` is no
answer here, since nothing was forgotten. So it does when the call is simulated under the policies that it had.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import msgspec

from wardwright.calls import receipt as rc
from wardwright.calls.receipt import Receipt
from wardwright.journal.entry import Record
from wardwright.journal.life import Lost
from wardwright.journal.record import read
from wardwright.journal.verify import Broken, Intact, verify
from wardwright.rehearsal.recollection import Recollection
from wardwright.rehearsal.replay import replay
from wardwright.rehearsal.simulation import Candidate, Recorded, simulate
from wardwright.storage.blobs import contract_blobs
from wardwright.storage.keys import SignatureCheck, public_keys
from wardwright.storage.reader import SegmentReader


@dataclass(frozen=True)
class Audit:
    """What was found in order."""

    receipts: tuple[Receipt, ...]
    """Of closed calls, in the order in which they closed."""
    reproduced: int
    undecided: int
    """Refused before anything was decided."""


def audit(state: Path, *, ended_well: bool = True) -> Audit:
    """Look at all that a state folder holds. AssertionError for anything that is not as it must be."""
    reader = SegmentReader(state)
    for verdict in verify(reader, SignatureCheck(public_keys(state))):
        assert not isinstance(verdict, Broken), f"the chain {verdict.chain} is broken at {verdict.place}"
        assert isinstance(verdict, Intact) or not ended_well, f"the chain {verdict.chain} has no closing checkpoint"
    receipts = _closed(_calls(reader), ended_well=ended_well)
    store = contract_blobs(state)
    verdicts: Counter[str] = Counter()
    for receipt in receipts:
        again = replay(receipt, store.get)
        assert again.verdict in ("reproduced", "undecided"), f"{receipt.receipt}: {again.differences or again.why}"
        verdicts[again.verdict] += 1
        _require_the_same_facts(receipt)
    same = simulate((Recorded(receipt) for receipt in receipts), Candidate(), store.get)
    assert same.stopped is None, f"the rules over {same.stopped} decide otherwise now"
    assert not same.samples, f"under the same policies, decisions flip: {same.samples}"
    assert not any(one.unknown for one in same.rules), f"under the same policies, rules cannot be told: {same.rules}"
    return Audit(receipts, reproduced=verdicts["reproduced"], undecided=verdicts["undecided"])


def _require_the_same_facts(receipt: Receipt) -> None:
    """What a receipt says of a call in other words is what its rules read."""
    told = Recollection(receipt, None, None)
    for ruling in receipt.policy:
        rebuilt = told.facts(ruling.phase, [name for name, _ in ruling.facts], attempt=ruling.attempt).known
        for name, fact in ruling.facts:
            assert rebuilt.get(name, fact) == fact, f"{receipt.receipt}: {name} of the phase {ruling.phase}"


def _calls(reader: SegmentReader) -> list[Record]:
    return [
        read(line.text) for key in reader.chains() if key.chain == "calls" for line in reader.lines(key) if line.whole
    ]


def _closed(records: list[Record], *, ended_well: bool) -> tuple[Receipt, ...]:
    receipts = [msgspec.json.decode(record.data, type=Receipt) for record in records if record.kind == rc.CLOSED]
    opened = {
        msgspec.json.decode(record.data, type=rc.Opened).receipt for record in records if record.kind == rc.OPENED
    }
    closed = Counter(receipt.receipt for receipt in receipts)
    assert all(count == 1 for count in closed.values()), (
        f"receipts that were written twice: {closed - Counter(set(closed))}"
    )
    lost = {msgspec.json.decode(record.data, type=Lost).receipt for record in records if record.kind == rc.LOST}
    assert not lost & closed.keys(), "a call is both lost and closed"
    if ended_well:
        left_open = opened - closed.keys() - lost
        assert not left_open, f"opened and never closed: {sorted(left_open)}"
    return tuple(receipts)
