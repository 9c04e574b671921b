"""A gateway whose disk is full or read-only: it says so everywhere, does as it was configured, and recovers."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from parts import contracts, gateway_process
from parts.audit import audit
from parts.contracts import chat
from parts.gateway_process import GatewayProcess
from parts.raw_client import Answer, RawClient, request
from parts.tight_disk import TightDisk, tight_disk
from wardwright.journal.life import CLOSED, receipt_of
from wardwright.journal.record import read
from wardwright.storage.reader import SegmentReader

RECOVERY_S: Final = 15
"""The writer tries again after a quarter of a second, then at growing distances."""
RECEIPT: Final = "x-wardwright-receipt-id"


def folder(path: Path, **settings: Any) -> Path:
    contracts_dir = path / "contracts"
    contracts_dir.mkdir()
    (contracts_dir / "wardwright.json").write_text(json.dumps(settings))
    for document in (contracts.scripted("s", {"text": "one two three"}), contracts.model("m", "s")):
        (contracts_dir / f"{document['kind']}.json").write_text(json.dumps(document))
    return contracts_dir


class World:
    """A gateway on a tight disk, and what its callers were told."""

    def __init__(self, disk: TightDisk, gateway: GatewayProcess) -> None:
        self.disk = disk
        self.gateway = gateway
        self.acknowledged: list[str] = []

    def call(self, stream: bool) -> Answer:
        answer = self._ask(request(json.dumps(chat("m", stream=stream)).encode()))
        if answer.status == 200:
            assert not stream or answer.body.endswith(b"data: [DONE]\n\n")
            self.acknowledged.append(answer.headers[RECEIPT])
        return answer

    def get(self, path: str) -> Answer:
        return self._ask(request(b"", path=path, method="GET"))

    def health(self) -> tuple[int, str, str, int]:
        """Status and words of `/healthz`, and the status of `/readyz`."""
        answer = self.get("/healthz")
        return answer.status, answer.json["status"], answer.json["journal"], self.get("/readyz").status

    def metric(self, name: str) -> float:
        lines = self.get("/metrics").body.decode().splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith(name + " ")))

    def fill(self) -> None:
        self.disk.fill(self.gateway.child.pid)

    def written(self) -> set[str]:
        """Receipts that lie on disk now."""
        reader = SegmentReader(self.disk.state)
        records = [read(line.text) for key in reader.chains() for line in reader.lines(key) if line.whole]
        return {receipt for one in records if one.kind == CLOSED and (receipt := receipt_of(one)) is not None}

    def recover(self) -> None:
        """Room again, and calls that need it: one that finds the journal failed makes it try again at once."""
        self.disk.clear(self.gateway.child.pid)
        give_up_at = time.monotonic() + RECOVERY_S
        while self.health()[2] != "ok":
            assert time.monotonic() < give_up_at, "the journal did not recover"
            self.call(False)

    def until_refused(self, stream: bool) -> Answer:
        """Call until the gateway knows that its journal fails."""
        for _ in range(1000):
            answer = self.call(stream)
            if answer.status != 200:
                return answer
        raise AssertionError("calls without a receipt were never refused")

    def _ask(self, data: bytes) -> Answer:
        with RawClient(int(self.gateway.url.rpartition(":")[2])) as client:
            return client.ask(data)


def in_a_world(tmp_path: Path, settings: dict[str, Any], play: Callable[[World], None]) -> Counter[str]:
    """Play with a gateway, stop it well, and account for its receipts: how many there are by status."""
    with ExitStack() as stack:
        disk = stack.enter_context(tight_disk(tmp_path / "disk"))
        with gateway_process.running(folder(tmp_path, **settings), disk.state) as gateway:
            world = World(disk, gateway)
            assert world.call(False).status == 200
            play(world)
            assert gateway.stop() == 0
            said = gateway.child.said()
        assert "the journal cannot be written" in said
        assert f"on_journal_failure: {settings.get('on_journal_failure', 'refuse')}" in said
        assert "the journal can be written again" in said
        receipts = audit(disk.state).receipts
        assert set(world.acknowledged) <= {one.receipt for one in receipts if one.status == "completed"}
        return Counter(one.status for one in receipts)


@pytest.mark.parametrize("durability", ["batch", "before_response"])
def test_on_a_full_disk_calls_without_a_receipt_are_refused_until_there_is_room(
    tmp_path: Path, durability: str
) -> None:
    def play(world: World) -> None:
        assert world.health() == (200, "ok", "ok", 200)
        world.fill()
        answers = [world.until_refused(stream) for stream in (False, True)]
        for answer in answers:
            assert (answer.status, answer.code) == (503, "journal_unavailable")
            assert "x-should-retry" not in answer.headers
        if durability == "before_response":
            assert set(world.acknowledged) <= world.written(), "an answer left before its receipt"
        assert world.health() == (200, "degraded", "failed", 503)
        assert world.metric("wardwright_journal_writable") == 0
        assert world.get("/v1/models").status == 200
        world.recover()
        assert world.metric("wardwright_journal_writable") == 1
        assert world.health() == (200, "ok", "ok", 200)
        assert [world.call(stream).status for stream in (False, True)] == [200, 200]

    in_a_world(tmp_path, {"durability": durability}, play)


@pytest.mark.parametrize("durability", ["batch", "before_response"])
def test_where_it_is_configured_so_calls_go_on_and_their_receipts_are_written_later(
    tmp_path: Path, durability: str
) -> None:
    def play(world: World) -> None:
        world.fill()
        for number in range(40):
            assert world.call(number % 2 == 0).status == 200
        deadline = time.monotonic() + 10
        while world.health() != (200, "degraded", "failed", 200):
            assert time.monotonic() < deadline, "nobody was told"
            time.sleep(0.01)
        assert world.call(True).status == 200
        assert world.metric("wardwright_journal_writable") == 0
        assert world.metric("wardwright_journal_entries_waiting") > 0
        world.recover()
        assert world.call(True).status == 200

    statuses = in_a_world(tmp_path, {"durability": durability, "on_journal_failure": "degrade"}, play)
    assert statuses.keys() == {"completed"}
    assert statuses["completed"] > 42


def test_a_gateway_does_not_start_over_a_journal_it_cannot_write(tmp_path: Path) -> None:
    settings = folder(tmp_path)
    with tight_disk(tmp_path / "disk") as disk:
        with gateway_process.running(settings, disk.state) as gateway:
            gateway.stop()
        disk.forbid_writing()
        command = [sys.executable, "-m", "wardwright", "serve", str(settings), "--bind", "127.0.0.1:0"]
        done = subprocess.run(
            [*command, "--state", str(disk.state)], capture_output=True, text=True, check=False, timeout=30
        )
        assert done.returncode == 1
        assert done.stderr.startswith("error: ")
        assert "journal_write" in done.stderr
        assert "Traceback" not in done.stderr
        assert str(disk.state) in done.stderr
        audit(disk.state)
