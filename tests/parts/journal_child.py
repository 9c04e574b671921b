"""A process that writes to a journal until it is killed, and says which records were acknowledged.

Run with a state directory. On standard output, one line each: `started <lost>`, then `<record id> <receipt>` for every
record that the writer called durable.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import sys
import time
from pathlib import Path

import msgspec

from wardwright.journal.entry import Entry
from wardwright.journal.life import CLOSED, OPENED
from wardwright.storage.keys import identity
from wardwright.storage.segments import SegmentWriter
from wardwright.storage.settings import JournalSettings


class Call(msgspec.Struct, frozen=True):
    receipt: str
    text: str


class WallClock:
    def now_us(self) -> int:
        return time.time_ns() // 1000

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()


class SystemLuck:
    def bits(self, count: int) -> int:
        return secrets.randbits(count)


async def write(state: Path) -> None:
    clock = WallClock()
    who = identity(state, now_us=clock.now_us(), luck=SystemLuck())
    writer = SegmentWriter(
        state,
        node=who.node,
        slot="gateway-0",
        signer=who.signer,
        clock=clock,
        loop=asyncio.get_running_loop(),
        settings=JournalSettings(durability="before_response", segment_bytes_max=20_000),
    )
    started = writer.open()
    os.write(1, f"started {started.lost}\n".encode())
    waiting = asyncio.Semaphore(64)

    async def put(kind: str, receipt: str) -> None:
        await waiting.acquire()
        entry = Entry(kind, Call(receipt, "x" * secrets.randbelow(900)), at=clock.now_us())

        def durable(failure: Exception | None) -> None:
            assert failure is None
            os.write(1, f"{entry.id} {receipt}\n".encode())
            waiting.release()

        entry.on_durable = durable
        writer.put(entry)

    open_calls: list[str] = []
    for number in itertools.count():
        receipt = f"rcp_{os.getpid()}_{number}"
        await put(OPENED, receipt)
        open_calls.append(receipt)
        if len(open_calls) > secrets.randbelow(8):
            await put(CLOSED, open_calls.pop(secrets.randbelow(len(open_calls))))


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1])))
