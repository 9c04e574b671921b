"""Clients that read at their own pace, and clients that leave: nothing is gathered or piles up, nobody is blamed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, cast

import pytest
from openai import OpenAI

from parts import contracts, raw_upstream
from parts.contracts import chat
from parts.gateway_thread import GatewayThread, running, until
from parts.raw_client import RawClient, request
from parts.raw_upstream import DONE, ROLE, STOP, RawUpstream, Turn, chunk, text
from wardwright.api.edge import Edge

PLAIN: Final = json.dumps(chat("m")).encode()
STREAMED: Final = json.dumps(chat("m", stream=True)).encode()
DRAINED: Final = json.dumps(chat("drained", stream=True)).encode()
DRAINED_WHOLE: Final = json.dumps(chat("drained")).encode()

EVENTS: Final = 10
WRITE_BUFFER_BYTES_MAX: Final = 65_536
FLOOD_BYTES: Final = 48 * 1024 * 1024
KERNEL_BYTES_MAX: Final = 20 * 1024 * 1024
"""What the sockets on both sides of the gateway may hold, generously."""


@pytest.fixture(scope="module")
def upstream() -> Iterator[RawUpstream]:
    with raw_upstream.running(raw_upstream.answers, send_buffer_bytes=65_536) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def gateway(upstream: RawUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayThread]:
    documents = [
        contracts.provider("up", upstream.base_url, breaker={"calls_min": 1}),
        contracts.provider("drains", upstream.base_url, breaker={"calls_min": 1}, on_client_left="drain"),
        contracts.model("m", "up"),
        contracts.model("drained", "drains"),
        contracts.model("brief", "drains", deadline_s=1),
    ]
    limits = {"write_buffer_bytes_max": WRITE_BUFFER_BYTES_MAX}
    with running(tmp_path_factory.mktemp("gateway"), documents, commit_delay_ms=1, limits=limits) as gateway:
        yield gateway


@pytest.fixture
def play(gateway: GatewayThread, upstream: RawUpstream) -> Iterator[RawUpstream]:
    """The upstream, for a play of the test's own; nobody is blamed for what it does."""
    gateway.ended()
    upstream.turns.clear()
    yield upstream
    upstream.play = raw_upstream.answers
    breakers = gateway.on_loop(lambda: gateway.runtime.gateway.health.all(gateway.runtime.gateway.now()))
    assert {health.state for health in breakers.values()} == {"closed"}
    with RawClient(gateway.port) as client:
        assert client.ask(request(PLAIN)).status == 200


def in_step(heard: threading.Semaphore) -> Callable[[Turn], None]:
    """Writes each event once the one before it was heard."""

    def plays(turn: Turn) -> None:
        turn.send(raw_upstream.SSE_HEAD)
        for event in (ROLE, *(text(f"{n} ") for n in range(EVENTS)), STOP):
            turn.send(chunk(event))
            assert heard.acquire(timeout=raw_upstream.PATIENCE_S), "the event did not arrive"
        turn.send(chunk(DONE), chunk(b""))

    return plays


def test_each_event_arrives_before_the_next_is_written(gateway: GatewayThread, play: RawUpstream) -> None:
    heard = threading.Semaphore(0)
    play.play = in_step(heard)
    with RawClient(gateway.port) as client:
        client.send(request(STREAMED))
        assert client.head().status == 200
        for _ in range(EVENTS + 2):
            assert client.chunk().count(b"data: ") == 1
            heard.release()
        assert client.chunk() == DONE
        assert client.chunk() == b""


def test_an_answer_in_pieces_of_a_byte_is_released_event_by_event(gateway: GatewayThread, play: RawUpstream) -> None:
    def byte_by_byte(turn: Turn) -> None:
        events = b"".join((ROLE, text("one "), text("two"), STOP, DONE))
        turn.send(raw_upstream.SSE_HEAD)
        turn.send(*(chunk(events[at : at + 1]) for at in range(len(events))), chunk(b""))

    play.play = byte_by_byte
    with RawClient(gateway.port) as client:
        body = client.ask(request(STREAMED)).body
    assert body.count(b"data: ") == 5
    assert body.endswith(DONE)


def test_each_event_reaches_whoever_uses_the_official_client_before_the_next_is_written(
    gateway: GatewayThread, play: RawUpstream
) -> None:
    heard = threading.Semaphore(0)
    play.play = in_step(heard)
    words = []
    with OpenAI(base_url=gateway.base_url, api_key="none", max_retries=0) as sdk:
        for event in sdk.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}], stream=True):
            words.append(event.choices[0].delta.content or "")
            heard.release()
    assert "".join(words) == "".join(f"{n} " for n in range(EVENTS))


@pytest.mark.parametrize("leave", ["close", "reset"])
@pytest.mark.parametrize("body", [PLAIN, STREAMED], ids=["whole", "streamed"])
@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 O"], ids=["silent", "half a head"])
def test_a_client_that_leaves_before_an_answer_frees_the_upstream(
    gateway: GatewayThread, play: RawUpstream, leave: str, body: bytes, said: bytes
) -> None:
    def waits(turn: Turn) -> None:
        turn.send(said)
        turn.wait_until_left()

    play.play = waits
    client = RawClient(gateway.port)
    client.send(request(body))
    turn = play.wait_for_turn(1)
    client.reset() if leave == "reset" else client.socket.close()
    assert turn.left.wait(10)
    one = gateway.ended_once()
    receipt = one.receipt
    assert (receipt.status, receipt.error, receipt.client.status) == ("client_left", "client_closed_request", 499)
    assert (receipt.client.upstream, receipt.client.text_chars) == ("cancelled", 0)
    assert receipt.client.left_us is not None
    assert not one.opened
    assert receipt.attempts[0].failure is None


def test_a_client_that_leaves_within_a_stream_frees_the_upstream(gateway: GatewayThread, play: RawUpstream) -> None:
    def begins(turn: Turn) -> None:
        turn.send(raw_upstream.SSE_HEAD, chunk(ROLE), chunk(text("one ")), chunk(text("two")))
        turn.wait_until_left()

    play.play = begins
    with RawClient(gateway.port) as client:
        client.send(request(STREAMED))
        client.until(b"two")
    assert play.wait_for_turn(1).left.wait(10)
    one = gateway.ended_once()
    receipt = one.receipt
    assert (receipt.status, receipt.client.status, receipt.client.upstream) == ("client_left", 200, "cancelled")
    assert receipt.client.text_chars == len("one two")
    assert (receipt.usage_source, one.opened) == ("estimated", True)
    assert receipt.selected is not None


@pytest.mark.parametrize("body", [DRAINED_WHOLE, DRAINED], ids=["whole", "streamed"])
def test_where_the_provider_bills_it_anyway_the_answer_is_read_to_its_end(
    gateway: GatewayThread, play: RawUpstream, body: bytes
) -> None:
    left = threading.Event()

    def goes_on(turn: Turn) -> None:
        if body is DRAINED:
            turn.send(raw_upstream.SSE_HEAD, chunk(ROLE), chunk(text("one ")))
            assert left.wait(10)
            usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
            counted = b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n"
            turn.send(*map(chunk, (text("two"), STOP, counted, DONE, b"")))
        else:
            assert left.wait(10)
            turn.send(raw_upstream.whole())

    play.play = goes_on
    with RawClient(gateway.port) as client:
        client.send(request(body))
        play.wait_for_turn(1)
        if body is DRAINED:
            client.until(b"one ")
    live = gateway.runtime.gateway.live
    gateway.until(lambda: gateway.on_loop(lambda: all(call.drains for call in live.values())), "the news of leaving")
    left.set()
    receipt = gateway.ended_once().receipt
    assert (receipt.status, receipt.client.upstream) == ("client_left", "drained")
    assert receipt.client.text_chars == (len("one ") if body is DRAINED else 0)
    assert (receipt.usage_source, receipt.usage.output) == ("reported", 2)
    assert not play.turns[0].left.is_set()


def test_draining_ends_with_the_deadline_of_the_call(gateway: GatewayThread, play: RawUpstream) -> None:
    def never_ends(turn: Turn) -> None:
        turn.send(raw_upstream.SSE_HEAD, chunk(ROLE), chunk(text("one ")))
        turn.wait_until_left()

    play.play = never_ends
    with RawClient(gateway.port) as client:
        client.send(request(json.dumps(chat("brief", stream=True)).encode()))
        client.until(b"one ")
    assert play.wait_for_turn(1).left.wait(10)
    receipt = gateway.ended_once().receipt
    assert (receipt.status, receipt.client.upstream) == ("client_left", "cancelled")
    assert receipt.attempts[0].failure == "total_timeout"


def flood(turn: Turn) -> None:
    """More than anyone should hold."""
    turn.send(raw_upstream.SSE_HEAD, chunk(ROLE))
    block = chunk(text("x" * 1000)) * 60
    while turn.sent < FLOOD_BYTES:
        turn.send(block)
    turn.send(chunk(STOP), chunk(DONE), chunk(b""))


def waiting_for(gateway: GatewayThread) -> int:
    """Bytes that the gateway holds for its clients."""
    edges = cast("set[Edge]", gateway.server.server_state.connections)
    return gateway.on_loop(lambda: sum(edge.transport.get_write_buffer_size() for edge in edges))


def stalls_at(turn: Turn) -> int:
    """How far the upstream comes before it is made to wait."""
    seen, since = -1, time.monotonic()
    while time.monotonic() - since < 0.3:
        if turn.sent != seen:
            seen, since = turn.sent, time.monotonic()
        time.sleep(0.01)
    return seen


def test_a_client_that_reads_slowly_makes_the_upstream_wait_and_the_gateway_hold_little(
    gateway: GatewayThread, play: RawUpstream
) -> None:
    play.play = flood
    with RawClient(gateway.port, receive_buffer_bytes=32_768, patience_s=30) as client:
        client.send(request(STREAMED))
        client.head()
        turn = play.wait_for_turn(1)
        stalled = stalls_at(turn)
        held = waiting_for(gateway)
        assert stalled < KERNEL_BYTES_MAX
        assert 0 < held <= WRITE_BUFFER_BYTES_MAX + 2 * 262_144  # one read of the upstream's, rendered
        with RawClient(gateway.port) as other:
            play.play = raw_upstream.answers
            assert other.ask(request(PLAIN)).status == 200
        received = len(client._heard)
        ended = False
        while not ended:
            data = client.chunk()
            received += len(data)
            ended = data == b""
        assert received > FLOOD_BYTES
    slow = next(one.receipt for one in gateway.ended(2) if one.receipt.request.stream)
    assert slow.status == "completed"
    print(f"the upstream waited after {stalled / 1e6:.1f} MB of {FLOOD_BYTES / 1e6:.0f}; the gateway held {held} bytes")


def test_a_slow_client_that_leaves_does_not_hold_up_the_draining_of_its_answer(
    gateway: GatewayThread, play: RawUpstream
) -> None:
    play.play = flood
    with RawClient(gateway.port, receive_buffer_bytes=32_768) as client:
        client.send(request(DRAINED))
        client.head()
        assert stalls_at(play.wait_for_turn(1)) < KERNEL_BYTES_MAX
    receipt = gateway.ended_once().receipt
    assert (receipt.status, receipt.client.upstream) == ("client_left", "drained")
    assert play.turns[0].sent >= FLOOD_BYTES


def test_a_client_that_takes_nothing_is_let_go(tmp_path: Path) -> None:
    with raw_upstream.running(flood, send_buffer_bytes=65_536) as upstream:
        documents = [contracts.provider("up", upstream.base_url), contracts.model("m", "up", deadline_s=1)]
        limits = {"write_buffer_bytes_max": WRITE_BUFFER_BYTES_MAX, "idle_timeout_s": 1}
        with (
            running(tmp_path, documents, limits=limits) as gateway,
            RawClient(gateway.port, receive_buffer_bytes=32_768) as client,
        ):
            client.send(request(STREAMED))
            client.head()
            assert gateway.ended_once().receipt.error == "deadline_exceeded"
            assert upstream.turns[0].left.wait(10)
            connections = gateway.server.server_state.connections
            until(lambda: gateway.on_loop(lambda: not connections), "the end of the connection")
