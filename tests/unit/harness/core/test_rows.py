"""From records of tool calls to rows and to what obligations see."""

from __future__ import annotations

import msgspec

from wardwright.calls.receipt import Caller
from wardwright.harness.core import receipt as tr
from wardwright.harness.core.before import Absent, Snapshot
from wardwright.harness.core.hands import Scope
from wardwright.harness.core.rows import Summary, lost_in, path_digest, row_of_tool, shown, summary_of
from wardwright.journal.entry import Record
from wardwright.journal.life import Lost
from wardwright.journal.rows import value_of

OPENED = tr.Opened(
    arguments="a1",
    caller=Caller(),
    effect="write-local",
    receipt="rct_1",
    scope=Scope(write=("/srv/a",)),
    snapshots=(Snapshot(before=Absent(), path="/srv/a"),),
    started_at=5,
    tool=tr.ToolRef(digest="d", name="file.write"),
)


def record(kind: str, data: object) -> Record:
    return Record(
        actor="harness", at=0, chain="calls", data=msgspec.Raw(msgspec.json.encode(data)), id="i", kind=kind, lam=1,
        node="n", prev="p", refs=(), run=None, seq=1, v=1, writer="n/harness-0",
    )  # fmt: skip


LOST = record(tr.LOST, Lost(opened="i", receipt="rct_1"))


def test_a_call_is_lost_once_that_is_recorded_and_not_while_it_is_under_way() -> None:
    opened = record(tr.OPENED, OPENED)
    assert lost_in([opened]) is None
    assert lost_in([]) is None
    found = lost_in([opened, LOST])
    assert found is not None
    assert (found.status, found.snapshots, found.scope) == ("lost", OPENED.snapshots, OPENED.scope)


def test_a_lost_call_has_a_row_by_which_it_is_found() -> None:
    row = row_of_tool(LOST, record(tr.OPENED, OPENED))
    assert row is not None
    found = value_of(row, Summary)
    assert (found.status, found.tool, found.writes) == ("lost", "file.write", path_digest("/srv/a"))
    assert row_of_tool(LOST, None) is None


def test_what_was_lost_shows_neither_success_nor_failure() -> None:
    found = lost_in([record(tr.OPENED, OPENED), LOST])
    assert found is not None
    assert (shown(found).completed, shown(found).failed) == (False, False)


def test_a_call_without_scope_touches_no_path() -> None:
    bare = tr.ToolReceipt(caller=Caller(), receipt="rct_2", started_at=1, status="refused", tool=OPENED.tool)
    assert (summary_of(bare).reads, summary_of(bare).writes) == ("", "")
