"""The typed value of a `kind: house` contract: the role in which somebody calls tools, and what it owes.

A house is not a set of rights: rules of policies say what may be done. It says what must be shown beside it.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias, get_args

import msgspec

from wardwright.contracts.model import Name
from wardwright.contracts.tool import Effect

FORMAT: Final = 1
"""The current format of house contracts."""

OBLIGATIONS_MAX: Final = 32

TAKEN_MAX: Final = 256
"""Labels, and tools, that one house takes."""

Label: TypeAlias = Annotated[
    str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._/-]*$", max_length=64, extra={"word": "label"})
]
"""Lower case letters, digits, `.`, `_`, `-` and `/`, beginning with a letter or digit."""

CheckName: TypeAlias = Literal["read_before_write", "cites", "plan", "red_green", "one_house"]
"""What can be checked over receipts."""

CHECKS: Final[dict[CheckName, str]] = {
    "read_before_write": "an earlier call of the same run or session read each path that this one writes",
    "cites": "the call names receipts of reads that it rests on",
    "plan": "the call names the plan that it follows",
    "red_green": "the call names two receipts of one test with the same arguments: it failed, then it passed",
    "one_house": "what this call writes was last written by the same house, or is taken over by naming that receipt",
}

Power: TypeAlias = Literal["approve", "decide", "sign"]
"""What a house may do beyond calling tools. `approve`: decide what waits for a person; `decide`: call what nobody can
take back; `sign`: have its receipts signed at once."""

POWERS: Final[tuple[Power, ...]] = get_args(Power)


class HouseObligation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One thing that must be shown before a call."""

    check: CheckName
    effects: tuple[Effect, ...]
    """For calls with these effects."""
    why: str
    """For whoever is refused."""


class HouseTasks(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Which tasks go to a house where nobody names one."""

    labels: tuple[Label, ...] = ()
    """Tasks with any of these labels."""
    tools: tuple[Name, ...] = ()
    """Tasks that call any of these tools."""
    default: bool = False
    """And those that no house takes by label or tool."""


class HouseContract(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A role in which tools are called."""

    name: Name
    """Such as `ezra`."""
    kind: Literal["house"] = "house"
    format: int = 1
    version: str | None = None
    """The operator's own label; versions are told apart by their digests."""
    doc: str = ""
    """What the house stands for."""
    obligations: tuple[HouseObligation, ...] = ()
    policies: tuple[Name, ...] = ()
    """Policies whose rules govern its calls beside those of the installation."""
    powers: tuple[Power, ...] = ()
    tasks: HouseTasks = HouseTasks()
    """Which tasks go to it; unset: those that name it."""
