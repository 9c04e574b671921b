"""Records are canonical whatever they hold, and no change to a segment goes unseen."""

from __future__ import annotations

import contextlib
import functools
import json
from typing import Literal

import msgspec
import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from wardwright.journal.entry import Chain, Entry
from wardwright.journal.record import named, parse, read
from wardwright.journal.recovery import recover
from wardwright.journal.scribe import Head, Scribe
from wardwright.journal.store import ChainKey
from wardwright.journal.verify import Broken, Incomplete, Intact, verify, verify_chain
from wardwright.kernel.canonical import INTEGER_MAX
from wardwright.kernel.errors import WardwrightError
from wardwright.storage.keys import SignatureCheck
from wardwright.testing.determinism import EPOCH_US, HandClock
from wardwright.testing.hand_loop import HandLoop
from wardwright.testing.journal import MemoryJournal, MemoryStore, signer_of

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
INTEGER = st.integers(-INTEGER_MAX, INTEGER_MAX)
SIGNER = signer_of()
CHECK = SignatureCheck({SIGNER.key: SIGNER.public})
CALLS = ChainKey("node_test/gateway-0", "calls")


class Leaf(msgspec.Struct, frozen=True, kw_only=True, tag="leaf", omit_defaults=True):
    amount: int
    words: tuple[str, ...] = ()


class Zebra(msgspec.Struct, frozen=True, kw_only=True, tag="zebra"):
    zeal: Literal["high", "low"]
    about: str | None
    """Out of alphabetical order on purpose."""


class Data(msgspec.Struct, frozen=True, kw_only=True):
    flag: bool | None
    members: tuple[Leaf | Zebra, ...]
    receipt: str


LEAF = st.builds(Leaf, amount=INTEGER, words=st.lists(TEXT, max_size=3).map(tuple))
ZEBRA = st.builds(Zebra, zeal=st.sampled_from(["high", "low"]), about=st.none() | TEXT)
DATA = st.builds(
    Data, flag=st.none() | st.booleans(), members=st.lists(LEAF | ZEBRA, max_size=4).map(tuple), receipt=TEXT
)


def scribe() -> Scribe:
    heads: dict[Chain, Head] = {"calls": Head(), "control": Head()}
    return Scribe(node="node_test", writer="node_test/gateway-0", heads=heads)


@given(st.lists(st.tuples(DATA, TEXT, TEXT, st.none() | TEXT, st.integers(0, INTEGER_MAX)), min_size=1, max_size=4))
def test_every_line_is_what_rfc_8785_writes_and_reads_back(
    rows: list[tuple[Data, str, str, str | None, int]],
) -> None:
    hand = scribe()
    placed: list[Entry] = []
    for data, kind, actor, run, at in rows:
        refs = tuple(("parent", earlier) for earlier in placed)
        entry = Entry(kind, data, at=at, actor=actor, run=run, refs=refs)  # type: ignore[arg-type]
        line = hand.place(entry)
        placed.append(entry)
        value = json.loads(line)
        assert rfc8785.dumps(value) + b"\n" == line
        name = value.pop("id")
        assert name == entry.id
        assert named(line[:-1])[0] == name
        record = parse(line[:-1])
        assert record == read(line[:-1])
        assert msgspec.json.decode(record.data, type=Data) == data
        assert (record.kind, record.actor, record.run, record.seq) == (kind, actor, run, len(placed))
        assert [ref.id for ref in record.refs] == [earlier.id for earlier in placed[:-1]]


@given(st.integers(INTEGER_MAX + 1, 10**40) | st.integers(-(10**40), -INTEGER_MAX - 1), TEXT)
def test_an_integer_that_readers_would_round_is_never_placed(amount: int, text: str) -> None:
    hand = scribe()
    entry = Entry("test", Leaf(amount=amount, words=(text,)), at=0)
    with pytest.raises(WardwrightError, match="integer beyond"):
        hand.place(entry)
    assert (hand.lam, entry.id) == (0, None)


@functools.cache
def whole() -> tuple[bytes, ...]:
    """The segments of a small chain that was closed in good order: two full ones and a last one."""
    store, loop = MemoryStore(), HandLoop()
    writer = MemoryJournal(store, loop=loop, clock=HandClock(), segment_bytes_max=1500)
    writer.open()
    for number in range(8):
        data = Data(flag=None, members=(Leaf(amount=number, words=("é", "\n")),), receipt=f"rcp_{number}")
        kind = "call.opened" if number % 2 else "test.note"
        writer.put(Entry(kind, data, at=EPOCH_US + number))
        loop.turn()
    writer.close()
    segments = store.content[CALLS]
    assert len(segments) == 3
    assert isinstance(verify(store, CHECK)[0], Intact)
    return tuple(bytes(segments[number]) for number in sorted(segments))


def holding(segments: tuple[bytes, ...]) -> MemoryStore:
    store = MemoryStore()
    store.content[CALLS] = {number: bytearray(content) for number, content in enumerate(segments, 1)}
    return store


def noticed(segments: tuple[bytes, ...]) -> None:
    if segments == whole():
        return
    verdict = verify_chain(CALLS, holding(segments).lines(CALLS), CHECK)
    assert isinstance(verdict, Broken | Incomplete), verdict


def continued(content: bytes) -> None:
    """Recovery from a changed last segment refuses, or goes on from what is whole: never past a changed record."""
    original = whole()[-1]
    before = read(whole()[-2].splitlines()[-1])
    with contextlib.suppress(WardwrightError):
        found = recover(CALLS, 3, content, before)
        assert content[: found.kept] == original[: found.kept]


def replaced(index: int, content: bytes) -> tuple[bytes, ...]:
    segments = whole()
    return (*segments[:index], content, *segments[index + 1 :])


SEGMENT = st.integers(0, 2)


@settings(max_examples=300)
@given(SEGMENT, st.data())
def test_no_changed_byte_goes_unseen(index: int, data: st.DataObject) -> None:
    content = bytearray(whole()[index])
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    noticed(replaced(index, bytes(content)))
    if index == 2:
        continued(bytes(content))


@settings(max_examples=200)
@given(SEGMENT, st.data())
def test_no_dropped_byte_goes_unseen(index: int, data: st.DataObject) -> None:
    content = whole()[index]
    at = data.draw(st.integers(0, len(content) - 1))
    noticed(replaced(index, content[:at] + content[at + 1 :]))


@settings(max_examples=200)
@given(SEGMENT, st.data())
def test_no_truncation_goes_unseen(index: int, data: st.DataObject) -> None:
    content = whole()[index][: data.draw(st.integers(0, len(whole()[index]) - 1))]
    noticed(replaced(index, content))
    if index == 2:
        continued(content)


@given(SEGMENT, st.data())
def test_no_change_of_whole_lines_goes_unseen(index: int, data: st.DataObject) -> None:
    lines = whole()[index].splitlines(keepends=True)
    one = data.draw(st.integers(0, len(lines) - 1))
    other = data.draw(st.integers(0, len(lines) - 1))
    swapped = lines.copy()
    swapped[one], swapped[other] = swapped[other], swapped[one]
    noticed(replaced(index, b"".join(swapped)))
    noticed(replaced(index, b"".join(lines[:one] + lines[one + 1 :])))
    noticed(replaced(index, b"".join([*lines[: one + 1], lines[one], *lines[one + 1 :]])))
    noticed(replaced(index, b"".join(lines[:one]) + b"\n" + b"".join(lines[one:])))


@given(st.permutations(range(3)), st.integers(0, 3))
def test_no_change_of_whole_segments_goes_unseen(order: list[int], count: int) -> None:
    noticed(tuple(whole()[index] for index in order[:count]))


@given(SEGMENT, st.data())
def test_no_insertion_goes_unseen(index: int, data: st.DataObject) -> None:
    content = whole()[index]
    at = data.draw(st.integers(0, len(content)))
    noticed(replaced(index, content[:at] + data.draw(st.binary(min_size=1, max_size=8)) + content[at:]))
