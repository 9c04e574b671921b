"""Calls that are open, as a fold over a chain."""

from __future__ import annotations

import msgspec
import pytest

from wardwright.journal.checkpoint import OpenCall
from wardwright.journal.entry import Chain, Entry, Record
from wardwright.journal.life import CLOSED, LOST, OPENED, Lost, OpenCalls, lost, receipt_of
from wardwright.journal.record import read
from wardwright.journal.scribe import Head, Scribe
from wardwright.journal.statements import ending
from wardwright.journal.store import ChainKey
from wardwright.kernel.errors import Place, WardwrightError
from wardwright.testing.journal import signer_of


class Note(msgspec.Struct, frozen=True):
    receipt: str
    text: str = ""


class Other(msgspec.Struct, frozen=True):
    number: int


@pytest.fixture
def scribe() -> Scribe:
    heads: dict[Chain, Head] = {"calls": Head(), "control": Head()}
    return Scribe(node="node_test", writer="node_test/gateway-0", heads=heads)


def placed(scribe: Scribe, kind: str, data: msgspec.Struct) -> Record:
    return read(scribe.place(Entry(kind, data, at=1))[:-1])


def test_what_was_opened_and_not_closed_is_open_in_the_order_of_opening(scribe: Scribe) -> None:
    calls = OpenCalls()
    opened = [placed(scribe, OPENED, Note(receipt)) for receipt in ("c", "a", "b")]
    for record in (*opened, placed(scribe, CLOSED, Note("a")), placed(scribe, "other", Other(1))):
        calls.step(record)
    assert calls.calls() == (
        OpenCall(opened=opened[0].id, receipt="c"),
        OpenCall(opened=opened[2].id, receipt="b"),
    )


def test_a_lost_call_is_open_no_more(scribe: Scribe) -> None:
    calls = OpenCalls()
    calls.step(placed(scribe, OPENED, Note("a")))
    (call,) = calls.calls()
    record = read(scribe.place(lost(call, at=2))[:-1])
    calls.step(record)
    assert (record.kind, len(calls)) == (LOST, 0)
    assert msgspec.json.decode(record.data, type=Lost) == Lost(opened=call.opened, receipt="a")
    assert [(ref.rel, ref.id) for ref in record.refs] == [("intent", call.opened)]


def test_closing_what_was_never_opened_changes_nothing(scribe: Scribe) -> None:
    calls = OpenCalls()
    calls.step(placed(scribe, CLOSED, Note("a")))
    assert calls.calls() == ()


def test_a_fold_may_begin_at_a_checkpoint(scribe: Scribe) -> None:
    there = (OpenCall(opened="f" * 64, receipt="a"),)
    key = ChainKey("node_test/gateway-0", "calls")
    entry = ending(key, scribe.head("calls"), (0, None), there, "rotated", signer_of(), 1)
    calls = OpenCalls()
    calls.step(read(scribe.place(entry)[:-1]))
    assert calls.calls() == there


def test_other_records_are_about_no_call(scribe: Scribe) -> None:
    assert receipt_of(placed(scribe, "other", Note("a"))) is None


def test_a_record_of_a_call_without_a_receipt_is_broken(scribe: Scribe) -> None:
    with pytest.raises(WardwrightError, match="names no receipt"):
        receipt_of(placed(scribe, CLOSED, Other(1)))


def test_a_place_in_a_segment_reads_as_file_and_line() -> None:
    assert str(Place(file="node_1/gateway-0/calls/00000001.jsonl", line=3)) == "node_1/gateway-0/calls/00000001.jsonl:3"
