"""What rules propose and what a phase decides: values that stand in receipts.

Members stand in alphabetical order and hold canonical values only.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Literal

import msgspec

from wardwright.contracts.policy import (
    Action,
    ActionName,
    Alert,
    Annotate,
    InjectReminder,
    Reroute,
    RestrictRoutes,
    Retrying,
    SetArgument,
    Transform,
    Value,
    effect_of,
)


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule found, in characters of a channel's original text."""

    channel: str
    """Where it was found."""
    end: int
    """Behind the last character."""
    start: int
    """Its first character."""


class Proposal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One action that one rule asks for."""

    action: Action
    """What is asked for."""
    because: Literal["fired", "indeterminate"] = "fired"
    """`indeterminate`: the rule could not be told, and this is its `on_error`."""
    policy: str
    """The policy's name."""
    priority: int = 0
    """The rule's."""
    rule: str
    """The rule's id."""
    span: Span | None = None
    """What it found, where it searched."""

    @property
    def effect(self) -> ActionName:
        return effect_of(self.action)

    @property
    def rule_name(self) -> str:
        """`policy/rule`."""
        return f"{self.policy}/{self.rule}"


class Fired(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rule that was not silent."""

    policy: str
    """The policy's name."""
    rule: str
    """The rule's id."""
    shadow: bool = False
    """It is in shadow: recorded, without effect."""
    unknown: tuple[str, ...] = ()
    """Why it could not be told; empty where its condition held."""

    @property
    def rule_name(self) -> str:
        """`policy/rule`."""
        return f"{self.policy}/{self.rule}"


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one phase decided."""

    effect: ActionName = "allow"
    """The strongest effect among `kept`."""
    kept: tuple[Proposal, ...] = ()
    """Proposals that are carried out, strongest first."""
    lost: tuple[Proposal, ...] = ()
    """Proposals that gave way."""
    reasons: tuple[Fired, ...] = ()
    """Every rule that was not silent, by policy and id."""
    shadow: tuple[Proposal, ...] = ()
    """What rules in shadow would have asked for."""

    @property
    def winner(self) -> Proposal | None:
        """The proposal that gives the effect; None where nothing was proposed."""
        return self.kept[0] if self.kept else None

    @property
    def constraints(self) -> tuple[tuple[str, ...], ...]:
        """Allow-lists over targets, each to be met."""
        return tuple(one.action.to for one in self.kept if isinstance(one.action, RestrictRoutes | Reroute))

    @property
    def transforms(self) -> tuple[Transform | InjectReminder, ...]:
        """Text to put around the caller's messages, in order."""
        return tuple(one.action for one in self.kept if isinstance(one.action, Transform | InjectReminder))

    @property
    def arguments(self) -> dict[str, Value]:
        """What arguments of a tool's call are set to."""
        return {one.action.name: one.action.to for one in self.kept if isinstance(one.action, SetArgument)}

    @property
    def retries(self) -> tuple[Retrying, ...]:
        """Why the attempt is made again; their reminders are combined."""
        return tuple(one.action for one in self.kept if isinstance(one.action, Retrying))

    @property
    def alerts(self) -> tuple[tuple[Proposal, Alert], ...]:
        """Whom to tell, and which proposal says so."""
        return tuple((one, one.action) for one in self.kept if isinstance(one.action, Alert))

    @property
    def annotations(self) -> tuple[Annotate, ...]:
        """Labels for the receipt."""
        return tuple(one.action for one in self.kept if isinstance(one.action, Annotate))


NOTHING = Decision()
"""No rule had anything to say."""


def proposed_by(proposals: Iterable[Proposal], rules: Container[str]) -> tuple[Proposal, ...]:
    """Those of some rules, by `policy/rule`."""
    return tuple(one for one in proposals if one.rule_name in rules)
