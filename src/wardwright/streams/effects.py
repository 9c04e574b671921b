"""What the governor asks for and what it found: a closed union for the call machine to carry out and to record.

Offsets count characters of the model's original text in one channel, from the start of the attempt.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from wardwright.kernel.events import Event

Kind: TypeAlias = Literal["text", "reasoning", "refusal", "tool_arguments"]


class Spot(msgspec.Struct, frozen=True):
    """One channel of one answer."""

    kind: Kind
    choice: int
    call: int | None = None
    """The tool call's index."""
    field: str | None = None
    """The value inside its arguments, by JSON pointer. Offsets then count in that value."""


class Release(msgspec.Struct, frozen=True):
    """These may reach the client."""

    events: tuple[Event, ...]


Done: TypeAlias = Literal["block", "retry", "rewrite", "drop", "annotate"]


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """A rule matched."""

    rule: str
    action: Done
    """What the rule does about it in this attempt."""
    spot: Spot
    start: int
    end: int
    released_chars: int
    """Of the channel's original text, before this."""
    composed: bool = False
    """It matched in the text that rewrites and drops composed; the offsets say where that came from."""
    lost_to: str | None = None
    """The rule whose action was taken over the same text."""
    shadow: bool = False
    """Nothing was done."""


AbortCause: TypeAlias = Literal[
    "block",
    "retry_after_release",  # a retry rule matched when the client had seen a part of the attempt
    "held_chars",           # a cap
    "held_age",
    "call_size",            # more of tool calls than the governor holds
    "indeterminate",        # a rule could not be evaluated
]  # fmt: skip


class Abort(msgspec.Struct, frozen=True, kw_only=True):
    """Cancel the attempt and end the answer in an error."""

    cause: AbortCause
    rule: str | None
    """None: a bound of the governor itself."""
    spot: Spot
    start: int
    end: int
    """The match, or the text that was held."""
    dropped_chars: int
    """Held text of the whole answer that never reached the client."""


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """Cancel the attempt, of which the client saw nothing, and start again with the reminders."""

    rules: tuple[str, ...]
    reminders: tuple[str, ...]
    """In the order of the rules; a rule that only asks the same again has none."""
    spot: Spot
    start: int
    end: int
    dropped_chars: int
    kept: str
    """What the model wrote in this channel up to the match, where a rule wants it shown; else empty."""


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """A rule was not kept, as it allows: its text was released unjudged."""

    cause: Literal["held_chars", "held_age", "indeterminate"]
    rule: str
    spot: Spot
    start: int
    end: int


Effect: TypeAlias = Release | Violation | Flag | Abort | Retry
