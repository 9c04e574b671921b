"""Houses: a name in which tools are called, the three that come along, and the checks of what they owe.

Rule 1: an obligation is checked over receipts, never over what the caller says of itself.
Rule 2: what cannot be shown is not met: a receipt that is gone, or of another tenant, shows nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, Final, assert_never

import msgspec

from wardwright.contracts.house import CheckName, HouseContract, HouseObligation
from wardwright.contracts.tool import Effect


class House(msgspec.Struct, frozen=True):
    """The name of a house.

    >>> House.EZRA
    House(name='ezra')
    """

    name: str

    TIMMY: ClassVar[House]
    EZRA: ClassVar[House]
    BEZALEL: ClassVar[House]


House.TIMMY, House.EZRA, House.BEZALEL = House("timmy"), House("ezra"), House("bezalel")

_WRITES: Final[tuple[Effect, ...]] = ("write-local", "write-remote", "irreversible")

_OWN_WORK = HouseObligation(
    check="one_house",
    effects=_WRITES,
    why="one artifact is one house's work until another takes it over",
)

BUILT_IN: Final[tuple[HouseContract, ...]] = (
    HouseContract(
        name="timmy",
        doc="The sovereign: judges, decides and signs.",
        obligations=(_OWN_WORK,),
        powers=("approve", "decide", "sign"),
    ),
    HouseContract(
        name="ezra",
        doc="The archivist: reads before it writes, and says what it rests on.",
        obligations=(
            HouseObligation(check="read_before_write", effects=_WRITES, why="evidence comes before words"),
            HouseObligation(check="cites", effects=_WRITES, why="what is written rests on something that was read"),
            _OWN_WORK,
        ),
    ),
    HouseContract(
        name="bezalel",
        doc="The artificer: builds from plans, and proves what it built.",
        obligations=(
            HouseObligation(check="plan", effects=_WRITES, why="what is built follows a plan"),
            HouseObligation(check="red_green", effects=_WRITES, why="a test that failed and then passes is the proof"),
            _OWN_WORK,
        ),
    ),
)


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """An earlier call of a tool, as obligations look at it."""

    receipt: str
    tool: str
    effect: Effect
    house: str
    completed: bool
    failed: bool
    """The tool ran and could not do what it was asked."""
    arguments: str
    """Their keyed digest."""
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    order: int = 0
    """When it ended, among all calls: µs since the epoch, and rising where several of one writer end at once."""


class Owing(msgspec.Struct, frozen=True, kw_only=True):
    """A call, and what is known of the past beside it."""

    effect: Effect
    house: str
    writes: tuple[str, ...]
    """Paths that it may write."""
    plan: str | None
    cited: tuple[Shown, ...]
    """Receipts that it names and that are there."""
    earlier: tuple[Shown, ...]
    """Reads of the same run or session that touch `writes`."""
    written_by: tuple[Shown, ...]
    """For each path that it writes, who wrote it last, if anybody did."""


class Obligation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One check, as the receipt keeps it. Members in alphabetical order."""

    check: CheckName
    evidence: tuple[str, ...] = ()
    """Receipts that show it."""
    met: bool
    why: str = ""
    """What is missing."""


def checked(contract: HouseContract, also: Iterable[CheckName], owing: Owing) -> tuple[Obligation, ...]:
    """What a house, and rules beside it, oblige this call to, each checked once."""
    owed = [one.check for one in contract.obligations if owing.effect in one.effects]
    return tuple(_check(check, owing) for check in dict.fromkeys((*owed, *also)))


def _check(check: CheckName, owing: Owing) -> Obligation:
    match check:
        case "read_before_write":
            read = {path: one.receipt for one in owing.earlier for path in one.reads if one.completed or one.failed}
            missing = [path for path in owing.writes if path not in read]
            if missing:
                return Obligation(check=check, met=False, why=f"nothing of this run has read `{missing[0]}`")
            return Obligation(check=check, met=True, evidence=_sorted(read[path] for path in owing.writes))
        case "cites":
            reads = [one.receipt for one in owing.cited if one.effect == "read" and one.completed]
            why = "" if reads else "the call names no receipt of a read that succeeded"
            return Obligation(check=check, met=bool(reads), evidence=_sorted(reads), why=why)
        case "plan":
            return Obligation(check=check, met=bool(owing.plan), why="" if owing.plan else "the call names no plan")
        case "red_green":
            pair = red_green(owing.cited)
            if pair is None:
                why = "the call names no two receipts of one test, with the same arguments, that failed and then passed"
                return Obligation(check=check, met=False, why=why)
            return Obligation(check=check, met=True, evidence=pair)
        case "one_house":
            taken = {one.receipt for one in owing.cited}
            foreign = [one for one in owing.written_by if one.house != owing.house and one.receipt not in taken]
            if foreign:
                who = f"the house `{foreign[0].house}`" if foreign[0].house else "a call in no house"
                why = f"{who} wrote this last: take it over by naming `{foreign[0].receipt}`"
                return Obligation(check=check, met=False, why=why)
            return Obligation(check=check, met=True, evidence=_sorted(one.receipt for one in owing.written_by))
        case _:
            assert_never(check)


_HINTS: Final[dict[CheckName, str]] = {
    "read_before_write": "call `file.read` on it first, in the same run",
    "cites": "name receipts with `evidence=[…]`, or `--evidence`",
    "plan": "name it with `plan=…`, or `--plan`",
    "red_green": "name both with `evidence=[…]`, or `--evidence`",
    "one_house": "name that receipt with `evidence=[…]`, or `--evidence`",
}


def hint_of(check: CheckName) -> str:
    """What to do about an obligation that is not met."""
    return _HINTS[check]


def red_green(cited: Sequence[Shown]) -> tuple[str, str] | None:
    """A test that failed and later passed with the same arguments, by the receipts of both."""
    in_time = sorted(cited, key=lambda one: (one.order, one.receipt))
    red: dict[tuple[str, str], str] = {}
    for one in in_time:
        key = (one.tool, one.arguments)
        if one.failed:
            red[key] = one.receipt
        elif one.completed and key in red:
            return red[key], one.receipt
    return None


def _sorted(receipts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(receipts)))
