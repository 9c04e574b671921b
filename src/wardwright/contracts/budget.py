"""The typed value of one budget of a policy: how much may be used, of what, by whom, in which time.

Rule 1: an amount is a whole number of the budget's unit; money stands in documents as USD and counts in nano-USD.
Rule 2: what rules may read of a budget is a row of FACTS; `policy.budget_fields` says in which phases.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from wardwright.contracts.model import Decimal, Name
from wardwright.kernel.canonical import INTEGER_MAX
from wardwright.kernel.usage import NANO_USD

BUDGETS_MAX: Final = 32
"""Budgets in one policy."""

AGE_S_MAX: Final = 366 * 86_400
"""The longest rolling window: a year."""

Unit: TypeAlias = Literal["tokens", "input_tokens", "output_tokens", "cost_usd", "requests", "latency_ms"]
Per: TypeAlias = Literal["run", "session", "agent", "user", "tenant", "key", "application", "model"]
Period: TypeAlias = Literal["day", "month"]

Age: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=AGE_S_MAX)]

EVERY_CALL: Final[frozenset[Per]] = frozenset({"model", "tenant"})
"""Claimants that no call lacks."""

PREFIX: Final = "budget."
"""How the fields of budgets begin."""

FACTS: Final[dict[str, str]] = {
    "used": "What the window holds, in the budget's unit",
    "left": "What is left of the limit, in the budget's unit; 0 where it is passed",
    "share_ppm": "What the window holds, in parts per million of the limit; it may pass 1,000,000",
    "before_ppm": "The share without this call, so that a rule can see its call cross a threshold",
}
"""What rules may read of a budget as `budget.<name>.<fact>`."""

UNITS: Final[dict[Unit, str]] = {
    "tokens": "tokens",
    "input_tokens": "input tokens",
    "output_tokens": "output tokens",
    "cost_usd": "nano-USD",
    "requests": "requests",
    "latency_ms": "ms of latency",
}
"""What one of an amount is, in words."""


class Within(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The time a budget is for: a rolling window, or a period of the calendar."""

    age_s: Age | None = None
    """Seconds that usage counts after the end of its call."""
    calendar: Period | None = None
    """The current day or month, UTC."""


class Budget(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """An amount that may be used in a window: reserved before each call, settled after it."""

    name: Name
    of: Unit
    """What is counted: over all attempts of a call, from its acceptance to its end."""
    limit: Decimal
    """The most that may be used, in the unit of `of`: USD for `cost_usd`, else a whole number."""
    per: Per
    """Whose usage counts together. All of them lie inside one tenant; `model` is the contract asked for."""
    within: Within
    why: str
    """The reason, for whoever meets the limit."""
    missing: Literal["deny", "skip"] = "deny"
    """What becomes of a call that does not say whose it is. `deny`: refused by a budget that blocks, else a fact that
    cannot be told. `skip`: not limited, and without the fact."""
    on_exceeded: Literal["block", "fact"] = "block"
    """`block`: a call that could pass the limit is refused. `fact`: nothing but what rules make of it."""
    session: Literal["any", "declared"] = "any"
    """For `per: session`. `declared`: a conversation that was derived from the first message does not do."""

    @property
    def amount(self) -> int:
        """The limit as a count: of nano-USD for money, else of its unit.

        >>> Budget(name="b", of="cost_usd", limit="0.25", per="user", within=Within(age_s=60), why="w").amount
        250000000
        """
        return amount_of(self.of, self.limit)


class Declared(msgspec.Struct, frozen=True):
    """A budget and the policy that declares it."""

    policy: str
    budget: Budget

    @property
    def full_name(self) -> str:
        """`policy/name`."""
        return f"{self.policy}/{self.budget.name}"


def amount_of(unit: Unit, limit: str) -> int:
    """A normalised decimal as a count of the unit; money in nano-USD. Places that the unit lacks are left out."""
    whole, _, fraction = limit.partition(".")
    if unit != "cost_usd":
        return int(whole)
    return int(whole) * NANO_USD + int(fraction.ljust(9, "0")[:9])


AMOUNT_MAX: Final = INTEGER_MAX
"""More than this no receipt could hold."""
