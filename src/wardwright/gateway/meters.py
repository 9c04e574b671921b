"""Counts and distributions of calls. A call pays for being noted; receipts are counted by the dozen, or when somebody
asks, which costs half of counting each as it comes."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from wardwright.calls.receipt import Receipt

BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Upper bounds of the latency distributions, in seconds."""

NOTED_MAX: Final = 64
"""Receipts that wait to be counted."""

_BUCKETS_US: Final = tuple(int(bound * 1_000_000) for bound in BUCKETS_S)


class Distribution:
    """A histogram over BUCKETS_S."""

    __slots__ = ("counts", "total_us")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        """By bucket, not cumulated; the last is beyond every bound."""
        self.total_us = 0

    def add(self, us: int) -> None:
        self.counts[bisect_left(_BUCKETS_US, us)] += 1
        self.total_us += us


class ModelMeter:
    """What calls of one synthetic model added up to."""

    __slots__ = (
        "attempts", "cost_nano_usd", "first_byte", "input_tokens", "output_tokens", "overhead", "statuses", "total",
    )  # fmt: skip

    def __init__(self) -> None:
        self.attempts: dict[tuple[str, str, str], int] = {}
        """By (provider, target, outcome): `ok`, `abandoned` or the class of the failure."""
        self.cost_nano_usd = 0
        self.first_byte = Distribution()
        self.input_tokens = 0
        self.output_tokens = 0
        self.overhead = Distribution()
        """From acceptance to the plan: the gateway's own time before the first attempt."""
        self.statuses: dict[str, int] = {}
        self.total = Distribution()


class Meters:
    """All meters of one gateway."""

    def __init__(self) -> None:
        self._models: dict[str, ModelMeter] = {}
        self._noted: list[Receipt] = []
        self.refused_early: dict[str, int] = {}
        """By error code: requests that nobody may make, and so without a receipt."""

    def turned_away(self, code: str) -> None:
        self.refused_early[code] = self.refused_early.get(code, 0) + 1

    @property
    def models(self) -> dict[str, ModelMeter]:
        """By the contract's name; calls whose name led nowhere count under the empty name."""
        self._count()
        return self._models

    def closed(self, receipt: Receipt) -> None:
        self._noted.append(receipt)
        if len(self._noted) >= NOTED_MAX:
            self._count()

    def _count(self) -> None:
        noted, self._noted = self._noted, []
        for receipt in noted:
            self._add(receipt)

    def _add(self, receipt: Receipt) -> None:
        name = "" if receipt.contract is None else receipt.contract.name
        meter = self._models.get(name)
        if meter is None:
            meter = self._models[name] = ModelMeter()
        statuses, timings, usage = meter.statuses, receipt.timings, receipt.usage
        statuses[receipt.status] = statuses.get(receipt.status, 0) + 1
        meter.total.add(timings.total_us)
        meter.overhead.add(timings.decided_us)
        if timings.first_byte_us is not None:
            meter.first_byte.add(timings.first_byte_us)
        meter.cost_nano_usd += receipt.cost_nano_usd
        meter.input_tokens += usage.input_total
        meter.output_tokens += usage.output_total
        for tried in receipt.attempts:
            outcome = tried.failure or ("ok" if tried.finish or receipt.status == "completed" else "abandoned")
            key = (tried.provider, tried.target, outcome)
            meter.attempts[key] = meter.attempts.get(key, 0) + 1
