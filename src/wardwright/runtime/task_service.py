"""A runner of tasks as a process: its harness, its signals, and what the service manager is told."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from wardwright.kernel.errors import WardwrightError
from wardwright.runtime.clock import SystemClock, SystemLuck
from wardwright.runtime.notify import Notifier
from wardwright.runtime.settings import Settings
from wardwright.runtime.task_runner import Settled, TaskRunner, stores_of
from wardwright.runtime.tool_runtime import Shop, ToolRuntime, shop_of

ENDING: Final = (signal.SIGINT, signal.SIGTERM)

log = logging.getLogger("wardwright.tasks")


async def run_tasks(
    state: Path,
    paths: Sequence[Path],
    settings: Settings,
    *,
    house: str | None,
    notifier: Notifier,
    once: bool,
    parallel: int,
    told: Callable[[Settled], None],
) -> int:
    """Run tasks until SIGINT or SIGTERM, or, `once`, until nothing is due; how many are left waiting.

    SIGHUP lets what runs end and reads the contract files again; where they are wrong, the last good ones go on.
    Raises what `ToolRuntime.open` and `TaskRunner.open` raise.
    """
    shop = _read(paths)
    wishes = _Wishes(notifier)
    feeding = asyncio.ensure_future(notifier.feed())
    try:
        with _signals(wishes):
            while True:
                left = await _session(
                    state,
                    shop,
                    settings,
                    wishes,
                    house=house,
                    notifier=notifier,
                    once=once,
                    parallel=parallel,
                    told=told,
                )
                if not wishes.again():
                    return left
                try:
                    shop = _read(paths)
                except WardwrightError as error:
                    log.error("the contract files are wrong, and those from before go on: %s", error.message)
    finally:
        feeding.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await feeding


class _Wishes:
    """What signals want of the runner that there is, or of the next one."""

    def __init__(self, notifier: Notifier) -> None:
        self.ending = False
        self.runner: TaskRunner | None = None
        self._notifier = notifier
        self._reload = False

    def end(self) -> None:
        self.ending = True
        self._notifier.stopping("waiting for the tasks under way")
        if self.runner is not None:
            self.runner.stop()

    def reload(self) -> None:
        self._reload = True
        self._notifier.reloading()
        if self.runner is not None:
            self.runner.stop()

    def again(self) -> bool:
        """Whether the contract files shall be read again, and the runner go on. Asked once a wish."""
        wanted, self._reload = self._reload, False
        return wanted and not self.ending


async def _session(
    state: Path,
    shop: Shop,
    settings: Settings,
    wishes: _Wishes,
    *,
    house: str | None,
    notifier: Notifier,
    once: bool,
    parallel: int,
    told: Callable[[Settled], None],
) -> int:
    """Run tasks under one reading of the contracts; how many are left waiting."""
    runtime = ToolRuntime(state, shop, settings)
    await runtime.open()
    try:
        runner = TaskRunner(
            runtime,
            stores_of(state, house, tuple(shop.houses)),
            clock=SystemClock(),
            luck=SystemLuck(),
            parallel=parallel,
            pid=os.getpid(),
            told=told,
        )
        runner.open()
        wishes.runner = runner
        try:
            if not wishes.ending:
                notifier.ready(f"running the tasks of {house or 'every house'}")
                await runner.run(once=once)
            return runner.waiting
        finally:
            wishes.runner = None
            await runner.aclose()
    finally:
        await runtime.aclose()


@contextlib.contextmanager
def _signals(wishes: _Wishes) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in ENDING:
        loop.add_signal_handler(number, wishes.end)
    loop.add_signal_handler(signal.SIGHUP, wishes.reload)
    try:
        yield
    finally:
        for number in (*ENDING, signal.SIGHUP):
            loop.remove_signal_handler(number)


def _read(paths: Sequence[Path]) -> Shop:
    """The contracts. Raises the first of their mistakes."""
    shop = shop_of(paths)
    for error in shop.errors:
        raise error
    return shop
