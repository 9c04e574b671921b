"""The kit finds what it is there to find: transports that break one promise each fail the case for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from wardwright.contracts.provider import Provider
from wardwright.dialects.exchange import Exchange, Failure, Gauges, Headers, HttpRequest, Receiver, Transport
from wardwright.limits.deadlines import Wheel
from wardwright.providers.http1 import NativeTransport
from wardwright.providers.spawn import Spawn
from wardwright.testing.transport_kit import CASES


class Between:
    """A receiver that hands on faithfully. Its children do not."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver

    def head(self, status: int, headers: Headers) -> None:
        self.receiver.head(status, headers)

    def body(self, data: bytes) -> None:
        self.receiver.body(data)

    def end(self) -> None:
        self.receiver.end()

    def failed(self, failure: Failure) -> None:
        self.receiver.failed(failure)


class Gathering(Between):
    """Holds the body back until it is whole."""

    def __init__(self, receiver: Receiver) -> None:
        super().__init__(receiver)
        self._held = b""

    def body(self, data: bytes) -> None:
        self._held += data

    def end(self) -> None:
        self.receiver.body(self._held)
        self.receiver.end()


class Gullible(Between):
    """Takes a truncated answer for a whole one."""

    def failed(self, failure: Failure) -> None:
        if failure.kind == "truncated":
            self.receiver.end()
        else:
            self.receiver.failed(failure)


class Talkative(Between):
    """Says where it failed."""

    def failed(self, failure: Failure) -> None:
        self.receiver.failed(Failure(kind=failure.kind, message=f"{failure.message} at 127.0.0.1"))


class Repeating(Between):
    """Ends twice."""

    def end(self) -> None:
        self.receiver.end()
        self.receiver.end()


class Undecided(Between):
    """Fails after the end."""

    def end(self) -> None:
        self.receiver.end()
        self.receiver.failed(Failure(kind="reset", message="late"))


class Wrapped:
    """The native transport with a receiver in between."""

    def __init__(self, inner: Transport, between: Callable[[Receiver], Receiver]) -> None:
        self._inner = inner
        self._between = between

    async def open(self) -> None:
        await self._inner.open()

    def start(self, request: HttpRequest, receiver: Receiver) -> Exchange:
        return self._inner.start(request, self._between(receiver))

    def gauges(self) -> Gauges:
        return self._inner.gauges()

    async def aclose(self) -> None:
        await self._inner.aclose()


class Hasty(Wrapped):
    """Answers from within start."""

    def start(self, request: HttpRequest, receiver: Receiver) -> Exchange:
        receiver.head(200, [])
        return super().start(request, Between(receiver))


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (Gathering, "events arrive when they are sent"),
        (Gullible, "an answer short of its length is truncated"),
        (Gullible, "a chunked answer without its end is truncated"),
        (Talkative, "a connection that breaks is a reset"),
        (Repeating, "a whole answer is head body end"),
        (Undecided, "a whole answer is head body end"),
        (Hasty, "a whole answer is head body end"),
    ],
)
def test_a_broken_promise_fails_its_case(broken: type, promise: str) -> None:
    def build(
        provider: Provider, credential: bytes, wheel: Wheel, loop: asyncio.AbstractEventLoop, spawn: Spawn
    ) -> Transport:
        native = NativeTransport(provider, credential, (), wheel, loop, spawn)
        return Hasty(native, Between) if broken is Hasty else Wrapped(native, broken)

    (case,) = [case for case in CASES if case.name == promise]
    with pytest.raises(AssertionError):
        case.run(build)
