"""The budgets of one call: what rules read of them, what is reserved for it, what it used in the end.

Rule 1: nothing starts that was not reserved for; what was reserved is settled or released when the call ends.
Rule 2: a simulation asks, and leaves no trace.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

from wardwright.calls import receipt as rc
from wardwright.kernel.usage import Rates
from wardwright.limits.allowance import Claims, Limit, upper_bound, used
from wardwright.limits.budget_facts import facts_after, facts_before
from wardwright.limits.budget_record import Charge
from wardwright.limits.budgets import Budgets, Granted, Refusal, Reservation
from wardwright.policy.phases import Facts
from wardwright.routing.plan import RouteFacts


class Account:
    """Made when the call's rules are; one call, one account."""

    __slots__ = ("_budgets", "_claims", "_limits", "_reserved", "refusal")

    def __init__(self, budgets: Budgets, limits: tuple[Limit, ...], claims: Claims) -> None:
        self._budgets = budgets
        self._claims = claims
        self._limits = limits
        self._reserved: list[Reservation] = []
        self.refusal: Refusal | None = None
        """Why the call, or another attempt of it, was not granted."""

    def before(self, now_us: int, reads: Container[str]) -> Facts:
        """What rules read before the call."""
        found = facts_before(self._budgets, self._limits, self._claims, now_us, reads)
        return Facts(dict(found.known), found.unavailable)

    def reserve(
        self,
        facts: RouteFacts,
        rates: Iterable[Rates],
        *,
        choices: int,
        deadline_us: int,
        error_ppm: int,
        now_us: int,
    ) -> Refusal | None:
        """Reserve for one attempt; None: granted. `error_ppm` is the band of the estimated input."""
        estimate = upper_bound(
            input_tokens=facts.input_tokens,
            error_ppm=error_ppm,
            output_tokens=facts.output_tokens,
            rates=rates,
            latency_ms=max(deadline_us - now_us, 0) // 1000,
            choices=choices,
        )
        outcome = self._budgets.reserve(self._limits, self._claims, estimate, now_us, deadline_us)
        if isinstance(outcome, Granted):
            self._reserved.append(outcome.reservation)
            return None
        self.refusal = outcome
        return outcome

    def settle(self, receipt: rc.Receipt, at_us: int) -> tuple[tuple[Charge, ...], int]:
        """The call is over: what it used takes the place of what was reserved. Its charges, and where it stands among
        the calls that were counted."""
        first, *others = self._reserved or (None,)
        self._reserved = []
        for one in others:
            if one is not None:
                self._budgets.release(one, at_us)
        if first is None:
            return (), 0
        if receipt.simulation or not receipt.attempts:
            self._budgets.release(first, at_us)
            return (), 0
        actual = used(receipt.usage, receipt.cost_nano_usd, receipt.timings.total_us)
        return self._budgets.settle(first, actual, at_us), self._budgets.order

    def after(self, charges: tuple[Charge, ...], now_us: int, reads: Container[str]) -> Facts:
        """What rules read after the call."""
        found = facts_after(self._budgets, self._limits, self._claims, charges, now_us, reads)
        return Facts(dict(found.known), found.unavailable)
