"""The rig: gateways started on one core, upstream and load on the other, windows taken in turn.

Rule 1: a gateway is admitted only after the gate has seen it answer whole, in a burst and in a trickle.
Rule 2: rounds interleave (A B C, A B C), so a machine that slows down slows everyone down; whoever is not being
measured is off the processor.
Rule 3: a load that a gateway fails once is not tried again: its reason stands in the report.
"""

from __future__ import annotations

import asyncio
import http.client
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from benchmarks.behaviour import behaviour_of
from benchmarks.gate import STRICT, UNDER_LOAD
from benchmarks.gateways import FLOOR, Gateway, Launch, Site, Unavailable
from benchmarks.load import Address, Crowd, Outcome, Shape, Voided, crowd_at, held_streams, requests_for
from benchmarks.loads import MODELS, Load, Scale, requests_in
from benchmarks.mock_upstream import Counts
from benchmarks.processes import Process, free_port
from benchmarks.results import Cell, Figures, Growth, OpenStreams, figures_of

ADMISSION_MODELS: Final = ("json", "sse-50", "slow-20x50ms")
WARM_UP_CALLS: Final = 400
"""After a start, before anything is measured."""
STREAMS_SETTLE_S: Final = 0.5
POLL_S: Final = 0.004

Say: TypeAlias = Callable[[str], None]


class Running:
    """A gateway that serves, or the bare upstream where it has no process."""

    def __init__(self, name: str, address: Address, process: Process | None, settle_s: float = 0) -> None:
        self.name = name
        self.address = address
        self.process = process
        self._settle_s = settle_s

    async def cpu_ns(self) -> int | None:
        """CPU time so far, once work that follows answers is done too; None without a process."""
        await asyncio.sleep(self._settle_s)
        return None if self.process is None else self.process.cpu_ns()

    def pause(self) -> None:
        if self.process is not None:
            self.process.pause()

    def resume(self) -> None:
        if self.process is not None:
            self.process.resume()

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()


class Upstream:
    """The mock upstream as a process of its own."""

    def __init__(self, program: Sequence[str], directory: Path, cores: Sequence[int]) -> None:
        self._process = Process(program, directory=directory, cores=cores)
        line = self._process.read_line()
        if not line.startswith("listening on "):
            self._process.stop()
            raise Unavailable(f"the mock upstream does not start: {line}")
        self.port = int(line.rpartition(":")[2])

    def counts(self) -> Counts:
        """What it has seen so far."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/bench/calls")
            return msgspec.json.decode(connection.getresponse().read(), type=Counts)
        finally:
            connection.close()

    def stop(self) -> None:
        self._process.stop()


class Rig:
    """One machine's set-up: the cores, the upstream and where gateways live."""

    def __init__(
        self, *, directory: Path, upstream: Upstream, gateway_cores: Sequence[int], scale: Scale, say: Say
    ) -> None:
        self.scale = scale
        self._directory = directory
        self._upstream = upstream
        self._cores = gateway_cores
        self._say = say

    def floor(self) -> Running:
        """The upstream itself, as the load sees it."""
        return Running(FLOOR, Address(port=self._upstream.port), None)

    def site(self, gateway: Gateway, purpose: str = "serve", spare_contracts: int = 0) -> Site:
        """A place for one gateway; the same purpose gives the same directory on another port."""
        directory = self._directory / f"{gateway.name}-{purpose}"
        directory.mkdir(parents=True, exist_ok=True)
        return Site(
            directory=directory,
            port=free_port(),
            upstream_port=self._upstream.port,
            models=MODELS,
            spare_contracts=spare_contracts,
        )

    def start(self, gateway: Gateway, site: Site) -> tuple[Running, float]:
        """Start a gateway and wait for its first right answer; returns the seconds that took.

        `Unavailable` if it cannot be prepared, ends, or does not answer in time.
        """
        launch = gateway.prepare(site)
        begun = time.monotonic()
        process = self._launch(launch, site)
        answered = ""
        while time.monotonic() - begun < launch.start_max_s:
            if (status := process.ended()) is not None:
                process.stop()
                raise Unavailable(f"it ended with status {status}: {process.last_words()}")
            address = _where(launch)
            answered = "it has not said where it listens" if address is None else _first_answer(address)
            if address is not None and answered == "200":
                return Running(gateway.name, address, process, launch.settle_s), time.monotonic() - begun
            time.sleep(POLL_S)
        process.stop()
        raise Unavailable(f"no answer within {launch.start_max_s:.0f} s ({answered}): {process.last_words()}")

    def _launch(self, launch: Launch, site: Site) -> Process:
        try:
            return Process(
                launch.argv,
                directory=site.directory,
                cores=self._cores,
                environment=dict(launch.environment),
                log=site.directory / "output.log",
            )
        except OSError as problem:
            raise Unavailable(f"{launch.argv[0]} cannot be started: {problem}") from problem

    async def admit(self, running: Running) -> None:
        """Let a gateway through the gate and warm it up; `Unavailable` if an answer is wrong."""
        for model in ADMISSION_MODELS:
            calls = 1 if model.startswith("slow") else 4
            before = self._upstream.counts().calls
            outcome = await self._drive(running, model, callers=1, calls=calls, strict=True)
            if isinstance(outcome, Voided):
                raise Unavailable(f"it fails the correctness gate on {model}: {outcome.why}")
            seen = self._upstream.counts().calls - before
            if seen != calls:
                raise Unavailable(f"{calls} calls of {model} reached the upstream {seen} times")
        for model in ("json", "sse-50"):
            await self._drive(running, model, callers=8, calls=WARM_UP_CALLS, strict=False)

    async def _drive(self, running: Running, model: str, *, callers: int, calls: int, strict: bool) -> Outcome:
        shape = Shape(
            meant=behaviour_of(model),
            pace=STRICT if strict else UNDER_LOAD,
            requests=calls,
            window_max_s=self.scale.window_max_s,
            patience_s=self.scale.patience_s,
        )
        try:
            async with crowd_at(running.address, callers) as crowd:
                return await crowd.run(shape, requests_for(running.address, model, 1_000))
        except (OSError, ExceptionGroup) as problem:
            return Voided(f"cannot connect: {problem}")

    async def rounds(self, running: Sequence[Running], loads: Sequence[Load]) -> tuple[Cell, ...]:
        """Measure every gateway under every load, taking turns within each load of each round."""
        windows: dict[tuple[str, str], list[Figures]] = {}
        voided: dict[tuple[str, str], list[str]] = {}
        for one in running:
            one.pause()
        for number in range(self.scale.rounds):
            for load in loads:
                for one in running:
                    key = (one.name, load.name)
                    if key in voided:
                        continue
                    one.resume()
                    found = await self._window(one, load)
                    one.pause()
                    if isinstance(found, str):
                        voided[key] = [found]
                        self._say(f"void   {one.name:<14} {load.name:<11} {found}")
                    else:
                        windows.setdefault(key, []).append(found)
                        self._say(f"{number + 1:>2}/{self.scale.rounds}  {one.name:<14} {load.name:<11} {_line(found)}")
        for one in running:
            one.resume()
        return tuple(
            Cell(
                one.name,
                load.name,
                tuple(windows.get((one.name, load.name), ())),
                tuple(voided.get((one.name, load.name), ())),
            )
            for load in loads
            for one in running
        )

    async def _window(self, running: Running, load: Load) -> Figures | str:
        """One measured window, or why it does not count."""
        requests = requests_for(running.address, load.model, load.prompt_bytes)
        shape = Shape(
            meant=load.meant,
            pace=UNDER_LOAD,
            requests=requests_in(load, self.scale),
            window_max_s=self.scale.window_max_s,
            patience_s=self.scale.patience_s,
            stagger_s=load.stagger_s,
        )
        try:
            async with crowd_at(running.address, load.concurrency) as crowd:
                warm = await self._warm(crowd, load, shape, requests)
                if isinstance(warm, Voided):
                    return warm.why
                cpu_ns = await running.cpu_ns()
                calls = self._upstream.counts().calls
                outcome = await crowd.run(shape, requests)
                spent_ns = await running.cpu_ns()
                seen = self._upstream.counts().calls - calls
        except (OSError, ExceptionGroup) as problem:
            return f"cannot connect: {problem}"
        if isinstance(outcome, Voided):
            return outcome.why
        if seen != len(outcome.answers):
            return f"{len(outcome.answers)} answers, but the upstream was called {seen} times"
        cost_ns = None if cpu_ns is None or spent_ns is None else spent_ns - cpu_ns
        return figures_of(outcome.answers, outcome.elapsed_ns, cost_ns)

    async def _warm(self, crowd: Crowd, load: Load, shape: Shape, requests: tuple[bytes, ...]) -> Outcome:
        """Every connection used before the window, so that pools are full and pages are touched."""
        if not load.resizable:
            quick = msgspec.structs.replace(shape, meant=behaviour_of("json"), requests=load.concurrency)
            return await crowd.run(quick, requests_for(crowd.address, "json", load.prompt_bytes))
        return await crowd.run(msgspec.structs.replace(shape, requests=load.concurrency * 2), requests)

    async def open_streams(self, running: Running) -> OpenStreams:
        """Memory of streams that are open and at rest; `Unavailable` if they cannot all be opened."""
        assert running.process is not None
        await asyncio.sleep(STREAMS_SETTLE_S)
        idle = running.process.memory()
        try:
            async with held_streams(running.address, self.scale.open_streams, self.scale.patience_s):
                held = running.process.memory()
                at_upstream = self._upstream.counts().open_streams
        except TimeoutError as problem:
            words = f"{self.scale.open_streams} streams were not open within {self.scale.patience_s:.0f} s"
            raise Unavailable(words) from problem
        except OSError as problem:
            raise Unavailable(f"{self.scale.open_streams} streams could not be held open: {problem}") from problem
        if at_upstream < self.scale.open_streams:
            raise Unavailable(f"only {at_upstream} of {self.scale.open_streams} streams are open at the upstream")
        return OpenStreams(running.name, self.scale.open_streams, idle.pss_kib, held.pss_kib)

    async def growth(self, running: Running) -> Growth:
        """Resident memory after some calls and after many, of a gateway that has just been started."""
        assert running.process is not None
        early, late = self.scale.growth_calls
        await self.calls(running, early)
        early_kib = running.process.memory().rss_kib
        await self.calls(running, late - early)
        return Growth(running.name, early, early_kib, late, running.process.memory().rss_kib)

    async def calls(self, running: Running, calls: int) -> None:
        """That many small calls, every answer checked; `Unavailable` if one fails or they take too long."""
        shape = Shape(meant=behaviour_of("json"), pace=UNDER_LOAD, requests=calls, window_max_s=600, patience_s=30)
        async with crowd_at(running.address, 16) as crowd:
            outcome = await crowd.run(shape, requests_for(running.address, "json", 1_000))
        if isinstance(outcome, Voided) or len(outcome.answers) < calls:
            why = outcome.why if isinstance(outcome, Voided) else f"only {len(outcome.answers)} calls in ten minutes"
            raise Unavailable(f"{calls} calls in a row failed: {why}")


def _where(launch: Launch) -> Address | None:
    """The address, once it is known."""
    if launch.port_file is None:
        return launch.address
    if not launch.port_file.exists():
        return None
    return msgspec.structs.replace(launch.address, port=int(launch.port_file.read_text()))


def _first_answer(address: Address) -> str:
    """Ask once and say what came: a status, or the name of the failure."""
    request = requests_for(address, "json", 200)[0]
    body = request.partition(b"\r\n\r\n")[2]
    connection = http.client.HTTPConnection("127.0.0.1", address.port, timeout=30)
    try:
        connection.request("POST", address.path, body, {"content-type": "application/json", **dict(address.headers)})
        answer = connection.getresponse()
        text = answer.read()
    except (OSError, http.client.HTTPException) as problem:
        return type(problem).__name__
    finally:
        connection.close()
    return "200" if answer.status == 200 else f"{answer.status} {text[:200].decode('utf-8', 'replace')}"


def _line(figures: Figures) -> str:
    cpu = "     -" if figures.cpu_us is None else f"{figures.cpu_us:9.1f} µs CPU"
    hop = "" if figures.hop_p50_us is None else f"  hop p50 {figures.hop_p50_us:.0f}"
    return (
        f"{cpu}  {figures.rate:9.0f}/s  p50 {figures.latency_p50_us:.0f}  p99 {figures.latency_p99_us:.0f} µs"
        f"  own p50 {figures.own_p50_us:.0f}{hop}"
    )
