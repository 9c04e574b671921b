"""Whether one target can serve a request: holds it, can do it, may do it, is well.

*need* = ⌈estimated input × margin⌉ + output budget, the budget never more than the target can write; *window* =
⌊context window × capacity fraction⌋. A target holds a request when need ≤ window. All of it is integer arithmetic in
parts per million, rounded against the request, so that the same facts give the same plan on every machine.

The gates stand in one order, and a target is out at the first that it fails: restricted, capability, window, health.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from wardwright.contracts.model import Decimal, Target
from wardwright.routing.constraints import excluded_by
from wardwright.routing.plan import RouteFacts, SkipReason

MILLION: Final = 1_000_000

GATES: Final[dict[SkipReason, int]] = {
    "guard": 0,
    "restricted": 1,
    "capability_missing": 2,
    "alloy_ceiling": 3,
    "context_window_too_small": 3,
    "breaker_open": 4,
    "rate_limited": 4,
}
"""The gate at which a reason stops a target: the higher, the closer it came to serving."""


class Hindrance(NamedTuple):
    """Why a target is out, where it was met."""

    gate: int
    reason: SkipReason
    detail: str
    holds: int = 0
    """Tokens: the bound that was too small, where that is the reason."""
    need: int = 0


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A target of a route, with what planning needs worked out beforehand."""

    capabilities: frozenset[str] | None
    contract: str
    """The contract whose target it is."""
    index: int
    """Its place among the candidates of the route."""
    key: str
    """`<contract>/<target>`, as health names it."""
    margin_ppm: int
    output_max: int | None
    target: Target
    window: int
    """Tokens that routing may fill."""


def candidate(index: int, contract: str, target: Target) -> Candidate:
    capabilities = target.capabilities
    return Candidate(
        capabilities=None if capabilities is None else frozenset(capabilities),
        contract=contract,
        index=index,
        key=f"{contract}/{target.name}",
        margin_ppm=ppm(target.tokens.margin, up=True),
        output_max=target.output_max,
        target=target,
        window=target.context_window * ppm(target.capacity_fraction) // MILLION,
    )


def ppm(decimal: Decimal, *, up: bool = False) -> int:
    """A decimal in parts per million, rounded down or, with `up`, up. No float comes near it.

    >>> ppm("0.85"), ppm("1.1"), ppm("0.0000001"), ppm("0.0000001", up=True)
    (850000, 1100000, 0, 1)
    """
    whole, _, fraction = decimal.partition(".")
    numerator, denominator = int(whole + fraction) * MILLION, int("1" + "0" * len(fraction))
    return -(-numerator // denominator) if up else numerator // denominator


def needs(candidate: Candidate, facts: RouteFacts) -> int:
    """Tokens the request takes of this candidate's window."""
    output, output_max = facts.output_tokens, candidate.output_max
    if output_max is not None and output > output_max:
        output = output_max
    return output - (-facts.input_tokens * candidate.margin_ppm // MILLION)


def hindrance(candidate: Candidate, need: int, facts: RouteFacts) -> Hindrance | None:
    """The first gate that this candidate fails, wherever in the route it stands; None if it can serve."""
    if facts.constraints:
        constraint = excluded_by(facts.constraints, candidate.target)
        if constraint is not None:
            return restricted(constraint)
    if (facts.capabilities or facts.in_tool_loop) and candidate.capabilities is not None:
        missing = _missing(candidate.capabilities, facts)
        if missing:
            return Hindrance(2, "capability_missing", f"lacks {missing}")
    if need > candidate.window:
        detail = f"needs {need} tokens, holds {candidate.window}"
        return Hindrance(3, "context_window_too_small", detail, candidate.window, need)
    if facts.resting:
        for key, reason in facts.resting:
            if key == candidate.key:
                return Hindrance(GATES[reason], reason, "cooling down")
    return None


def restricted(constraint: Sequence[str]) -> Hindrance:
    """Out because this constraint does not admit it."""
    return Hindrance(1, "restricted", f"is none of {', '.join(constraint)}" if constraint else "nothing is admitted")


def _missing(capabilities: frozenset[str], facts: RouteFacts) -> str:
    missing = [name for name in facts.capabilities if name not in capabilities]
    if facts.in_tool_loop and "tools" not in capabilities and "tools" not in missing:
        missing.append("tools, and the last message is a tool's result")
    return ", ".join(missing)
