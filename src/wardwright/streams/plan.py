"""What one attempt does with the rules of one channel: each rule's part settled, the automata at hand.

Rule 1: a rule has one part. *Terminal* rules end the attempt, *edits* change the text, *notes* are facts alone: rules
that annotate, shadow rules, and rules that fired before. *Silent* rules do not take part, as when their condition does
not hold; they are in the automaton all the same, which is shared.
Rule 2: a rule holds text back if it can act on it: neither a note nor in commit mode `pass`.
Rule 3: the net is the blocking rules once more, over the text that edits composed; no edits, no net.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal, TypeAlias, assert_never, get_args

import msgspec

from wardwright.kernel.detectors.prover import Prover
from wardwright.kernel.patterns.admission import Admitted
from wardwright.kernel.patterns.search import Finder
from wardwright.streams.automaton import Automaton
from wardwright.streams.net import Mesh
from wardwright.streams.rule import Action, Annotate, Block, Drop, Retry, Rewrite, StreamRule
from wardwright.streams.units import Unit

Part: TypeAlias = Literal["terminal", "edit", "note", "silent"]
Actions: TypeAlias = tuple[Action | None, ...]
"""What each rule of a set does in one attempt; None: it is silent."""

_MS: Final = 1_000_000


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that was admitted."""

    rule: StreamRule
    admitted: Admitted
    finder: Finder | Prover

    @property
    def prover(self) -> Prover | None:
        """None: what the automaton hears of needs no proof."""
        return self.finder if isinstance(self.finder, Prover) else None


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """One rule's part in one attempt."""

    rule: StreamRule
    action: Action
    """What it does in this attempt: that of the rule, or what follows when its retries are spent."""
    finder: Finder | Prover
    holds: bool
    part: Part
    prover: Prover | None
    """What must prove a match before it ends the attempt; None: every match does."""


class Plan:
    """Made once for a channel and a set of parts, shared by every stream."""

    __slots__ = (
        "age_ns_max", "automaton", "chars_max", "full", "holding", "net", "net_rules", "spans",
        "units", "waits", "watched",
    )  # fmt: skip

    def __init__(self, watched: Sequence[Watched], automaton: Automaton, net: Mesh | None) -> None:
        """`automaton` has the patterns of `watched` in their order, `net` those of its blocking rules."""
        self.watched = tuple(watched)
        self.automaton = automaton
        held = [index for index, one in enumerate(watched) if one.holds]
        self.holding = _territory(automaton, held)
        searched = [one.part in ("edit", "note") or one.prover is not None for one in watched]
        self.spans = _territory(automaton, (index for index, one in enumerate(searched) if one))
        """Whose text is kept until it can be searched."""
        self.full = tuple(index for index in held if watched[index].rule.commit == "full")
        self.units: tuple[tuple[Unit, tuple[int, ...]], ...] = tuple(
            (unit, rules)
            for unit in get_args(Unit)
            if (rules := tuple(index for index in held if watched[index].rule.commit == unit))
        )
        self.waits = bool(self.full or self.units)
        """Text may wait although nothing is alive."""
        self.net = net
        self.net_rules = blocking(watched)
        self.chars_max = min((one.rule.held_chars_max for one in watched), default=0)
        """The strictest cap on characters."""
        ages = [age for index in held if (age := watched[index].rule.held_age_ms_max) is not None]
        self.age_ns_max = min(ages) * _MS if ages else None


def blocking(watched: Sequence[Watched]) -> tuple[int, ...]:
    """The rules of the net."""
    return tuple(index for index, one in enumerate(watched) if one.part == "terminal" and isinstance(one.action, Block))


def part_of(rule: StreamRule, action: Action) -> Part:
    if rule.shadow:
        return "note"
    match action:
        case Block() | Retry():
            return "terminal"
        case Rewrite() | Drop():
            return "edit"
        case Annotate():
            return "note"
        case _:
            assert_never(action)


def watch(loaded: Loaded, action: Action | None) -> Watched:
    """A rule with the action it has in an attempt."""
    part: Part = "silent" if action is None else part_of(loaded.rule, action)
    return Watched(
        rule=loaded.rule,
        action=action or loaded.rule.then,
        finder=loaded.finder,
        holds=part in ("terminal", "edit") and loaded.rule.commit != "pass",
        part=part,
        prover=loaded.prover,
    )


def _territory(automaton: Automaton, rules: Iterable[int]) -> int:
    mask = 0
    for index in rules:
        mask |= automaton.territories[index]
    return mask
