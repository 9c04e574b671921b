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


ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
"""The largest whole answer held by default."""


class Identity(msgspec.Struct, frozen=True, gc=False):
    """Who the client believes answers: constant over one answer, whichever target serves it."""

    id: str
    """`chatcmpl-<receipt id>`."""
    model: str
    """The name asked for."""
    created: int
    """Seconds since the epoch."""


class Tally(msgspec.Struct, gc=False):
    """What one attempt sent, counted in characters (code points) as the client received them."""

    events: int = 0
    """Events of the upstream that carried a value; 1 for a whole answer; kernel events for other dialects."""
    text_chars: int = 0
    reasoning_chars: int = 0
    refusal_chars: int = 0
    tool_calls: int = 0
    argument_chars: int = 0
    """Of tool calls and of the older `function_call`."""
    finish: dict[int, FinishReason] = {}
    """Why each choice ended, by its index."""
    usage: Usage | None = None
    """As the upstream reported it last; None where it reported none."""
    upstream_id: str | None = None
    upstream_model: str | None = None
    """What the upstream calls the model that answered."""
    system_fingerprint: str | None = None


class Whole(msgspec.Struct, frozen=True, gc=False):
    """A whole answer, ready for the client."""

    body: bytes
    tally: Tally
