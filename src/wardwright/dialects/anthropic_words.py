"""Anthropic's words for how an answer ended and what it cost, and ours.

Rule: a word that is not listed is not an ending. `pause_turn` (a server-side tool loop that wants to be continued) and
`model_context_window_exceeded` are cut answers, so they become `length`, never `stop`.
"""

from __future__ import annotations

from typing import Final

import msgspec

from wardwright.kernel.events import FinishReason
from wardwright.kernel.usage import Usage

VERSION: Final = b"2023-06-01"
"""The `anthropic-version` spoken here."""

STOP_REASONS: Final[dict[str, FinishReason]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


class _OutputDetails(msgspec.Struct, gc=False):
    thinking_tokens: int | None = None


class WireUsage(msgspec.Struct, gc=False):
    """A usage object on the wire. In a stream the counts are totals so far, and those not sent stand as they were."""

    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens: int | None = None
    output_tokens_details: _OutputDetails | None = None

    def then(self, later: WireUsage | None) -> WireUsage:
        """These counts, overwritten by those that a later report has."""
        if later is None:
            return self
        return WireUsage(
            *(new if new is not None else old for old, new in zip(_counts(self), _counts(later), strict=True))  # type: ignore[arg-type]
        )


def _counts(usage: WireUsage) -> tuple[object, ...]:
    return (
        usage.input_tokens,
        usage.cache_creation_input_tokens,
        usage.cache_read_input_tokens,
        usage.output_tokens,
        usage.output_tokens_details,
    )


def usage_of(wire: WireUsage) -> Usage:
    """Token classes that do not overlap: on the wire the three input counts stand apart, thinking is part of output."""
    output = max(wire.output_tokens or 0, 0)
    details = wire.output_tokens_details
    reasoning = 0 if details is None else min(max(details.thinking_tokens or 0, 0), output)
    return Usage(
        cache_write=max(wire.cache_creation_input_tokens or 0, 0),
        cached_input=max(wire.cache_read_input_tokens or 0, 0),
        input=max(wire.input_tokens or 0, 0),
        output=output - reasoning,
        reasoning=reasoning,
    )
