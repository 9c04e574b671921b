"""The load generator: many keep-alive connections in one thread, driven by callbacks.

Rule 1: every answer passes the gate. The first wrong one voids the window, and so does a connection that breaks.
Rule 2: a caller's clock starts just before its request is written and stops when the last byte has been read; judging
the answer comes after.
Rule 3: connections are opened before a window and kept, so a window counts calls and not handshakes.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator
from typing import Final, TypeAlias, cast

import httptools
import msgspec

from benchmarks import behaviour
from benchmarks.behaviour import Behaviour
from benchmarks.gate import Answer, Arrival, Exchange, Pace, Wrong, check

CONNECTING_MAX: Final = 64
"""Connections being opened at once, below any server's backlog."""
CONNECT_TIMEOUT_S: Final = 30.0
VARIANTS: Final = 16
"""Distinct requests of one load, asked in turn."""


class Address(msgspec.Struct, frozen=True):
    """Where a gateway serves chat completions and what it wants to see there."""

    port: int
    path: str = "/v1/chat/completions"
    headers: tuple[tuple[str, str], ...] = ()
    model_prefix: str = ""
    """What the gateway puts before a model's name."""


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """One window: it ends when the requests are answered, or starts no more of them once the time is up."""

    meant: Behaviour
    pace: Pace
    requests: int
    window_max_s: float
    patience_s: float
    stagger_s: float = 0
    """The callers begin one after another over this time, so that slow answers do not march in step."""


class Measured(msgspec.Struct, frozen=True):
    """A window in which every answer was right."""

    answers: list[Answer]
    elapsed_ns: int


class Voided(msgspec.Struct, frozen=True):
    """A window that counts for nothing."""

    why: str


Outcome: TypeAlias = Measured | Voided


def requests_for(address: Address, model: str, prompt_bytes: int) -> tuple[bytes, ...]:
    """The requests of one load as bytes on the wire: alike in size, different in text."""
    return tuple(_request(address, model, prompt_bytes, number) for number in range(VARIANTS))


def _request(address: Address, model: str, prompt_bytes: int, number: int) -> bytes:
    words = f"Case {number:04d}: which target should serve this and why? "
    system = "You answer in one short paragraph and name the rule that decided."
    value: dict[str, object] = {
        "model": address.model_prefix + model,
        "messages": [{"role": "system", "content": system}, {"role": "user", "content": words}],
        "temperature": 0.2,
        "max_tokens": 256,
    }
    if behaviour.streams(behaviour.behaviour_of(model)):
        value["stream"] = True
    missing = prompt_bytes - len(msgspec.json.encode(value))
    value["messages"] = [
        {"role": "system", "content": system},
        {"role": "user", "content": words + ("lorem ipsum dolor sit amet " * (missing // 27 + 1))[: max(0, missing)]},
    ]
    body = msgspec.json.encode(value)
    lines = [
        f"POST {address.path} HTTP/1.1",
        f"host: 127.0.0.1:{address.port}",
        "content-type: application/json",
        "accept: */*",
        f"content-length: {len(body)}",
        *(f"{name}: {text}" for name, text in address.headers),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class _Window:
    """The calls of one window, shared by all callers."""

    def __init__(self, shape: Shape, requests: tuple[bytes, ...], callers: int) -> None:
        self.shape = shape
        self.finished: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        """Set to None when every answer was right, else to the reason of the first that was not."""
        self.answers: list[Answer] = []
        self.started_ns = time.monotonic_ns()
        self.ended_ns = self.started_ns
        self._requests = requests
        self._taken = 0
        self._last_start_ns = self.started_ns + int(shape.window_max_s * 1e9)
        self._callers = callers

    def take(self) -> bytes | None:
        """The next request, or None when this caller has asked for the last time."""
        if self._taken >= self.shape.requests or time.monotonic_ns() > self._last_start_ns or self.finished.done():
            self._callers -= 1
            if self._callers == 0 and not self.finished.done():
                self.finished.set_result(None)
            return None
        self._taken += 1
        return self._requests[self._taken % len(self._requests)]

    def judge(self, exchange: Exchange) -> None:
        self.ended_ns = exchange.ended_ns
        verdict = check(self.shape.meant, exchange, self.shape.pace)
        if isinstance(verdict, Wrong):
            self.void(verdict.why)
        else:
            self.answers.append(verdict)

    def void(self, why: str) -> None:
        if not self.finished.done():
            self.finished.set_result(why)


class _Caller(asyncio.Protocol):
    """One connection: asks, reads the answer, has it judged, asks again."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._window: _Window | None = None
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiting = False
        self._body: list[bytes] = []
        self._size = 0
        self._arrivals: list[Arrival] = []
        self._started_ns = 0
        self._now_ns = 0

    def begin(self, window: _Window) -> None:
        self._window = window
        self._ask()

    def close(self) -> None:
        self._window = None
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class, not a subclass

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._waiting and self._window is not None:
            self._window.void(f"the connection broke inside an answer: {exc or 'closed by the gateway'}")

    def data_received(self, data: bytes) -> None:
        self._now_ns = time.monotonic_ns()
        size = self._size
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as problem:
            if self._window is not None:
                self._window.void(f"the answer is not HTTP: {problem}")
            return
        if self._size > size and self._waiting:
            self._arrivals.append((self._now_ns, self._size))

    def on_body(self, body: bytes) -> None:
        self._body.append(body)
        self._size += len(body)

    def on_message_complete(self) -> None:
        if self._window is None or not self._waiting:
            return
        self._waiting = False
        self._arrivals.append((self._now_ns, self._size))
        self._window.judge(
            Exchange(
                status=self._parser.get_status_code(),
                body=b"".join(self._body),
                arrivals=self._arrivals,
                started_ns=self._started_ns,
                ended_ns=self._now_ns,
            )
        )
        if not self._parser.should_keep_alive() and self._transport is not None:
            self._transport.close()
            self._transport = None
        self._ask()

    def _ask(self) -> None:
        """Write the next request; a connection that the gateway has closed in between is opened again."""
        assert self._window is not None
        request = self._window.take()
        if request is None:
            return
        if self._transport is None:
            self._crowd.replace(self, self._window, request)
        else:
            self.ask(self._window, request)

    def ask(self, window: _Window, request: bytes) -> None:
        """Write one request of the window."""
        assert self._transport is not None
        self._window = window
        self._waiting = True
        self._body = []
        self._size = 0
        self._arrivals = []
        self._started_ns = time.monotonic_ns()
        self._transport.write(request)


class Crowd:
    """Callers that are connected to one gateway."""

    def __init__(self, address: Address, callers: int) -> None:
        self.address = address
        self._callers = [_Caller(self) for _ in range(callers)]
        self._reopening: set[asyncio.Task[None]] = set()

    async def connect(self) -> None:
        """Open every connection; OSError or TimeoutError if the gateway does not accept one."""
        gate = asyncio.Semaphore(CONNECTING_MAX)

        async def one(caller: _Caller) -> None:
            async with gate:
                await self._connect(caller)

        async with asyncio.timeout(CONNECT_TIMEOUT_S), asyncio.TaskGroup() as group:
            for caller in self._callers:
                group.create_task(one(caller))

    def close(self) -> None:
        for task in self._reopening:
            task.cancel()
        for caller in self._callers:
            caller.close()

    async def run(self, shape: Shape, requests: tuple[bytes, ...]) -> Outcome:
        """Drive one window to its end."""
        window = _Window(shape, requests, len(self._callers))
        step_s = shape.stagger_s / len(self._callers)
        for number, caller in enumerate(tuple(self._callers)):
            if step_s:
                asyncio.get_running_loop().call_later(number * step_s, caller.begin, window)
            else:
                caller.begin(window)
        try:
            async with asyncio.timeout(shape.window_max_s + shape.patience_s):
                why = await window.finished
        except TimeoutError:
            return Voided(f"did not finish within {shape.patience_s:.0f} s: {len(window.answers)} answers came")
        if why is not None:
            return Voided(why)
        if not window.answers:
            return Voided("no request was answered")
        return Measured(window.answers, window.ended_ns - window.started_ns)

    def replace(self, caller: _Caller, window: _Window, request: bytes) -> None:
        """Put a new connection in the place of one that the gateway has closed, and ask there."""
        self._callers.remove(caller)
        task = asyncio.get_running_loop().create_task(self._ask_anew(window, request))
        self._reopening.add(task)
        task.add_done_callback(self._reopening.discard)

    async def _ask_anew(self, window: _Window, request: bytes) -> None:
        caller = _Caller(self)
        self._callers.append(caller)
        try:
            await self._connect(caller)
        except OSError as problem:
            window.void(f"cannot connect again: {problem}")
            return
        caller.ask(window, request)

    async def _connect(self, caller: _Caller) -> None:
        await asyncio.get_running_loop().create_connection(lambda: caller, "127.0.0.1", self.address.port)


@contextlib.asynccontextmanager
async def crowd_at(address: Address, callers: int) -> AsyncIterator[Crowd]:
    """Connected callers, closed at the end."""
    crowd = Crowd(address, callers)
    try:
        await crowd.connect()
        yield crowd
    finally:
        crowd.close()


class _Listener(asyncio.Protocol):
    """Asks for one held stream and waits for what it says first."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._seen = b""
        self._transport: asyncio.Transport | None = None
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class, not a subclass
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self.opened.done():
            return
        self._seen += data
        if b'"' + behaviour.HOLD_WORD.encode() in self._seen:
            self.opened.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(f"a held stream was refused: {self._seen[:200]!r}"))

    def close(self) -> None:
        self.opened.cancel()
        if self._transport is not None:
            self._transport.abort()


@contextlib.asynccontextmanager
async def held_streams(address: Address, streams: int, patience_s: float) -> AsyncIterator[None]:
    """That many streams open through the gateway, each having said its first word; left at the end.

    ConnectionError if one is refused, TimeoutError if they are not all open in time.
    """
    requests = requests_for(address, "hold", 1_000)
    loop = asyncio.get_running_loop()
    listeners: list[_Listener] = []
    try:
        async with asyncio.timeout(patience_s):
            for number in range(streams):
                _, listener = await loop.create_connection(
                    functools.partial(_Listener, requests[number % VARIANTS]), "127.0.0.1", address.port
                )
                listeners.append(listener)
            for listener in listeners:
                await listener.opened
        yield
    finally:
        for listener in listeners:
            listener.close()
