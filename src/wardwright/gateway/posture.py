"""How this gateway meets its callers and its own failures: the settings that calls depend on."""

from __future__ import annotations

from typing import Literal

import msgspec


class Posture(msgspec.Struct, frozen=True, kw_only=True):
    """Fixed while the process runs."""

    durability: Literal["batch", "before_response"] = "batch"
    """`before_response`: a whole answer leaves after its receipt is durable; a stream's first byte after `opened`,
    its last event after the receipt."""
    hops_max: int = 4
    """Gateways of this kind that a request may pass."""
    hosts: frozenset[str] = frozenset({"127.0.0.1", "localhost", "::1"})
    """Names under which keyless access answers: the `Host` header without its port."""
    keys: Literal["required", "optional"] = "optional"
    """`optional`: without a key the caller is tenant `local`; only sensible on loopback."""
    on_journal_failure: Literal["refuse", "degrade"] = "refuse"
    origins: frozenset[str] = frozenset()
    """Web origins that may call without a key; a browser page elsewhere may not."""
