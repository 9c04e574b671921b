"""What a budget allows whom, and what a call is expected to use: the words in which `limits.budgets` is asked.

Rule 1: an estimate is an upper bound. What is reserved before a call is at least what its attempt can use, by the
dearest target that may serve it, so that granted calls do not pass the limit together. Where a budget of money blocks,
every target has a price (`contracts.pricing`); one without counts as nothing in a budget that is but a fact for rules.
Rule 2: a meter's name holds all that decides what it counts. A budget whose limit changes keeps its past; one that
counts something else begins anew.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from wardwright.contracts.budget import FACTS, PREFIX, Budget, Declared, Per, Unit
from wardwright.kernel.canonical import INTEGER_MAX
from wardwright.kernel.units import PPM
from wardwright.kernel.usage import Rates, Usage
from wardwright.limits.windows import Window, spelled, window_of


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """One budget, ready to be asked. Another `amount` may stand in it than the contract's: a part that was leased."""

    amount: int
    """The most, as a count of `of`; nano-USD for money. 0 only where a part of it was leased: nothing of it is left."""
    blocks: bool
    """A call that could pass it is refused."""
    declared: bool
    """A derived session does not count as one."""
    denies: bool
    """A call that does not say whose it is is refused, or its facts cannot be told."""
    fields: tuple[tuple[str, str], ...]
    """Its facts and the fields in which rules read them, such as `("left", "budget.spend.left")`."""
    meter: str
    """What is counted: `policy/name:of:per:window`."""
    name: str
    """`policy/name`."""
    of: Unit
    per: Per
    window: Window


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """Whose call it is. The tenant comes from the credential; the rest lies inside it."""

    tenant: str
    agent: str | None = None
    application: str | None = None
    key: str | None = None
    """The id of the serving key."""
    model: str | None = None
    """The contract's name, without prefix."""
    run: str | None = None
    session: str | None = None
    """The conversation."""
    session_declared: bool = False
    """The conversation was declared and not derived from the first message."""
    user: str | None = None

    def of(self, limit: Limit) -> str | None:
        """Whose usage the call counts as, or None where it does not say."""
        if limit.declared and not self.session_declared:
            return None
        claim: str | None = getattr(self, limit.per)
        return claim


class Amounts(msgspec.Struct, frozen=True, kw_only=True):
    """What one call uses, or may use, by unit. All are natural numbers."""

    cost_usd: int = 0
    """nano-USD."""
    input_tokens: int = 0
    latency_ms: int = 0
    output_tokens: int = 0
    requests: int = 1

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def of(self, unit: Unit) -> int:
        """The amount of one unit, at most what a receipt can hold."""
        amount: int = getattr(self, unit)
        return amount if amount < INTEGER_MAX else INTEGER_MAX


def limit_of(policy: str, budget: Budget) -> Limit:
    """A budget of a policy as a limit."""
    window = window_of(budget.within)
    return Limit(
        amount=budget.amount,
        blocks=budget.on_exceeded == "block",
        declared=budget.per == "session" and budget.session == "declared",
        denies=budget.missing == "deny",
        fields=tuple((fact, f"{PREFIX}{budget.name}.{fact}") for fact in FACTS),
        meter=f"{policy}/{budget.name}:{budget.of}:{budget.per}:{spelled(window)}",
        name=f"{policy}/{budget.name}",
        of=budget.of,
        per=budget.per,
        window=window,
    )


def limits_of(budgets: Iterable[Declared]) -> tuple[Limit, ...]:
    """The limits of a compiled policy, from its `budgets`, by name."""
    return tuple(sorted((limit_of(one.policy, one.budget) for one in budgets), key=lambda limit: limit.name))


def upper_bound(
    *,
    input_tokens: int,
    error_ppm: int,
    output_tokens: int,
    rates: Iterable[Rates],
    latency_ms: int,
    choices: int = 1,
    attempts: int = 1,
) -> Amounts:
    """What a call may use at most: the upper band of the estimated input, and the output budget of every choice.

    `rates` are those of the targets that the plan may try; the dearest counts, all input at the dearest class of input
    and all output at the dearest of output. `attempts` are those that are reserved for at once. `latency_ms` is what
    is left until the call's deadline, over all attempts.

    >>> cheap = Rates(input=100, cached_input=10, cache_write=120, output=400, reasoning=0)
    >>> upper_bound(input_tokens=10, error_ppm=100_000, output_tokens=50, rates=[cheap], latency_ms=9).input_tokens
    11
    """
    asked = -(-input_tokens * (PPM + error_ppm) // PPM)
    answered = output_tokens * choices
    dearest = max((_dearest(asked, answered, one) for one in rates), default=0)
    return Amounts(
        cost_usd=dearest * attempts,
        input_tokens=asked * attempts,
        latency_ms=latency_ms,
        output_tokens=answered * attempts,
    )


def used(usage: Usage, cost_nano_usd: int, total_us: int) -> Amounts:
    """What a call used, from the members of its receipt."""
    return Amounts(
        cost_usd=cost_nano_usd,
        input_tokens=usage.input_total,
        latency_ms=-(-total_us // 1000),
        output_tokens=usage.output_total,
    )


def _dearest(asked: int, answered: int, rates: Rates) -> int:
    """nano-USD, rounded up."""
    micro = asked * max(rates.input, rates.cached_input, rates.cache_write)
    micro += answered * max(rates.output, rates.reasoning)
    return -(-micro // PPM)
