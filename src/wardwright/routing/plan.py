"""The values routing decides over and decides: facts in, a plan out.

Both stand in the receipt, so `plan(route, facts)` can be made again from it, bit for bit. Members stand in
alphabetical order: their encoding is then canonical without sorting.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

SkipReason: TypeAlias = Literal[
    "context_window_too_small",
    "alloy_ceiling",
    "capability_missing",
    "restricted",
    "breaker_open",
    "rate_limited",
    "guard",
]


class RouteFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Everything a route decision may see."""

    agent: str | None = None
    """The caller's agent, as in the caller's claims; so for application, house, tags and tenant."""
    application: str | None = None
    """The caller's application."""
    capabilities: tuple[str, ...] = ()
    """What the request asks for, sorted."""
    constraints: tuple[tuple[str, ...], ...] = ()
    """Each an allow-list of patterns; all must admit a target."""
    conversation: str = ""
    """The conversation's keyed digest, hex; the seed of draws."""
    cost_usd_max: str | None = None
    """The request's `metadata.cost_usd_max`."""
    data_class: str | None = None
    """The request's `metadata.data_class`."""
    house: str | None = None
    """The rules and people the agent works for."""
    in_tool_loop: bool = False
    """The last message is a tool's result."""
    input_tokens: int = 0
    """Estimated, tools counted, before any margin."""
    learned: tuple[tuple[str, int], ...] = ()
    """How surely targets (`<contract>/<target>`) succeed, in parts per million, sorted: the lower end of what that may
    be. Those that too little is known of are left out; all, where no cascade goes by it."""
    output_tokens: int = 0
    """The budget: what the request allows, else the contract's default."""
    region: str | None = None
    """The request's `metadata.region`."""
    resting: tuple[tuple[str, SkipReason], ...] = ()
    """Targets (`<contract>/<target>`) that health takes out now, sorted: breaker open or rate limited."""
    step: int = 0
    """Assistant messages in the request: the index of this model call in its conversation."""
    tags: tuple[str, ...] = ()
    """Free words of the caller, sorted."""
    tenant: str = "local"
    """The caller's tenant."""
    turn: int = 0
    """User messages in the request less one: the index of this turn."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One target to try."""

    contract: str
    """The contract whose target it is: an alias leads to another than the one asked for."""
    lineage: tuple[str, ...]
    """The nodes passed on the way, such as `route`, `cascade[1]`, `alias:base`, `alloy[0]`."""
    model: str
    """What the provider calls the model."""
    provider: str
    """The name of the provider."""
    target: str
    """The target's name in its contract."""


class Skip(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One target that was not planned, and why."""

    contract: str
    """The contract whose target it is."""
    detail: str = ""
    """For a person: `needs 9012 tokens, holds 8192`."""
    reason: SkipReason
    """Why it is not tried."""
    target: str
    """The target's name in its contract."""


class Draw(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One throw of an alloy: reproduced by routing it again from the facts."""

    index: int
    """Which throw of the conversation: the step, or for `per: turn` the turn."""
    lineage: tuple[str, ...]
    """Where the alloy stands in the route."""
    order: tuple[int, ...]
    """Indexes of members in the order drawn."""
    strategy: str
    """How it throws: round_robin, weighted, sequence."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Why no target may serve the request."""

    code: str
    """A code of kernel.errors.CODES."""
    message: str
    """What the caller is told."""


class Plan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What will be tried, in order; what will not, and why."""

    attempts: tuple[Attempt, ...]
    """Targets in the order in which they are tried."""
    draws: tuple[Draw, ...] = ()
    """What alloys threw."""
    refusal: Refusal | None = None
    """Set exactly when there are no attempts."""
    skipped: tuple[Skip, ...] = ()
    """Targets of the route that are not tried."""
