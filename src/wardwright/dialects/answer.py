"""What every reader of an upstream's answer shares: who the client believes answers, and what was counted on the way.

Rule 1: a reader owns no socket and no clock: bytes in, client bytes out.
Rule 2: the end of an answer is never invented. Only `close` writes `data: [DONE]`, and only when every choice that
started has said why it finished.
Rule 3: what is released is counted; what is counted is what the client received.
"""

from __future__ import annotations

from typing import Final

import msgspec

from wardwright.kernel.events import FinishReason
from wardwright.kernel.usage import Usage

DONE: Final = b"data: [DONE]\n\n"
"""The terminator of an OpenAI stream."""


class Identity(msgspec.Struct, frozen=True):
    """Who the client believes answers: constant over one answer, whichever target serves it."""

    id: str
    """`chatcmpl-<receipt id>`."""
    model: str
    """The name asked for."""
    created: int
    """Seconds since the epoch."""


class Tally:
    """What one attempt sent, counted in characters (code points) as the client received them."""

    __slots__ = (
        "argument_chars",
        "events",
        "finish",
        "reasoning_chars",
        "refusal_chars",
        "system_fingerprint",
        "text_chars",
        "tool_calls",
        "upstream_id",
        "upstream_model",
        "usage",
    )

    def __init__(self) -> None:
        self.events = 0
        """Events of the upstream that carried a value; 1 for a whole answer."""
        self.text_chars = 0
        self.reasoning_chars = 0
        self.refusal_chars = 0
        self.tool_calls = 0
        self.argument_chars = 0
        """Of tool calls and of the older `function_call`."""
        self.finish: dict[int, FinishReason] = {}
        """Why each choice ended, by its index."""
        self.usage: Usage | None = None
        """As the upstream reported it last; None where it reported none."""
        self.upstream_id: str | None = None
        self.upstream_model: str | None = None
        """What the upstream calls the model that answered."""
        self.system_fingerprint: str | None = None

    def as_tuple(self) -> tuple[object, ...]:
        """All counts, for comparison."""
        return tuple(getattr(self, name) for name in self.__slots__)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tally) and self.as_tuple() == other.as_tuple()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Tally({', '.join(f'{name}={getattr(self, name)!r}' for name in self.__slots__)})"


class Whole(msgspec.Struct, frozen=True):
    """A whole answer, ready for the client."""

    body: bytes
    tally: Tally
