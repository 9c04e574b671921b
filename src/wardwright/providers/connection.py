"""One HTTP/1.1 connection to a provider, and the exchange it carries now.

Rule 1: one socket read makes at most one call each of `head`, `body` and `end`, after the parser has returned: a
receiver may cancel, pause or start another exchange from within any of them.
Rule 2: a connection goes back to the pool only when its answer ended where it said it would and nothing followed.
Rule 3: one deadline serves all phases: idle, first byte, between bytes, total. It is moved, never replaced.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol, cast

import msgspec

from wardwright.contracts.provider import Provider
from wardwright.dialects.exchange import Failure, HttpRequest, Receiver
from wardwright.limits.deadlines import NEVER, Deadline, Wheel
from wardwright.providers import failures
from wardwright.providers.answer import AnswerReader, Bounds
from wardwright.providers.outbox import Outbox

BODY_COPY_MAX: Final = 65_536
"""Bytes up to which a body is joined to its head; a larger one is handed over beside it."""


class Holder(Protocol):
    """Where an exchange waits or runs."""

    def abandon(self) -> None:
        """The exchange was given up."""
        ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class NativeExchange(msgspec.Struct, eq=False):
    """One request on its way through a pool: queued, connecting, running, over."""

    request: HttpRequest
    receiver: Receiver
    total_at: float
    holder: Holder | None = None
    """None once over."""
    paused: bool = False
    retried: bool = False

    def pause(self) -> None:
        if self.holder is not None and not self.paused:
            self.paused = True
            self.holder.pause()

    def resume(self) -> None:
        if self.holder is not None and self.paused:
            self.paused = False
            self.holder.resume()

    def cancel(self) -> None:
        holder, self.holder = self.holder, None
        if holder is not None:
            holder.abandon()

    def fail(self, failure: Failure) -> None:
        """Tell the receiver, unless the exchange is over."""
        if self.holder is not None:
            self.holder = None
            self.receiver.failed(failure)


class Owner(Protocol):
    """The pool that a connection belongs to."""

    def released(self, connection: Connection) -> None:
        """The connection is free for another exchange."""
        ...

    def stale(self, connection: Connection, exchange: NativeExchange) -> None:
        """A reused connection closed without a byte of answer: the exchange wants a fresh one. Told before `lost`."""
        ...

    def lost(self, connection: Connection) -> None:
        """The connection is gone."""
        ...


class Connection(Deadline, asyncio.Protocol):
    """A socket, a reader of answers and at most one exchange."""

    __slots__ = (
        "_answer", "_between_s", "_exchange", "_first_s", "_idle_s", "_is_answered", "_is_told", "_outbox", "_owner",
        "_served", "_total_at", "_transport", "_wheel", "is_usable",
    )  # fmt: skip

    def __init__(self, owner: Owner, provider: Provider, bounds: Bounds, wheel: Wheel, outbox: Outbox) -> None:
        super().__init__()
        self._outbox = outbox
        self._owner = owner
        self._wheel = wheel
        self._first_s = provider.timeouts.first_byte_s
        self._between_s = provider.timeouts.between_bytes_s
        self._idle_s = provider.pool.idle_s
        self._answer = AnswerReader(bounds)
        self._transport: asyncio.Transport | None = None
        self._exchange: NativeExchange | None = None
        self._total_at = NEVER
        self._is_answered = False
        """The wait for a first byte is over."""
        self._is_told = False
        """The receiver has the head."""
        self._served = 0
        self.is_usable = False
        """Open, and nothing has said that it will not stay so."""

    # --- the pool's side

    def begin(self, exchange: NativeExchange, head: bytes) -> None:
        """Send the exchange's request now. Only while `is_usable` and idle."""
        assert self._transport is not None
        assert self._exchange is None
        self._exchange = exchange
        exchange.holder = self
        self._total_at = exchange.total_at
        self._wait(self._first_s)
        if self.at < self.looked_at:
            self._wheel.arm(self)
        body = exchange.request.body
        if len(body) <= BODY_COPY_MAX:
            self._outbox.write(self._transport, head + body)
        else:
            self._outbox.flush()
            self._transport.writelines((head, body))
        if exchange.paused:
            self.pause()

    def rest(self) -> None:
        """Wait for the next exchange, no longer than `idle_s`."""
        self.at = self._wheel.now + self._idle_s
        if self.at < self.looked_at:
            self._wheel.arm(self)

    def close(self) -> None:
        """Close the socket now; `lost` follows on the loop's next turn."""
        self.is_usable = False
        self.at = NEVER
        if self._transport is not None:
            self._transport.abort()

    def fail(self, failure: Failure) -> None:
        """End what is under way, if anything is, and close."""
        exchange = self._detach()
        self.close()
        if exchange is not None:
            exchange.fail(failure)

    # --- the exchange's side

    def abandon(self) -> None:
        self._detach()
        self.close()

    def pause(self) -> None:
        self.at = self._total_at
        if self.is_usable and self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        self._wait(self._between_s if self._answer.is_begun else self._first_s)
        self._wheel.arm(self)
        if self.is_usable and self._transport is not None:
            self._transport.resume_reading()

    # --- the wheel's side

    def expired(self, now: float) -> None:
        if self._exchange is None:
            self.close()
        elif now >= self._total_at:
            self.fail(failures.TOTAL_TIMEOUT)
        elif self._answer.is_begun:
            self.fail(failures.BETWEEN_BYTES_TIMEOUT)
        else:
            self.fail(failures.FIRST_BYTE_TIMEOUT)

    # --- the socket's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by type
        self.is_usable = True

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            self.close()  # bytes nobody asked for: the next answer could not be told from them
            return
        answer = self._answer
        failure = answer.feed(data)
        receiver = exchange.receiver
        if answer.status and not self._is_told:
            self._is_told = True
            receiver.head(answer.status, answer.head)
            if self._exchange is not exchange:
                return
        pieces = answer.pieces
        if pieces:
            body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
            receiver.body(body)
            if self._exchange is not exchange:
                return
        if answer.is_complete:
            self._end(exchange)
        elif failure is not None:
            self.fail(failure)
        elif answer.is_begun and not exchange.paused:
            self._wait(self._between_s)
            if not self._is_answered:
                self._is_answered = True
                self._wheel.arm(self)

    def eof_received(self) -> None:
        self.is_usable = False

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_usable = False
        self.at = NEVER
        self._transport = None
        exchange, self._exchange = self._exchange, None
        answer = self._answer
        answer.release()
        if exchange is not None and self._served and not answer.bytes_read and not exchange.retried:
            self._owner.stale(self, exchange)
            exchange = None
        self._owner.lost(self)
        if exchange is None:
            return
        if not answer.status:
            exchange.fail(failures.RESET)
        elif exc is not None:
            exchange.fail(failures.RESET_IN_BODY)
        elif answer.ends_at_close:
            exchange.holder = None
            exchange.receiver.end()
        else:
            exchange.fail(failures.TRUNCATED)

    # --- what the above use

    def _end(self, exchange: NativeExchange) -> None:
        """The answer is whole: free the connection first, so that the receiver may use it from within `end`."""
        is_reusable = self._answer.is_reusable and self.is_usable
        self._detach()
        exchange.holder = None
        if not is_reusable:
            self.close()
        else:
            if exchange.paused and self._transport is not None:
                self._transport.resume_reading()
            self._answer.expect()
            self._owner.released(self)
        exchange.receiver.end()

    def _wait(self, phase_s: float) -> None:
        at = self._wheel.now + phase_s
        self.at = at if at < self._total_at else self._total_at

    def _detach(self) -> NativeExchange | None:
        """Part from the exchange."""
        exchange, self._exchange = self._exchange, None
        self._is_answered = self._is_told = False
        self._served += 1
        return exchange
