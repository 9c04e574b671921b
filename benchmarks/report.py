"""The page and the chart of one run, beside the results they are made of.

    python -m benchmarks.report RESULTS.json --docs docs

writes all three anew from recorded results. Rule 1: `page_of` is pure; the same results give the same bytes, so
`published` can tell whether a page agrees with its results.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.bars import bars_of
from benchmarks.chart import chart_of, ratio_text
from benchmarks.gateways import FLOOR, GOVERNED, NGINX, WARDWRIGHT
from benchmarks.loads import LOADS, Load
from benchmarks.results import Contestant, Figures, Results
from benchmarks.spread import Spread

PAGE: Final = "benchmarks.md"
CHART: Final = "benchmarks.svg"
RESULTS: Final = "benchmarks.json"
BUSY: Final = 0.3

_READING: Final = """\
## How to read this

- The gateway runs on cores of its own, the upstream and the load share the others. Gateways take turns within each
  round, and whoever is not being measured is stopped. A figure is the median over the rounds, with the lowest and the
  highest behind it. Ratios compare medians of this run.
- Nothing was counted that was not checked: every answer was compared with what the upstream meant to say, every call
  had to reach the upstream, and a slow stream had to arrive as one. One wrong answer voids its window.
- CPU is read from the process's own clock, kernel time included, for the whole process tree. Work that follows an
  answer, such as writing a receipt and indexing it, is waited for and counted.
- *floor* is the same load straight at the upstream: what the rig itself costs. Where the load saturates its own core,
  answers per second are a lower bound; CPU per answer is not affected by that.
- *added* is the latency without the time the upstream states it took, less the floor's. Differences below about 15 %
  and percentiles far out at low concurrency are noise of a small machine.
- A gateway that did not take part in this run keeps the figures of the run it took part in last, with its date; a
  ratio to it compares two runs.
- nginx relays bytes and reads neither JSON nor events. No gateway speaks TLS here.
- A burst hands all events of a stream to the kernel at once, so a gateway reads many per wake-up; the slow streams
  show the cost of one event at a time."""


def page_of(results: Results) -> str:
    """The whole page as Markdown."""
    return "\n\n".join(block for block in _blocks(results) if block) + "\n"


def _blocks(results: Results) -> Iterator[str]:
    machine = results.machine
    yield "# Speed and memory"
    yield f"Made by `{results.command}` on {results.date} ({results.scale} run, {_rounds(results)} rounds)."
    where = f"gateway on {_cores(machine.gateway_cores)}, upstream and load on {_cores(machine.load_cores)}"
    yield (
        f"Machine: {machine.processor}, {machine.cores} cores ({where}), {machine.memory_gib:.0f} GiB, "
        f"{machine.system}, Python {machine.python}."
    )
    if machine.busy > BUSY:
        yield (
            f"**The machine was at other work too** (load average {machine.busy:.2f} before the run): the figures are "
            "noisier than they need be."
        )
    yield f"![CPU time per answer]({CHART})"
    yield "## What was asked"
    yield _table(
        ("asked", "measured", "verdict"),
        [(bar.asked, bar.measured, f"**{bar.verdict}**") for bar in bars_of(results)],
    )
    yield "## CPU time per answer"
    yield "Microseconds (× nginx), then lowest–highest."
    yield _by_load(results, [load for load in LOADS if not load.name.startswith("latency")], _cpu, floor=False)
    yield _further_events(results)
    yield from _rules(results)
    yield "## Latency"
    yield "Added milliseconds p50 / p99 with an upstream that takes about 20 ms; the floor's own figures are its total."
    yield _by_load(results, [load for load in LOADS if load.name.startswith("latency")], _added, floor=True)
    yield "Answers a second, and milliseconds to the first byte p50."
    yield _by_load(
        results,
        [load for load in LOADS if load.concurrency <= 16 and not load.name.startswith("latency")],
        _rate,
        floor=True,
    )
    yield "Slow streams: milliseconds from the upstream to the client per event, p50 / p99."
    yield _by_load(results, [load for load in LOADS if load.name.startswith("slow")], _hop, floor=True)
    yield from _memory(results)
    yield from _starts(results)
    yield "## Who took part"
    yield _table(("name", "what"), [(one.name, _about(one)) for one in results.contestants])
    if results.absent or any(cell.voided for cell in results.cells):
        yield "## What is missing, and why"
        missing = [(one.what, one.why) for one in results.absent]
        missing += [(f"{cell.gateway}, {cell.load}", why) for cell in results.cells for why in cell.voided]
        yield _table(("what", "why"), missing)
    yield _READING


def _rounds(results: Results) -> int:
    return max((len(cell.windows) for cell in results.cells), default=0)


def _cores(cores: Sequence[int]) -> str:
    return ("core " if len(cores) == 1 else "cores ") + ", ".join(map(str, cores))


def _by_load(results: Results, loads: Sequence[Load], cell: Callable[[Results, str, Load], str], *, floor: bool) -> str:
    loads = [load for load in loads if any(cell.load == load.name for cell in results.cells)]
    if not loads:
        return "Not part of this run."
    names = ([FLOOR] if floor else []) + [one.name for one in results.contestants]
    rows = [(name, *(cell(results, name, load) for load in loads)) for name in names]
    return _table(("", *(load.title for load in loads)), rows)


def _cpu(results: Results, gateway: str, load: Load) -> str:
    spread = results.spread(gateway, load.name, lambda window: window.cpu_us)
    if spread is None:
        return _void(results, gateway, load)
    plain = results.cpu_us(NGINX, load.name)
    ratio = f" ({ratio_text(spread.median / plain)})" if plain else ""
    return f"{spread.median:,.0f}{ratio}, {spread.low:,.0f}–{spread.high:,.0f}"


def _void(results: Results, gateway: str, load: Load) -> str:
    cell = results.cell(gateway, load.name)
    return "void" if cell is not None and cell.voided else "-"


def _added(results: Results, gateway: str, load: Load) -> str:
    def own(name: str, figure: Callable[[Figures], float]) -> float | None:
        spread = results.spread(name, load.name, figure)
        return None if spread is None else spread.median / 1_000

    middle, far = own(gateway, lambda window: window.own_p50_us), own(gateway, lambda window: window.own_p99_us)
    if middle is None or far is None:
        return _void(results, gateway, load)
    if gateway == FLOOR:
        return f"{middle:.2f} / {far:.2f}"
    floor = own(FLOOR, lambda window: window.own_p50_us), own(FLOOR, lambda window: window.own_p99_us)
    return f"{middle - (floor[0] or 0):.2f} / {far - (floor[1] or 0):.2f}"


def _rate(results: Results, gateway: str, load: Load) -> str:
    rate = results.spread(gateway, load.name, lambda window: window.rate)
    first = results.spread(gateway, load.name, lambda window: window.first_byte_p50_us)
    if rate is None or first is None:
        return _void(results, gateway, load)
    return f"{rate.median:,.0f} /s, {first.median / 1_000:.2f}"


def _hop(results: Results, gateway: str, load: Load) -> str:
    middle = results.spread(gateway, load.name, lambda window: window.hop_p50_us)
    far = results.spread(gateway, load.name, lambda window: window.hop_p99_us)
    if middle is None or far is None:
        return _void(results, gateway, load)
    return f"{middle.median / 1_000:.2f} / {far.median / 1_000:.2f}"


def _further_events(results: Results) -> str:
    plain = results.further_event_us(NGINX)
    rows = []
    for one in results.contestants:
        slope = results.further_event_us(one.name)
        if slope is not None:
            rows.append((one.name, f"{slope:.2f}", ratio_text(slope / plain) if plain else "-"))
    if not rows:
        return ""
    return "One further event of a burst (slope between 50 and 1,000 events):\n\n" + _table(("", "µs", "× nginx"), rows)


def _about(one: Contestant) -> str:
    return one.about if one.kept_from is None else f"{one.about}; measured in a run of {one.kept_from}"


def _rules(results: Results) -> Iterator[str]:
    """What being governed costs: the same loads with and without policies, and the rules by themselves."""
    rows = []
    for load in LOADS:
        governed, plain = results.cpu_us(GOVERNED, load.name), results.cpu_us(WARDWRIGHT, load.name)
        first, before = results.first_byte_us(GOVERNED, load.name), results.first_byte_us(WARDWRIGHT, load.name)
        if governed is not None and plain is not None and first is not None and before is not None:
            more = f"{governed:,.0f} against {plain:,.0f} ({ratio_text(governed / plain)})"
            rows.append((load.title, more, f"{(first - before) / 1_000:+.2f}"))
    if rows or results.rules:
        yield "## Rules"
    if rows:
        yield (
            "The same loads with 50 stream rules and 100 request rules over every call, and without any: CPU "
            "microseconds per answer, and milliseconds to the first byte more (p50; where a load saturates the core, "
            "calls wait for each other)."
        )
        yield _table(("", "CPU, governed against not", "first byte"), rows)
        governed_event, plain_event = results.further_event_us(GOVERNED), results.further_event_us(WARDWRIGHT)
        if governed_event is not None and plain_event is not None:
            yield f"One further event of a burst: {governed_event:.2f} µs governed, {plain_event:.2f} µs not."
    if results.rules:
        yield "Rules by themselves, in one process, the best of some rounds:"
        yield _table(
            ("", "took", "asked"),
            [(one.what, f"{one.took:.2f} {one.unit}", f"{one.bar:g} {one.unit}") for one in results.rules],
        )


def _memory(results: Results) -> Iterator[str]:
    if results.open_streams or results.growth:
        yield "## Memory"
    if results.open_streams:
        yield "Open streams at rest, of a gateway just started: proportional set size of the process tree."
        yield _table(
            ("", "idle MiB", "with streams MiB", "streams", "KiB a stream"),
            [
                (
                    one.gateway,
                    f"{one.idle_pss_kib / 1024:.1f}",
                    f"{one.open_pss_kib / 1024:.1f}",
                    f"{one.streams:,}",
                    f"{one.kib_per_stream:.1f}",
                )
                for one in results.open_streams
            ],
        )
    if results.growth:
        yield "Small calls in a row, of a gateway just started: resident set size of the process tree."
        yield _table(
            ("", "after calls", "MiB", "after calls", "MiB", "change"),
            [
                (
                    one.gateway,
                    f"{one.early_calls:,}",
                    f"{one.early_rss_kib / 1024:.1f}",
                    f"{one.late_calls:,}",
                    f"{one.late_rss_kib / 1024:.1f}",
                    f"{one.percent:+.1f} %",
                )
                for one in results.growth
            ],
        )


def _starts(results: Results) -> Iterator[str]:
    if not results.starts:
        return
    yield "## Start"
    yield "Seconds from starting the program to its first right answer, files in the page cache."
    yield _table(
        ("", "contracts", "journal", "seconds"),
        [
            (
                one.gateway,
                str(one.contracts) if one.contracts else "-",
                f"{one.journal_bytes / 1e9:.1f} GB" if one.journal_bytes else "-",
                _seconds(one.seconds),
            )
            for one in results.starts
        ],
    )


def _seconds(spread: Spread) -> str:
    return f"{spread.median:.2f}, {spread.low:.2f}–{spread.high:.2f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(text) for text in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())


def write(results: Results, docs: Path) -> None:
    """Write the results, the page and the chart into a directory."""
    docs.mkdir(parents=True, exist_ok=True)
    (docs / RESULTS).write_bytes(msgspec.json.format(msgspec.json.encode(results)) + b"\n")
    (docs / PAGE).write_text(page_of(results))
    (docs / CHART).write_text(chart_of(results))


def published(docs: Path) -> dict[str, str]:
    """What the page and the chart in a directory should hold by the results beside them, by file name."""
    results = read(docs / RESULTS)
    return {PAGE: page_of(results), CHART: chart_of(results)}


def read(path: Path) -> Results:
    """Recorded results; msgspec.ValidationError if the file holds anything else."""
    return msgspec.json.decode(path.read_bytes(), type=Results)


def main() -> None:
    arguments = argparse.ArgumentParser(description="Write the page and the chart of recorded results.")
    arguments.add_argument("results", type=Path)
    arguments.add_argument("--docs", type=Path, default=Path("docs"))
    chosen = arguments.parse_args()
    write(read(chosen.results), chosen.docs)


if __name__ == "__main__":
    main()
