"""Scorecards: how calls of tools and models fared over a span of the journal, and how good predictions of them were.

    scores = Scoring()
    for record in records: scores.step(record)         # by the time at which calls ended
    scores.card(since_us, until_us).tools

Rule 1: a rate is over calls that were tried: what a rule denied, a person is waited for, or the cache answered says
nothing of whether it works. Those are counted beside it.
Rule 2: nothing is scored that was not foretold: only predictions that stand in receipts are held against what came of
the calls. Receipts of models have none.
Rule 3: latencies are those of successes, as weights of buckets (`limits.sketch`): what is told is never less than what
was observed, and at most an eighth more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from wardwright.calls import receipt as rc
from wardwright.calls.receipt import Caller, Selected, said
from wardwright.harness.core import receipt as tr
from wardwright.harness.core.rows import lost_receipt
from wardwright.journal.entry import Record
from wardwright.journal.life import Lost
from wardwright.limits.observed import key_of
from wardwright.limits.prediction import Prediction
from wardwright.limits.scoring import Report, Scored, Scores, wilson_ppm
from wardwright.limits.sketch import bucket_of, quantile_us

GROUPS_MAX: Final = 1_000
"""Names of one table; calls of further ones are counted under OTHERS."""

OTHERS: Final = "(others)"

OPENED_MAX: Final = 10_000
"""Calls under way that are remembered, so that one that was lost is known by its tool."""

By: TypeAlias = Literal["tool", "house", "model", "agent"]

Outcome: TypeAlias = Literal["succeeded", "failed", "denied", "waiting", "cached", "other"]
"""`denied`: a rule, an obligation or the scope; `waiting`: for a person; `other`: it was not understood, cancelled,
lost, only planned, or its client left."""


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """One call, as scorecards look at it."""

    agent: str
    at_us: int
    """When it ended."""
    attempts: int
    cost_nano_usd: int
    house: str
    kind: Literal["tool", "model"]
    latency_us: int
    name: str
    outcome: Outcome
    prediction: Prediction | None = None
    tenant: str


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One name's calls."""

    name: str
    """A tool, a house, a model contract or an agent; empty for calls that name none."""
    calls: int
    succeeded: int
    failed: int
    denied: int
    waiting: int
    cached: int
    other: int
    success_ppm: int | None
    """Of those that were tried; null where none was."""
    low_ppm: int | None
    """The true share lies between these with nine tenths' confidence (Wilson)."""
    high_ppm: int | None
    p50_us: int | None
    """Of successes."""
    p95_us: int | None
    p99_us: int | None
    cost_nano_usd: int
    retries: int
    """Attempts beyond each call's first."""
    predictions: Report
    """How good predictions were."""


class Scorecard(msgspec.Struct, frozen=True, kw_only=True):
    """One span."""

    since_us: int
    """µs since the epoch; calls that ended no earlier."""
    until_us: int
    """Calls that ended before it."""
    all: Line
    tools: tuple[Line, ...]
    """The most often called first."""
    houses: tuple[Line, ...]
    models: tuple[Line, ...]
    agents: tuple[Line, ...]

    def of(self, by: By) -> tuple[Line, ...]:
        tables: dict[By, tuple[Line, ...]] = {
            "agent": self.agents,
            "house": self.houses,
            "model": self.models,
            "tool": self.tools,
        }
        return tables[by]


class Scoring:
    """The fold over records of calls. Belongs to one thread."""

    def __init__(self, since_us: int, until_us: int) -> None:
        self._all = _Tally("")
        self._opened: dict[str, tr.Opened] = {}
        self._since_us = since_us
        self._tables: dict[By, dict[str, _Tally]] = {"agent": {}, "house": {}, "model": {}, "tool": {}}
        self._until_us = until_us

    def step(self, record: Record) -> None:
        """One record, in the order of time."""
        made = self._made(record)
        if made is not None and self._since_us <= made.at_us < self._until_us:
            self.add(made)

    def add(self, made: Made) -> None:
        """One call of the span."""
        self._all.add(made)
        self._tally(made.kind, made.name).add(made)
        self._tally("house", made.house).add(made)
        self._tally("agent", made.agent).add(made)

    def card(self) -> Scorecard:
        return Scorecard(
            agents=_lines(self._tables["agent"]),
            all=self._all.line(),
            houses=_lines(self._tables["house"]),
            models=_lines(self._tables["model"]),
            since_us=self._since_us,
            tools=_lines(self._tables["tool"]),
            until_us=self._until_us,
        )

    def _made(self, record: Record) -> Made | None:
        match record.kind:
            case tr.OPENED:
                opened = _opened(record.data)
                self._opened[opened.receipt] = opened
                if len(self._opened) > OPENED_MAX:
                    del self._opened[next(iter(self._opened))]
                return None
            case tr.CLOSED:
                receipt = _tool(record.data)
                self._opened.pop(receipt.receipt, None)
                return made_of_tool(receipt)
            case tr.LOST:
                lost = self._opened.pop(_lost(record.data).receipt, None)
                return None if lost is None else made_of_tool(lost_receipt(lost))
            case rc.CLOSED:
                return _made_of_model(_model(record.data))
            case _:
                return None

    def _tally(self, by: By, name: str) -> _Tally:
        table = self._tables[by]
        found = table.get(name)
        if found is None:
            name = name if len(table) < GROUPS_MAX else OTHERS
            found = table.setdefault(name, _Tally(name))
        return found


def made_of_tool(receipt: tr.ToolReceipt) -> Made:
    """A call of a tool."""
    outcome = _TOOL_OUTCOMES.get(receipt.status, "other")
    return Made(
        agent=said(receipt.caller.agent) or "",
        at_us=receipt.started_at + receipt.timings.total_us,
        attempts=len(receipt.attempts),
        cost_nano_usd=0,
        house=receipt.house,
        kind="tool",
        latency_us=receipt.timings.total_us,
        name=receipt.tool.name,
        outcome="cached" if receipt.cached_from is not None and outcome == "succeeded" else outcome,
        prediction=receipt.prediction,
        tenant=receipt.caller.tenant.value,
    )


_TOOL_OUTCOMES: Final[Mapping[str, Outcome]] = {
    "awaiting_approval": "waiting",
    "completed": "succeeded",
    "denied": "denied",
    "failed": "failed",
    "timed_out": "failed",
}

_MODEL_OUTCOMES: Final[Mapping[str, Outcome]] = {
    "blocked": "denied",
    "completed": "succeeded",
    "failed": "failed",
    "refused": "denied",
}


class _Name(msgspec.Struct, frozen=True):
    name: str


class _Asked(msgspec.Struct, frozen=True):
    model: str = ""


class _Model(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked at of a model's receipt; the rest is passed over unread."""

    attempts: tuple[msgspec.Raw, ...] = ()
    caller: Caller
    contract: _Name | None = None
    cost_nano_usd: int = 0
    error: str | None = None
    request: _Asked = _Asked()
    selected: Selected | None = None
    simulation: bool = False
    started_at: int
    status: rc.Status
    timings: rc.Timings


def _made_of_model(receipt: _Model) -> Made | None:
    if receipt.simulation:
        return None
    outcome = _MODEL_OUTCOMES.get(receipt.status, "other")
    return Made(
        agent=said(receipt.caller.agent) or "",
        at_us=receipt.started_at + receipt.timings.total_us,
        attempts=len(receipt.attempts),
        cost_nano_usd=receipt.cost_nano_usd,
        house=said(receipt.caller.house) or "",
        kind="model",
        latency_us=receipt.timings.total_us,
        name=receipt.request.model if receipt.contract is None else receipt.contract.name,
        outcome="waiting" if receipt.error == "approval_required" else outcome,
        tenant=receipt.caller.tenant.value,
    )


_lost: Final = msgspec.json.Decoder(Lost).decode
_model: Final = msgspec.json.Decoder(_Model).decode
_opened: Final = msgspec.json.Decoder(tr.Opened).decode
_tool: Final = msgspec.json.Decoder(tr.ToolReceipt).decode


class _Tally:
    """What one name's calls add up to."""

    def __init__(self, name: str) -> None:
        self._counts: dict[Outcome, int] = {}
        self._cost = 0
        self._latencies: dict[int, int] = {}
        self._name = name
        self._retries = 0
        self._scores = Scores()

    @property
    def calls(self) -> int:
        return sum(self._counts.values())

    def add(self, made: Made) -> None:
        self._counts[made.outcome] = self._counts.get(made.outcome, 0) + 1
        self._cost += made.cost_nano_usd
        self._retries += max(made.attempts - 1, 0)
        if made.outcome == "succeeded":
            bucket = bucket_of(made.latency_us)
            self._latencies[bucket] = self._latencies.get(bucket, 0) + 1
        if made.prediction is not None and made.outcome in ("succeeded", "failed"):
            self._scores.add(
                Scored(
                    abstained=made.prediction.abstained,
                    at_us=made.at_us,
                    key=key_of(made.tenant, kind=made.kind, name=made.name),
                    predicted_ppm=made.prediction.success_ppm,
                    succeeded=made.outcome == "succeeded",
                )
            )

    def line(self) -> Line:
        good, bad = self._counts.get("succeeded", 0), self._counts.get("failed", 0)
        tried = good + bad
        low, high = wilson_ppm(good, tried) if tried else (None, None)
        buckets = sorted(self._latencies.items())

        def quantile(ppm: int) -> int | None:
            return quantile_us(buckets, ppm) if buckets else None

        return Line(
            cached=self._counts.get("cached", 0),
            calls=self.calls,
            cost_nano_usd=self._cost,
            denied=self._counts.get("denied", 0),
            failed=bad,
            high_ppm=high,
            low_ppm=low,
            name=self._name,
            other=self._counts.get("other", 0),
            p50_us=quantile(500_000),
            p95_us=quantile(950_000),
            p99_us=quantile(990_000),
            predictions=self._scores.report(),
            retries=self._retries,
            succeeded=good,
            success_ppm=(2_000_000 * good + tried) // (2 * tried) if tried else None,
            waiting=self._counts.get("waiting", 0),
        )


def _lines(table: Mapping[str, _Tally]) -> tuple[Line, ...]:
    made: Iterable[Line] = (tally.line() for tally in table.values())
    return tuple(sorted(made, key=lambda line: (-line.calls, line.name)))
