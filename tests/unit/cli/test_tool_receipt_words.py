"""Receipts of tools as text."""

from __future__ import annotations

from wardwright.calls.receipt import Caller
from wardwright.cli.tool_receipt_words import lines
from wardwright.harness.core.before import Absent, File, Snapshot
from wardwright.harness.core.hands import Scope
from wardwright.harness.core.receipt import Status, ToolReceipt, ToolRef, Try


def receipt(status: Status, **members: object) -> ToolReceipt:
    given = {
        "caller": Caller(),
        "receipt": "rct_1",
        "started_at": 0,
        "status": status,
        "tool": ToolRef(digest="", name="file.write"),
        **members,
    }
    return ToolReceipt(**given)  # type: ignore[arg-type]


def told(made: ToolReceipt) -> dict[str, str]:
    """By label; further lines of one label left out."""
    return {line[:9].strip(): line[10:] for line in lines(made, {}) if line[:9].strip()}


def test_what_changed_is_told_before_and_after() -> None:
    snapshot = Snapshot(before=Absent(), after=File(digest="d", mode=0o644, size=3), path="/srv/a")
    unsealed = Snapshot(before=File(digest="d", mode=0o644, size=1), path="/srv/b")
    assert told(receipt("completed", snapshots=(snapshot,)))["changed"] == "/srv/a: absent -> 3 bytes"
    assert told(receipt("lost", snapshots=(unsealed,)))["changed"] == "/srv/b: 1 byte -> not known"


def test_attempts_are_numbered_where_there_are_several() -> None:
    once = receipt("completed", attempts=(Try(took_us=5),))
    twice = receipt("completed", attempts=(Try(error="tool_failed", took_us=5), Try(took_us=7)))
    assert told(once)["ran"] == "succeeded after 5 µs"
    assert told(twice)["ran"] == "attempt 1: failed: tool_failed after 5 µs"


def test_what_did_not_run_says_why_not() -> None:
    assert told(receipt("denied"))["ran"] == "not at all"
    assert told(receipt("completed", cached_from="rct_0"))["ran"] == "not at all: given again from rct_0"
    assert told(receipt("completed"))["ran"] == "its steps, each a call of its own"
    assert told(receipt("completed", undoes="rct_0"))["ran"] == "put back what was kept"


def test_a_scope_without_anything_in_it_reaches_nothing() -> None:
    assert told(receipt("completed", scope=Scope()))["reach"] == "nothing"
    assert told(receipt("completed", scope=Scope(hosts=("a:1",), programs=("git",))))["reach"] == "hosts a:1"


def test_a_call_that_is_under_way_is_not_called_lost() -> None:
    first = next(iter(lines(receipt("lost"), {}, "open")))
    assert first == "rct_1  file.write is under way, or its record is not written yet"
