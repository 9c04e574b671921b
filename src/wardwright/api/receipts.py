"""Receipts: found by any member of their row, shown whole with their place in the chain.

Rule 1: what a caller may not read does not exist for them: it is neither listed nor told apart from an unknown id.
Rule 2: the filters are the members of `Summary`. Each has the seed's name beside ours where the seed has one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Final, Literal, TypeAlias, assert_never

import msgspec
from starlette.concurrency import run_in_threadpool

from wardwright.api.access import Admin, Anyone, Caller, Keyed, Keyless
from wardwright.api.front import Front
from wardwright.api.operation import Ask
from wardwright.api.query import Parameter, Query, Value
from wardwright.calls import receipt as rc
from wardwright.calls.rows import LISTS
from wardwright.calls.story import Event, events_of
from wardwright.gateway.catalog import PREFIX
from wardwright.journal.entry import Record, Ref
from wardwright.journal.rows import columns_of, value_of
from wardwright.journal.store import Where
from wardwright.kernel.docs import members_of
from wardwright.kernel.errors import WardwrightError

LIMIT_MAX: Final = 500
LIMIT_DEFAULT: Final = 50

_LOOK_AGAIN_S: Final = (0.01, 0.02, 0.04, 0.08, 0.16)
"""Waits for a record that was handed to the journal and does not lie on disk yet."""
_QUEUE_LOOKS_MAX: Final = 1000
"""How often one request looks again while entries wait for the journal's writer: ten seconds of a slow disk."""

_SEED_NAMES: Final = {
    "model_id": "model",
    "model_version": "version",
    "tenant_id": "tenant",
    "application_id": "application",
    "consuming_agent_id": "agent",
    "consuming_user_id": "user",
    "session_id": "session",
    "run_id": "run",
    "selected_provider": "provider",
}
_MODEL_NAMES: Final = frozenset({"model", "model_id"})
"""Filters that take a name with or without its prefix."""

_BOUNDS: Final = {"min": "at least", "max": "at most"}
BOOLEANS: Final = frozenset({"canary", "fallback", "simulation", "stream"})


class Receipts(msgspec.Struct, frozen=True, kw_only=True):
    """Some receipts, newest first."""

    data: tuple[rc.Summary, ...]
    """Rows of this page."""
    next: str | None
    """The `cursor` of the next page; null on the last."""
    behind: bool
    """Whether the journal holds calls that these rows do not reflect yet."""


State: TypeAlias = Literal["open", "closed", "lost"]


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """Where a record stands: enough to find it in the journal and to prove it there."""

    kind: str
    """`call.opened`, `call.closed` or `call.lost`."""
    writer: str
    """Who wrote it: `<node>/<slot>`."""
    chain: str
    """In which of the writer's chains."""
    seq: int
    """The place in the chain, from 1."""
    id: str
    """Hex SHA-256 of the record."""
    prev: str
    """The id of the record before it in the chain."""
    lam: int
    """Lamport time: orders records of several writers."""
    at: int
    """µs since the epoch."""
    refs: tuple[Ref, ...]
    """Earlier records that it points at."""


class Full(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the journal holds about one call."""

    id: str
    """The receipt's id."""
    state: State
    """`open`: the call is under way; `lost`: the process ended before the call did."""
    receipt: rc.Receipt | None
    """Set where the state is `closed`."""
    opened: rc.Opened | None
    """Set where the call did something that cannot be taken back before it closed."""
    events: tuple[Event, ...]
    """The steps of a closed call in order, read from its receipt."""
    records: tuple[Position, ...]
    """Oldest first."""


async def list_receipts(ask: Ask[None]) -> Receipts:
    limit = ask.query.integer("limit") or LIMIT_DEFAULT
    where = (*visible(ask.caller), *conditions(ask.query, besides=("limit", "cursor")))
    index = ask.front.index
    page = await run_in_threadpool(index.query, where, limit=limit, cursor=ask.query.text("cursor"))
    rows = tuple(value_of(row, rc.Summary) for row in page.rows)
    return Receipts(data=rows, next=page.next, behind=page.behind)


async def show_receipt(ask: Ask[None]) -> Full:
    return await readable(ask)


async def readable(ask: Ask[None]) -> Full:
    """What the journal holds about the call in the path. Raises `receipt_not_found` where the caller may not read it,
    `scope_missing`."""
    id_ = ask.path["id"]
    visible(ask.caller)
    full = await _found(ask.front, ask.caller, id_)
    if full is None:
        raise WardwrightError("receipt_not_found", f"no receipt `{id_}` is yours to read")
    return full


async def _found(front: Front, caller: Caller, id_: str) -> Full | None:
    """What the journal holds about a call that the caller may read.

    Of one that ended a moment ago, the last record may be on its way to the disk. What is foreign takes as long to
    answer as what is unknown.
    """
    waits_s: Sequence[float] = _LOOK_AGAIN_S if front.gateway.posture.durability == "batch" else ()
    patience = _QUEUE_LOOKS_MAX
    while True:
        full = _full(id_, await run_in_threadpool(front.index.get, id_))
        if full is not None and not _may_read(caller, full):
            full = None
        if (full is not None and (full.state != "open" or id_ in front.gateway.live)) or not waits_s:
            return full
        if patience and front.journal.pulse().waiting:
            patience -= 1  # the writer is behind: the record may not have left its queue
            await asyncio.sleep(waits_s[0])
            continue
        wait_s, *waits_s = waits_s
        await asyncio.sleep(wait_s)


# Who sees what


def visible(caller: Caller) -> tuple[Where, ...]:
    """The conditions that keep foreign receipts out. Raises `scope_missing`."""
    match caller:
        case Admin():
            return ()
        case Keyed():
            caller.require("receipts:own", "receipts:tenant")
            tenant = Where("tenant", "eq", caller.key.tenant)
            if "receipts:tenant" in caller.key.scopes:
                return (tenant,)
            return (tenant, Where("key", "eq", caller.key.id))
        case Keyless() | Anyone():
            return (Where("tenant", "eq", "local"), Where("key", "unset"))
        case _:
            assert_never(caller)


def _may_read(caller: Caller, full: Full) -> bool:
    told = full.receipt or full.opened
    if told is None:
        return isinstance(caller, Admin)
    by = told.caller
    match caller:
        case Admin():
            return True
        case Keyed():
            own = caller.key
            return by.tenant.value == own.tenant and ("receipts:tenant" in own.scopes or by.key == own.id)
        case Keyless() | Anyone():
            return by.tenant.value == "local" and by.key is None
        case _:
            assert_never(caller)


# One receipt


def _full(id_: str, records: tuple[Record, ...]) -> Full | None:
    if not records:
        return None
    opened: rc.Opened | None = None
    receipt: rc.Receipt | None = None
    state: State = "open"
    for record in records:
        match record.kind:
            case rc.OPENED:
                opened = msgspec.json.decode(record.data, type=rc.Opened)
            case rc.CLOSED:
                receipt, state = msgspec.json.decode(record.data, type=rc.Receipt), "closed"
            case rc.LOST if receipt is None:
                state = "lost"
    return Full(
        id=id_,
        state=state,
        receipt=receipt,
        opened=opened,
        events=() if receipt is None else events_of(receipt),
        records=tuple(position_of(record) for record in records),
    )


def position_of(record: Record) -> Position:
    """Where a record stands."""
    return Position(
        kind=record.kind,
        writer=record.writer,
        chain=record.chain,
        seq=record.seq,
        id=record.id,
        prev=record.prev,
        lam=record.lam,
        at=record.at,
        refs=record.refs,
    )


# Filters


def _parameters() -> tuple[Parameter, ...]:
    docs = members_of(rc.Summary)
    found: list[Parameter] = []
    for column in columns_of(rc.Summary):
        name = column.name
        means = docs.get(name, "")
        if name in BOOLEANS:
            found.append(Parameter(name=name, means=means, form="boolean"))
        elif column.type == "text":
            found.append(Parameter(name=name, means=means))
        else:
            form: Literal["instant", "integer"] = "instant" if name == "started_at" else "integer"
            found.append(Parameter(name=name, means=means, form=form))
            found.extend(
                Parameter(name=f"{name}_{bound}", means=f"`{name}` is {words} this.", form=form)
                for bound, words in _BOUNDS.items()
            )
    found.extend(Parameter(name=seed, means=f"The same as `{ours}`.") for seed, ours in _SEED_NAMES.items())
    found.append(Parameter(name="selected_model", means="`provider/model` of the selected target, or its model alone."))
    found.extend(
        Parameter(name=f"created_at_{bound}", means=f"The call started {words} then.", form="instant_s")
        for bound, words in {"min": "no earlier than", "max": "no later than"}.items()
    )
    found.append(
        Parameter(name="limit", means="Rows of a page.", form="integer", default=LIMIT_DEFAULT, ge=1, le=LIMIT_MAX)
    )
    found.append(Parameter(name="cursor", means="`next` of the page before."))
    return tuple(found)


PARAMETERS: Final = _parameters()
"""Every filter, from the members of `Summary`."""

_COLUMNS: Final = frozenset(column.name for column in columns_of(rc.Summary))


def conditions(query: Query, *, besides: Collection[str]) -> tuple[Where, ...]:
    """What the filters of a query ask for; `besides` are its parameters that are none."""
    found: list[Where] = []
    for name, value in query.items():
        if name not in besides:
            found.extend(_condition(name, value))
    return tuple(found)


def _condition(name: str, value: Value) -> tuple[Where, ...]:
    if name in _MODEL_NAMES:
        value = str(value).removeprefix(PREFIX)
    name = _SEED_NAMES.get(name, name)
    if name in LISTS:
        return (Where(name, "has", str(value)),)
    if name in _COLUMNS:
        return (Where(name, "eq", int(value) if isinstance(value, bool) else value),)
    if name == "selected_model":
        provider, slash, model = str(value).partition("/")
        if not slash:
            return (Where("target_model", "eq", value),)
        return (Where("provider", "eq", provider), Where("target_model", "eq", model))
    column, _, bound = name.rpartition("_")
    return (Where("started_at" if column == "created_at" else column, "min" if bound == "min" else "max", value),)
