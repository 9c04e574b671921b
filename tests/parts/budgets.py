"""Budgets to try things on: one limit of 100 tokens a user, and calls that are granted, refused or paid."""

from __future__ import annotations

import msgspec

from wardwright.contracts.budget import Budget, Per, Period, Unit, Within
from wardwright.kernel.units import SECOND_US
from wardwright.limits.allowance import Amounts, Claims, Limit, limit_of
from wardwright.limits.budget_record import Charge
from wardwright.limits.budgets import Budgets, Exceeded, Granted, Reservation
from wardwright.limits.windows import DAY_US

NOON = 20_000 * DAY_US + DAY_US // 2
MINUTE = 60 * SECOND_US
ANN = Claims(tenant="t", user="ann")
BOB = Claims(tenant="t", user="bob")


def limit(
    amount: int = 100, *, name: str = "b", of: Unit = "tokens", per: Per = "user", age_s: int | None = 64,
    calendar: Period | None = None, blocks: bool = True, denies: bool = True,
) -> Limit:  # fmt: skip
    made = limit_of(
        "p",
        Budget(
            name=name, of=of, limit="1", per=per, why="w",
            within=Within(age_s=None if calendar else age_s, calendar=calendar),
            missing="deny" if denies else "skip", on_exceeded="block" if blocks else "fact",
        ),
    )  # fmt: skip
    return msgspec.structs.replace(made, amount=amount)


def tokens(count: int) -> Amounts:
    return Amounts(output_tokens=count)


def granted(budgets: Budgets, *limits: Limit, claims: Claims = ANN, asked: int = 10, at: int = NOON) -> Reservation:
    outcome = budgets.reserve(limits, claims, tokens(asked), at, at + MINUTE)
    assert isinstance(outcome, Granted)
    return outcome.reservation


def spent(
    budgets: Budgets, *limits: Limit, claims: Claims = ANN, amount: int = 10, at: int = NOON
) -> tuple[Charge, ...]:
    return budgets.settle(granted(budgets, *limits, claims=claims, asked=amount, at=at), tokens(amount), at)


def exceeded(budgets: Budgets, *limits: Limit, claims: Claims = ANN, asked: int = 10, at: int = NOON) -> Exceeded:
    outcome = budgets.reserve(limits, claims, tokens(asked), at, at + MINUTE)
    assert isinstance(outcome, Exceeded)
    return outcome
