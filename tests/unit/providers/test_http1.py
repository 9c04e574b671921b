"""The native transport's pool, over sockets made of lists."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, cast

import pytest

from wardwright.contracts.provider import Pool, Provider, Timeouts
from wardwright.dialects.exchange import HttpRequest
from wardwright.kernel.errors import WardwrightError
from wardwright.providers.answer import Bounds
from wardwright.providers.connection import BODY_COPY_MAX, Connection
from wardwright.providers.http1 import NativeTransport
from wardwright.testing.hand_timers import HandTimers
from wardwright.testing.heard import Heard
from wardwright.testing.nasty_server import WHOLE

PROVIDER = Provider(
    name="p",
    base_url="http://upstream.example/v1",
    timeouts=Timeouts(first_byte_s=20, between_bytes_s=10, total_s=100),
    pool=Pool(connections_max=3, idle_s=5),
)


class Socket:
    """A transport of asyncio's sort that remembers what was done to it."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.is_reading = True
        self.is_aborted = False

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def writelines(self, pieces: tuple[bytes, ...]) -> None:
        self.writes.append(b"".join(pieces))

    def pause_reading(self) -> None:
        assert self.is_reading
        self.is_reading = False

    def resume_reading(self) -> None:
        assert not self.is_reading
        self.is_reading = True

    def abort(self) -> None:
        self.is_aborted = True

    def is_closing(self) -> bool:
        return self.is_aborted


class World(HandTimers):
    """Timers that also connect: at once, to a Socket."""

    def __init__(self, provider: Provider = PROVIDER, bounds: Bounds | None = None) -> None:
        super().__init__()
        self.sockets: list[Socket] = []
        self.connections: list[Connection] = []
        loop = cast(asyncio.AbstractEventLoop, self)
        self.transport = NativeTransport(provider, b"sk", (), self.wheel, loop, self.spawn, bounds or Bounds())
        finish(self.transport.open())

    async def create_connection(self, factory: Any, host: str, port: int, **_: object) -> tuple[Socket, Connection]:
        socket, connection = Socket(), factory()
        self.sockets.append(socket)
        self.connections.append(connection)
        connection.connection_made(cast(asyncio.Transport, socket))
        return socket, connection

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        self.call_soon(finish, work)
        return cast("asyncio.Task[None]", None)

    def start(self, body: bytes = b"{}", path: str = "/x") -> Heard:
        heard = Heard(self)
        heard.exchange = self.transport.start(HttpRequest(path, (), body), heard)
        return heard

    def connected(self, *bodies: bytes) -> list[Heard]:
        """Exchanges under way, each on a connection of its own."""
        exchanges = [self.start(body) for body in bodies]
        self.turn()
        return exchanges


def finish(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that never waits."""
    with pytest.raises(StopIteration):
        work.send(None)


def kinds_of(*exchanges: Heard) -> list[str | None]:
    return [None if heard.failure is None else heard.failure.kind for heard in exchanges]


def test_a_request_is_one_write_with_head_and_body() -> None:
    for body in (b'{"a":1}', b"", b"x" * BODY_COPY_MAX, b"x" * (BODY_COPY_MAX + 1)):
        world = World()
        world.connected(body)
        (written,) = world.sockets[0].writes
        head, _, sent = written.partition(b"\r\n\r\n")
        assert sent == body
        assert b"content-length: %d" % len(body) in head


def test_on_an_idle_connection_the_request_is_written_in_the_turn_that_starts_it() -> None:
    world = World()
    world.connected(b"1")
    world.connections[0].data_received(WHOLE)
    second = world.start(b"2")
    assert len(world.sockets[0].writes) == 1
    world.turn()
    assert len(world.sockets[0].writes) == 2
    world.connections[0].data_received(WHOLE)
    assert second.is_complete
    assert len(world.sockets) == 1


def test_one_read_is_one_call_of_each() -> None:
    world = World()
    (heard,) = world.connected(b"1")
    answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"2\r\nab\r\n" * 50 + b"0\r\n\r\n"
    world.connections[0].data_received(answer)
    assert heard.is_complete
    assert heard.bodies == [b"ab" * 50]


def test_the_connection_used_last_is_used_next() -> None:
    world = World()
    world.connected(b"1", b"2", b"3")
    for index in (1, 0, 2):
        world.connections[index].data_received(WHOLE)
    world.start()
    world.start()
    world.turn()
    assert [len(socket.writes) for socket in world.sockets] == [2, 1, 2]


def test_an_idle_connection_is_closed_when_it_is_old_and_never_used_again() -> None:
    world = World()
    world.connected(b"1", b"2")
    for connection in world.connections:
        connection.data_received(WHOLE)
    world.pass_time(3)
    world.start()
    world.connections[1].data_received(WHOLE)
    world.pass_time(3)
    assert [socket.is_aborted for socket in world.sockets] == [True, False]
    assert world.transport.gauges().idle == 1
    world.connections[0].connection_lost(None)
    world.pass_time(10)
    assert world.transport.gauges().idle == 0
    world.connected(b"3")
    assert len(world.sockets) == 3


def test_a_connection_that_the_upstream_half_closed_is_not_used_again() -> None:
    world = World()
    world.connected(b"1")
    world.connections[0].data_received(WHOLE)
    world.connections[0].eof_received()
    world.connected(b"2")
    assert [len(socket.writes) for socket in world.sockets] == [1, 1]


def test_bytes_on_an_idle_connection_close_it() -> None:
    world = World()
    world.connected(b"1")
    world.connections[0].data_received(WHOLE)
    world.connections[0].data_received(b"HTTP/1.1 200 OK\r\n")
    assert world.sockets[0].is_aborted
    world.connected(b"2")
    assert len(world.sockets) == 2


def test_a_stale_connection_is_replaced_even_when_the_pool_is_full() -> None:
    world = World(Provider(name="p", base_url="http://u", pool=Pool(connections_max=1)))
    world.connected(b"1")
    world.connections[0].data_received(WHOLE)
    again = world.start(b"2")
    queued = world.start(b"3")
    world.connections[0].connection_lost(ConnectionResetError())
    world.turn()
    assert len(world.sockets) == 2
    world.connections[1].data_received(WHOLE)
    assert again.is_complete
    world.turn()
    assert [write[-1:] for write in world.sockets[1].writes] == [b"2", b"3"]
    world.connections[1].data_received(WHOLE)
    assert queued.is_complete


def test_a_paused_exchange_that_ends_leaves_its_connection_reading() -> None:
    world = World()
    (heard,) = world.connected(b"1")
    world.connections[0].data_received(WHOLE[:-3])
    assert heard.exchange is not None
    heard.exchange.pause()
    heard.exchange.pause()
    assert not world.sockets[0].is_reading
    world.connections[0].data_received(WHOLE[-3:])
    assert heard.is_complete
    assert world.sockets[0].is_reading


def test_an_exchange_may_be_paused_before_it_is_connected() -> None:
    world = World()
    heard = world.start()
    assert heard.exchange is not None
    heard.exchange.pause()
    world.turn()
    assert not world.sockets[0].is_reading
    heard.exchange.resume()
    assert world.sockets[0].is_reading


def test_time_bounds_are_those_of_the_phase() -> None:
    world = World()
    silent, stalled = world.connected(b"1", b"2")
    world.connections[1].data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")
    world.pass_time(9.9)
    assert kinds_of(silent, stalled) == [None, None]
    world.pass_time(9.9)
    assert kinds_of(silent, stalled) == [None, "between_bytes_timeout"]
    world.pass_time(0.4)
    assert kinds_of(silent, stalled) == ["first_byte_timeout", "between_bytes_timeout"]


def test_an_idle_wait_does_not_shorten_the_next_exchange() -> None:
    world = World()
    world.connected(b"1")
    world.connections[0].data_received(WHOLE)
    world.pass_time(4)
    heard = world.start(b"2")
    world.pass_time(15)
    assert heard.failure is None
    world.connections[0].data_received(WHOLE)
    assert heard.is_complete


def test_a_body_past_the_transports_bound_is_a_protocol_failure() -> None:
    world = World(bounds=Bounds(body_bytes_max=1000))
    (heard,) = world.connected(b"1")
    world.connections[0].data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n" + b"x" * 2000)
    assert heard.failure is not None
    assert heard.failure.kind == "protocol"
    assert world.sockets[0].is_aborted


def test_a_request_that_would_break_out_of_its_head_is_never_sent() -> None:
    world = World()
    with pytest.raises(WardwrightError) as caught:
        world.start(path="/x HTTP/1.1\r\nhost: other")
    assert caught.value.code == "invalid_header"
    world.turn()
    assert not world.sockets


def test_before_it_is_open_a_transport_refuses_on_the_next_turn() -> None:
    world = World()
    world.transport = NativeTransport(
        PROVIDER, None, (), world.wheel, cast(asyncio.AbstractEventLoop, world), world.spawn
    )
    heard = world.start()
    assert heard.failure is None
    world.turn()
    heard.check()
    assert heard.failure is not None


def test_the_wheel_holds_no_exchange_after_its_end() -> None:
    world = World()
    for _ in range(100):
        heard = world.start()
        world.turn()
        world.connections[0].data_received(WHOLE)
        assert heard.is_complete
    assert len(world.wheel) <= 4
