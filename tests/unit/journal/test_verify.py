"""Verdicts: what is wrong, and where."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest

from wardwright.journal.checkpoint import Retirement, Signer, retire
from wardwright.journal.entry import Chain, Entry, Record
from wardwright.journal.life import OPENED
from wardwright.journal.record import parse, read
from wardwright.journal.scribe import Head, Scribe
from wardwright.journal.statements import ending
from wardwright.journal.store import ChainKey, Line
from wardwright.journal.verify import Broken, Fork, Incomplete, Intact, Verdict, fork, verify, verify_chain
from wardwright.kernel.errors import Place
from wardwright.storage.keys import SignatureCheck
from wardwright.testing.journal import MemoryStore, signer_of

SIGNER = signer_of()
CHECK = SignatureCheck({SIGNER.key: SIGNER.public})
WRITER = "node_test/gateway-0"
CALLS = ChainKey(WRITER, "calls")
CONTROL = ChainKey(WRITER, "control")


class Note(msgspec.Struct, frozen=True):
    receipt: str = ""


class Hand:
    """Writes chains that a real writer would never write."""

    def __init__(self, heads: dict[Chain, Head] | None = None) -> None:
        self.scribe = Scribe(node="node_test", writer=WRITER, heads=heads or {"calls": Head(), "control": Head()})
        self.before: dict[Chain, tuple[int, str | None]] = {"calls": (0, None), "control": (0, None)}

    def note(self, chain: Chain = "calls", kind: str = "test", **more: object) -> bytes:
        return self.scribe.place(Entry(kind, Note("rcp_1"), at=1, chain=chain, **more))  # type: ignore[arg-type]

    def put(self, entry: Entry) -> bytes:
        return self.scribe.place(entry)

    def end(self, chain: Chain = "calls", reason: str = "closed", signer: Signer = SIGNER) -> bytes:
        head = self.scribe.head(chain)
        kind = "closed" if reason == "closed" else "rotated"
        entry = ending(ChainKey(WRITER, chain), head, self.before[chain], (), kind, signer, 1)  # type: ignore[arg-type]
        line = self.scribe.place(entry)
        self.before[chain] = (head.seq + 1, entry.id)
        return line


def lines(*segments: Iterable[bytes]) -> list[Line]:
    return [
        Line(text.removesuffix(b"\n"), number, 0, text.endswith(b"\n"))
        for number, segment in enumerate(segments, 1)
        for text in segment
    ]


def verdict(*segments: Iterable[bytes], retired: dict[int, str] | None = None) -> Verdict:
    return verify_chain(CALLS, lines(*segments), CHECK, retired)


def reason(found: Verdict) -> str:
    assert isinstance(found, Broken), found
    return found.reason


def test_a_closed_chain_is_intact() -> None:
    hand = Hand()
    found = verdict([hand.note(), hand.note(), hand.end()])
    assert isinstance(found, Intact)
    assert (found.records, found.checkpoints, found.seq) == (3, 1, 3)


def test_a_chain_of_several_segments_is_intact() -> None:
    hand = Hand()
    assert isinstance(verdict([hand.note(), hand.end(reason="rotated")], [hand.note(), hand.end()]), Intact)


def test_a_chain_that_holds_nothing_is_incomplete() -> None:
    found = verdict()
    assert isinstance(found, Incomplete)
    assert found.place is None


def test_a_chain_without_its_end_is_incomplete() -> None:
    hand = Hand()
    found = verdict([hand.note(), hand.note()])
    assert isinstance(found, Incomplete)
    assert "no closing checkpoint" in found.reason


def test_a_rotated_checkpoint_is_no_end() -> None:
    hand = Hand()
    assert isinstance(verdict([hand.note(), hand.end(reason="rotated")]), Incomplete)


def test_an_unfinished_last_line_is_incomplete_at_its_place() -> None:
    hand = Hand()
    found = verdict([hand.note(), hand.note()[:-9]])
    assert isinstance(found, Incomplete)
    assert found.place == Place(file=f"{WRITER}/calls/00000001.jsonl", line=2)


def test_a_page_of_zeros_is_a_torn_tail() -> None:
    hand = Hand()
    assert isinstance(verdict([hand.note(), b"\0\0\0\n", hand.note()]), Incomplete)


def test_records_after_a_torn_segment_are_broken() -> None:
    hand = Hand()
    assert "follow a torn line" in reason(verdict([hand.note(), b"{"], [hand.note()]))


def test_the_place_of_a_break_is_the_line_that_cannot_be() -> None:
    hand = Hand()
    first, second, third = hand.note(), hand.note(), hand.note()
    found = verdict([first, second.replace(b"rcp_1", b"rcp_2"), third])
    assert isinstance(found, Broken)
    assert found.place == Place(file=f"{WRITER}/calls/00000001.jsonl", line=2)
    assert found.records == 1


def test_a_dropped_record_is_missed() -> None:
    hand = Hand()
    first, _, third = hand.note(), hand.note(), hand.note()
    assert "1 records are missing" in reason(verdict([first, third]))


def test_a_missing_segment_is_missed() -> None:
    hand = Hand()
    segments = [[hand.note(), hand.end(reason="rotated")] for _ in range(3)]
    found = verify_chain(CALLS, [line for line in lines(*segments) if line.segment != 2], CHECK)
    assert reason(found) == "segment 2 is missing"


def test_two_records_with_one_seq_are_a_fork() -> None:
    first, second = Hand().note(kind="ours"), Hand().note(kind="theirs")
    assert "a fork" in reason(verdict([first, second]))


def test_a_segment_without_its_checkpoint_is_broken() -> None:
    hand = Hand()
    assert "ends without a checkpoint" in reason(verdict([hand.note()], [hand.note(), hand.end()]))


def test_a_record_after_its_segments_checkpoint_is_broken() -> None:
    hand = Hand()
    assert "follows the checkpoint" in reason(verdict([hand.note(), hand.end(), hand.note()]))


def test_a_chain_without_its_beginning_is_broken() -> None:
    hand = Hand()
    _, rest = [hand.note(), hand.end(reason="rotated")], [hand.note(), hand.end()]
    assert "begins at seq 3" in reason(verdict(rest))


def test_a_chain_may_begin_where_a_retirement_ends() -> None:
    hand = Hand()
    _, checkpoint = hand.note(), hand.end(reason="rotated")
    retired = {2: parse(checkpoint[:-1]).id}
    assert isinstance(verdict([hand.note(), hand.end()], retired=retired), Intact)
    assert isinstance(verdict([hand.note(), hand.end()], retired={2: "0" * 64}), Broken)


def test_a_checkpoint_of_another_key_is_broken() -> None:
    hand = Hand()
    assert "signature does not verify" in reason(verdict([hand.note(), hand.end(signer=signer_of("mallory"))]))


def test_a_checkpoint_that_hides_an_open_call_is_broken() -> None:
    hand = Hand()
    assert "other open calls" in reason(verdict([hand.note(kind=OPENED), hand.end()]))


def test_a_checkpoint_that_skips_one_before_it_is_broken() -> None:
    hand = Hand()
    first = [hand.note(), hand.end(reason="rotated")]
    hand.before["calls"] = (0, None)
    assert "does not follow" in reason(verdict(first, [hand.note(), hand.end()]))


def test_a_record_of_another_chain_is_broken() -> None:
    hand = Hand()
    assert "belongs to" in reason(verdict([hand.note("control")]))


def test_lamport_time_must_rise() -> None:
    first = Hand().note()
    name = parse(first[:-1]).id
    late = Hand({"calls": Head(at=1, id=name, lam=0, seq=1), "control": Head()})
    assert "lam 1 does not exceed 1" in reason(verdict([first, late.note()]))


def test_at_must_not_fall() -> None:
    hand = Hand()
    first = hand.put(Entry("test", Note(), at=5))
    early = Hand({"calls": Head(at=0, id=parse(first[:-1]).id, lam=1, seq=1), "control": Head()})
    assert "runs backwards" in reason(verdict([first, early.note()]))


def test_references_beyond_the_chain_are_counted() -> None:
    hand = Hand()
    entry = Entry("test", Note(), at=1)
    first = hand.put(entry)
    second = hand.put(Entry("test", Note(), at=1, refs=(("parent", entry), ("evidence", "f" * 64))))
    found = verdict([first, second, hand.end()])
    assert isinstance(found, Intact)
    assert found.refs_unseen == 1


@pytest.mark.parametrize("key", ["node_evil", "node_test2"])
def test_a_writer_of_another_node_is_broken(key: str) -> None:
    scribe = Scribe(node=key, writer=WRITER, heads={"calls": Head()})
    assert "is none of node" in reason(verdict([scribe.place(Entry("test", Note(), at=1))]))


def retirement(chain: Chain, writer: str = WRITER, signer: Signer = SIGNER) -> Entry:
    statement = Retirement(chain=chain, first=1, head="a" * 64, key=signer.key, segment=1, seq=2, writer=writer)
    return Entry("segment.retired", retire(statement, signer), at=1, chain="control")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (retirement("control"), "no say in"),
        (retirement("calls", writer="node_test/other-0"), "no say in"),
        (retirement("calls", signer=signer_of("mallory")), "signature does not verify"),
    ],
)
def test_a_retirement_that_cannot_be_is_broken(entry: Entry, words: str) -> None:
    hand = Hand()
    assert words in reason(verify_chain(CONTROL, lines([hand.put(entry)]), CHECK))


def test_a_retired_chain_that_is_gone_altogether_is_incomplete() -> None:
    hand = Hand()
    store = MemoryStore()
    store.content[CONTROL] = {1: bytearray(hand.put(retirement("calls")) + hand.end("control"))}
    control, calls = verify(store, CHECK)
    assert isinstance(control, Intact)
    assert isinstance(calls, Incomplete)
    assert calls.chain == CALLS


def records(*texts: bytes) -> list[Record]:
    return [read(text[:-1]) for text in texts]


def test_copies_that_part_are_a_fork() -> None:
    left, right = Hand(), Hand()
    common = [left.note() for _ in range(3)]
    assert [right.note() for _ in range(3)] == common
    ours, theirs = left.note(kind="ours"), right.note(kind="theirs")
    found = fork(CALLS, records(*common, ours), records(*common[1:], theirs))
    (one,), (other,) = records(ours), records(theirs)
    assert found == Fork(chain=CALLS, ids=(one.id, other.id), seq=4)


def test_a_copy_that_ends_earlier_is_no_fork() -> None:
    hand = Hand()
    texts = [hand.note() for _ in range(4)]
    assert fork(CALLS, records(*texts), records(*texts[:2])) is None
