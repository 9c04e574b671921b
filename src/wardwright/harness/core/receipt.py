"""The receipt of a tool call: what was asked, what was decided and from which facts, what was done, what came of it.

Rule 1: members stand in alphabetical order and hold canonical values only, as in `calls.receipt`; those that both kinds
of receipts have mean the same in both, so that history, budgets and patterns read either.
Rule 2: it holds no argument and no result: keyed digests and shapes stand for them. What was in reach is held as it is.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from wardwright.calls.receipt import Caller
from wardwright.contracts.tool import Effect, Reversal
from wardwright.harness.core.before import Snapshot
from wardwright.harness.core.hands import Scope
from wardwright.harness.core.houses import Obligation
from wardwright.journal import life
from wardwright.limits.events import CallEvents
from wardwright.limits.prediction import Prediction
from wardwright.policy.decision import NOTHING, Decision
from wardwright.policy.phases import Fact

FORMAT: Final = 1

OPENED: Final = life.TOOL_OPENED
CLOSED: Final = life.TOOL_CLOSED
LOST: Final = life.TOOL_LOST
PREFIX: Final = life.TOOL_RECEIPT_PREFIX

Status: TypeAlias = Literal[
    "completed", "failed", "timed_out", "cancelled", "denied", "awaiting_approval", "refused", "lost"
]
"""`denied`: a rule, an obligation or the scope forbids it; `refused`: it was not understood, or could not be tried;
`failed`: the tool ran and could not do what it was asked; `lost`: the process ended before the call did."""

PhaseName: TypeAlias = Literal["tool.before", "tool.after"]


class Ruling(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the rules of one phase decided, and what they saw."""

    decision: Decision = NOTHING
    """What was decided."""
    facts: tuple[tuple[str, Fact], ...] = ()
    """Fields that its rules read, by name; those that hold arguments or results stand in `withheld`."""
    found: tuple[str, ...] = ()
    """Keys of the comparisons over withheld fields that held; see `policy.conditions.key_of`."""
    phase: PhaseName
    """Where it was decided."""
    unavailable: tuple[tuple[str, str], ...] = ()
    """Fields that could not be told, and why."""
    withheld: tuple[str, ...] = ()
    """Fields that hold arguments or results."""


class Try(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One attempt."""

    error: str | None = None
    """The code of its failure."""
    took_us: int = 0


class ToolRef(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The version of the tool's contract."""

    digest: str
    """Of the contract's canonical bytes."""
    name: str
    version: str | None = None
    """The operator's own label."""


class Timings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where time went, in µs."""

    decided_us: int = 0
    """From its acceptance until it might run."""
    ran_us: int = 0
    """All attempts, with the pauses between them."""
    total_us: int = 0
    """From its acceptance to its result."""


class Opened(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Written before anything is done that cannot be taken back."""

    arguments: str = ""
    """Their keyed digest."""
    caller: Caller
    effect: Effect
    format: int = FORMAT
    house: str = ""
    receipt: str
    scope: Scope
    snapshots: tuple[Snapshot, ...] = ()
    """What stood where the call is about to write: enough to put it back, also where the process ended first."""
    started_at: int
    """µs since the epoch."""
    tool: ToolRef


class ToolReceipt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call of a tool."""

    amended: tuple[str, ...] = ()
    """Arguments that rules set, by name."""
    approval: str | None = None
    """The approval that it waits for, or that it used."""
    arguments: str = ""
    """Their keyed digest: equal arguments of one tenant have equal digests."""
    attempts: tuple[Try, ...] = ()
    """All of them, in order."""
    cached_from: str | None = None
    """The receipt whose result was given again."""
    caller: Caller
    """Who called, and in which house, run and session."""
    captured: bool = False
    """Arguments and result are kept beside the journal, until they are forgotten or retired."""
    degraded_from: str | None = None
    """The tool that failed, and for which this one stands in."""
    detectors: str | None = None
    """The version of the table of detectors that rules asked; unset where none did."""
    effect: Effect = "read"
    """What the call may do to the world."""
    error: str | None = None
    """Why it gave no result, as a code."""
    evidence: tuple[str, ...] = ()
    """Receipts that the call cites."""
    format: int = FORMAT
    """The version of this receipt's form."""
    history: CallEvents | None = None
    """What rules will remember of it."""
    house: str = ""
    """In whose name it was called; empty for nobody's."""
    mode: str = "simple"
    """What was demanded of it."""
    obligations: tuple[Obligation, ...] = ()
    """What it owed, and whether that was shown."""
    order: int = 0
    """Where the call stands among those of its writer that ended: rising."""
    parent: str | None = None
    """The receipt of the call that it is a step of, or stands in for."""
    plan: str | None = None
    """The plan that it follows."""
    policies: tuple[tuple[str, str], ...] = ()
    """Name and digest of each policy whose rules were asked."""
    policy: tuple[Ruling, ...] = ()
    """What they decided."""
    prediction: Prediction | None = None
    """What was said of it before it was made."""
    receipt: str
    """Its id."""
    result: str = ""
    """The keyed digest of the result; empty where there is none."""
    result_bytes: int = 0
    """Of the result, as JSON."""
    resumes: str | None = None
    """The first attempt of the same steps, which stopped where one of them needed an approval."""
    reversal: Reversal = "T0"
    """How the call is taken back."""
    scope: Scope | None = None
    """What was within its reach."""
    shape: str = ""
    """Names, types and sizes of the arguments, without their values."""
    snapshots: tuple[Snapshot, ...] = ()
    """What stood where it wrote, before and after."""
    started_at: int
    """µs since the epoch."""
    status: Status
    """How it ended."""
    steps: tuple[str, ...] = ()
    """Receipts of its steps that are done, in order, those of earlier attempts first."""
    timings: Timings = Timings()
    """Where time went."""
    tool: ToolRef
    """What was called."""
    undoes: str | None = None
    """The receipt of the call that it took back."""
    walls: str = "none"
    """What stood around its programs."""
