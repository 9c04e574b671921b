"""What a service manager is told."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from parts.notify_socket import listening
from wardwright.runtime.notify import Notifier, notifier_of


@pytest.mark.parametrize("abstract", [False, True])
def test_one_datagram_carries_all_lines(tmp_path: Path, abstract: bool) -> None:
    with listening(tmp_path, abstract=abstract) as manager:
        Notifier(manager.address).ready("serving 2 models")
        assert manager.next() == {"READY": "1", "STATUS": "serving 2 models"}


def test_nobody_who_listens_is_no_failure(tmp_path: Path) -> None:
    Notifier(str(tmp_path / "nobody")).stopping()
    Notifier().stopping()


@pytest.mark.parametrize(
    ("environment", "watchdog_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "500000"}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_a_watchdog_is_fed_where_it_waits_for_this_process(
    environment: dict[str, str], watchdog_s: float | None
) -> None:
    assert notifier_of(environment, 7).watchdog_s == watchdog_s


def test_a_loop_that_is_stuck_feeds_no_watchdog(tmp_path: Path) -> None:
    async def stuck() -> None:
        with listening(tmp_path) as manager:
            feeding = asyncio.ensure_future(Notifier(manager.address, watchdog_s=0.05).feed())
            await asyncio.sleep(0)
            assert manager.next() == {"WATCHDOG": "1"}
            assert manager.next(within_s=0.2) is None, "whoever blocks the loop waits here for what cannot come"
            loop = asyncio.get_running_loop()
            assert await loop.run_in_executor(None, manager.next) == {"WATCHDOG": "1"}
            feeding.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await feeding

    asyncio.run(stuck())
