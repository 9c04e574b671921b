"""What rules read of budgets, taken from what was counted; and what a refused caller is told.

Rule 1: before a call, what calls in flight have reserved counts as used: it may be, and a decision near the threshold
does not waver with who ends first. After the call only what ended calls used counts: that never shrinks but by time,
so a threshold is crossed by one call and not by several.
Rule 2: a claim that the call lacks makes a fact absent where the budget says `skip`, and unavailable where it says
`deny`. A newcomer that cannot be told from others is unavailable always.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Final, assert_never

import msgspec

from wardwright.kernel.errors import WardwrightError
from wardwright.kernel.units import PPM
from wardwright.limits.allowance import Claims, Limit
from wardwright.limits.budget_record import Charge, Refused
from wardwright.limits.budgets import Budgets, Crowded, Exceeded, Held, Refusal, Standing, Unclaimed, Unshared

UNSHARED_RETRY_S: Final = 1
"""What a caller is told to wait where workers do not hear of each other."""


class BudgetFacts(msgspec.Struct, frozen=True):
    """Fields of budgets, for the snapshot of a phase. None: the call has no such budget."""

    known: dict[str, int | None]
    unavailable: dict[str, str]


def facts_before(
    budgets: Budgets, limits: Iterable[Limit], claims: Claims, now_us: int, reads: Container[str]
) -> BudgetFacts:
    """What rules of the phases `request` and `route` read, of the fields in `reads`."""
    facts = BudgetFacts({}, {})
    for limit in limits:
        fields = _read(limit, reads)
        if fields:
            standing = budgets.standing(limit, claims, now_us)
            held = standing.used + standing.reserved if isinstance(standing, Held) else 0
            _tell(facts, fields, limit, standing, held, held)
    return facts


def facts_after(
    budgets: Budgets,
    limits: Iterable[Limit],
    claims: Claims,
    charges: Sequence[Charge],
    now_us: int,
    reads: Container[str],
) -> BudgetFacts:
    """What rules of the phase `receipt` read, of the fields in `reads`. `charges` are those of `Budgets.settle`; none
    where nothing was reserved."""
    charged = {charge.meter: charge for charge in charges}
    facts = BudgetFacts({}, {})
    for limit in limits:
        fields = _read(limit, reads)
        if fields:
            charge = charged.get(limit.meter)
            if charge is not None and charge.used is not None:
                before = charge.used - charge.amount
                _tell(facts, fields, limit, Held(reserved=0, used=charge.used), charge.used, before)
            else:
                standing = budgets.standing(limit, claims, now_us)
                held = standing.used if isinstance(standing, Held) else 0
                _tell(facts, fields, limit, standing, held, held)
    return facts


def _read(limit: Limit, reads: Container[str]) -> list[tuple[str, str]]:
    """Facts of a limit that rules read, and their fields."""
    return [pair for pair in limit.fields if pair[1] in reads]


def _tell(
    facts: BudgetFacts, fields: Iterable[tuple[str, str]], limit: Limit, standing: Standing, used: int, before: int
) -> None:
    match standing:
        case Held():
            values = {
                "used": used,
                "left": max(limit.amount - used, 0),
                "share_ppm": used * PPM // (limit.amount or 1),
                "before_ppm": before * PPM // (limit.amount or 1),
            }
            facts.known.update((name, values[fact]) for fact, name in fields)
        case Unclaimed() if not limit.denies:
            facts.known.update((name, None) for _, name in fields)
        case Unclaimed():
            facts.unavailable.update((name, f"counts by {limit.per}, and the call names none") for _, name in fields)
        case Crowded():
            facts.unavailable.update((name, f"cannot tell this {limit.per} from others") for _, name in fields)
        case Unshared():
            facts.unavailable.update(
                (name, "other workers hold a part of it, and it cannot be told") for _, name in fields
            )
        case _:
            assert_never(standing)


def record_of(refusal: Refusal) -> Refused:
    """A refusal as its receipt holds it."""
    name = refusal.limit.name
    match refusal:
        case Exceeded():
            return Refused(
                asked=refusal.asked,
                budget=name,
                limit=refusal.limit.amount,
                reason="exceeded",
                reserved=refusal.reserved,
                retry_after_s=refusal.retry_after_s,
                used=refusal.used,
            )
        case Unclaimed():
            return Refused(budget=name, reason="unclaimed")
        case Crowded():
            return Refused(budget=name, reason="crowded")
        case Unshared():
            return Refused(budget=name, reason="unshared")
        case _:
            assert_never(refusal)


def refused(refusal: Refusal) -> tuple[WardwrightError, int | None]:
    """What the caller is told, and how many seconds it should wait: for `calls.machine.Refuse`."""
    limit = refusal.limit
    match refusal:
        case Exceeded(frees_at_us=None):
            message = f"the call may use more than the whole budget `{limit.name}` per {limit.per}"
            hint = "ask for fewer output tokens, or send less"
            return WardwrightError("budget_exceeded", message, hint=hint), refusal.retry_after_s
        case Exceeded():
            message = f"the budget `{limit.name}` per {limit.per} has no room for this call"
            return WardwrightError("budget_exceeded", message), refusal.retry_after_s
        case Unclaimed():
            message = f"the budget `{limit.name}` counts by {limit.per}, and the call names none"
            return WardwrightError("budget_unclaimed", message, hint=f"send the {limit.per} with the call"), None
        case Crowded():
            message = f"the budget `{limit.name}` cannot tell this {limit.per} from others: too many are in use"
            return WardwrightError("overloaded", message), None
        case Unshared():
            message = f"the budget `{limit.name}` is kept by several workers, and what they hold cannot be told now"
            return WardwrightError("overloaded", message), UNSHARED_RETRY_S
        case _:
            assert_never(refusal)
