"""Alerts over HTTP: how their deliveries stand, and what becomes of dead letters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeAlias, assert_never, get_args

import msgspec

from wardwright.api.operation import Ask
from wardwright.api.query import Parameter
from wardwright.calls.alerts import RaisedAlert, alert_in
from wardwright.contracts.refusal import did_you_mean
from wardwright.journal.work_queue import Dead, Done, Job, Leased, Waiting
from wardwright.kernel.errors import Place, WardwrightError
from wardwright.runtime.alerts import SinkPulse, no_dead_letter, sink_of

LIMIT_MAX: Final = 500
LIMIT_DEFAULT: Final = 50
PICKED_MAX: Final = 1_000
ID_CHARS_MAX: Final = 64

DeliveryState: TypeAlias = Literal["waiting", "sending", "delivered", "dead"]
Id: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=ID_CHARS_MAX)]

PARAMETERS: Final = (
    Parameter(name="state", means=f"One of {', '.join(get_args(DeliveryState))}."),
    Parameter(name="sink", means="To which sink."),
    Parameter(name="receipt", means="About which call."),
    Parameter(name="limit", means="How many.", form="integer", default=LIMIT_DEFAULT, ge=1, le=LIMIT_MAX),
)


class AlertView(msgspec.Struct, frozen=True, kw_only=True):
    """One alert and how its delivery stands."""

    id: str
    """`alt_…`: what the receiver is told too."""
    state: DeliveryState
    """`dead`: given up, and kept for a person."""
    sink: str
    """The sink that it is for."""
    receipt: str
    """The call that raised it."""
    attempts: int
    """How often its delivery was tried."""
    note: str
    """How the last attempt went; empty before the first."""
    raised_at: int
    """µs since the epoch."""
    settled_at: int | None
    """µs since the epoch; when it was delivered or given up."""
    due_at: int | None
    """µs since the epoch; when it is tried next at the earliest."""
    alert: RaisedAlert | None
    """What it says; null once it was delivered."""


class SinkView(msgspec.Struct, frozen=True, kw_only=True):
    """One sink."""

    name: str
    """What rules call it."""
    well: bool
    """Its last delivery went well, or there was none yet."""
    waiting: int
    """Alerts that wait or are being sent."""
    dead: int
    """Dead letters."""
    delivered: int
    """Since the start."""
    dropped: int
    """Since the start: alerts for which there was no room."""
    refused: int
    """Since the start: calls that were refused because there was no room for their alert."""


class AlertViews(msgspec.Struct, frozen=True, kw_only=True):
    """Some alerts, and every sink."""

    data: tuple[AlertView, ...]
    """Newest first: all that are undelivered, and those delivered lately."""
    sinks: tuple[SinkView, ...]
    """Empty where no gateway runs."""


class DeadLetters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which dead letters are meant: those with these ids, or all."""

    all: bool = False
    """All dead letters, of one sink where `sink` is set."""
    ids: Annotated[tuple[Id, ...], msgspec.Meta(max_length=PICKED_MAX)] = ()
    """These."""
    sink: Annotated[str, msgspec.Meta(min_length=1, max_length=ID_CHARS_MAX * 2)] | None = None
    """Of this sink alone; with `all`."""


class DeadLettersSettled(msgspec.Struct, frozen=True, kw_only=True):
    """What was done."""

    ids: tuple[str, ...]
    """The alerts that it was done to."""


async def list_alerts(ask: Ask[None]) -> AlertViews:
    state, sink, receipt = ask.query.text("state"), ask.query.text("sink"), ask.query.text("receipt")
    if state is not None and state not in get_args(DeliveryState):
        raise WardwrightError(
            "invalid_request",
            f"no alert is ever `{state}`",
            place=Place(path="state"),
            hint=did_you_mean(state, get_args(DeliveryState)),
        )
    limit = ask.query.integer("limit") or LIMIT_DEFAULT
    jobs = [
        job
        for job in ask.front.alerts.jobs()
        if (state is None or _state(job) == state)
        and (sink is None or sink_of(job.lane) == sink)
        and (receipt is None or job.ref == receipt)
    ]
    return AlertViews(
        data=tuple(_view(job) for job in reversed(jobs[-limit:])),
        sinks=tuple(_sink(pulse) for pulse in ask.front.alerts.pulse()),
    )


def all_alerts(ask: Ask[None], views: Mapping[int, AlertViews]) -> AlertViews:
    """The alerts of every worker as one list."""
    newest = sorted((one for view in views.values() for one in view.data), key=lambda one: one.raised_at, reverse=True)
    sinks: dict[str, list[SinkView]] = {}
    for view in views.values():
        for sink in view.sinks:
            sinks.setdefault(sink.name, []).append(sink)
    return AlertViews(
        data=tuple(newest[: ask.query.integer("limit") or LIMIT_DEFAULT]),
        sinks=tuple(
            SinkView(
                name=name,
                well=all(one.well for one in some),
                waiting=sum(one.waiting for one in some),
                dead=sum(one.dead for one in some),
                delivered=sum(one.delivered for one in some),
                dropped=sum(one.dropped for one in some),
                refused=sum(one.refused for one in some),
            )
            for name, some in sorted(sinks.items())
        ),
    )


def all_settled(ask: Ask[DeadLetters], done: Mapping[int, DeadLettersSettled]) -> DeadLettersSettled:
    """What every worker did to its own. Raises `alert_not_found` where an alert is nobody's."""
    ids = frozenset(id_ for one in done.values() for id_ in one.ids)
    unknown = sorted(frozenset(ask.body.ids) - ids)
    if unknown:
        raise no_dead_letter(unknown[0])
    return DeadLettersSettled(ids=tuple(sorted(ids)))


async def retry_alerts(ask: Ask[DeadLetters]) -> DeadLettersSettled:
    ids = _picked(ask)
    return DeadLettersSettled(ids=await ask.front.alerts.retry(ids, by="admin") if ids else ())


async def drop_alerts(ask: Ask[DeadLetters]) -> DeadLettersSettled:
    ids = _picked(ask)
    return DeadLettersSettled(ids=await ask.front.alerts.drop(ids, by="admin") if ids else ())


def _picked(ask: Ask[DeadLetters]) -> frozenset[str]:
    picked = ask.body
    if picked.all == bool(picked.ids):
        raise WardwrightError(
            "invalid_request", "either `ids` says which dead letters, or `all` takes them all", place=Place(path="ids")
        )
    dead = [job for job in ask.front.alerts.jobs() if job.state_name == "dead"]
    if picked.all:
        return frozenset(job.key for job in dead if picked.sink is None or sink_of(job.lane) == picked.sink)
    if ask.front.worker.alone:
        return frozenset(picked.ids)
    return frozenset(picked.ids).intersection(job.key for job in dead)  # the others may be another worker's


def _view(job: Job) -> AlertView:
    return AlertView(
        id=job.key,
        state=_state(job),
        sink=sink_of(job.lane),
        receipt=job.ref,
        attempts=job.attempts,
        note=job.note,
        raised_at=job.put_at,
        settled_at=job.state.at if isinstance(job.state, Done | Dead) else None,
        due_at=job.state.due_at if isinstance(job.state, Waiting) else None,
        alert=alert_in(job.payload) if job.payload else None,
    )


def _state(job: Job) -> DeliveryState:
    match job.state:
        case Waiting():
            return "waiting"
        case Leased():
            return "sending"
        case Done():
            return "delivered"
        case Dead():
            return "dead"
        case _:
            assert_never(job.state)


def _sink(pulse: SinkPulse) -> SinkView:
    return SinkView(
        name=pulse.name,
        well=not pulse.failures,
        waiting=pulse.jobs.waiting + pulse.jobs.leased,
        dead=pulse.jobs.dead,
        delivered=pulse.delivered,
        dropped=pulse.dropped,
        refused=pulse.refused,
    )
