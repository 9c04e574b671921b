"""What the protocol costs a call: a tool that does next to nothing, called in this process and through each door.

`python -m benchmarks.mcp` prints the median and the 95th percentile of calls one after another, each with its decision
and its receipt. `in process` is the harness alone; `far` is a tool of another server, called by the harness over pipes.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, NamedTuple

from mcp import Client
from mcp.client.stdio import StdioServerParameters

import wardwright
from wardwright.harness.call import Call
from wardwright.harness.core.mcp.entries import Program, digest_of
from wardwright.harness.core.mcp.lock import Lock, pin_of
from wardwright.runtime.servers import look, write
from wardwright.runtime.settings import Settings
from wardwright.runtime.tool_runtime import ToolRuntime, shop_of

CALLS: Final = 300
WARM_UP: Final = 20
TOOL: Final = "dns.lookup"
ARGUMENTS: Final = {"host": "127.0.0.1"}
SOURCES: Final = {"PYTHONPATH": str(Path(wardwright.__file__).parents[1])}
"""Servers run what we run."""


class Timed(NamedTuple):
    """Milliseconds of a call."""

    way: str
    p50_ms: float
    p95_ms: float


def served(state: Path) -> StdioServerParameters:
    """Our server, over pipes."""
    words = ["-m", "wardwright", "mcp", "serve", "--state", str(state)]
    return StdioServerParameters(command=sys.executable, args=words, env=SOURCES)


async def measured(calls: int = CALLS) -> tuple[Timed, ...]:
    """Each way in turn."""
    with tempfile.TemporaryDirectory() as scratch:
        states, folder = Path(scratch), Path(scratch, "contracts")
        await asyncio.to_thread(folder.mkdir)
        words = ("-m", "wardwright", "mcp", "serve", "--state", f"{states}/far")
        entry = Program(command=sys.executable, args=words, env=SOURCES)
        found = await look(entry, environment={}, folder=folder, timeout_s=30)
        pin = pin_of(digest_of(entry), found, accepted=(), trust_annotations=True)
        await asyncio.to_thread(write, folder, "far", entry, Lock().with_server("far", pin))
        shop = await asyncio.to_thread(shop_of, [folder])
        assert not shop.errors, shop.errors
        runtime = ToolRuntime(states / "near", shop, Settings())
        await runtime.open()
        try:

            async def call(tool: str) -> None:
                ended = await runtime.call(Call(arguments=ARGUMENTS, tool=tool))
                assert ended.error is None, ended.error

            timed = [await _timed("in process", lambda: call(TOOL), calls)]
            timed.append(await _timed("far", lambda: call("far.dns_lookup"), calls))
        finally:
            await runtime.aclose()
        for era in ("legacy", "2026-07-28"):
            async with Client(served(states / era), mode=era) as client:

                async def ask(client: Client = client) -> None:
                    answer = await client.call_tool("dns_lookup", ARGUMENTS)
                    assert not answer.is_error, answer

                timed.append(await _timed(f"over pipes, {era}", ask, calls))
    return tuple(timed)


async def _timed(way: str, call: Callable[[], Awaitable[None]], calls: int) -> Timed:
    took: list[float] = []
    for number in range(WARM_UP + calls):
        began = time.perf_counter()
        await call()
        if number >= WARM_UP:
            took.append((time.perf_counter() - began) * 1e3)
    return Timed(way, statistics.median(took), statistics.quantiles(took, n=20)[-1])


def main() -> int:
    for one in asyncio.run(measured()):
        print(f"{one.way:<24} p50 {one.p50_ms:6.2f} ms   p95 {one.p95_ms:6.2f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
