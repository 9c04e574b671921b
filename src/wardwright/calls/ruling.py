"""What the policies of one call decided, as its receipt keeps it.

Rule 1: members stand in alphabetical order and hold canonical values only, as in `calls.receipt`.
Rule 2: no text of the caller or the model stands here. Of a field that holds such text the receipt keeps which
comparisons held; offsets stand for what was matched.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from wardwright.policy.answers import Unmet
from wardwright.policy.decision import NOTHING, Decision, Span
from wardwright.policy.phases import Fact

PhaseName: TypeAlias = Literal["request", "route", "stream", "output", "receipt"]

Did: TypeAlias = Literal["block", "retry", "rewrite", "drop", "annotate", "released", "ended"]
"""`released`: a rule could not be kept and its text left unjudged, as it allows; `ended`: the attempt was given up."""

Channel: TypeAlias = Literal["text", "reasoning", "refusal", "tool_arguments"]


class Caught(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that a rule found in an answer while it was written, and what was done about it.

    Offsets count characters of the model's original text in one channel, from the start of the attempt.
    """

    action: Did
    """What was done."""
    call: int | None = None
    """For tool arguments: the tool call's index."""
    cause: str = ""
    """For `released` and `ended`: the cap that was met, or why."""
    channel: Channel
    """Where it was found."""
    choice: int = 0
    """In which answer of several."""
    composed: bool = False
    """It was found in the text that rewrites and drops composed."""
    dropped_chars: int = 0
    """For `ended`: held characters of the whole answer that never reached the client."""
    end: int
    """Behind its last character."""
    field: str | None = None
    """For tool arguments: the value inside them, by JSON pointer; offsets count in that value."""
    lost_to: str | None = None
    """The rule whose action was taken over the same text."""
    released_chars: int = 0
    """Of the channel's original text, before this was found."""
    rule: str | None = None
    """`policy/rule`; unset for a bound of the gateway itself."""
    shadow: bool = False
    """The rule is in shadow: nothing was done."""
    start: int
    """Its first character."""


class Ruling(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the rules of one phase decided, and what they saw."""

    attempt: int | None = None
    """Index in the receipt's `attempts`; unset for phases of the call as a whole."""
    caught: tuple[Caught, ...] = ()
    """What was found in the stream, in the order of finding; at most CAUGHT_MAX."""
    caught_more: int = 0
    """What was found beyond those."""
    decision: Decision = NOTHING
    """What was decided."""
    facts: tuple[tuple[str, Fact], ...] = ()
    """Fields that rules of the phase read, by name; those that hold text of a conversation stand in `withheld`."""
    found: tuple[str, ...] = ()
    """Keys of the comparisons over withheld fields that held; see `policy.conditions.key_of`."""
    held_chars_max: int = 0
    """The most characters that were held back at one time."""
    held_us_max: int = 0
    """The longest time for which something was held back, in µs."""
    phase: PhaseName
    """Where it was decided."""
    searched: tuple[tuple[str, Span | str], ...] = ()
    """For the phase `output`: rules that search the answer, by `policy/rule`, and what they found; a text says why a
    search came to no end."""
    unavailable: tuple[tuple[str, str], ...] = ()
    """Fields that could not be told, and why."""
    unmet: tuple[tuple[str, tuple[Unmet, ...]], ...] = ()
    """For the phase `output`: rules that expect something of the answer, by `policy/rule`, and what was wrong."""
    withheld: tuple[str, ...] = ()
    """Fields that hold text of the conversation."""
