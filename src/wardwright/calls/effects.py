"""What the call machine asks for: a closed union, for whoever carries it out in order."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from wardwright.calls import receipt as rc
from wardwright.calls.rulings import Again
from wardwright.dialects.exchange import Failure
from wardwright.kernel.errors import WardwrightError


class Start(msgspec.Struct, frozen=True, gc=False):
    """Send the attempt with this index of the plan upstream."""

    attempt: int


class Cancel(msgspec.Struct, frozen=True):
    """Give up the attempt that is under way."""


class Replan(msgspec.Struct, frozen=True):
    """Plan the route anew for another attempt, with what the model is told this time."""

    again: Again


class Settle(msgspec.Struct, frozen=True, gc=False):
    """An attempt is over: what its target's health should learn. No failure and not `ok`: it was abandoned."""

    attempt: int
    ok: bool
    failure: Failure | None = None


class Open(msgspec.Struct, frozen=True, gc=False):
    """Write that the call will act."""

    opened: rc.Opened


class Begin(msgspec.Struct, frozen=True):
    """The head of the client's stream."""


class Release(msgspec.Struct, frozen=True, gc=False):
    """Bytes for the client."""

    data: bytes


class Close(msgspec.Struct, frozen=True, gc=False):
    """Write the receipt."""

    receipt: rc.Receipt


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The whole answer for the client."""

    body: bytes


class Finish(msgspec.Struct, frozen=True):
    """The client's stream is complete."""


class Refuse(msgspec.Struct, frozen=True):
    """An error instead of an answer."""

    error: WardwrightError
    retry_after_s: int | None = None


class Break(msgspec.Struct, frozen=True):
    """An error event inside the client's stream, then its end."""

    error: WardwrightError


Effect: TypeAlias = Start | Cancel | Replan | Settle | Open | Begin | Release | Close | Answer | Finish | Refuse | Break
