"""Tasks, and the ticking of the deadline wheel: the one place where either is started.

A task that ends with an exception is reported, never lost; all are cancelled and awaited when the process ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from wardwright.limits.deadlines import TICK_S, Wheel


class Supervisor:
    """Owns every task of one event loop. `open` it on the loop, `aclose` it last."""

    def __init__(self, report: Callable[[BaseException], None]) -> None:
        self._report = report
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ticking: asyncio.TimerHandle | None = None

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def tick(self, wheel: Wheel) -> None:
        """Advance the wheel every TICK_S from now on."""
        loop = asyncio.get_running_loop()

        def advance() -> None:
            self._ticking = loop.call_later(TICK_S, advance)
            try:
                wheel.advance(loop.time())
            except Exception as defect:
                self._report(defect)

        advance()

    async def aclose(self) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (defect := task.exception()) is not None:
            self._report(defect)
