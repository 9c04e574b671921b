"""The command line as a shell runs it: what only processes of their own can show."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from parts import children, gateway_process
from parts.front import DOCUMENTS
from wardwright.cli.exits import Exit

WARDWRIGHT = (sys.executable, "-m", "wardwright")
DEMO_TIMEOUT_S = 60


def environment(tmp_path: Path) -> dict[str, str]:
    """A shell of its own: its state directory and its scratch files lie in the test's."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("WARDWRIGHT_", "OPENAI_"))}
    return own | {"WARDWRIGHT_STATE": str(tmp_path / "state"), "TMPDIR": str(tmp_path), "NO_COLOR": "1"}


def wardwright(tmp_path: Path, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*WARDWRIGHT, *words],
        capture_output=True,
        text=True,
        timeout=DEMO_TIMEOUT_S,
        env=environment(tmp_path),
        **options,
    )


@pytest.fixture
def contracts(tmp_path: Path) -> Path:
    folder = tmp_path / "contracts"
    folder.mkdir()
    for name, text in DOCUMENTS.items():
        (folder / name).write_text(text)
    return folder


def gateways_in(folder: Path) -> list[str]:
    """Processes, whoever their parent is, whose command names a file of this folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended while we looked
            if f" {folder}/".encode() in (process / "cmdline").read_bytes().replace(b"\0", b" "):
                found.append(process.name)
    return found


def test_the_demonstration_shows_its_calls_and_leaves_nothing(tmp_path: Path) -> None:
    ended = wardwright(tmp_path, "demo")
    assert (ended.returncode, ended.stderr) == (Exit.OK, "")
    for shown in (
        "(streamed)",
        "def reverse(items: list[int])",
        "swift failed: overloaded (HTTP 503) -> steady answered",
        "(whole)",
        "An empty list and a list of one item",
        "client = NewClient(token)",
        "coder stopped by a rule -> coder answered",
        "deprecated-api/old-client: retry with reminder; found at 36-46 of the text, nothing released",
        "the stream never held OldClient",
        "3 of 3 route decisions came out the same",
        "verify  intact",
    ):
        assert shown in ended.stdout
    assert "OldClient(" not in ended.stdout
    assert list(tmp_path.iterdir()) == []
    assert gateways_in(tmp_path) == []


def test_a_demonstration_that_is_ended_early_takes_its_gateway_along(tmp_path: Path) -> None:
    with children.running([*WARDWRIGHT, "demo"], env=environment(tmp_path)) as demo:
        demo.wait_for("a gateway of its own", lambda: gateways_in(tmp_path) or None)
        demo.process.send_signal(signal.SIGTERM)
        assert demo.process.wait(children.END_TIMEOUT_S) == 128 + signal.SIGTERM
    assert gateways_in(tmp_path) == []
    assert [path for path in tmp_path.iterdir() if path.name.startswith("wardwright-demo-")] == []


def test_the_demonstration_is_one_document_where_one_is_asked_for(tmp_path: Path) -> None:
    shown = json.loads(wardwright(tmp_path, "demo", "--json").stdout)
    assert [receipt["status"] for receipt in shown["receipts"]] == ["completed"] * 3
    assert [replay["verdict"] for replay in shown["replays"]] == ["reproduced"] * 3
    assert shown["receipts"][2]["policy"][0]["caught"][0]["action"] == "retry"
    assert shown["verification"]["verdict"] == "intact"


def test_serving_says_where_and_what_in_one_document(tmp_path: Path, contracts: Path) -> None:
    command = [*WARDWRIGHT, "serve", str(contracts), "--bind", "127.0.0.1:0", "--json"]
    with children.running(command, env=environment(tmp_path)) as gateway:
        gateway.wait_for("an address", lambda: gateway_process.address_of(tmp_path / "state", gateway.pid))
        gateway.process.terminate()
        said, _ = gateway.process.communicate(timeout=children.END_TIMEOUT_S)
    serving = json.loads(said)
    assert (serving["pid"], serving["models"]) == (gateway.pid, ["coding", "review"])
    assert serving["url"].startswith("http://127.0.0.1:")


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_gateway_that_is_told_to_end_closes_its_journal(
    tmp_path: Path, contracts: Path, signum: signal.Signals
) -> None:
    with gateway_process.running(contracts, tmp_path / "state") as gateway:
        assert wardwright(tmp_path, "journal", "verify").returncode == Exit.PENDING
        gateway.send(signum)
        assert gateway.child.process.wait(children.END_TIMEOUT_S) == 0
    assert not (tmp_path / "state" / "server.json").exists()
    assert wardwright(tmp_path, "journal", "verify").returncode == Exit.OK


def test_a_killed_gateway_leaves_an_address_that_nobody_is_sent_to(tmp_path: Path, contracts: Path) -> None:
    with gateway_process.running(contracts, tmp_path / "state") as gateway:
        gateway.kill()
    assert (tmp_path / "state" / "server.json").exists()
    made = wardwright(tmp_path, "key", "create", "--json")
    assert (made.returncode, json.loads(made.stdout)["key"]["tenant"]) == (Exit.OK, "local")
    assert wardwright(tmp_path, "journal", "verify").returncode == Exit.OK


def test_a_change_goes_to_the_gateway_that_runs_and_takes_effect_at_once(tmp_path: Path, contracts: Path) -> None:
    with gateway_process.running(contracts, tmp_path / "state", env={"WARDWRIGHT_KEYS": "required"}):
        assert wardwright(tmp_path, "chat", "coding", "hello").returncode == Exit.DENIED
        key = wardwright(tmp_path, "key", "create").stdout.strip()
        asked = wardwright(tmp_path, "chat", "coding", "-", "--key", key, input="hello")
        assert (asked.returncode, asked.stdout) == (Exit.OK, "hello there\n")


def test_a_tail_shows_calls_as_they_end(tmp_path: Path, contracts: Path) -> None:
    with gateway_process.running(contracts, tmp_path / "state"):
        assert wardwright(tmp_path, "chat", "coding", "before").returncode == Exit.OK
        command = [*WARDWRIGHT, "receipt", "tail", "--json", "--count", "2"]
        with children.running(command, env=environment(tmp_path)) as tail:
            first = json.loads(tail.first_line())
            for model in ("review", "none"):
                wardwright(tmp_path, "chat", model, "now")
            rest, _ = tail.process.communicate(timeout=children.END_TIMEOUT_S)
            assert tail.process.returncode == Exit.OK
    told = [first, *map(json.loads, rest.splitlines())]
    assert [(one["asked"], one["status"]) for one in told] == [
        ("coding", "completed"),
        ("review", "completed"),
        ("none", "refused"),
    ]


def test_a_tail_shows_calls_that_were_lost(tmp_path: Path, contracts: Path) -> None:
    slow = DOCUMENTS["provider.yaml"].replace('text: "hello there"', 'chunks: ["he", "llo"], chunk_delay_ms: 60000')
    (contracts / "provider.yaml").write_text(slow)
    durable = ("--durability", "before_response")
    with gateway_process.running(contracts, tmp_path / "state", options=durable) as gateway:
        chat = [*WARDWRIGHT, "chat", "coding", "hello"]
        with children.running(chat, env=environment(tmp_path)) as asked:
            assert asked.process.stdout is not None
            assert asked.process.stdout.read(2) == "he"
            gateway.kill()
            assert asked.process.wait(children.END_TIMEOUT_S) == Exit.FAILED
            assert "server_unreachable" in asked.said() or "upstream_stream_broken" in asked.said()
    with gateway_process.running(contracts, tmp_path / "state"):
        lost = json.loads(wardwright(tmp_path, "receipt", "tail", "--json", "--count", "0").stdout)
    assert (lost["status"], lost["model"]) == ("lost", "coding")


def test_a_reader_that_has_enough_is_no_failure(tmp_path: Path, contracts: Path) -> None:
    with gateway_process.running(contracts, tmp_path / "state"):
        pass
    piped = f"{' '.join(WARDWRIGHT)} journal export | head -c 1"
    ended = subprocess.run(
        ["bash", "-o", "pipefail", "-c", piped], capture_output=True, text=True, env=environment(tmp_path), timeout=30
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "{", "")


@pytest.mark.parametrize("words", ["model --help", "schema model", "doctor --json", "receipt list --json"])
def test_a_reader_that_has_left_is_no_failure(tmp_path: Path, contracts: Path, words: str) -> None:
    with gateway_process.running(contracts, tmp_path / "state"):
        pass
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as nobody:
        ended = subprocess.run(
            [*WARDWRIGHT, *words.split()],
            stdout=nobody,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(tmp_path),
            timeout=30,
        )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_an_export_is_the_journal_line_by_line(tmp_path: Path, contracts: Path) -> None:
    with gateway_process.running(contracts, tmp_path / "state"):
        pass
    lines = wardwright(tmp_path, "journal", "export").stdout.splitlines()
    stored = [
        line
        for segment in (tmp_path / "state" / "journal").rglob("*.jsonl")
        for line in segment.read_text().splitlines()
    ]
    assert sorted(lines) == sorted(stored)
    assert all(msgspec.json.decode(line)["v"] == 1 for line in lines)
