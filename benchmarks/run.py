"""One run: start everything, measure in rounds, look at memory and start-up, judge, write the page.

    python -m benchmarks [--peers] [--quick | --full] [--strict]

Progress goes to stderr, the verdicts to stdout. The status is 1 if this gateway or nginx could not be measured, and
with `--strict` if a bar was missed or not measured.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import os
import platform
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import uvloop

from benchmarks import report, rules, stream_rules
from benchmarks.bars import bars_of
from benchmarks.gateways import (
    DEFERRED,
    GOVERNED,
    NGINX,
    SPARE_CONTRACTS,
    WARDWRIGHT,
    Gateway,
    Nginx,
    Unavailable,
    wardwrights,
)
from benchmarks.loads import FULL, LOADS, MODELS, QUICK, STANDARD, Load, Scale
from benchmarks.peers import peers
from benchmarks.results import (
    Absent,
    Cell,
    Contestant,
    Growth,
    Machine,
    OpenStreams,
    Results,
    RuleTime,
    Start,
    with_kept,
)
from benchmarks.rig import Rig, Running, Upstream
from benchmarks.spread import spread_of

ROOT: Final = Path(__file__).resolve().parent.parent
KEPT: Final = ROOT / "out" / "benchmarks"
"""Where a quick run writes."""
PEERS_HOME: Final = ROOT / "out" / "peers"
OURS: Final = frozenset({WARDWRIGHT, DEFERRED, GOVERNED})
JOURNAL_CALLS_STEP: Final = 50_000
JOURNAL_CALLS_MAX: Final = 5_000_000


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What this run shall do."""

    scale: Scale
    with_peers: bool
    strict: bool
    docs: Path
    date: str
    loads: tuple[Load, ...]
    gateways: tuple[str, ...]
    """Only these; empty means all."""
    command: str
    keep: Path | None
    """A directory of earlier results: what they say of gateways that take no part in this run stands on its page."""


def say(line: str) -> None:
    """Progress, for whoever watches."""
    print(line, file=sys.stderr, flush=True)


class Run:
    """The parts of one run and what it found so far."""

    def __init__(self, options: Options, rig: Rig) -> None:
        self._options = options
        self._rig = rig
        self._absent: list[Absent] = []

    async def measure(self, machine: Machine) -> Results:
        gateways, cells = await self._rounds()
        open_streams, growth, starts = [], [], []
        for gateway in gateways:
            if found := await self._open_streams(gateway):
                open_streams.append(found)
            if gateway.name in OURS | {NGINX} and (grown := await self._growth(gateway)):
                growth.append(grown)
            starts += await self._starts(gateway)
        return Results(
            command=self._options.command,
            date=self._options.date,
            scale=self._options.scale.name,
            machine=machine,
            contestants=tuple(Contestant(gateway.name, gateway.about()) for gateway in gateways),
            cells=cells,
            open_streams=tuple(open_streams),
            growth=tuple(growth),
            starts=tuple(starts),
            absent=tuple(self._absent),
            rules=rule_times(),
        )

    async def _rounds(self) -> tuple[list[Gateway], tuple[Cell, ...]]:
        """Admit whoever can be admitted, measure them in turn, stop them all."""
        admitted: list[Gateway] = []
        with contextlib.ExitStack() as stack:
            running: list[Running] = [self._rig.floor()]
            for gateway in self._contestants():
                try:
                    one = await self._admit(gateway, stack)
                except Unavailable as why:
                    self._miss(gateway.name, why)
                    continue
                running.append(one)
                admitted.append(gateway)
            cells = await self._rig.rounds(running, self._options.loads) if admitted else ()
        return admitted, cells

    def _contestants(self) -> list[Gateway]:
        all_of_them = [Nginx(), *wardwrights(), *(peers(PEERS_HOME) if self._options.with_peers else ())]
        return [one for one in all_of_them if not self._options.gateways or one.name in self._options.gateways]

    async def _admit(self, gateway: Gateway, stack: contextlib.ExitStack) -> Running:
        say(f"start  {gateway.name}")
        running, _ = self._rig.start(gateway, self._rig.site(gateway))
        stack.callback(running.stop)
        try:
            await self._rig.admit(running)
        except Unavailable:
            running.stop()
            raise
        running.pause()
        return running

    def _miss(self, what: str, why: Unavailable) -> None:
        say(f"absent {what}: {why}")
        self._absent.append(Absent(what, str(why)))

    async def _open_streams(self, gateway: Gateway) -> OpenStreams | None:
        say(f"memory {gateway.name}, open streams")
        try:
            running, _ = self._rig.start(gateway, self._rig.site(gateway))
            try:
                await self._rig.admit(running)
                return await self._rig.open_streams(running)
            finally:
                running.stop()
        except Unavailable as why:
            self._miss(f"{gateway.name}, memory of open streams", why)
            return None

    async def _growth(self, gateway: Gateway) -> Growth | None:
        say(f"memory {gateway.name}, {self._options.scale.growth_calls[1]:,} calls")
        try:
            running, _ = self._rig.start(gateway, self._rig.site(gateway))
            try:
                return await self._rig.growth(running)
            finally:
                running.stop()
        except Unavailable as why:
            self._miss(f"{gateway.name}, memory over many calls", why)
            return None

    async def _starts(self, gateway: Gateway) -> list[Start]:
        """With few contracts for others; for this gateway with many, and with a long journal where that is asked."""
        spare = SPARE_CONTRACTS if gateway.name in OURS else 0
        found: list[Start] = []
        try:
            found.append(self._timed_starts(gateway, spare, journal_bytes=0))
            if gateway.name == WARDWRIGHT and self._options.scale.journal_bytes:
                written = await self._write_journal(gateway, spare)
                found.append(self._timed_starts(gateway, spare, journal_bytes=written))
        except Unavailable as why:
            self._miss(f"{gateway.name}, start-up", why)
        return found

    def _timed_starts(self, gateway: Gateway, spare: int, journal_bytes: int) -> Start:
        say(f"start  {gateway.name}, {self._options.scale.starts} times")
        seconds = []
        for _ in range(self._options.scale.starts):
            running, taken_s = self._rig.start(gateway, self._rig.site(gateway, "start", spare))
            running.stop()
            seconds.append(taken_s)
        return Start(gateway.name, spare + len(MODELS) if spare else 0, journal_bytes, spread_of(seconds))

    async def _write_journal(self, gateway: Gateway, spare: int) -> int:
        """Call until the state directory of the timed start is as large as asked; returns its bytes."""
        site = self._rig.site(gateway, "start", spare)
        wanted = self._options.scale.journal_bytes
        running, _ = self._rig.start(gateway, site)
        try:
            for step in range(JOURNAL_CALLS_MAX // JOURNAL_CALLS_STEP):
                size = _journal_bytes(site.directory)
                if size >= wanted:
                    return size
                say(f"journal {size / 1e6:,.0f} MB after {step * JOURNAL_CALLS_STEP:,} calls")
                await self._rig.calls(running, JOURNAL_CALLS_STEP)
        finally:
            running.stop()
        raise Unavailable(f"the journal did not reach {wanted:,} bytes in {JOURNAL_CALLS_MAX:,} calls")


def _journal_bytes(directory: Path) -> int:
    """Bytes of all journal segments below a directory."""
    return sum(path.stat().st_size for path in directory.rglob("*.jsonl"))


def rule_times() -> tuple[RuleTime, ...]:
    """Rules by themselves: the process that measures runs them, on the cores of the load."""
    say("rules  by themselves")
    request = (RuleTime(what=one.what, took=one.took_us, bar=one.bar_us, unit="µs") for one in rules.measured())
    stream = (RuleTime(what=one.what, took=one.took, bar=one.bar, unit=one.unit) for one in stream_rules.measured())
    return (*request, *stream)


def machine_of(gateway_cores: Sequence[int], load_cores: Sequence[int]) -> Machine:
    """This machine in words that fit a report."""
    processor = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE)
    release = platform.freedesktop_os_release()
    return Machine(
        processor=processor[1].strip() if processor else platform.machine(),
        cores=os.cpu_count() or 1,
        gateway_cores=tuple(gateway_cores),
        load_cores=tuple(load_cores),
        memory_gib=int(memory[1]) / 1024**2 if memory else 0,
        system=f"{release.get('PRETTY_NAME', 'Linux')}, Linux {platform.release().split('-')[0]}",
        python=platform.python_version(),
        busy=os.getloadavg()[0],
    )


def cores_of(available: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """One core for the gateway, one or two others for upstream and load; both the same where there is only one.

    >>> cores_of([0, 1])
    ((0,), (1,))
    """
    ordered = sorted(available)
    return tuple(ordered[:1]), tuple(ordered[1:3] or ordered[:1])


async def run(options: Options) -> Results:
    """Measure everything that the options ask for."""
    gateway_cores, load_cores = cores_of(list(os.sched_getaffinity(0)))
    machine = machine_of(gateway_cores, load_cores)
    os.sched_setaffinity(0, load_cores)
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        upstream = Upstream([sys.executable, "-m", "benchmarks.mock_upstream"], ROOT, load_cores)
        try:
            rig = Rig(
                directory=Path(directory),
                upstream=upstream,
                gateway_cores=gateway_cores,
                scale=options.scale,
                say=say,
            )
            return await Run(options, rig).measure(machine)
        finally:
            upstream.stop()


def options_from(arguments: Sequence[str]) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure speed and memory beside nginx, and beside peers."
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--quick", action="store_true", help="a minute or two; does not replace the published page")
    length.add_argument("--full", action="store_true", help="more rounds, and a start with a 1 GB journal")
    parser.add_argument("--peers", action="store_true", help="install and measure other gateways too")
    parser.add_argument("--strict", action="store_true", help="fail if a bar is missed or not measured")
    parser.add_argument("--docs", type=Path, help="where the page and the chart go (default: docs)")
    parser.add_argument(
        "--keep", type=Path, metavar="DOCS", help="keep what the page there says of gateways that are not measured now"
    )
    parser.add_argument("--date", help="the date on the page (default: today, UTC)")
    parser.add_argument("--loads", nargs="+", choices=[load.name for load in LOADS], help="only these")
    parser.add_argument("--gateways", nargs="+", default=[], metavar="NAME", help="only these")
    chosen = parser.parse_args(arguments)
    scale = QUICK if chosen.quick else FULL if chosen.full else STANDARD
    return Options(
        scale=scale,
        with_peers=chosen.peers,
        strict=chosen.strict,
        docs=chosen.docs or (KEPT if scale is QUICK else ROOT / "docs"),
        date=chosen.date or datetime.datetime.now(datetime.UTC).date().isoformat(),
        loads=tuple(load for load in LOADS if not chosen.loads or load.name in chosen.loads),
        gateways=tuple(chosen.gateways),
        command=" ".join(["python -m benchmarks", *arguments]),
        keep=chosen.keep,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    options = options_from(sys.argv[1:] if arguments is None else arguments)
    earlier = None if options.keep is None else report.read(options.keep / report.RESULTS)
    results = uvloop.run(run(options))
    if earlier is not None:
        results = with_kept(results, earlier)
    report.write(results, options.docs)
    judged = bars_of(results)
    for bar in judged:
        print(f"{bar.verdict:<13} {bar.asked}: {bar.measured}")
    say(f"wrote {options.docs / report.PAGE}")
    measured = {contestant.name for contestant in results.contestants}
    wanted = {NGINX, WARDWRIGHT} if not options.gateways else {NGINX, WARDWRIGHT} & set(options.gateways)
    if wanted - measured:
        print(f"error: could not be measured: {', '.join(sorted(wanted - measured))}", file=sys.stderr)
        return 1
    return 1 if options.strict and any(bar.verdict != "met" for bar in judged) else 0


if __name__ == "__main__":
    sys.exit(main())
