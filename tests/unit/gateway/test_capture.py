"""The tape between a call and its client."""

from __future__ import annotations

import pytest

from wardwright.dialects.openai_wire import error_body
from wardwright.gateway.capture import Tape
from wardwright.journal.captures import Body, Capture
from wardwright.kernel.errors import WardwrightError


class Shelf:
    """Keeps captures in memory. Implements `journal.captures.CaptureWriter`."""

    def __init__(self, *, bytes_max: int = 1000, full: bool = False) -> None:
        self.bytes_max = bytes_max
        self.full = full
        self.kept: list[tuple[str, str, Capture]] = []

    def admit(self) -> bool:
        return not self.full

    def put(self, tenant: str, receipt: str, capture: Capture) -> None:
        self.kept.append((tenant, receipt, capture))


class Listener:
    """Writes down what a client is told. Implements `gateway.client.Client`."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def answer(self, body: bytes, headers: bytes) -> None:
        self.told.append(("answer", body, headers))

    def begin(self, headers: bytes) -> None:
        self.told.append(("begin", headers))

    def send(self, data: bytes) -> None:
        self.told.append(("send", data))

    def finish(self) -> None:
        self.told.append(("finish",))

    def refuse(self, error: WardwrightError, receipt: str | None, retry_after_s: int | None) -> None:
        self.told.append(("refuse", error, receipt, retry_after_s))


ERROR = WardwrightError("model_not_found", "no such model")


def taped(shelf: Shelf, client: Listener, request: bytes = b"asked") -> Tape:
    return Tape(shelf, "acme", "rcp_1", request, client)


def test_a_whole_answer_is_kept_and_passed_on() -> None:
    shelf, client = Shelf(), Listener()
    tape = taped(shelf, client)
    assert tape.closed()
    tape.answer(b"told", b"x: y\r\n")
    assert client.told == [("answer", b"told", b"x: y\r\n")]
    kept = Capture(answer=Body(content=b"told", size=4), request=Body(content=b"asked", size=5))
    assert shelf.kept == [("acme", "rcp_1", kept)]


def test_a_stream_is_kept_as_it_was_sent() -> None:
    shelf, client = Shelf(), Listener()
    tape = taped(shelf, client)
    tape.begin(b"")
    tape.send(b"data: 1\n\n")
    assert tape.closed()
    tape.send(b"data: [DONE]\n\n")
    assert shelf.kept == []  # not before the client was told everything
    tape.finish()
    assert shelf.kept[0][2].answer.content == b"data: 1\n\ndata: [DONE]\n\n"
    assert client.told == [("begin", b""), ("send", b"data: 1\n\n"), ("send", b"data: [DONE]\n\n"), ("finish",)]


def test_a_refusal_is_kept_as_the_client_reads_it() -> None:
    shelf, client = Shelf(), Listener()
    tape = taped(shelf, client)
    assert tape.closed()
    tape.refuse(ERROR, "rcp_1", 3)
    assert shelf.kept[0][2].answer.content == error_body(ERROR, "rcp_1")
    assert client.told == [("refuse", ERROR, "rcp_1", 3)]


@pytest.mark.parametrize("closes_first", [False, True])
def test_a_client_that_left_heard_what_was_sent_until_then(closes_first: bool) -> None:
    shelf = Shelf()
    tape = taped(shelf, Listener())
    tape.begin(b"")
    tape.send(b"data: 1\n\n")
    if closes_first:
        assert tape.closed()
        tape.left()
    else:
        tape.left()
        assert shelf.kept == []  # the call goes on, and may yet be told to drop its bodies
        assert tape.closed()
    tape.left()
    assert [kept[2].answer.content for kept in shelf.kept] == [b"data: 1\n\n"]


def test_bodies_are_cut_at_their_bound_and_their_size_is_known() -> None:
    shelf, client = Shelf(bytes_max=6), Listener()
    tape = taped(shelf, client, b"a long request")
    for piece in (b"four", b"five5", b"six"):
        tape.send(piece)
    assert tape.closed()
    tape.finish()
    capture = shelf.kept[0][2]
    assert capture == Capture(answer=Body(content=b"fourfi", size=12), request=Body(content=b"a long", size=14))
    assert client.told[:3] == [("send", b"four"), ("send", b"five5"), ("send", b"six")]


def test_a_full_queue_costs_the_capture_and_not_the_call() -> None:
    shelf, client = Shelf(full=True), Listener()
    tape = taped(shelf, client)
    assert not tape.closed()
    tape.answer(b"told", b"")
    assert shelf.kept == []
    assert client.told == [("answer", b"told", b"")]
