"""The process as operators see it: what is under way, what it has done, how the last reload went."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Final

import msgspec

from wardwright.api.operation import Ask
from wardwright.api.refusals import Detail, detail_of
from wardwright.gateway.live import Live
from wardwright.gateway.meters import ModelMeter
from wardwright.journal.status import Pulse
from wardwright.kernel.units import SECOND_US
from wardwright.runtime.control import State

CALLS_SHOWN_MAX: Final = 200
REASONS_SHOWN_MAX: Final = 200


class LiveCall(msgspec.Struct, frozen=True, kw_only=True):
    """One call under way."""

    receipt: str
    """The id that its receipt will have."""
    model: str
    """As the caller asked for it."""
    kind: str
    """`chat` or `embeddings`."""
    stream: bool
    """The client asked for a stream."""
    tenant: str
    """Of the caller."""
    key: str | None
    """The id of the serving key; null for a keyless call."""
    agent: str | None
    """As the caller claims."""
    session: str | None
    """As the caller claims."""
    started_at: int
    """µs since the epoch."""
    running_us: int
    """Since it was accepted."""
    deadline_s: int
    """How long it may take in all."""
    provider: str | None
    """Of the attempt that runs."""
    target: str | None
    """Of the attempt that runs."""


class ModelTotals(msgspec.Struct, frozen=True, kw_only=True):
    """What the calls of one model came to since the start."""

    model: str
    """The contract's name; empty for names that led nowhere."""
    calls: dict[str, int]
    """By status."""
    attempts: tuple[AttemptTotals, ...]
    """By target and outcome."""
    input_tokens: int
    """Over all attempts, cached ones included."""
    output_tokens: int
    """Over all attempts, reasoning included."""
    cost_nano_usd: int
    """By the contract's prices."""


class AttemptTotals(msgspec.Struct, frozen=True, kw_only=True):
    """Attempts with one outcome at one target, since the start."""

    provider: str
    """The name of the provider."""
    target: str
    """The target's name in its contract."""
    outcome: str
    """`ok`, `abandoned`, or the class of the failure."""
    count: int
    """How many attempts."""


class ReloadStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How contract files were last read."""

    at: int
    """µs since the epoch; 0: never."""
    errors: tuple[Detail, ...]
    """What was refused; its last good version serves."""
    warnings: tuple[Detail, ...]
    """What is odd and serves all the same."""


class RuntimeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The process."""

    build: str
    """The version of this program."""
    started_at: int
    """µs since the epoch."""
    uptime_s: int
    """Since the start."""
    draining: bool
    """No new work is taken."""
    connections: int
    """Of clients, open now."""
    calls: tuple[LiveCall, ...]
    """Under way, newest first, at most 200."""
    calls_live: int
    """All that are under way."""
    models: tuple[ModelTotals, ...]
    """What was called since the start, by name."""
    turned_away: dict[str, int]
    """Requests that nobody may make, by error code: they have no receipt."""
    journal: Pulse
    """How writing goes."""
    reload: ReloadStatus
    """How contract files were last read."""
    workers: int = 1
    """Processes that serve; the counts here are theirs together."""


async def show_runtime(ask: Ask[None]) -> RuntimeStatus:
    front = ask.front
    gateway = front.gateway
    now_us, now_ns = gateway.clock.now_us(), gateway.clock.monotonic_ns()
    newest = islice(reversed(gateway.live.values()), CALLS_SHOWN_MAX)
    return RuntimeStatus(
        build=front.build,
        started_at=front.started_at,
        uptime_s=max(0, now_us - front.started_at) // SECOND_US,
        draining=front.draining,
        connections=front.connections,
        calls=tuple(_live_call(live, now_ns) for live in newest),
        calls_live=len(gateway.live),
        models=tuple(_totals(name, meter) for name, meter in sorted(gateway.meters.models.items())),
        turned_away=dict(gateway.meters.refused_early),
        journal=front.journal.pulse(),
        reload=reload_status(front.control.state),
    )


def all_runtimes(ask: Ask[None], of: Mapping[int, RuntimeStatus]) -> RuntimeStatus:
    """The processes of every worker as one."""
    own, some = of[ask.front.worker.number], tuple(of.values())
    calls = sorted((call for one in some for call in one.calls), key=lambda call: call.receipt, reverse=True)
    return RuntimeStatus(
        build=own.build,
        started_at=min(one.started_at for one in some),
        uptime_s=max(one.uptime_s for one in some),
        draining=all(one.draining for one in some),
        connections=sum(one.connections for one in some),
        calls=tuple(calls[:CALLS_SHOWN_MAX]),
        calls_live=sum(one.calls_live for one in some),
        models=_all_models(some),
        turned_away=summed(one.turned_away for one in some),
        journal=Pulse(
            failure=next((one.journal.failure for one in some if one.journal.failure is not None), None),
            refused=sum(one.journal.refused for one in some),
            waiting=sum(one.journal.waiting for one in some),
        ),
        reload=own.reload,
        workers=ask.front.worker.count,
    )


def _all_models(some: Iterable[RuntimeStatus]) -> tuple[ModelTotals, ...]:
    by_name: dict[str, list[ModelTotals]] = {}
    for status in some:
        for model in status.models:
            by_name.setdefault(model.model, []).append(model)
    return tuple(
        ModelTotals(
            model=name,
            calls=summed(one.calls for one in models),
            attempts=_all_attempts(models),
            input_tokens=sum(one.input_tokens for one in models),
            output_tokens=sum(one.output_tokens for one in models),
            cost_nano_usd=sum(one.cost_nano_usd for one in models),
        )
        for name, models in sorted(by_name.items())
    )


def _all_attempts(models: Iterable[ModelTotals]) -> tuple[AttemptTotals, ...]:
    counts: dict[tuple[str, str, str], int] = {}
    for model in models:
        for one in model.attempts:
            key = (one.provider, one.target, one.outcome)
            counts[key] = counts.get(key, 0) + one.count
    return tuple(
        AttemptTotals(provider=provider, target=target, outcome=outcome, count=count)
        for (provider, target, outcome), count in sorted(counts.items())
    )


def summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Counts by name, added up.

    >>> summed([{"a": 1}, {"a": 2, "b": 3}])
    {'a': 3, 'b': 3}
    """
    total: dict[str, int] = {}
    for some in counts:
        for name, count in some.items():
            total[name] = total.get(name, 0) + count
    return total


def reload_status(state: State) -> ReloadStatus:
    return ReloadStatus(
        at=state.at,
        errors=tuple(detail_of(error) for error in state.errors[:REASONS_SHOWN_MAX]),
        warnings=tuple(detail_of(warning) for warning in state.warnings[:REASONS_SHOWN_MAX]),
    )


def _live_call(live: Live, now_ns: int) -> LiveCall:
    accepted = live.machine.accepted
    caller, request = accepted.caller, accepted.request
    runs = None if live.version is None else live.machine.planned(None)
    return LiveCall(
        receipt=accepted.receipt,
        model=request.model,
        kind=request.kind,
        stream=request.stream,
        tenant=caller.tenant.value,
        key=caller.key,
        agent=None if caller.agent is None else caller.agent.value,
        session=None if caller.session is None else caller.session.value,
        started_at=accepted.started_at,
        running_us=(now_ns - accepted.now_ns) // 1000,
        deadline_s=live.deadline_s,
        provider=None if runs is None else runs.provider,
        target=None if runs is None else runs.target,
    )


def _totals(name: str, meter: ModelMeter) -> ModelTotals:
    return ModelTotals(
        model=name,
        calls=dict(meter.statuses),
        attempts=tuple(
            AttemptTotals(provider=provider, target=target, outcome=outcome, count=count)
            for (provider, target, outcome), count in sorted(meter.attempts.items())
        ),
        input_tokens=meter.input_tokens,
        output_tokens=meter.output_tokens,
        cost_nano_usd=meter.cost_nano_usd,
    )
