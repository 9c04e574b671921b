"""A gateway under a service manager: the manager's socket is the test's, the gateway is the real process."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from parts.contracts import model, scripted
from parts.gateway_process import running
from parts.notify_socket import listening

WATCHDOG = {"WATCHDOG_USEC": "400000"}


def contracts(folder: Path) -> Path:
    folder.mkdir()
    for number, document in enumerate((scripted("s", {}), model("m", "s"))):
        (folder / f"{number}.json").write_text(json.dumps(document))
    return folder


@pytest.mark.parametrize("options", [(), ("--workers", "2")])
def test_a_gateway_says_when_it_serves_reloads_and_ends(tmp_path: Path, options: Sequence[str]) -> None:
    with listening(tmp_path, abstract=True) as manager:
        env = {"NOTIFY_SOCKET": manager.address}
        with running(contracts(tmp_path / "contracts"), tmp_path / "state", env=env, options=options) as gateway:
            ready = manager.next()
            assert ready is not None
            assert ready["READY"] == "1"
            assert gateway.url in ready["STATUS"]
            gateway.send(signal.SIGHUP)
            assert int(manager.until("RELOADING")["MONOTONIC_USEC"]) > 0
            assert manager.until("READY")
            assert gateway.child.process.poll() is None
            gateway.child.process.terminate()
            assert manager.until("STOPPING")["STOPPING"] == "1"
            assert gateway.child.process.wait(30) == 0


@pytest.mark.parametrize("options", [(), ("--workers", "2")])
def test_a_gateway_that_does_not_move_feeds_no_watchdog(tmp_path: Path, options: Sequence[str]) -> None:
    with listening(tmp_path) as manager:
        env = {"NOTIFY_SOCKET": manager.address, **WATCHDOG}
        with running(contracts(tmp_path / "contracts"), tmp_path / "state", env=env, options=options) as gateway:
            assert manager.until("WATCHDOG")
            gateway.send(signal.SIGSTOP)
            try:
                manager.forget()
                manager.next(within_s=0.2)  # what may have been on its way
                assert manager.next(within_s=1.0) is None
            finally:
                gateway.send(signal.SIGCONT)
            assert manager.until("WATCHDOG")


def test_a_worker_that_is_stuck_is_killed_and_started_anew(tmp_path: Path) -> None:
    def process_of(worker: int) -> int:
        (lock,) = (tmp_path / "state" / "journal").glob(f"*/gateway-{worker}/lock")
        return int(json.loads(lock.read_bytes())["pid"])

    with listening(tmp_path) as manager:
        env = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "1000000"}
        options = ("--workers", "2")
        with running(contracts(tmp_path / "contracts"), tmp_path / "state", env=env, options=options) as gateway:
            manager.until("READY")
            stuck = process_of(1)
            os.kill(stuck, signal.SIGSTOP)
            gateway.child.wait_for("a new worker", lambda: process_of(1) != stuck or None)
            assert "worker 1 is stuck: it is killed" in gateway.child.said()
            assert manager.until("WATCHDOG"), "the crew itself moves on"
            assert gateway.stop() == 0
