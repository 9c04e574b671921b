"""A gateway in a process of its own that raises alerts, to be ended in good order or killed.

`python -m parts.alert_child STATE URL COUNT PREFIX` opens a gateway without contracts whose sink `sec` posts to the
URL, raises COUNT alerts for the receipts PREFIX_0, PREFIX_1, …, says `durable` once they are on disk, and ends in good
order when its standard input closes.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from parts.alerting import alert
from parts.webhook_receiver import SECRET
from wardwright.contracts.sink import WebhookSink
from wardwright.runtime.settings import Settings
from wardwright.runtime.wiring import WORK_FILE, Runtime
from wardwright.storage.work_queue import stored_jobs

DURABLE_S_MAX = 20.0


async def main(state: Path, url: str, count: int, prefix: str) -> None:
    sink = WebhookSink(name="sec", secret="env:SECRET", timeout_s=60, url=url)
    runtime = Runtime([], state, Settings(sinks=(sink,)), environment={"SECRET": SECRET})
    await runtime.open()
    try:
        for number in range(count):
            assert runtime.alerts.raise_(alert(f"{prefix}_{number}")) == "queued"
        await asyncio.to_thread(_until_durable, state, prefix, count)
        print("durable", flush=True)
        await asyncio.to_thread(sys.stdin.read)
    finally:
        await runtime.aclose()


def _until_durable(state: Path, prefix: str, count: int) -> None:
    give_up_at = time.monotonic() + DURABLE_S_MAX
    while sum(job.ref.startswith(prefix) for job in stored_jobs(state / WORK_FILE)) < count:
        assert time.monotonic() < give_up_at, "the alerts did not become durable"
        time.sleep(0.01)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]))
