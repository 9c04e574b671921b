"""The seam between the call machine and a wire format: how one provider is spoken to and understood.

A `Voice` is chosen per target when contracts load. It turns a client's request into an upstream request, and an
upstream's bytes into the client's bytes, whichever of the two is streamed.
"""

from __future__ import annotations

from typing import Final, Literal, Protocol

import msgspec

from wardwright.dialects.answer import Identity, Tally
from wardwright.dialects.event_reader import Decoder
from wardwright.dialects.exchange import Failure, Headers, HttpRequest
from wardwright.dialects.openai_render import Renderer
from wardwright.dialects.openai_request import Members
from wardwright.kernel.events import Broken


class Reader(Protocol):
    """Reads the answer of one attempt: upstream bytes in, client bytes out. One object an attempt."""

    tally: Tally

    @property
    def done(self) -> bool:
        """The upstream sent its own terminator: nothing more will come, though its connection may stay open."""
        ...

    @property
    def broken(self) -> Broken | None:
        """Set when the upstream reported an error inside its answer, or sent bytes that are not its dialect.

        What `feed` returned together with it came before.
        """
        ...

    def feed(self, data: bytes) -> bytes:
        """The client bytes that may leave now. For a client that wants a whole answer: always empty."""
        ...

    def close(self) -> bytes:
        """The upstream has ended: the rest, with the client's terminator; the whole body for a whole answer.

        An answer that did not finish sets `broken` and gives nothing: an end is never made up.
        """
        ...


HOPS: Final = b"x-wardwright-hops"

FIRST_HOP: Final = ((HOPS, b"1"),)
"""What a request carries onward that came straight from its client and brought nothing that goes with it."""


class Ask(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a voice needs to write the upstream request of one attempt."""

    headers: tuple[tuple[bytes, bytes], ...] = FIRST_HOP
    """What travels with the request to whichever provider serves it; a voice drops other dialects' own."""

    kind: Literal["chat", "embeddings"] = "chat"
    members: Members
    """The client's top-level members, transforms applied."""
    model: str
    """What the provider calls the model."""
    stream: bool
    unsupported: tuple[str, ...] = ()
    """Members that this target lacks."""
    output_tokens: int
    """The output budget, for dialects that demand one."""
    target: str
    """`<contract>/<target>=<model>`: marks what must not be carried to another model."""
    begun: bool = False
    """The last message is an answer that the model shall go on with."""
    continues: bool = True
    """The conversation may hold earlier answers of a model; without them there is nothing to hand over."""


class Spoken(msgspec.Struct, frozen=True, gc=False):
    """An upstream request, and what was altered for it."""

    request: HttpRequest
    changed: tuple[str, ...] = ()


class Voice(Protocol):
    """One wire format towards one target."""

    def request(self, ask: Ask) -> Spoken:
        """Raises WardwrightError where the request means something that this dialect cannot say."""
        ...

    def reader(
        self, identity: Identity, *, stream: bool, include_usage: bool, headers: Headers, target: str = ""
    ) -> Reader:
        """`stream` says what the client wants; `headers` what the upstream sends.

        `target` is that of the request: what the model sealed for itself is marked with it, unless it is empty.
        """
        ...

    def decoder(self, headers: Headers, *, streamed: bool) -> Decoder:
        """Makes kernel events of an answer, for whoever must judge it before it is written anew.

        `streamed` is what was asked for, which counts where `headers` do not say what came.
        """
        ...

    def renderer(self, identity: Identity, *, stream: bool, include_usage: bool, target: str = "") -> Renderer:
        """Writes events as the client wants them; the members are those of `reader`."""
        ...

    def failure_of(self, status: int, headers: Headers, body: bytes) -> Failure:
        """What an answer outside 2xx means."""
        ...
