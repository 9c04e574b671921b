"""What the pipeline costs around a tool: a call of one that does nothing, an intent that must be durable, many at once.

`python -m benchmarks.harness` prints each figure beside its bar, over a state directory of its own, and what the
official MCP SDK takes for the same function in one process. What walls cost is told by `python -m benchmarks.sandbox`.
Of some rounds the best counts: what else the machine does meanwhile is not what the pipeline costs.
"""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from wardwright.contracts.tool import ToolContract, ToolScope
from wardwright.harness.call import Call, Ended
from wardwright.harness.core.houses import BUILT_IN as HOUSES
from wardwright.harness.core.modes import Mode
from wardwright.harness.core.shelf import shelf
from wardwright.harness.core.tool import AnyTool, Context, Tool, Tools
from wardwright.harness.mcp.peers import Peers
from wardwright.harness.workshop import observation_of
from wardwright.limits.patterns import Patterns
from wardwright.runtime.clock import SystemClock
from wardwright.runtime.settings import Settings
from wardwright.runtime.tool_runtime import Shop, ToolRuntime

ROUNDS: Final = 5
CALLS: Final = 1000
"""In a round, one after another."""
WRITES: Final = 50
"""In a round: each waits for the disk."""
PARALLEL: Final = 1000
"""Calls at once."""


class Given(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the function takes."""

    path: str = "src/wardwright/harness/workshop.py"
    lines: tuple[int, int] = (1, 80)


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What it gives."""

    text: str = "done"


async def nothing(given: Given, context: Context) -> Made:
    """Does nothing."""
    return Made()


async def turn(given: Given, context: Context) -> Made:
    """Lets others go first."""
    await asyncio.sleep(0)
    return Made()


def tools(folder: Path) -> tuple[AnyTool, ...]:
    reading = ToolContract(name="read", effect="read", reversal="T0", implements="read")
    return (
        Tool(contract=reading, arguments=Given, result=Made, run=nothing),
        Tool(contract=msgspec.structs.replace(reading, name="turn"), arguments=Given, result=Made, run=turn),
        Tool(
            contract=ToolContract(
                name="write",
                effect="write-local",
                reversal="T0",
                implements="write",
                scope=ToolScope(write=(str(folder),)),
            ),
            arguments=Given,
            result=Made,
            run=nothing,
        ),
    )


class Figure(NamedTuple):
    """One row: µs unless its name says otherwise."""

    what: str
    p50: float
    p99: float
    bar: float | None = None
    """Of the median."""


async def measured(folder: Path, rounds: int = ROUNDS) -> tuple[Figure, ...]:
    shop = Shop(
        errors=(),
        houses={one.name: one for one in HOUSES},
        peers=Peers(SystemClock(), {}),
        policies={},
        shelf=shelf(Tools(tools(folder)), {}),
    )
    runtime = ToolRuntime(folder / "state", shop, Settings())
    await runtime.open()
    try:
        return (
            await _each("read, simple", _caller(runtime, "read", Mode.SIMPLE), CALLS, rounds, 300),
            await _each("read, intelligent", _caller(runtime, "read", Mode.INTELLIGENT), CALLS, rounds, 600),
            *await _mcp(rounds),
            await _each("write, intent durable", _caller(runtime, "write", Mode.SIMPLE), WRITES, rounds, None),
            _learned(runtime, (await runtime.call(Call(tool="read"))), rounds),
            *await _parallel(runtime),
        )
    finally:
        await runtime.aclose()


def _caller(runtime: ToolRuntime, tool: str, mode: Mode) -> Callable[[], Awaitable[object]]:
    async def call() -> None:
        ended = await runtime.call(Call(tool=tool, mode=mode))
        assert ended.error is None, ended.error

    return call


async def _each(what: str, call: Callable[[], Awaitable[object]], count: int, rounds: int, bar: float | None) -> Figure:
    best: Figure | None = None
    for _ in range(rounds):
        took: list[float] = []
        for _ in range(count):
            began = time.perf_counter()
            await call()
            took.append((time.perf_counter() - began) * 1e6)
        found = Figure(what, statistics.median(took), statistics.quantiles(took, n=100)[-1], bar)
        best = found if best is None or found.p50 < best.p50 else best
        await asyncio.sleep(0.05)  # the journal's thread comes to rest
    assert best is not None
    return best


async def _mcp(rounds: int) -> tuple[Figure, ...]:
    """The official SDK, client and server in one process; nothing where it is not installed."""
    if importlib.util.find_spec("mcp") is None:
        return ()
    from mcp import Client
    from mcp.server import MCPServer

    server = MCPServer("bench")

    @server.tool()
    async def read(path: str = "src/wardwright/harness/workshop.py") -> str:
        """Does nothing."""
        return "done"

    async with Client(server) as client:

        async def call() -> None:
            answer = await client.call_tool("read", {})
            assert not answer.is_error

        return (await _each("the MCP SDK in memory", call, CALLS // 2, rounds, None),)


def _learned(runtime: ToolRuntime, ended: Ended, rounds: int) -> Figure:
    """From a receipt to patterns that know of it."""
    seen = observation_of(ended.receipt, runtime.writer.writer)
    assert seen is not None
    took: list[float] = []
    gc.disable()
    try:
        for _ in range(rounds):
            patterns = Patterns()
            each = [msgspec.structs.replace(seen, order=number + 1) for number in range(CALLS)]
            for one in each:
                began = time.perf_counter()
                patterns.learn(one)
                took.append((time.perf_counter() - began) * 1e6)
    finally:
        gc.enable()
    return Figure("pattern learned", statistics.median(took), statistics.quantiles(took, n=100)[-1], 5)


async def _parallel(runtime: ToolRuntime) -> tuple[Figure, ...]:
    """Many calls at once: how long all of them take, what they hold meanwhile, and how old what a call taught is once
    the next one can be foretold with it."""
    ages: list[float] = []
    call = Call(tool="turn", mode=Mode.INTELLIGENT)

    async def one() -> None:
        ended = await runtime.call(call)
        age_us = time.time_ns() // 1000 - (ended.receipt.started_at + ended.receipt.timings.total_us)
        ages.append(age_us)

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(PARALLEL)))
    took = (time.perf_counter() - began) * 1e6
    tracemalloc.start()
    try:
        await asyncio.gather(*(runtime.call(call) for _ in range(PARALLEL)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return (
        Figure(f"{PARALLEL:,} at once, each", took / PARALLEL, took / PARALLEL),
        Figure(f"{PARALLEL:,} at once, peak KB", peak / 1024, peak / 1024),
        Figure("from its end to its pattern", statistics.median(ages), statistics.quantiles(ages, n=100)[-1], 100_000),
    )


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(measured(Path(folder)))
    for one in figures:
        bar = "" if one.bar is None else f"   (bar {one.bar:,g})"
        print(f"{one.what:<30} p50 {one.p50:10,.1f}   p99 {one.p99:10,.1f}{bar}")
    return 1 if any(one.bar is not None and one.p50 > one.bar for one in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
