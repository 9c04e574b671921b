"""Lines: strict reading, upcasters, and what may never be written."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import msgspec
import pytest

from wardwright.journal.entry import VERSION, Chain, Entry
from wardwright.journal.life import OpenCalls
from wardwright.journal.record import UPCASTERS, parse, read
from wardwright.journal.scribe import Head, Scribe
from wardwright.journal.store import ChainKey
from wardwright.journal.verify import Intact, verify_chain
from wardwright.kernel import canonical
from wardwright.kernel.errors import WardwrightError
from wardwright.storage.keys import SignatureCheck
from wardwright.testing.journal import MemoryStore, signer_of

GOLDEN = Path(__file__).parents[2] / "golden" / "journal"
WRITER = "node_test/gateway-0"


class Data(msgspec.Struct, frozen=True):
    amount: int = 1
    receipt: str = "rcp_1"


def scribe() -> Scribe:
    heads: dict[Chain, Head] = {"calls": Head(), "control": Head()}
    return Scribe(node="node_test", writer=WRITER, heads=heads)


def line() -> bytes:
    return scribe().place(Entry("test", Data(), at=1))[:-1]


def renamed(value: dict[str, object]) -> bytes:
    """A line whose id is right, whatever else is wrong with it."""
    value.pop("id", None)
    name = hashlib.sha256(canonical.encode(value)).hexdigest()
    return canonical.encode({**value, "id": name})


def changed(**members: object) -> bytes:
    return renamed({**json.loads(line()), **members})


def refusal(text: bytes) -> str:
    with pytest.raises(WardwrightError) as refused:
        parse(text)
    assert refused.value.code == "journal_broken"
    return refused.value.message


def test_a_line_with_the_right_id_is_read() -> None:
    assert parse(changed(kind="other")).kind == "other"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "not a record"),
        (b"{}", "not a record"),
        (b"\xff\xfe", "not a record"),
        (b"[" * 100_000, "not a record"),
        (changed(extra=1), "does not know"),
        (changed(lam="1"), "not a record"),
        (changed(chain="other"), "not a record"),
        (changed(data={"share": 0.5}), "no canonical form"),
        (changed(data={"amount": 2**53}), "integer beyond"),
        (changed(data={"amount": -(2**60)}), "integer beyond"),
        (changed(data={"schlüssel": 1}), "not ASCII"),
        (changed(refs=[{"id": "x", "rel": "cousin"}]), "not a record"),
        (changed(v=VERSION + 1), "newer than"),
        (changed(v=0), "no release wrote"),
    ],
)
def test_what_is_no_record_is_refused_with_a_reason(text: bytes, words: str) -> None:
    assert words in refusal(text)


def test_a_line_in_another_spelling_is_refused() -> None:
    value = json.loads(line())
    name = value.pop("id")
    spaced = json.dumps(value, sort_keys=True, separators=(", ", ":")).encode()
    digest = hashlib.sha256(spaced).hexdigest()
    at = spaced.index(b', "kind"')
    assert digest != name
    assert "canonical" in refusal(spaced[:at] + b',"id":"' + digest.encode() + b'"' + spaced[at:])


def test_text_that_looks_like_an_id_does_not_mislead() -> None:
    class Sly(msgspec.Struct, frozen=True):
        id: str
        receipt: str

    sly = Sly(id="0" * 64, receipt='","id":"' + "1" * 64 + '"')
    entry = Entry("test", sly, at=1, run='x,"id":"' + "2" * 64 + '"', refs=(("parent", "3" * 64),))
    text = scribe().place(entry)[:-1]
    assert parse(text).id == entry.id


def test_an_old_version_is_lifted_when_read() -> None:
    old = changed(v=0, lam="7")

    def lift(text: bytes) -> bytes:
        value = json.loads(text)
        return canonical.encode({**value, "lam": int(value["lam"]), "v": 1})

    assert parse(old, {0: lift}).lam == 7
    assert read(old, {0: lift}).lam == 7


def test_every_version_before_this_one_has_an_upcaster_and_a_golden_file() -> None:
    assert sorted(UPCASTERS) == list(range(1, VERSION))
    assert sorted(path.name for path in GOLDEN.glob("v*.jsonl")) == [
        f"v{version}.jsonl" for version in range(1, VERSION + 1)
    ]


def test_the_golden_file_of_version_1_reads_as_ever() -> None:
    store = MemoryStore()
    key = ChainKey(WRITER, "calls")
    store.content[key] = {1: bytearray((GOLDEN / "v1.jsonl").read_bytes())}
    signer = signer_of()
    found = verify_chain(key, store.lines(key), SignatureCheck({signer.key: signer.public}))
    assert isinstance(found, Intact), found
    calls = OpenCalls()
    for text in store.lines(key):
        calls.step(parse(text.text))
    assert (found.records, len(calls)) == (7, 1)


class Real(msgspec.Struct, frozen=True):
    share: float


class Map(msgspec.Struct, frozen=True):
    names: dict[str, int]


class Raw(msgspec.Struct, frozen=True):
    raw: msgspec.Raw


class Set(msgspec.Struct, frozen=True):
    some: frozenset[str]


class Deep(msgspec.Struct, frozen=True):
    inner: tuple[Real | None, ...]


class Named(msgspec.Struct, frozen=True, rename={"amount": "menge_ü"}):
    amount: int


@pytest.mark.parametrize(
    "data",
    [Real(0.5), Map({}), Raw(msgspec.Raw(b"1")), Set(frozenset()), Deep(()), Named(1)],
    ids=lambda d: type(d).__name__,
)
def test_a_type_that_could_hold_what_has_no_canonical_form_is_refused(data: msgspec.Struct) -> None:
    hand = scribe()
    with pytest.raises(WardwrightError) as refused:
        hand.place(Entry("test", data, at=1))
    assert refused.value.code == "record_invalid"
    assert hand.head("calls") == Head()


@pytest.mark.parametrize(
    "entry",
    [
        Entry("test", Data(receipt="\ud800"), at=1),
        Entry("test", Data(), at=1, actor="\ud800"),
        Entry("test", Data(), at=1, run="\ud800"),
        Entry("test", Data(), at=1, refs=(("parent", Entry("never placed", Data(), at=1)),)),
    ],
    ids=["text", "actor", "run", "ref"],
)
def test_what_cannot_be_placed_leaves_no_gap(entry: Entry) -> None:
    hand = scribe()
    with pytest.raises(WardwrightError):
        hand.place(entry)
    assert entry.id is None
    assert parse(hand.place(Entry("test", Data(), at=1))[:-1]).seq == 1


@pytest.mark.parametrize("amount", [2**53 - 1, -(2**53 - 1), 9 * 10**14])
def test_the_largest_integers_are_written(amount: int) -> None:
    text = scribe().place(Entry("test", Data(amount=amount), at=1))
    assert msgspec.json.decode(parse(text[:-1]).data, type=Data).amount == amount


def test_a_recursive_type_is_judged_once() -> None:
    entry = Entry("test", Tree(branches=(Tree(branches=()),)), at=1)
    assert b'{"branches":[{"branches":[]}]}' in scribe().place(entry)


class Tree(msgspec.Struct, frozen=True):
    branches: tuple[Tree, ...]
