"""What the types of `contracts.house` cannot say about one house."""

from __future__ import annotations

from typing import Final, cast

import msgspec

from wardwright.contracts.house import (
    CHECKS,
    FORMAT,
    OBLIGATIONS_MAX,
    TAKEN_MAX,
    HouseContract,
    HouseObligation,
    HouseTasks,
)
from wardwright.contracts.shapes import At, Reader, Rules


def _house(reader: Reader, value: msgspec.Struct, at: At) -> None:
    house = cast(HouseContract, value)
    if house.format != FORMAT:
        hint = f"this build reads format {FORMAT}; leave `format` out"
        reader.breaks(at.member("format"), f"format {house.format} of houses is unknown", hint)
    if len(house.obligations) > OBLIGATIONS_MAX:
        reader.breaks(at.member("obligations"), f"a house has at most {OBLIGATIONS_MAX} obligations")


def _obligation(reader: Reader, value: msgspec.Struct, at: At) -> None:
    obligation = cast(HouseObligation, value)
    if not obligation.effects:
        reader.breaks(at.member("effects"), "an obligation names the effects of the calls that owe it")
    if not obligation.why.strip():
        reader.breaks(at.member("why"), "an obligation says why", f"for one: {CHECKS[obligation.check]}")


def _tasks(reader: Reader, value: msgspec.Struct, at: At) -> None:
    tasks = cast(HouseTasks, value)
    for member, taken in (("labels", tasks.labels), ("tools", tasks.tools)):
        if len(taken) > TAKEN_MAX:
            reader.breaks(at.member(member), f"a house takes tasks by at most {TAKEN_MAX} {member}")


RULES: Final = Rules(
    nouns={HouseContract: "a house", HouseObligation: "an obligation", HouseTasks: "`tasks`"},
    readers={},
    checks={HouseContract: _house, HouseObligation: _obligation, HouseTasks: _tasks},
    unions={},
    members={},
    missing={},
    distinct={(HouseContract, "obligations"): ("obligation", "check")},
    sets=frozenset(
        {
            (HouseObligation, "effects"),
            (HouseContract, "policies"),
            (HouseContract, "powers"),
            (HouseTasks, "labels"),
            (HouseTasks, "tools"),
        }
    ),
)
