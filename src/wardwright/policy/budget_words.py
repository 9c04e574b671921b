"""What the budgets of a policy allow, in plain sentences."""

from __future__ import annotations

from decimal import Decimal
from typing import assert_never

import msgspec

from wardwright.contracts.budget import EVERY_CALL, UNITS, Budget, Declared, Within
from wardwright.policy.compiled import Policy


class BudgetWords(msgspec.Struct, frozen=True, kw_only=True):
    """One budget for a reader."""

    budget: str
    """`policy/name`."""
    sentence: str
    """How much of what, and what happens past it."""
    otherwise: str
    """What happens to a call that does not say whose it is; empty where every call does."""
    why: str


def budgets_explained(policy: Policy) -> tuple[BudgetWords, ...]:
    """Every budget, by policy and in the order of its document."""
    return tuple(map(_words, policy.budgets))


def _words(one: Declared) -> BudgetWords:
    budget = one.budget
    match budget.on_exceeded:
        case "block":
            past = "a call that could pass it is refused with `budget_exceeded`"
        case "fact":
            past = "rules may read how much of it is used, and nothing else happens"
        case _:
            assert_never(budget.on_exceeded)
    return BudgetWords(
        budget=one.full_name, sentence=f"{at_most(budget)}: {past}.", otherwise=_otherwise(budget), why=budget.why
    )


def at_most(budget: Budget) -> str:
    """How much of what, for whom and when."""
    return f"At most {_limit(budget)} for each {_per(budget)} {_within(budget.within)}"


def _limit(budget: Budget) -> str:
    unit = "USD" if budget.of == "cost_usd" else UNITS[budget.of]
    return f"{Decimal(budget.limit):,} {unit}"


def _per(budget: Budget) -> str:
    return "declared session" if budget.session == "declared" else budget.per


def _within(within: Within) -> str:
    if within.calendar is not None:
        return f"and calendar {within.calendar} (UTC)"
    return f"in any {within.age_s:,} s"


def _otherwise(budget: Budget) -> str:
    if budget.per in EVERY_CALL:
        return ""
    match budget.missing, budget.on_exceeded:
        case "skip", _:
            return "let it pass uncounted"
        case "deny", "block":
            return "refuse with `budget_unclaimed`"
        case _:
            return "rules that read it cannot be told"
