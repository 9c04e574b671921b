"""What a run found, as plain values that are written to JSON and read back by the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from benchmarks.gate import Answer
from benchmarks.loads import LoadName
from benchmarks.spread import Spread, percentile, spread_of


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One window; times in microseconds."""

    answers: int
    cpu_us: float | None
    """CPU time of the gateway's process tree per answer; None for the floor, which has no gateway."""
    rate: float
    """Answers a second."""
    latency_p50_us: float
    latency_p99_us: float
    first_byte_p50_us: float
    first_byte_p99_us: float
    own_p50_us: float
    """Latency without the time the upstream states it took."""
    own_p99_us: float
    hop_p50_us: float | None
    """A trickled event from the upstream to the client."""
    hop_p99_us: float | None


def figures_of(answers: Sequence[Answer], elapsed_ns: int, cpu_ns: int | None) -> Figures:
    """Sum up a window with at least one answer."""

    def of(values: list[int], share: float) -> float:
        return percentile(values, share) / 1_000

    totals = [answer.total_ns for answer in answers]
    first_bytes = [answer.first_byte_ns for answer in answers]
    own = [answer.own_ns for answer in answers]
    hops = [hop for answer in answers for hop in answer.hops_ns]
    return Figures(
        answers=len(answers),
        cpu_us=None if cpu_ns is None else cpu_ns / 1_000 / len(answers),
        rate=len(answers) / (elapsed_ns / 1e9),
        latency_p50_us=of(totals, 0.5),
        latency_p99_us=of(totals, 0.99),
        first_byte_p50_us=of(first_bytes, 0.5),
        first_byte_p99_us=of(first_bytes, 0.99),
        own_p50_us=of(own, 0.5),
        own_p99_us=of(own, 0.99),
        hop_p50_us=of(hops, 0.5) if hops else None,
        hop_p99_us=of(hops, 0.99) if hops else None,
    )


class Cell(msgspec.Struct, frozen=True):
    """One gateway under one load: its windows in the order of the rounds."""

    gateway: str
    load: LoadName
    windows: tuple[Figures, ...] = ()
    voided: tuple[str, ...] = ()
    """Why windows were thrown away."""


class OpenStreams(msgspec.Struct, frozen=True):
    """What open streams at rest hold."""

    gateway: str
    streams: int
    idle_pss_kib: int
    open_pss_kib: int

    @property
    def kib_per_stream(self) -> float:
        return (self.open_pss_kib - self.idle_pss_kib) / self.streams


class Growth(msgspec.Struct, frozen=True):
    """Resident memory after few calls and after many."""

    gateway: str
    early_calls: int
    early_rss_kib: int
    late_calls: int
    late_rss_kib: int

    @property
    def percent(self) -> float:
        return (self.late_rss_kib - self.early_rss_kib) * 100 / self.early_rss_kib


class Start(msgspec.Struct, frozen=True):
    """From starting the program to its first right answer."""

    gateway: str
    contracts: int
    """0 where the gateway has none."""
    journal_bytes: int
    seconds: Spread


class Absent(msgspec.Struct, frozen=True):
    """A gateway or a measurement that is missing, and why."""

    what: str
    why: str


class Contestant(msgspec.Struct, frozen=True):
    """A gateway that took part."""

    name: str
    about: str
    kept_from: str | None = None
    """The date of an earlier run that its figures come from; None: it took part in this one."""


class RuleTime(msgspec.Struct, frozen=True, kw_only=True):
    """How long rules take by themselves, in one process, and what is asked of that."""

    what: str
    took: float
    bar: float
    unit: str


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where the run took place."""

    processor: str
    cores: int
    gateway_cores: tuple[int, ...]
    load_cores: tuple[int, ...]
    memory_gib: float
    system: str
    python: str
    busy: float
    """The load average of the last minute before the run: above 0.3 others were at work."""


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """One whole run."""

    command: str
    date: str
    scale: str
    machine: Machine
    contestants: tuple[Contestant, ...]
    cells: tuple[Cell, ...]
    open_streams: tuple[OpenStreams, ...] = ()
    growth: tuple[Growth, ...] = ()
    starts: tuple[Start, ...] = ()
    absent: tuple[Absent, ...] = ()
    rules: tuple[RuleTime, ...] = ()

    def cell(self, gateway: str, load: LoadName) -> Cell | None:
        return next((cell for cell in self.cells if (cell.gateway, cell.load) == (gateway, load)), None)

    def spread(self, gateway: str, load: LoadName, figure: Callable[[Figures], float | None]) -> Spread | None:
        """One figure over the rounds; None where no window of it counts."""
        cell = self.cell(gateway, load)
        if cell is None:
            return None
        values = [value for window in cell.windows if (value := figure(window)) is not None]
        return spread_of(values) if values else None

    def cpu_us(self, gateway: str, load: LoadName) -> float | None:
        """The median CPU time per answer."""
        spread = self.spread(gateway, load, lambda window: window.cpu_us)
        return None if spread is None else spread.median

    def first_byte_us(self, gateway: str, load: LoadName) -> float | None:
        """The median time to the first byte."""
        spread = self.spread(gateway, load, lambda window: window.first_byte_p50_us)
        return None if spread is None else spread.median

    def further_event_us(self, gateway: str) -> float | None:
        """The CPU time that one more streamed event costs: the slope between 50 and 1,000 events."""
        short, long = self.cpu_us(gateway, "sse-50"), self.cpu_us(gateway, "sse-1000")
        return None if short is None or long is None else (long - short) / 950


def with_kept(results: Results, earlier: Results) -> Results:
    """The results with what an earlier run found of gateways that took no part in this one, each marked with its date.

    A ratio between the two compares runs: the page says so.
    """
    measured = {one.name for one in results.contestants} | {absent.what for absent in results.absent}
    kept = [
        msgspec.structs.replace(one, kept_from=one.kept_from or earlier.date)
        for one in earlier.contestants
        if one.name not in measured
    ]
    names = {one.name for one in kept}
    return msgspec.structs.replace(
        results,
        contestants=(*results.contestants, *kept),
        cells=(*results.cells, *(one for one in earlier.cells if one.gateway in names)),
        open_streams=(*results.open_streams, *(one for one in earlier.open_streams if one.gateway in names)),
        growth=(*results.growth, *(one for one in earlier.growth if one.gateway in names)),
        starts=(*results.starts, *(one for one in earlier.starts if one.gateway in names)),
        absent=(*results.absent, *(one for one in earlier.absent if one.what.partition(",")[0] in names)),
    )
