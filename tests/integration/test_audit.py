"""The audit that every gateway of a test goes through finds what it is there to find."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import msgspec
import pytest

from parts import installation
from parts.audit import audit
from parts.installation import Installation, model, target
from wardwright.calls import receipt as rc
from wardwright.calls.receipt import Receipt
from wardwright.journal.entry import Entry
from wardwright.runtime.clock import SecretLuck, SystemClock
from wardwright.storage.keys import identity
from wardwright.storage.segments import SegmentWriter
from wardwright.storage.settings import JournalSettings


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An installation whose gateway answered one call whole, one as a stream, and refused one."""
    made = installation.at(
        tmp_path_factory.mktemp("audit"),
        {"kind": "provider", "name": "stage", "transport": "scripted"},
        model("chat", target("first", "stage"), target("second", "stage")),
    )
    with made.serving() as served:
        client = served.client()
        client.chat.completions.create(model="chat", messages=[{"role": "user", "content": "Hi"}])
        list(client.chat.completions.create(model="chat", messages=[{"role": "user", "content": "Hi"}], stream=True))
        served.http.post("/v1/chat/completions", json={"model": "nothing", "messages": []})
    return made


@pytest.fixture
def state(ended: Installation, tmp_path: Path) -> Path:
    """A copy of its state to do wrong to."""
    return Path(shutil.copytree(ended.state, tmp_path / "state"))


def add(state: Path, *entries: Entry) -> None:
    """Write to the journal as the gateway itself would."""

    async def write() -> None:
        clock = SystemClock()
        who = identity(state, now_us=clock.now_us(), luck=SecretLuck())
        writer = SegmentWriter(
            state,
            node=who.node,
            slot="gateway-0",
            signer=who.signer,
            clock=clock,
            loop=asyncio.get_running_loop(),
            settings=JournalSettings(),
        )
        writer.open()
        for entry in entries:
            writer.put(entry)
        writer.close()

    asyncio.run(write())


def test_what_a_gateway_leaves_behind_replays_and_verifies(ended: Installation, state: Path) -> None:
    (found,) = ended.audited
    assert (len(found.receipts), found.reproduced, found.undecided) == (3, 2, 1)
    assert audit(state) == found


def test_a_receipt_whose_decision_does_not_come_out_again_is_found(state: Path) -> None:
    receipt = audit(state).receipts[0]
    assert receipt.plan is not None
    swapped = msgspec.structs.replace(receipt.plan, attempts=receipt.plan.attempts[::-1])
    forged: Receipt = msgspec.structs.replace(receipt, plan=swapped, receipt="rcp_forged")
    add(state, Entry(rc.CLOSED, forged, at=receipt.started_at))
    with pytest.raises(AssertionError, match=r"rcp_forged.*the plan comes out as first, second, not second, first"):
        audit(state)


def test_a_decision_whose_contract_is_gone_is_found(state: Path) -> None:
    shutil.rmtree(state / "blobs" / "contracts")
    with pytest.raises(AssertionError, match="is not stored here"):
        audit(state)


def test_a_second_receipt_of_one_call_is_found(state: Path) -> None:
    receipt = audit(state).receipts[0]
    add(state, Entry(rc.CLOSED, receipt, at=receipt.started_at))
    with pytest.raises(AssertionError, match="written twice"):
        audit(state)


def test_a_call_that_was_opened_and_never_closed_is_found(state: Path) -> None:
    receipt = audit(state).receipts[0]
    opened = rc.Opened(
        attempt=0, caller=receipt.caller, contract="sha256:x", model="m", name="chat", provider="p",
        receipt="rcp_open", started_at=receipt.started_at, target="t",
    )  # fmt: skip
    add(state, Entry(rc.OPENED, opened, at=receipt.started_at))
    with pytest.raises(AssertionError, match=r"never closed: \['rcp_open'\]"):
        audit(state)


def test_a_changed_byte_is_found(state: Path) -> None:
    (segment,) = [path for path in state.rglob("*.jsonl") if "calls" in path.parts]
    segment.write_bytes(segment.read_bytes().replace(b'"status":"completed"', b'"status":"refused00"', 1))
    with pytest.raises(AssertionError, match="is broken at"):
        audit(state)


def test_a_missing_end_is_found_unless_the_gateway_was_killed(state: Path) -> None:
    (segment,) = [path for path in state.rglob("*.jsonl") if "calls" in path.parts]
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(b"".join(lines[:-1]))
    with pytest.raises(AssertionError, match="no closing checkpoint"):
        audit(state)
    assert len(audit(state, ended_well=False).receipts) == 3
