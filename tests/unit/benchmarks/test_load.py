"""The load against real sockets: a plain relay passes, relays that buffer, change or break answers void the window."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from benchmarks.behaviour import behaviour_of
from benchmarks.gate import UNDER_LOAD
from benchmarks.load import VARIANTS, Address, Measured, Outcome, Shape, Voided, crowd_at, held_streams, requests_for
from benchmarks.mock_upstream import serving

SLOW = "slow-5x20ms"


class End(asyncio.Protocol):
    """One end of a relayed connection: what arrives here leaves, changed, at the other end."""

    def __init__(self, change: Callable[[bytes], bytes], ends: list[asyncio.Transport]) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: End | None = None
        self._change = change
        self._ends = ends
        self._early = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._ends.append(transport)

    def data_received(self, data: bytes) -> None:
        self._early += self._change(data)
        self.flush()

    def flush(self) -> None:
        if self.other is not None and self.other.transport is not None and self._early:
            self.other.transport.write(self._early)
            self._early = b""

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()


class Buffering:
    """Gives nothing away until the last chunk of a stream has come: the fault that the gate must catch."""

    def __init__(self) -> None:
        self._held = b""

    def __call__(self, data: bytes) -> bytes:
        self._held += data
        if b"chunked" in self._held and not self._held.endswith(b"0\r\n\r\n"):
            return b""
        released, self._held = self._held, b""
        return released


def unchanged(data: bytes) -> bytes:
    return data


def misspelt(data: bytes) -> bytes:
    return data.replace(b"window", b"widnow")


@contextlib.asynccontextmanager
async def listening(protocol: Callable[[list[asyncio.Transport]], asyncio.Protocol]) -> AsyncIterator[int]:
    """A server whose connections are dropped at the end."""
    ends: list[asyncio.Transport] = []
    server = await asyncio.get_running_loop().create_server(lambda: protocol(ends), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for end in ends:
            end.abort()
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def relay(upstream_port: int, change: Callable[[], Callable[[bytes], bytes]]) -> AsyncIterator[int]:
    """A relay in front of the upstream that passes every answer through `change`."""
    joining: set[asyncio.Task[None]] = set()

    def accept(ends: list[asyncio.Transport]) -> asyncio.Protocol:
        client, server = End(unchanged, ends), End(change(), ends)

        async def join() -> None:
            await asyncio.get_running_loop().create_connection(lambda: server, "127.0.0.1", upstream_port)
            client.other, server.other = server, client
            client.flush()

        joining.add(asyncio.get_running_loop().create_task(join()))
        return client

    async with listening(accept) as port:
        yield port


class Scripted(asyncio.Protocol):
    """Answers every request with the same bytes and closes."""

    def __init__(self, answer: bytes, ends: list[asyncio.Transport]) -> None:
        self._answer = answer
        self._ends = ends
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ends.append(transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(self._answer)
        self._transport.close()


async def drive(port: int, model: str, *, callers: int = 2, calls: int = 4) -> Outcome:
    """The pace under load: these tests share their processor with others."""
    address = Address(port=port)
    shape = Shape(meant=behaviour_of(model), pace=UNDER_LOAD, requests=calls, window_max_s=5, patience_s=2)
    async with crowd_at(address, callers) as crowd:
        return await crowd.run(shape, requests_for(address, model, 1_000))


def through(change: Callable[[], Callable[[bytes], bytes]], model: str) -> Outcome:
    async def go() -> Outcome:
        async with serving() as up, relay(up, change) as port:
            return await drive(port, model)

    return asyncio.run(go())


@pytest.mark.parametrize("model", ["json", "sse-50", "delay-5ms", SLOW])
def test_a_plain_relay_passes(model: str) -> None:
    found = through(lambda: unchanged, model)
    assert isinstance(found, Measured)
    assert len(found.answers) == 4


def test_a_relay_that_buffers_voids_the_window() -> None:
    found = through(Buffering, SLOW)
    assert isinstance(found, Voided)
    assert "not streamed" in found.why


def test_a_relay_that_buffers_is_not_found_by_its_text() -> None:
    """The same relay passes where only the text can tell, which is why a trickle is part of every admission."""
    assert isinstance(through(Buffering, "sse-50"), Measured)


def test_a_relay_that_changes_a_word_voids_the_window() -> None:
    found = through(lambda: misspelt, "json")
    assert isinstance(found, Voided)
    assert "differs at character" in found.why


def test_the_hop_of_every_event_of_a_trickle_is_measured() -> None:
    found = through(lambda: unchanged, SLOW)
    assert isinstance(found, Measured)
    assert all(len(answer.hops_ns) == 5 and min(answer.hops_ns) > 0 for answer in found.answers)


def test_a_window_after_longer_answers_still_sees_the_first_bytes_of_its_own() -> None:
    slow = "slow-2x250ms"

    async def go() -> Outcome:
        async with serving() as port:
            address = Address(port=port)
            first = Shape(meant=behaviour_of("sse-50"), pace=UNDER_LOAD, requests=1, window_max_s=5, patience_s=2)
            second = Shape(meant=behaviour_of(slow), pace=UNDER_LOAD, requests=1, window_max_s=5, patience_s=2)
            async with crowd_at(address, 1) as crowd:
                await crowd.run(first, requests_for(address, "sse-50", 1_000))
                return await crowd.run(second, requests_for(address, slow, 1_000))

    found = asyncio.run(go())
    assert isinstance(found, Measured)
    assert found.answers[0].hops_ns[0] < 250_000_000


def against(answer: bytes, model: str, calls: int) -> Outcome:
    async def go() -> Outcome:
        async with listening(lambda ends: Scripted(answer, ends)) as port:
            return await drive(port, model, calls=calls)

    return asyncio.run(go())


def test_a_gateway_that_closes_after_each_answer_is_connected_anew() -> None:
    body = b'{"choices":[{"message":{"content":"waited 0000000000000000001 ns"},"finish_reason":"stop"}]}'
    head = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
    found = against(head + body, "delay-5ms", calls=6)
    assert isinstance(found, Measured)
    assert len(found.answers) == 6


def test_a_connection_that_breaks_inside_an_answer_voids_the_window() -> None:
    found = against(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{", "json", calls=2)
    assert isinstance(found, Voided)
    assert "broke inside an answer" in found.why


def test_an_answer_that_is_not_http_voids_the_window() -> None:
    found = against(b"hello", "json", calls=2)
    assert isinstance(found, Voided)
    assert "not HTTP" in found.why


def test_a_model_that_the_upstream_does_not_know_voids_the_window() -> None:
    async def go() -> Outcome:
        async with serving() as port:
            address = Address(port=port, model_prefix="un")
            shape = Shape(meant=behaviour_of("json"), pace=UNDER_LOAD, requests=1, window_max_s=5, patience_s=2)
            async with crowd_at(address, 1) as crowd:
                return await crowd.run(shape, requests_for(address, "json", 1_000))

    found = asyncio.run(go())
    assert isinstance(found, Voided)
    assert found.why.startswith("status 400")


def test_held_streams_are_open_together_and_left_together() -> None:
    async def go() -> None:
        async with serving() as port, held_streams(Address(port=port), 20, patience_s=2):
            pass

    asyncio.run(go())


def test_a_refused_held_stream_is_an_error() -> None:
    async def go() -> None:
        async with serving() as port, held_streams(Address(port=port, path="/nowhere"), 1, patience_s=0.2):
            pass

    with pytest.raises(TimeoutError):
        asyncio.run(go())


@pytest.mark.parametrize("size", [1_000, 200_000])
def test_requests_have_the_size_asked_for_and_differ_in_text(size: int) -> None:
    requests = requests_for(Address(port=1), "json", size)
    bodies = {request.partition(b"\r\n\r\n")[2] for request in requests}
    assert len(bodies) == VARIANTS
    assert {len(body) for body in bodies} == {size}
