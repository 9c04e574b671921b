"""What becomes of calls that wait for a journal that does not answer, or answers that it cannot."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from parts import contracts, raw_upstream
from parts.contracts import chat
from parts.gateway_thread import GatewayThread, running
from parts.raw_client import Answer, RawClient, request
from parts.raw_upstream import RawUpstream, Turn, chunk
from wardwright.calls.receipt import Receipt
from wardwright.journal.entry import Entry
from wardwright.journal.life import CLOSED, OPENED

FULL: Final = OSError(28, "No space left on device")


class HeldWriter:
    """A journal on a disk that does not answer until it is told what."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.entries: list[Entry] = []
        self.wrote = threading.Condition()

    def put(self, entry: Entry) -> None:
        with self.wrote:
            self.entries.append(entry)
            self.wrote.notify_all()

    def tell(self, failure: Exception | None) -> None:
        """Everyone who waits hears this. Belongs to the loop's thread."""
        for entry in list(self.entries):
            told, entry.on_durable = entry.on_durable, None
            if told is not None:
                told(failure)

    def wait_for(self, kind: str) -> None:
        with self.wrote:
            assert self.wrote.wait_for(lambda: kind in self.kinds(), 10), f"{kind} was not put"

    def kinds(self) -> list[str]:
        return [entry.kind for entry in self.entries]

    def receipt(self) -> Receipt:
        """Of the one call that closed."""
        (entry,) = (entry for entry in self.entries if entry.kind == CLOSED)
        assert isinstance(entry.data, Receipt)
        return entry.data


@contextmanager
def held(tmp_path: Path, upstream: RawUpstream, policy: str = "refuse") -> Iterator[tuple[GatewayThread, HeldWriter]]:
    """A gateway that promises durability, on a journal that does not answer."""
    documents = [
        contracts.provider("up", upstream.base_url, breaker={"calls_min": 1}),
        contracts.model("m", "up"),
        contracts.model("brief", "up", deadline_s=1),
    ]
    with running(tmp_path, documents, durability="before_response", on_journal_failure=policy) as gateway:
        core, writer = gateway.runtime.gateway, HeldWriter()
        kept = gateway.on_loop(lambda: core.writer)
        gateway.on_loop(lambda: setattr(core, "writer", writer))
        try:
            yield gateway, writer
            assert not gateway.on_loop(lambda: list(core.live)), "calls that never end"
            assert len(writer.entries) == len({id(entry) for entry in writer.entries})
        finally:
            gateway.on_loop(lambda: setattr(core, "writer", kept))


def ask(client: RawClient, model: str, *, stream: bool = False) -> None:
    client.send(request(json.dumps(chat(model, stream=stream)).encode()))


def refused(answer: Answer) -> tuple[int, str]:
    assert answer.headers["x-wardwright-receipt-id"] == answer.error["receipt_id"]
    return answer.status, answer.code


def test_an_answer_waits_for_its_receipt_no_longer_than_the_deadline_of_its_call(tmp_path: Path) -> None:
    with (
        raw_upstream.running(raw_upstream.answers) as upstream,
        held(tmp_path, upstream) as (gateway, writer),
        RawClient(gateway.port) as client,
    ):
        ask(client, "brief")
        assert refused(client.answer()) == (503, "journal_unavailable")
        assert writer.kinds() == [CLOSED]
        gateway.on_loop(lambda: writer.tell(None))
        ask(client, "brief")
        gateway.on_loop(lambda: None)
        writer.wait_for(CLOSED)
        gateway.until(lambda: len(writer.entries) == 2)
        gateway.on_loop(lambda: writer.tell(None))
        assert client.answer().status == 200


def test_a_stream_that_may_not_begin_in_time_is_refused_and_its_upstream_let_go(tmp_path: Path) -> None:
    def begins(turn: Turn) -> None:
        turn.send(raw_upstream.SSE_HEAD, chunk(raw_upstream.ROLE + raw_upstream.text("one ")))
        turn.wait_until_left()

    with (
        raw_upstream.running(begins) as upstream,
        held(tmp_path, upstream) as (gateway, writer),
        RawClient(gateway.port) as client,
    ):
        ask(client, "brief", stream=True)
        assert refused(client.answer()) == (503, "journal_unavailable")
        assert upstream.wait_for_turn(1).left.wait(10)
        assert writer.kinds() == [OPENED, CLOSED]
        assert writer.receipt().status == "failed"


def test_a_stream_that_was_complete_before_its_opening_failed_still_has_its_receipt(tmp_path: Path) -> None:
    with (
        raw_upstream.running(raw_upstream.answers) as upstream,
        held(tmp_path, upstream) as (gateway, writer),
        RawClient(gateway.port) as client,
    ):
        ask(client, "m", stream=True)
        writer.wait_for(OPENED)
        live = gateway.runtime.gateway.live
        gateway.until(lambda: gateway.on_loop(lambda: all(call.machine.closed for call in live.values())))
        gateway.on_loop(lambda: writer.tell(FULL))
        assert refused(client.answer()) == (503, "journal_unavailable")
        assert writer.kinds() == [OPENED, CLOSED]


def test_where_calls_go_on_without_a_journal_the_deadline_releases_the_answer(tmp_path: Path) -> None:
    with (
        raw_upstream.running(raw_upstream.answers) as upstream,
        held(tmp_path, upstream, "degrade") as (gateway, writer),
        RawClient(gateway.port) as client,
    ):
        ask(client, "brief")
        assert client.answer().status == 200
        ask(client, "brief", stream=True)
        gateway.until(lambda: OPENED in writer.kinds())
        gateway.on_loop(lambda: writer.tell(FULL))
        gateway.until(lambda: writer.kinds().count(CLOSED) == 2)
        gateway.on_loop(lambda: writer.tell(FULL))
        assert client.answer().body.endswith(b"data: [DONE]\n\n")


def test_a_refusal_waits_for_its_receipt_too(tmp_path: Path) -> None:
    with (
        raw_upstream.running(raw_upstream.answers) as upstream,
        held(tmp_path, upstream) as (gateway, writer),
        RawClient(gateway.port) as client,
    ):
        ask(client, "nobody")
        writer.wait_for(CLOSED)
        gateway.on_loop(lambda: writer.tell(None))
        assert refused(client.answer()) == (404, "model_not_found")
