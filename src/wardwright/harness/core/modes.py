"""How much a harness demands of every call: three modes, each a row of demands.

| | simple | intelligent | sovereign |
|---|---|---|---|
| prediction | none | before each call, scored after it | the same; below the bound a person is asked |
| journal fails | the call goes on, and says so | the same | no call |
| walls | the best there are | required for what writes | required for everything |
| arguments and results | not kept | not kept | kept beside the journal |
"""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal, TypeAlias

import msgspec

from wardwright.contracts.tool import Effect

Requirement: TypeAlias = Literal["none", "programs", "all"]
"""What of a call must stand behind walls; the words of `harness.sandbox.posture`."""


class Mode(Enum):
    """What a harness demands."""

    SIMPLE = "simple"
    INTELLIGENT = "intelligent"
    SOVEREIGN = "sovereign"


class Demands(msgspec.Struct, frozen=True, kw_only=True):
    """One row."""

    asks_below_bound: bool
    """A call with an effect that nobody can foretell needs a person's approval."""
    keeps_results: bool
    """Arguments and results are kept beside the journal."""
    predicts: bool
    refuses_without_journal: bool
    """No record, no act."""
    walls_from: Effect | None
    """The lightest effect that must stand behind walls; None: none must."""

    def requirement(self, effect: Effect) -> Requirement:
        """What a call with this effect must stand behind."""
        match self.walls_from:
            case None:
                return "none"
            case "read":
                return "all"
            case _:
                return "none" if effect == "read" else "programs"


DEMANDS: Final[dict[Mode, Demands]] = {
    Mode.SIMPLE: Demands(
        asks_below_bound=False, keeps_results=False, predicts=False, refuses_without_journal=False, walls_from=None
    ),
    Mode.INTELLIGENT: Demands(
        asks_below_bound=False,
        keeps_results=False,
        predicts=True,
        refuses_without_journal=False,
        walls_from="write-local",
    ),
    Mode.SOVEREIGN: Demands(
        asks_below_bound=True, keeps_results=True, predicts=True, refuses_without_journal=True, walls_from="read"
    ),
}
