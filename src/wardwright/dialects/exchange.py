"""The seam towards upstreams: one HTTP exchange, pushed.

Rule 1: a transport knows HTTP and no dialect; a dialect knows bytes and no socket.
Rule 2: `start` never blocks and never raises for what the network does; all of that arrives at the receiver.
Rule 3: the receiver hears `head` once, `body` any number of times, then exactly one of `end` and `failed`; after
`cancel` it hears nothing more.

Callbacks rather than async iterators: a burst of a stream then costs one call, not one task switch an event.
The kit that every transport passes is `wardwright.testing.transport_kit`.
"""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

import msgspec

Headers: TypeAlias = list[tuple[bytes, bytes]]
"""In order, names in lower case."""

FailureClass: TypeAlias = Literal[
    "connect",            # no connection: refused, unreachable, name or TLS failure
    "connect_timeout",
    "first_byte_timeout",
    "between_bytes_timeout",
    "total_timeout",
    "reset",              # the connection broke after the request was sent
    "truncated",          # the body ended before its declared length or last chunk
    "protocol",           # not HTTP/1.1, or past a bound of this transport
    "pool_full",          # no connection and no place in the queue
    "rate_limited",       # 429
    "server_error",       # 5xx
    "credentials",        # 401, 403: ours, not the caller's
    "not_served",         # 404: the provider does not serve this model
    "rejected",           # 400, 413, 422: the request itself
    "context_length",     # the upstream's own word that the request does not fit
    "overloaded",         # 503, 529
    "malformed",          # a 2xx body that is not the dialect
    "stream_broken",      # a stream that ended without its end
    "resting",            # the target began to rest after the plan was made
]  # fmt: skip


class Failure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why an attempt failed. `message` names no credential and no private address."""

    kind: FailureClass
    message: str
    retry_after_s: int | None = None
    status: int | None = None


class HttpRequest(msgspec.Struct, frozen=True, gc=False):
    """One request to a provider. The transport adds `host`, `content-length` and its own connection headers."""

    path: str
    """Below the provider's base URL, such as `/chat/completions`."""
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    method: str = "POST"


class Receiver(Protocol):
    """Who hears the answer. Called on the event loop, never re-entrantly from `start`."""

    def head(self, status: int, headers: Headers) -> None:
        """The final head; 1xx heads are swallowed."""
        ...

    def body(self, data: bytes) -> None:
        """All body bytes of one read, transfer coding removed. Never empty."""
        ...

    def end(self) -> None: ...

    def failed(self, failure: Failure) -> None: ...


class Exchange(Protocol):
    """One exchange under way."""

    def pause(self) -> None:
        """Read no more from the upstream until `resume`: back-pressure of a slow client."""
        ...

    def resume(self) -> None: ...

    def cancel(self) -> None:
        """Give up: the connection is closed, the receiver hears nothing more. Harmless when already over."""
        ...


class Gauges(msgspec.Struct, frozen=True, kw_only=True):
    """What a transport holds now."""

    connections: int
    idle: int
    waiting: int


class Transport(Protocol):
    """A way to one provider."""

    async def open(self) -> None: ...

    def start(self, request: HttpRequest, receiver: Receiver) -> Exchange: ...

    def gauges(self) -> Gauges: ...

    async def aclose(self) -> None:
        """Close idle connections and cancel what is under way."""
        ...
