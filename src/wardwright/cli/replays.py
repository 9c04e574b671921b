"""`wardwright receipt replay`: make the decisions of receipts again, from what they hold and what is stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Final

import click
import msgspec

from wardwright.calls.receipt import CLOSED, Receipt
from wardwright.cli.exits import Exit
from wardwright.cli.figures import counted
from wardwright.cli.options import json_option, state_option
from wardwright.cli.output import Output
from wardwright.cli.planning import plan_lines
from wardwright.cli.recorded import Recorded
from wardwright.harness.core.receipt import PREFIX as TOOL_PREFIX
from wardwright.harness.core.replayed import replay as replay_tool
from wardwright.journal.record import read
from wardwright.kernel.errors import WardwrightError
from wardwright.rehearsal.replay import Replay, Verdict, replay
from wardwright.runtime.offline import StoredJournal, require_state
from wardwright.runtime.tool_records import ToolRecords, closed_calls

DIFFERENCES_MAX: Final = 200
"""Replays told one by one; the rest is counted."""


class Replays(msgspec.Struct, frozen=True, kw_only=True):
    """What replaying many receipts found."""

    verdicts: dict[Verdict, int]
    told: tuple[Replay, ...]
    """The first of those that were not reproduced, calls that ended before any decision left out."""


@click.command("replay")
@click.argument("receipt", metavar="RECEIPT", required=False)
@click.option("--all", "every", is_flag=True, help="Replay every receipt that the journal holds.")
@state_option
@json_option
def replay_(receipt: str | None, every: bool, state: Path, out: Output) -> Exit:
    """Make the decisions of receipts again and compare.

    Nothing is called: the facts stand in the receipt, the contracts in the store. Exit 0 reproduced, 5 different,
    2 where a contract that took part is not stored here.
    """
    if every == (receipt is not None):
        raise WardwrightError("usage", "replay either one RECEIPT or `--all`")
    if receipt is None:
        require_state(state)
        return _replay_all(StoredJournal(state), out)
    with Recorded(state) as recorded:
        if receipt.startswith(f"{TOOL_PREFIX}_"):
            with ToolRecords(state) as tools:
                found = replay_tool(tools.receipt(receipt), recorded.load)
        else:
            found = replay(recorded.receipt(receipt), recorded.load)
    out.answer(found, lambda: lines(found))
    return _exit({found.verdict: 1})


def _replay_all(journal: StoredJournal, out: Output) -> Exit:
    counts: Counter[Verdict] = Counter()
    told: list[Replay] = []
    load = journal.contracts.get
    models = (replay(receipt, load) for receipt in _receipts(journal))
    for found in chain(models, (replay_tool(receipt, load) for receipt in closed_calls(journal.reader))):
        counts[found.verdict] += 1
        if found.verdict in ("different", "unknown") and len(told) < DIFFERENCES_MAX:
            told.append(found)
    found_all = Replays(verdicts=dict(sorted(counts.items())), told=tuple(told))
    out.answer(found_all, lambda: _all_lines(found_all))
    return _exit(counts)


def lines(found: Replay) -> Iterable[str]:
    """One replay for people."""
    yield f"{found.receipt}  {found.verdict}" + (f": {found.why}" if found.why else "")
    for difference in found.differences:
        yield f"  {difference}"
    if found.differences and found.plan is not None:
        yield "now:"
        for line in plan_lines(found.plan):
            yield f"  {line}"


def _all_lines(found: Replays) -> Iterable[str]:
    for one in found.told:
        yield from lines(one)
    told = ", ".join(f"{count} {verdict}" for verdict, count in found.verdicts.items())
    yield f"replayed {counted(sum(found.verdicts.values()), 'receipt')}: {told or 'there are none'}"


def _exit(counts: Iterable[Verdict]) -> Exit:
    verdicts = set(counts)
    if "different" in verdicts:
        return Exit.INTEGRITY
    return Exit.PENDING if "unknown" in verdicts else Exit.OK


def _receipts(journal: StoredJournal) -> Iterator[Receipt]:
    """Every receipt, straight from the journal."""
    reader = journal.reader
    for key in reader.chains():
        if key.chain == "calls":
            for line in reader.lines(key):
                if line.whole and (record := read(line.text)).kind == CLOSED:
                    yield msgspec.json.decode(record.data, type=Receipt)
