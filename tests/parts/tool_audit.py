"""What calls of tools must leave behind: receipts that are canonical, told once, and whose decisions are made again.

Rule 1: a call has one receipt; whatever was opened is closed or lost.
Rule 2: a receipt is canonical JSON, stands as its own canonical bytes, and decodes back equal.
Rule 3: every decision that it records comes out again from its facts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from wardwright.harness.core import receipt as tr
from wardwright.harness.core.receipt import ToolReceipt
from wardwright.harness.core.rows import receipt_in
from wardwright.harness.core.rules import Rules, again
from wardwright.journal.entry import Record
from wardwright.journal.life import mentioned
from wardwright.journal.record import read
from wardwright.journal.verify import Broken, Intact, verify
from wardwright.kernel import canonical
from wardwright.storage.keys import SignatureCheck, public_keys
from wardwright.storage.reader import SegmentReader


def audited(
    records: Iterable[Record], rules_of: Callable[[ToolReceipt], Rules | None] | None = None, *, all_ended: bool = True
) -> tuple[ToolReceipt, ...]:
    """Every receipt among the records. AssertionError for anything that is not as it must be."""
    opened: set[str] = set()
    ended: Counter[str] = Counter()
    found: list[ToolReceipt] = []
    for record in records:
        if record.kind == tr.OPENED:
            opened.add(mentioned(record.data))
        elif record.kind == tr.LOST:
            ended[mentioned(record.data)] += 1
        elif (receipt := receipt_in(record)) is not None:
            ended[receipt.receipt] += 1
            _require_canonical(record, receipt)
            if rules_of is not None:
                _require_again(receipt, rules_of(receipt))
            found.append(receipt)
    assert all(count == 1 for count in ended.values()), f"told twice: {ended - Counter(set(ended))}"
    assert not all_ended or opened <= ended.keys(), f"opened and never ended: {sorted(opened - ended.keys())}"
    return tuple(found)


def records_of(state: Path) -> list[Record]:
    """Of every chain of calls in a state directory."""
    reader = SegmentReader(state)
    keys = [key for key in reader.chains() if key.chain == "calls"]
    return [read(line.text) for key in keys for line in reader.lines(key) if line.whole]


def audited_state(state: Path, *, ended_well: bool = True) -> tuple[ToolReceipt, ...]:
    """The same over a state directory whose processes have ended; its chains verify."""
    reader = SegmentReader(state)
    for verdict in verify(reader, SignatureCheck(public_keys(state))):
        assert not isinstance(verdict, Broken), f"the chain {verdict.chain} is broken at {verdict.place}"
        assert isinstance(verdict, Intact) or not ended_well, f"the chain {verdict.chain} has no closing checkpoint"
    return audited(records_of(state), all_ended=ended_well)


def _require_canonical(record: Record, receipt: ToolReceipt) -> None:
    plain = msgspec.json.decode(record.data)
    canonical.require(plain)
    assert canonical.encode(plain) == bytes(record.data), f"{receipt.receipt} is not written canonically"
    assert msgspec.json.decode(msgspec.json.encode(receipt), type=ToolReceipt) == receipt


def _require_again(receipt: ToolReceipt, rules: Rules | None) -> None:
    assert rules is not None or not receipt.policy, f"{receipt.receipt} was decided by rules that are gone"
    for ruling in receipt.policy:
        assert rules is not None
        assert again(ruling, rules) == ruling.decision, f"{receipt.receipt}: {ruling.phase} is decided otherwise now"
