"""What one call adds to the past: the labels it earned, when, where in its conversation, and whose they are.

Rule 1: `CallEvents` stands in receipts: members in alphabetical order, canonical values only. It is all that history
folds, so the past can be read from receipts again.
Rule 2: no text of a caller or a model stands here. A field that is text is kept under a keyed digest, which tells equal
from unequal and nothing else.
Rule 3: a label is one event for each attempt of a call, and one before the attempts, however many rules write it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

import msgspec

Kept: TypeAlias = int | bool | str | None
"""What an event keeps of a field: a number, true or false, the digest of a text; None where the call had no such
thing."""

Scope: TypeAlias = Literal["attempt", "run", "session", "agent", "user", "model", "tenant"]


class Unavailable(msgspec.Struct, frozen=True):
    """Why something of the past cannot be told."""

    why: str
    """Reads on after a field's name: `has no session`."""


class Scopes(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whose call it is. A member that is unset is unknown, and stands for nothing wider."""

    agent: str | None = None
    """The agent that consumes the answer."""
    model: str | None = None
    """The model contract's name."""
    run: str | None = None
    """The run that the caller declares."""
    session: str | None = None
    """The conversation's digest; unset where nothing tells it from others of its key."""
    session_declared: bool = False
    """Somebody said which session it is: it was not derived from the first message."""
    tenant: str
    """From the credential alone; everything kept begins with it."""
    user: str | None = None
    """The person the agent works for."""

    def of(self, scope: Scope, *, declared: bool = False) -> str | Unavailable:
        """The value of a scope that outlives a call; `declared` demands it of a session."""
        value = self.tenant if scope == "tenant" else getattr(self, scope, None)
        if value is None:
            return Unavailable(f"has no {scope}")
        if declared and scope == "session" and not self.session_declared:
            return Unavailable("has no declared session")
        return str(value)


class Earned(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One label that a call earned."""

    at: int
    """µs since the epoch."""
    attempt: int = 0
    """From 1; 0 before the attempts."""
    fields: tuple[tuple[str, Kept], ...] = ()
    """What state looks at, by name, sorted. A field that could not be told is not here."""
    label: str
    """As rules annotate it."""


class CallEvents(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All events of one call."""

    events: tuple[Earned, ...] = ()
    """In the order in which they were earned."""
    order: int = 0
    """Where the call stands among those that ended: rising within a gateway. 0 while it is under way."""
    policies: tuple[str, ...] = ()
    """Names of the policies that governed it, sorted: their state saw these events."""
    receipt: str
    """The receipt's id."""
    scopes: Scopes
    """Whose call it is."""
    step: int = 0
    """Assistant messages before it: the index of the model call in its conversation."""
    turn: int = 0
    """User messages before its last: the index of the turn."""

    def earns(
        self, labels: Iterable[str], at: int, attempt: int, fields: Mapping[str, Mapping[str, Kept]]
    ) -> CallEvents:
        """The call with the labels that it did not have in this attempt; `fields` by label."""
        had = {event.label for event in self.events if event.attempt == attempt}
        fresh = tuple(
            Earned(at=at, attempt=attempt, fields=tuple(sorted(fields.get(label, {}).items())), label=label)
            for label in dict.fromkeys(labels)
            if label not in had
        )
        return msgspec.structs.replace(self, events=self.events + fresh) if fresh else self


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """A call that wants to know of the past."""

    call: CallEvents
    """With what it has earned by now."""
    now_us: int
    attempt: int = 0
    """The attempt that asks; 0 before the attempts."""
    fields: Mapping[str, Kept] = {}
    """What it holds where state looks at `same`, kept as events keep it."""
