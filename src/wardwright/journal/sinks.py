"""The seam to whoever is told: a sink takes letters, one at a time, and says what became of each.

Rule 1: a letter may come twice; its id is the same then, so that a receiver can tell.
Rule 2: a sink never raises for what the world does to it: a letter is delivered, comes again later, or is refused for
good. What it says of the reason holds no address, no credential and nothing of the receiver's answer but its status.
Rule 3: `deliver` bounds its own time by the timeouts of its settings.

Implemented by `wardwright.sinks`, and in memory by `testing.sinks`; the kit that all pass is `testing.sink_kit`.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

import msgspec


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """What is delivered."""

    body: bytes
    """One JSON document in canonical form, so without a line break."""
    id: str
    """The same for every attempt."""


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """The receiver has it."""

    note: str
    """How it went, such as `HTTP 204`."""


class Later(msgspec.Struct, frozen=True, kw_only=True):
    """Not now."""

    after_s: float | None = None
    """What the receiver asks for; None: nothing."""
    why: str


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """Not ever: the same letter would fare no better."""

    why: str


Outcome: TypeAlias = Delivered | Later | Refused


class Sink(Protocol):
    """One receiver. Construct cheaply, `open`, `deliver` as often as needed and side by side, `aclose`."""

    async def open(self) -> None:
        """Make ready; reaches nobody. Raises `settings_invalid` for what cannot work."""
        ...

    async def deliver(self, letter: Letter) -> Outcome: ...

    async def aclose(self) -> None:
        """Let go of connections and files. Harmless when repeated."""
        ...
