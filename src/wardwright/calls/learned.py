"""What a call of a model teaches: one try for each attempt. For whoever folds the journal."""

from __future__ import annotations

from typing import Final

import msgspec

from wardwright.calls.receipt import CLOSED, STOPPED, Caller, Timings, said
from wardwright.journal.entry import Record
from wardwright.limits.observed import Observation, Outcome, key_of

ATTEMPTS_MAX: Final = 1_000
"""More attempts than a call ever has: an attempt's order is that of its record, times this, and its place."""

_NOT_TO_BLAME: Final = frozenset({"rejected", "context_length", "not_served", "pool_full", "resting", STOPPED})
"""Failures that say nothing of how surely a target serves: the request, the gateway or a rule is behind them."""

_CUT: Final = frozenset({"connect_timeout", "first_byte_timeout", "between_bytes_timeout", "total_timeout"})
"""Attempts that were given up after waiting."""


class _Tried(msgspec.Struct, frozen=True, kw_only=True):
    cost_nano_usd: int = 0
    failure: str | None = None
    model: str
    started_us: int
    target: str
    took_us: int


class _Request(msgspec.Struct, frozen=True):
    kind: str = "chat"


class _Contract(msgspec.Struct, frozen=True):
    name: str


class _Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked at; the rest of a receipt is passed over unread."""

    attempts: tuple[_Tried, ...] = ()
    caller: Caller
    contract: _Contract | None = None
    request: _Request = _Request()
    simulation: bool = False
    started_at: int
    timings: Timings


_decode: Final = msgspec.json.Decoder(_Receipt).decode


def observations_of(record: Record) -> tuple[Observation, ...]:
    """The attempts of a closed call of a model, each as one try; none for any other record."""
    if record.kind != CLOSED:
        return ()
    receipt = _decode(record.data)
    if receipt.contract is None or receipt.simulation:
        return ()
    tenant, house = receipt.caller.tenant.value, said(receipt.caller.house) or ""
    found: list[Observation] = []
    for place, tried in enumerate(receipt.attempts):
        outcome = _outcome(tried.failure)
        if outcome is None:
            continue
        key = key_of(
            tenant,
            kind="model",
            name=receipt.contract.name,
            shape=receipt.request.kind,
            house=house,
            target=tried.target,
            model=tried.model,
        )
        found.append(
            Observation(
                at_us=receipt.started_at + tried.started_us + tried.took_us,
                cost_nano_usd=tried.cost_nano_usd or None,  # receipts hold 0 where no price was named
                key=key,
                latency_us=tried.took_us,
                order=record.seq * ATTEMPTS_MAX + place,
                outcome=outcome,
                writer=record.writer,
            )
        )
    return tuple(found)


def _outcome(failure: str | None) -> Outcome | None:
    if failure is None:
        return "succeeded"
    if failure in _NOT_TO_BLAME:
        return None
    return "cut" if failure in _CUT else "failed"
