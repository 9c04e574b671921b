"""What the walls cost: how long a program that does nothing takes, from being asked for until nothing of it is left.

`python -m benchmarks.sandbox` prints the median and the 95th percentile for each set of walls, and the bar for both. Of
some rounds the best counts: what else the machine does meanwhile is not what the walls cost.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from typing import Final, NamedTuple

from wardwright.harness.core.hands import Command, Scope
from wardwright.harness.sandbox.hands import LocalHands
from wardwright.harness.sandbox.posture import Walls, look

ROUNDS: Final = 7
RUNS: Final = 30
"""In a round, for each set of walls."""
BAR_MS: Final = 25.0
"""Of the median with both walls."""
WALLS: Final[tuple[Walls, ...]] = ("none", "landlock", "bubblewrap", "both")


class Timed(NamedTuple):
    """Milliseconds for one run of `true`."""

    walls: Walls
    p50_ms: float
    p95_ms: float


async def measured(rounds: int = ROUNDS, runs: int = RUNS) -> tuple[Timed, ...]:
    """One run after another: a sandbox is begun when a call needs it, not in batches."""
    posture = await look()
    posture.require("programs")
    best: dict[Walls, Timed] = {}
    with tempfile.TemporaryDirectory() as folder:
        command = Command(argv=("true",), cwd=folder, output_bytes_max=1000, timeout_s=10)
        scope = Scope(write=(folder,), programs=("true",))
        for _ in range(rounds):
            for walls in WALLS:
                timed = await _timed(LocalHands(scope, posture, walls), walls, command, runs)
                best[walls] = min(best.get(walls, timed), timed, key=lambda one: one.p50_ms)
    return tuple(best.values())


async def _timed(hands: LocalHands, walls: Walls, command: Command, runs: int) -> Timed:
    took: list[float] = []
    for _ in range(runs):
        began = time.perf_counter()
        ended = await hands.run(command)
        took.append((time.perf_counter() - began) * 1e3)
        assert ended.code == 0, ended
    return Timed(walls, statistics.median(took), statistics.quantiles(took, n=20)[-1])


def main() -> int:
    timed = asyncio.run(measured())
    for one in timed:
        bar = f"   (bar {BAR_MS:g} ms)" if one.walls == "both" else ""
        print(f"{one.walls:<12} p50 {one.p50_ms:6.1f} ms   p95 {one.p95_ms:6.1f} ms{bar}")
    return 1 if any(one.p50_ms > BAR_MS for one in timed if one.walls == "both") else 0


if __name__ == "__main__":
    sys.exit(main())
