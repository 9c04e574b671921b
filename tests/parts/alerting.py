"""Alerts of a gateway without the gateway: their workers over a queue in memory and sinks of the test's choice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from wardwright.calls.alerts import RaisedAlert, Severity
from wardwright.calls.receipt import Caller, Sourced
from wardwright.contracts.sink import SinkSettings, WebhookSink
from wardwright.journal.entry import Entry
from wardwright.journal.sinks import Sink
from wardwright.runtime.alerts import Alerts, Queue, bounds_of
from wardwright.runtime.clock import SystemClock
from wardwright.runtime.supervisor import Supervisor
from wardwright.testing.determinism import SeededLuck
from wardwright.testing.sinks import MemorySink
from wardwright.testing.work_queue import MemoryJobs, MemoryWorkQueue

REST_S: Final = 0.02
"""How long a sink rests after its first failure: tests do not wait for the real one."""
WAIT_S: Final = 20.0


def alert(
    receipt: str = "rcp_1", *, sink: str = "sec", message: str = "look", severity: Severity = "warning"
) -> RaisedAlert:
    return RaisedAlert(
        at=1_700_000_000_000_000,
        caller=Caller(agent=Sourced("header", "builder"), tenant=Sourced("trusted_auth", "acme")),
        message=message,
        model="coding",
        phase="request",
        policy="desk-rules",
        receipt=receipt,
        rule="long-answers",
        severity=severity,
        sink=sink,
        why="Nobody reads so much.",
    )


def settings(**members: Any) -> WebhookSink:
    return WebhookSink(**{"name": "sec", "secret": "env:SECRET", "url": "http://127.0.0.1:9", **members})


@dataclass
class Journalled:
    """Implements `journal.entry.Writer`: keeps what was put."""

    entries: list[Entry] = field(default_factory=list)
    failure: Exception | None = None

    def put(self, entry: Entry) -> None:
        self.entries.append(entry)
        if entry.on_durable is not None:
            asyncio.get_running_loop().call_soon(entry.on_durable, self.failure)


@dataclass
class Alerting:
    """Alerts with all that they stand on."""

    alerts: Alerts
    queue: Queue
    writer: Journalled
    supervisor: Supervisor
    defects: list[BaseException]

    async def until(self, holds: Callable[[], object]) -> None:
        """Turn the loop until something holds; AssertionError if it never does."""
        async with asyncio.timeout(WAIT_S):
            while not holds():  # noqa: ASYNC110  # any condition of a test's
                await asyncio.sleep(0.001)


@asynccontextmanager
async def alerting(
    *sinks: tuple[SinkSettings, Sink], queue: Queue | None = None, stored: MemoryJobs | None = None
) -> AsyncIterator[Alerting]:
    """Alerts whose workers run."""
    clock = SystemClock()
    chosen = sinks or ((settings(), MemorySink()),)
    held = queue or MemoryWorkQueue(stored, clock=clock, bounds=bounds_of(tuple(one for one, _ in chosen)))
    defects: list[BaseException] = []
    writer = Journalled()
    supervisor = Supervisor(defects.append)
    alerts = Alerts(
        held,
        {one.name: (one, sink) for one, sink in chosen},
        clock=clock,
        first_rest_s=REST_S,
        luck=SeededLuck(),
        report=defects.append,
        spawn=supervisor.spawn,
        writer=writer,
    )
    await alerts.open()
    try:
        yield Alerting(alerts, held, writer, supervisor, defects)
    finally:
        await supervisor.aclose()
        await alerts.aclose()
