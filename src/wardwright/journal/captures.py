"""The seam to captured bodies: what a call's client sent and heard, kept beside the journal and never in it.

Rule 1: a capture is found by its tenant and its receipt, never by its content: no digest of a body outlives the body,
unless it is keyed.
Rule 2: taking a capture never holds up or fails a call. What cannot be kept is dropped and counted.

Implemented by `wardwright.storage`.
"""

from __future__ import annotations

from typing import Protocol

import msgspec


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of one direction, or the first of them."""

    content: bytes
    size: int
    """How many there were: more than `content` holds where it was cut."""


def body_of(content: bytes, bytes_max: int) -> Body:
    """As much of it as is kept."""
    return Body(content=content[:bytes_max], size=len(content))


class Capture(msgspec.Struct, frozen=True, kw_only=True):
    """The bodies of one call."""

    answer: Body
    """What was handed to the client's connection: a whole answer, the bytes of a stream, or an error."""
    request: Body
    """As the client sent it."""


class CapturePulse(msgspec.Struct, frozen=True, kw_only=True):
    """How keeping captures goes."""

    dropped: int = 0
    """Captures that found the queue full or could not be written, since the process started."""
    failure: str | None = None
    """Why the last capture could not be written, if it could not."""
    waiting: int = 0
    """Captures that are promised and not written yet."""


class CaptureWriter(Protocol):
    """Whoever keeps captures. Belongs to the event loop's thread; nothing here blocks or raises."""

    @property
    def bytes_max(self) -> int:
        """What is kept of a body in either direction."""
        ...

    def admit(self) -> bool:
        """Promise a place to one capture. True must be followed by one `put`; False: the capture is dropped."""
        ...

    def put(self, tenant: str, receipt: str, capture: Capture) -> None:
        """Keep a capture that was admitted."""
        ...


class Captures(Protocol):
    """Captures as they lie. Blocks: call it off the event loop, except for `pulse`."""

    def get(self, tenant: str, receipt: str) -> Capture | None:
        """What was put is found at once. Raises `invalid_request` for what is no receipt id, `journal_broken` for a
        file that is none of ours."""
        ...

    def forget(self, tenant: str, receipt: str) -> bool:
        """Drop the capture of one call; whether there was one. Raises `invalid_request`, `journal_write`."""
        ...

    def forget_tenant(self, tenant: str) -> int:
        """Drop every capture of a tenant; how many there were. Raises `journal_write`."""
        ...

    def pulse(self) -> CapturePulse:
        """How writing goes. Costs nothing."""
        ...
