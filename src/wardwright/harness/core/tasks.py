"""Tasks: tool calls that somebody asked for and nobody waits for. To which house one goes, how far it is, what is next.

Rule 1: a task goes to the house that it names; else to the one that takes most of its labels; among equals to the one
that takes most of its tools; among equals to the first by name. What nobody takes goes to the default house.
Rule 2: how far a task is stands in the journal alone: its calls have the task's id for their session, and are made one
after the other. As many as were completed are behind it.
Rule 3: a call with an effect that was begun and whose end is unknown is not made again. The task is given up, and names
the receipt: only a person can say what became of it.
Rule 4: a call with an effect that failed is made again only where the task says so (`repeats`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from wardwright.contracts.house import HouseContract, Label
from wardwright.contracts.model import Name
from wardwright.harness.core.houses import House
from wardwright.harness.core.receipt import Opened, ToolReceipt

PREFIX: Final = "tsk"
LANE_PREFIX: Final = "tasks/"
ENDED: Final = "task.ended"
"""The kind of the record that says how a task ended."""

CALLS_MAX: Final = 64
LABELS_MAX: Final = 32
TEXT_CHARS_MAX: Final = 4_000
ATTEMPTS_MAX: Final = 100
PRIORITY_MAX: Final = 1_440
HEAD_START_US: Final = 60_000_000
"""What one degree of priority is worth: the task stands in line as if it had been added a minute earlier. So the
urgent go first, and nobody waits for ever."""
HOUSE_LABEL: Final = "house/"
"""A label that begins so names the house."""
DEFAULT_HOUSE: Final = House.TIMMY.name
"""Where no contract names a default: tasks go to whoever judges."""

ModeName: TypeAlias = Literal["simple", "intelligent", "sovereign"]

_PASSING: Final = frozenset({"journal_unavailable", "sandbox_unavailable", "tool_unavailable", "journal_write"})
"""Refusals that another time may not meet."""


class TaskCall(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One call of a tool."""

    tool: Name
    arguments: dict[str, object] = {}
    """By name."""


class Task(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What shall be done, in whose name, and how stubbornly."""

    id: str
    """`tsk_…`"""
    house: Name
    calls: Annotated[tuple[TaskCall, ...], msgspec.Meta(min_length=1, max_length=CALLS_MAX)]
    """Made in this order; where one fails, those after it are not made."""
    added_at: int
    """µs since the epoch."""
    after: str | None = None
    """The task that must have ended well before."""
    attempts_max: Annotated[int, msgspec.Meta(ge=1, le=ATTEMPTS_MAX)] = 3
    """How often it is begun, before it is given up."""
    due_at: int = 0
    """µs since the epoch: not before; 0: at once."""
    evidence: tuple[str, ...] = ()
    """Receipts that its calls rest on."""
    labels: Annotated[tuple[Label, ...], msgspec.Meta(max_length=LABELS_MAX)] = ()
    mode: ModeName = "simple"
    """What is demanded of its calls."""
    plan: str | None = None
    """The plan that it follows."""
    priority: Annotated[int, msgspec.Meta(ge=0, le=PRIORITY_MAX)] = 0
    repeats: bool = False
    """Calls with an effect that failed are made again, too."""
    run: str | None = None
    """The run that its calls belong to; unset: one of its own, under its id."""
    wait_ms: Annotated[int, msgspec.Meta(ge=1, le=86_400_000)] = 1_000
    """Before the second attempt; doubled before each further one."""

    @property
    def line_at(self) -> int:
        """Its place in line, in µs since the epoch."""
        return self.due_at or self.added_at - self.priority * HEAD_START_US

    @property
    def title(self) -> str:
        """The tools that it calls."""
        return " ".join(call.tool for call in self.calls)


class TaskEnded(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The `data` of `task.ended`. Members in alphabetical order."""

    attempts: int
    house: str
    outcome: Literal["done", "dead", "dropped"]
    receipts: tuple[str, ...] = ()
    """Of the calls that were completed, in order."""
    task: str
    """Its id."""
    why: str = ""


# -- where it goes -----------------------------------------------------------------------------------------------------


class Routed(msgspec.Struct, frozen=True, kw_only=True):
    """To which house a task goes, and why."""

    house: str
    by: Literal["name", "labels", "tools", "default"]
    also: tuple[str, ...] = ()
    """Houses that take it as well as this one: the first by name has it."""


def route(
    named: str | None, labels: Iterable[str], tools: Sequence[str], houses: Mapping[str, HouseContract]
) -> Routed:
    """The house of a task. `named` is believed; a label `house/NAME` names one where there is such a house.

    >>> from wardwright.contracts.house import HouseTasks
    >>> smiths = HouseContract(name="smiths", tasks=HouseTasks(labels=("build",), tools=("git.commit",)))
    >>> route(None, ["build"], ["file.read"], {"smiths": smiths})
    Routed(house='smiths', by='labels', also=())
    """
    given = frozenset(labels)
    if named is not None:
        return Routed(house=named, by="name")
    for label in sorted(given):
        if label.startswith(HOUSE_LABEL) and label.removeprefix(HOUSE_LABEL) in houses:
            return Routed(house=label.removeprefix(HOUSE_LABEL), by="name")
    claims = {
        name: (len(given & set(house.tasks.labels)), len(set(tools) & set(house.tasks.tools)))
        for name, house in houses.items()
    }
    best = max(claims.values(), default=(0, 0))
    if best != (0, 0):
        first, *also = sorted(name for name, claim in claims.items() if claim == best)
        return Routed(house=first, by="labels" if best[0] else "tools", also=tuple(also))
    first, *also = sorted(name for name, house in houses.items() if house.tasks.default) or [DEFAULT_HOUSE]
    return Routed(house=first, by="default", also=tuple(also))


# -- how far it is -----------------------------------------------------------------------------------------------------


class Begin(msgspec.Struct, frozen=True, kw_only=True):
    """The call of this number is next."""

    step: int
    """From 0."""
    receipts: tuple[str, ...] = ()
    """Of those before it."""
    approval: str | None = None
    """What it waited for when it was last made."""


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """All calls were completed."""

    receipts: tuple[str, ...]


class Stranded(msgspec.Struct, frozen=True, kw_only=True):
    """A call with an effect was begun, and nobody knows how it ended."""

    receipt: str
    tool: str
    receipts: tuple[str, ...]
    """Of those that were completed."""


Standing: TypeAlias = Begin | Finished | Stranded


def standing(task: Task, ended: Iterable[ToolReceipt], opened: Iterable[Opened]) -> Standing:
    """How far a task is, by what the journal holds of its calls."""
    by_id = {one.receipt: one for one in ended}
    in_time = sorted(by_id.values(), key=lambda one: (one.started_at, one.receipt))
    receipts = tuple(one.receipt for one in in_time if _own(one) and one.status == "completed")
    for begun in sorted(opened, key=lambda one: one.receipt):
        known = by_id.get(begun.receipt)
        if known is None or known.status in ("cancelled", "lost"):
            return Stranded(receipt=begun.receipt, tool=begun.tool.name, receipts=receipts)
    if len(receipts) >= len(task.calls):
        return Finished(receipts=receipts)
    own = [one for one in in_time if _own(one)]
    waited = own[-1].approval if own and own[-1].status == "awaiting_approval" else None
    return Begin(step=len(receipts), receipts=receipts, approval=waited)


def _own(receipt: ToolReceipt) -> bool:
    """Whether it is a call of the task, and not a step of one; what stands in for a call is that call."""
    return receipt.parent is None or receipt.degraded_from is not None


# -- what a receipt means for it ---------------------------------------------------------------------------------------


class Went(msgspec.Struct, frozen=True, kw_only=True):
    """The call was completed."""


class Waits(msgspec.Struct, frozen=True, kw_only=True):
    """A person must approve it."""

    approval: str


class Again(msgspec.Struct, frozen=True, kw_only=True):
    """Another attempt may go well."""

    why: str


class Over(msgspec.Struct, frozen=True, kw_only=True):
    """No attempt would go better, or none may be made."""

    why: str


Meaning: TypeAlias = Went | Waits | Again | Over


def meaning(task: Task, receipt: ToolReceipt, said: str, attempts: int) -> Meaning:
    """What a call's end means for its task. `said` are the error's words; `attempts` counts this one."""
    words = f"{receipt.tool.name}: {said} [{receipt.error or receipt.status}] {receipt.receipt}"
    match receipt.status:
        case "completed":
            return Went()
        case "awaiting_approval":
            return Waits(approval=receipt.approval or "")
        case "denied":
            return Over(why=words)
        case "cancelled" | "lost":
            return Again(why=words) if receipt.effect == "read" else Over(why=words)
        case "refused":
            passes = receipt.error in _PASSING
        case "failed" | "timed_out":
            passes = receipt.effect == "read" or task.repeats
    if not passes:
        return Over(why=words)
    return Again(why=words) if attempts < task.attempts_max else Over(why=f"{words} (attempt {attempts})")


def lane_of(house: str) -> str:
    return LANE_PREFIX + house
