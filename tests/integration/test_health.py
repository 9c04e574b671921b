"""The health of an installation as a service, beside a real gateway, under a service manager that the test plays."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import httpx2

from parts import children
from parts.contracts import model, scripted
from parts.gateway_process import running
from parts.notify_socket import listening
from wardwright.cli.main import run


def serving(state: Path, *options: str, env: dict[str, str] | None = None) -> Any:
    command = [sys.executable, "-m", "wardwright", "health", "--state", str(state), "--no-sandbox", *options]
    own = {name: value for name, value in os.environ.items() if not name.startswith("WARDWRIGHT_")}
    return children.running(command, env=own | (env or {}))


def contracts(folder: Path) -> Path:
    folder.mkdir()
    for number, document in enumerate((scripted("s", {}), model("m", "s"))):
        (folder / f"{number}.json").write_text(json.dumps(document))
    return folder


def test_a_service_tells_how_a_gateway_fares_and_that_it_went(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with listening(tmp_path) as manager, running(contracts(tmp_path / "contracts"), state) as gateway:
        env = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "1000000"}
        with serving(state, "--serve", "--every", "1s", "--bind", "127.0.0.1:0", env=env) as child:
            assert manager.until("READY")["STATUS"] == "ok"
            url = child.wait_for("an address", lambda: child.said().partition("health at ")[2].strip() or None)
            with httpx2.Client(base_url=url.removesuffix("/healthz"), trust_env=False) as client:
                look = client.get("/healthz").json()
                assert look["grade"] == "ok"
                assert {"gateway", "journal", "reload", "breaker s/m", "disk", "index", "approvals"} <= {
                    one["about"] for one in look["findings"]
                }
                assert client.get("/readyz").json()["status"] == "ready"
                assert "wardwright_gateway_up 1.0" in client.get("/metrics").text
                assert manager.until("WATCHDOG")
                gateway.kill()

                def gone() -> bool | None:
                    return "wardwright_gateway_up 0.0" in client.get("/metrics").text or None

                child.wait_for("news of the end", gone)
                look = client.get("/healthz").json()
            assert look["grade"] == "warn", "the gateway was killed"
            child.wait_for("a line of the log", lambda: "is warn, was ok: free, and not closed" in child.said() or None)
            child.process.terminate()
            assert manager.until("STOPPING")
            assert child.process.wait(30) == 0


def test_watching_prints_what_changes_as_lines_of_json(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    with serving(state, "--watch", "--every", "1s") as child:
        assert child.process.stdout is not None
        first = json.loads(child.process.stdout.readline())
        assert (first["about"], first["before"], first["grade"]) == ("gateway", None, "ok")
        assert run(["task", "add", "system.info", "--state", str(state)]) == 0
        while (told := json.loads(child.process.stdout.readline()))["about"] != "tasks timmy":
            assert told["before"] is None
        assert told["grade"] == "warn"
        child.process.send_signal(signal.SIGINT)
        assert child.process.wait(30) == 130
