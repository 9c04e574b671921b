"""What was learned of targets, as facts for routes that go by it.

Rule 1: only routes that go by it ask, and each answer holds for HOLDS_S: the estimates behind it cost too much to be
made for every call, and move slowly.
Rule 2: what too little is known of is left out: a route then keeps its declared order.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from wardwright.gateway.catalog import Version
from wardwright.limits.observed import key_of
from wardwright.limits.patterns import Patterns

HOLDS_S: Final = 1.0
"""How long an answer holds."""

ANSWERS_MAX: Final = 4_096
"""Answers that are held; all are made anew when there are more."""

Learned: TypeAlias = tuple[tuple[str, int], ...]


class LearnedBoard:
    """Belongs to the event loop's thread."""

    def __init__(self) -> None:
        self.patterns = Patterns()
        self._answers: dict[tuple[str, str, str], tuple[float, Learned]] = {}

    def of(self, version: Version, *, tenant: str, house: str, kind: str, at_us: int, now: float) -> Learned:
        """How surely the targets of a version succeed. `now` are monotonic seconds."""
        key = (tenant, house, version.digest)
        held = self._answers.get(key)
        if held is not None and now < held[0]:
            return held[1]
        found: list[tuple[str, int]] = []
        for (contract, target), aim in sorted(version.aims.items()):
            told = self.patterns.predict(
                key_of(
                    tenant,
                    kind="model",
                    name=version.contract.name,
                    shape=kind,
                    house=house,
                    target=target,
                    model=aim.target.model,
                ),
                at_us,
            )
            if not told.abstained and told.level in ("target", "model"):
                found.append((f"{contract}/{target}", told.low_ppm))
        answer = tuple(found)
        if len(self._answers) >= ANSWERS_MAX:
            self._answers.clear()
        self._answers[key] = (now + HOLDS_S, answer)
        return answer
