"""Whether a condition holds over the facts of a call.

Routing guards and canaries ask here, so that `when` means one thing. A fact the call does not have never satisfies a
condition on it: a guard on `region` does not open for a caller that names none.
"""

from __future__ import annotations

from typing import Protocol

from wardwright.contracts.decimals import compare, normalise
from wardwright.contracts.model import When


class Facts(Protocol):
    """What conditions may ask of a call; `routing.plan.RouteFacts` has these members."""

    @property
    def tenant(self) -> str: ...

    @property
    def application(self) -> str | None: ...

    @property
    def agent(self) -> str | None: ...

    @property
    def house(self) -> str | None: ...

    @property
    def tags(self) -> tuple[str, ...]: ...

    @property
    def capabilities(self) -> tuple[str, ...]: ...

    @property
    def data_class(self) -> str | None: ...

    @property
    def region(self) -> str | None: ...

    @property
    def input_tokens(self) -> int: ...

    @property
    def cost_usd_max(self) -> str | None: ...


def holds(when: When, facts: Facts) -> bool:
    """Whether every member that is set holds."""
    return (
        (not when.tenant or facts.tenant in when.tenant)
        and (not when.application or facts.application in when.application)
        and (not when.agent or facts.agent in when.agent)
        and (not when.house or facts.house in when.house)
        and (not when.tags or any(tag in when.tags for tag in facts.tags))
        and all(capability in facts.capabilities for capability in when.capabilities)
        and (not when.data_class or facts.data_class in when.data_class)
        and (not when.region or facts.region in when.region)
        and (when.input_tokens_min is None or facts.input_tokens >= when.input_tokens_min)
        and (when.input_tokens_max is None or facts.input_tokens <= when.input_tokens_max)
        and (when.cost_usd_max is None or _at_most(facts.cost_usd_max, when.cost_usd_max))
    )


def _at_most(stated: str | None, bound: str) -> bool:
    """Whether the caller stated an amount, and it is at most the bound."""
    amount = None if stated is None else normalise(stated)
    return amount is not None and compare(amount, bound) <= 0
