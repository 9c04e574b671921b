"""What became of calls, by the value of one member of their rows: the arms of an experiment, models, agents.

Rule 1: only calls whose receipts the caller may read take part.
Rule 2: shares, sums and percentiles are over the newest calls that meet the filters, at most as many as the index
takes together at once; an answer that leaves older ones out says so.
"""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.concurrency import run_in_threadpool

from wardwright.api.operation import Ask
from wardwright.api.query import Parameter
from wardwright.api.receipts import BOOLEANS, LIMIT_DEFAULT, LIMIT_MAX, PARAMETERS, conditions, visible
from wardwright.contracts.refusal import did_you_mean
from wardwright.journal.store import Asking, Total, Where
from wardwright.kernel.errors import Place, WardwrightError
from wardwright.kernel.units import PPM

GROUPS: Final = (
    "agent", "application", "asked", "attempts", "canary", "conversation", "digest", "error", "fallback", "house",
    "http_status", "key", "kind", "model", "provider", "run", "session", "simulation", "status", "stream",
    "target_model", "tenant", "user", "variant", "version",
)  # fmt: skip
"""Members of `Summary` that make groups: what many calls have in common."""

BY: Final = "by"

GROUP_PARAMETERS: Final = (
    Parameter(name=BY, means="The member whose values make the groups: " + ", ".join(GROUPS) + ".", required=True),
    *(one for one in PARAMETERS if one.name not in ("limit", "cursor")),
    Parameter(name="limit", means="Groups at most.", form="integer", default=LIMIT_DEFAULT, ge=1, le=LIMIT_MAX),
)
"""Every filter of receipts, and what to group by."""

_SUMS: Final = ("cost_nano_usd", "input_tokens", "output_tokens")
_PERCENTS: Final = (50, 95)


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The calls of one group."""

    value: str | int | bool | None
    """What they have in common; null: they have no such thing."""
    calls: int
    """How many ended."""
    completed: int
    """How many of them with the status `completed`."""
    completed_ppm: int
    """Their share, in parts per million."""
    cost_nano_usd: int
    """Over all calls."""
    input_tokens: int
    """Over all calls, cached ones included."""
    output_tokens: int
    """Over all calls, reasoning included."""
    total_p50_us: int
    """So long half of the calls took at most, from acceptance to the end of the answer."""
    total_p95_us: int
    """So long 95 of 100 took at most."""


class Outcomes(msgspec.Struct, frozen=True, kw_only=True):
    """What became of calls, by group, the largest first."""

    by: str
    """The member whose values make the groups."""
    data: tuple[Outcome, ...]
    """The groups."""
    more: bool
    """Whether there are smaller groups beyond `limit`."""
    older: bool
    """Whether as many calls were taken as may be at once: older ones, if there are any, were left out."""
    behind: bool
    """Whether the journal holds calls that these figures do not reflect yet."""


async def group_receipts(ask: Ask[None]) -> Outcomes:
    by = ask.query.text(BY)
    assert by is not None
    if by not in GROUPS:
        message = f"receipts cannot be grouped by `{by}`"
        raise WardwrightError("invalid_request", message, place=Place(path=BY), hint=did_you_mean(by, GROUPS))
    asking = Asking(
        by=by, counted=Where("status", "eq", "completed"), percents=_PERCENTS, ranked="total_us", sums=_SUMS
    )
    where = (*visible(ask.caller), *conditions(ask.query, besides=(BY, "limit")))
    limit = ask.query.integer("limit") or LIMIT_DEFAULT
    totals = await run_in_threadpool(ask.front.index.totals, asking, where, limit=limit)
    return Outcomes(
        by=by,
        data=tuple(_outcome(by, total) for total in totals.groups),
        more=totals.more,
        older=totals.older,
        behind=totals.behind,
    )


def _outcome(by: str, total: Total) -> Outcome:
    cost, input_tokens, output_tokens = total.sums
    half, most = total.ranks
    return Outcome(
        value=bool(total.value) if by in BOOLEANS and total.value is not None else total.value,
        calls=total.rows,
        completed=total.counted,
        completed_ppm=total.counted * PPM // total.rows,
        cost_nano_usd=cost,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        total_p50_us=half,
        total_p95_us=most,
    )
