"""Stream rules: what to look for in which channel, what to do about it, and how long text may wait for it.

Values only; `ruleset` admits them and says what is wrong with them. `Phrase` and `Regex` are the kernel's: one language
of patterns for all rules.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from wardwright.kernel.detectors.table import Row
from wardwright.kernel.patterns.admission import Pattern
from wardwright.kernel.patterns.admission import Phrase as Phrase
from wardwright.kernel.patterns.admission import Regex as Regex


class Text(msgspec.Struct, frozen=True, tag="text"):
    """What the model says to the user, its refusals included."""


class Reasoning(msgspec.Struct, frozen=True, tag="reasoning"):
    """What the model thinks aloud."""


class ToolArguments(msgspec.Struct, frozen=True, tag="tool_arguments"):
    """The values that the model hands to a tool: each string as it reads, each other value as its JSON."""

    tool: str = "*"
    """The tool's name, with `*` for any run of characters."""
    field: str | None = None
    """One value, by JSON pointer such as `/path`; None: every value."""


Channel: TypeAlias = Text | Reasoning | ToolArguments


class AnyOf(msgspec.Struct, frozen=True, tag="any_of"):
    """Any of several; where two match at one place, the first is preferred."""

    patterns: tuple[Pattern, ...]


class Detected(msgspec.Struct, frozen=True, tag="detected"):
    """What rows of the detectors' table find: a match is a candidate that is proved; others are let go."""

    rows: tuple[Row, ...]


Match: TypeAlias = Pattern | AnyOf | Detected


class Block(msgspec.Struct, frozen=True, tag="block"):
    """End the answer."""


class Annotate(msgspec.Struct, frozen=True, tag="annotate"):
    """Record it and go on. Nothing is held for it."""


class Drop(msgspec.Struct, frozen=True, tag="drop"):
    """Leave the match out."""


class Rewrite(msgspec.Struct, frozen=True, tag="rewrite"):
    """Put this in place of the match."""

    replacement: str


Plain: TypeAlias = Block | Rewrite | Drop | Annotate
"""What can be done to a match without another attempt."""


class Retry(msgspec.Struct, frozen=True, tag="retry"):
    """Give the attempt up and try again with a reminder, while the client has seen nothing of it."""

    reminder: str
    """Empty: ask the same again."""
    retries_max: int = 1
    """In one turn."""
    keep_partial: bool = False
    """Show the model what it wrote up to the match."""
    once_per: Literal["attempt", "turn", "session"] | None = None
    """`session`: a rule that fired in an earlier turn of it only annotates. Else it fires in every turn."""
    repeat_after_turns: int | None = None
    """With `once_per: session`: it fires again after this many turns."""
    after: Plain = Block()
    """What happens to a match when the retries are spent."""


Action: TypeAlias = Plain | Retry

Commit: TypeAlias = Literal[
    "pass",        # nothing is held: the rule can stop an answer, not keep its beginning back
    "exact",       # text waits while it could still become a match
    "sentence",    # and until its sentence is complete
    "line",
    "code_block",  # a fenced block waits until it closes, other text flows
    "json_value",  # an object or array waits until it closes, other text flows
    "tool_call",   # tool arguments always wait for their call; text beside them is `exact`
    "full",        # everything waits for the end
]  # fmt: skip
"""When text may leave."""

Otherwise: TypeAlias = Literal["fail_closed", "release_and_flag"]
"""What happens where a rule cannot be kept."""

HELD_CHARS_MAX: Final = 4096


class StreamRule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule over what a model writes."""

    id: str
    on: tuple[Channel, ...] = (Text(),)
    match: Match
    then: Action
    commit: Commit = "exact"
    priority: int = 0
    """Between actions of one kind, the larger wins."""
    held_chars_max: int = HELD_CHARS_MAX
    """Of one channel, for this rule."""
    held_age_ms_max: int | None = None
    """Of the oldest held character, counted while its channel is the one that speaks."""
    on_cap: Otherwise = "fail_closed"
    on_error: Otherwise = "fail_closed"
    """Where the rule cannot be evaluated: a match that takes too long, arguments that are not JSON."""
    shadow: bool = False
    """Say what it would have done, and do nothing."""


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule did before this attempt."""

    rule: str
    retries: int = 0
    """Attempts of this turn that it gave up."""
    turns_ago: int | None = None
    """Since it last fired in an earlier turn of its scope; None: never."""


RANK: Final[dict[type[Action], int]] = {Block: 0, Retry: 1, Rewrite: 2, Drop: 3, Annotate: 4}
"""The smaller wins over overlapping text; among equals the priority decides, then the start, then the id."""
