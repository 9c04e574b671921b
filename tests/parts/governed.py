"""Short ways to drive a governor and to read what it lets go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from wardwright.kernel.events import Event, Finish, TextDelta, ToolArgumentsDelta, ToolCallStart
from wardwright.streams.effects import Effect, Release
from wardwright.streams.governor import Delivery, Governor
from wardwright.streams.rule import Past, StreamRule
from wardwright.streams.ruleset import RETRIES_MAX, RuleSet

One = TypeVar("One", bound=Effect)


def governor(
    *rules: StreamRule, past: Sequence[Past] = (), retries_left: int = RETRIES_MAX, delivery: Delivery = "live"
) -> Governor:
    return Governor(RuleSet(rules), past=past, retries_left=retries_left, delivery=delivery)


def say(*pieces: str) -> list[Event]:
    return [TextDelta(0, piece) for piece in pieces]


def call(name: str, *pieces: str, index: int = 0) -> list[Event]:
    return [ToolCallStart(0, index, f"call_{index}", name), *(ToolArgumentsDelta(0, index, piece) for piece in pieces)]


def drive(governor: Governor, events: Sequence[Event], *, step_ns: int = 0) -> list[Effect]:
    """Each event by itself; no end is made up."""
    return [effect for at, event in enumerate(events) for effect in governor.take([event], at * step_ns)]


def answer(governor: Governor, *pieces: str) -> list[Effect]:
    """A whole text and its end."""
    return drive(governor, [*say(*pieces), Finish(0, "stop")])


def released(effects: Sequence[Effect]) -> list[Event]:
    return [event for effect in effects if isinstance(effect, Release) for event in effect.events]


def text(effects: Sequence[Effect]) -> str:
    return "".join(event.text for event in released(effects) if isinstance(event, TextDelta))


def arguments(effects: Sequence[Effect]) -> list[str]:
    return [event.text for event in released(effects) if isinstance(event, ToolArgumentsDelta)]


def only(kind: type[One], effects: Sequence[Effect]) -> One:
    """The one effect of its kind."""
    found = [effect for effect in effects if isinstance(effect, kind)]
    assert len(found) == 1, effects
    return found[0]


def all_of(kind: type[One], effects: Sequence[Effect]) -> list[One]:
    return [effect for effect in effects if isinstance(effect, kind)]
