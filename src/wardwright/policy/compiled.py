"""Compiled rules and policies: what `policy.compiler` makes, and everybody else asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

import msgspec

from wardwright.contracts.budget import Declared
from wardwright.contracts.decode import Located
from wardwright.contracts.policy import Annotate, Channel, Hold, PolicyContract, Rule
from wardwright.kernel.detectors.table import Row
from wardwright.kernel.errors import Place
from wardwright.kernel.patterns.admission import Admitted, Pattern
from wardwright.policy.conditions import Node
from wardwright.policy.decision import Decision, Proposal
from wardwright.policy.expectation import Expecting
from wardwright.policy.operators import Check
from wardwright.policy.phases import Phase
from wardwright.policy.regions import Box
from wardwright.policy.strata import Recalled

INDETERMINATE_CODE: Final = "policy_indeterminate"
"""The code and label of a rule that could not be told."""

TEXT: Final = Channel(channel="text")
"""What `expect` judges where its rule does not say."""

Spans: TypeAlias = Callable[[str], tuple[int, int] | None]
"""The first span in a text. Raises TimeoutError."""


class Compiled(msgspec.Struct, frozen=True, kw_only=True):
    """One rule, ready to be asked."""

    policy: str
    rule: Rule
    document: Located[PolicyContract]
    path: str
    """Where the rule stands in its document."""
    check: Check
    """Fast, and may raise: see `policy.conditions`."""
    node: Node
    reads: frozenset[str]
    """Fields that its condition reads."""
    match: Admitted | None
    """What it searches its channels for; None where it does not search."""
    detects: tuple[Row, ...]
    """The detectors that it searches with; empty where it searches for patterns."""
    search: Spans | None
    """Searches a whole text for the first span of what it looks for."""
    expecting: Expecting | None
    """What its channels must be as wholes; None where it expects nothing."""
    hold: Hold | None
    """What of an answer waits for it; None: nothing does. Without `chars_max` it is all of it, without a cap."""
    proposals: tuple[Proposal, ...]
    """When it fires."""
    untold: tuple[Proposal, ...]
    """When it cannot be told."""
    after: tuple[Proposal, ...]
    """When it fires and its retries are spent; empty where it asks for none."""
    alone: Decision
    """What is decided when it fires and no other rule says anything."""
    boxes: tuple[Box, ...] | None
    """Where its condition can hold; None where there are too many."""

    @property
    def name(self) -> str:
        return f"{self.policy}/{self.rule.id}"

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """What it searches its channels for, as written; empty where it does not search."""
        return () if self.match is None else self.match.patterns

    @property
    def place(self) -> Place:
        return self.document.place(self.path)

    @property
    def channels(self) -> tuple[Channel, ...]:
        """What it searches or judges."""
        return self.rule.on or ((TEXT,) if self.expecting is not None else ())

    @property
    def shadow(self) -> bool:
        return self.rule.enforce == "shadow"

    @property
    def searches(self) -> bool:
        return self.match is not None

    @property
    def labels(self) -> frozenset[str]:
        """Labels that it may write when it is decided; in shadow they do not count."""
        asked = () if self.shadow else (*self.proposals, *self.untold)
        return frozenset(one.action.label for one in asked if isinstance(one.action, Annotate))


class Stratum(msgspec.Struct, frozen=True, kw_only=True):
    """Rules of a phase that are asked together."""

    wants: tuple[Recalled, ...]
    """What must be recalled before they are asked."""
    after: frozenset[tuple[str, str]]
    """Rules of earlier strata, as policy and id."""
    plain: tuple[tuple[Check, Compiled], ...]
    looking: tuple[Compiled, ...]
    """Those that look at channels."""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Compiled policies: what governs one model."""

    names: tuple[str, ...]
    """Of the policies, sorted."""
    phases: Mapping[str, Phase]
    """With what is declared of the past among their fields."""
    rules: Mapping[str, tuple[Compiled, ...]]
    """By phase, those switched off left out, sorted by policy and id."""
    reads: Mapping[str, frozenset[str]]
    """By phase, what its rules read: facts need hold nothing else."""
    plain: Mapping[str, tuple[tuple[Check, Compiled], ...]]
    """By phase, the rules that look at no channel, each behind its check: the loop over them is the hot path."""
    strata: Mapping[str, tuple[Stratum, ...]]
    """By phase, for those phases alone whose rules read the past."""
    recalled: tuple[Recalled, ...]
    """All state and machines that are declared, by field."""
    keeps: Mapping[str, frozenset[str]]
    """By label that is counted anywhere, the fields that its events carry."""
    keeping: frozenset[str]
    """Phases whose checks keep something in the snapshot, such as a text case folded."""
    budgets: tuple[Declared, ...] = ()
    """Every budget that counts a call, by policy."""

    def of(self, phase: str) -> tuple[Compiled, ...]:
        return self.rules.get(phase, ())

    def searching(self, phase: str) -> Iterator[Compiled]:
        """The rules that search channels."""
        return (rule for rule in self.of(phase) if rule.match is not None)

    def expecting(self, phase: str) -> Iterator[Compiled]:
        """The rules that judge whole channels."""
        return (rule for rule in self.of(phase) if rule.expecting is not None)

    def every(self) -> Iterator[Compiled]:
        for rules in self.rules.values():
            yield from rules
