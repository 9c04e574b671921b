"""Whether the process lives, and whether it should be given work."""

from __future__ import annotations

from typing import Literal

import msgspec

from wardwright.api.operation import Ask
from wardwright.kernel.errors import WardwrightError


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The process answers. A journal that cannot be written is no reason to restart it: a restart mends no disk."""

    status: Literal["ok", "degraded"]
    """`degraded`: something below is not well."""
    build: str
    """The version of this program."""
    journal: Literal["ok", "failed"]
    """`failed`: it cannot be written now."""
    reload: Literal["ok", "refused"]
    """`refused`: some contract file was, at the last reload; its last good version serves."""


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway takes calls."""

    status: Literal["ready"] = "ready"
    """Anything else is a 503."""
    models: int
    """Names that calls may use."""


async def show_health(ask: Ask[None]) -> Health:
    front = ask.front
    journal_fails = front.gateway.writer.failure is not None
    refused = bool(front.control.state.errors)
    return Health(
        status="degraded" if journal_fails or refused else "ok",
        build=front.build,
        journal="failed" if journal_fails else "ok",
        reload="refused" if refused else "ok",
    )


async def show_readiness(ask: Ask[None]) -> Readiness:
    """Raises `not_ready` with every reason."""
    gateway = ask.front.gateway
    reasons: list[str] = []
    if ask.front.draining:
        reasons.append("the gateway is draining")
    if not len(gateway.catalog):
        reasons.append("no model is served")
    if gateway.writer.failure is not None and gateway.posture.on_journal_failure == "refuse":
        reasons.append("the journal cannot be written")
    if reasons:
        raise WardwrightError("not_ready", "; ".join(reasons))
    return Readiness(models=len(gateway.catalog))
