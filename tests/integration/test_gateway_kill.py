"""A gateway killed under load, again and again: what it acknowledged is there, what it began is closed or lost."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from parts import contracts, gateway_process
from parts.audit import audit
from parts.contracts import chat
from parts.raw_client import HungUp, RawClient, request
from wardwright.calls import receipt as rc
from wardwright.journal.life import OPENED, Lost
from wardwright.journal.record import read
from wardwright.storage.reader import SegmentReader

CLIENTS: Final = 6
CALLS: Final = (20, 200)
"""How many calls a gateway answers before it is killed, from and to."""
PATIENCE_S: Final = 60.0
RECEIPT: Final = "x-wardwright-receipt-id"


@dataclass
class Told:
    """What clients of one gateway were told before it died."""

    acknowledged: list[str] = field(default_factory=list)
    """Receipts of complete answers."""
    begun: list[str] = field(default_factory=list)
    """Receipts of streams whose head arrived."""
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def acknowledge(self, receipt: str) -> None:
        with self._changed:
            self.acknowledged.append(receipt)
            self._changed.notify()

    def wait_for(self, count: int) -> None:
        """Wait until so many answers more were acknowledged."""
        with self._changed:
            enough = len(self.acknowledged) + count
            assert self._changed.wait_for(lambda: len(self.acknowledged) >= enough, PATIENCE_S), "calls stopped"


def load(port: int, streamed: bool, told: Told) -> None:
    """Call until the gateway dies."""
    data = request(json.dumps(chat("m", stream=streamed)).encode())
    try:
        with RawClient(port) as client:
            while True:
                client.send(data)
                head = client.head()
                assert head.status == 200, client.exactly(int(head.headers["content-length"]))
                receipt = head.headers[RECEIPT]
                if streamed:
                    told.begun.append(receipt)
                    last = b""
                    while piece := client.chunk():
                        last = piece
                    assert last.endswith(b"data: [DONE]\n\n")
                else:
                    client.exactly(int(head.headers["content-length"]))
                told.acknowledge(receipt)
    except (OSError, HungUp):
        return


def verdict(state: Path) -> tuple[int, str]:
    """What `journal verify` says, and its exit code."""
    command = [sys.executable, "-m", "wardwright", "journal", "verify", "--state", str(state), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout)["verdict"]


def test_what_was_acknowledged_survives_every_kill_and_what_was_begun_is_accounted_for(
    tmp_path: Path, rounds: int
) -> None:
    luck = random.Random(7)
    folder, state = tmp_path / "contracts", tmp_path / "state"
    folder.mkdir()
    (folder / "wardwright.json").write_text(json.dumps({"durability": "before_response"}))
    script = {"text": "one two three four five six", "chunk_delay_ms": 3}
    for document in (contracts.scripted("s", script), contracts.model("m", "s")):
        (folder / f"{document['kind']}.json").write_text(json.dumps(document))
    told = Told()
    for _ in range(rounds):
        with gateway_process.running(folder, state) as gateway:
            port = int(gateway.url.rpartition(":")[2])
            clients = [threading.Thread(target=load, args=(port, n % 2 == 0, told)) for n in range(CLIENTS)]
            for client in clients:
                client.start()
            told.wait_for(luck.randint(*CALLS))
            gateway.kill()
            for client in clients:
                client.join()
        assert verdict(state) == (2, "incomplete")
    with gateway_process.running(folder, state) as gateway:
        assert gateway.stop() == 0
    assert verdict(state) == (0, "intact")

    closed = {receipt.receipt: receipt for receipt in audit(state).receipts}
    reader = SegmentReader(state)
    records = [read(line.text) for key in reader.chains() for line in reader.lines(key)]
    opened = [msgspec.json.decode(one.data, type=rc.Opened).receipt for one in records if one.kind == OPENED]
    lost = Counter(msgspec.json.decode(one.data, type=Lost).receipt for one in records if one.kind == rc.LOST)
    assert len(set(told.acknowledged)) == len(told.acknowledged)
    assert {closed[receipt].status for receipt in told.acknowledged} == {"completed"}
    assert set(told.begun) <= set(opened)
    assert set(opened) - closed.keys() == lost.keys()
    assert set(lost.values()) == {1}
    assert len(told.acknowledged) > rounds * CLIENTS
    print(
        f"{rounds} kills: {len(told.acknowledged)} calls acknowledged, {len(closed)} closed, {len(lost)} lost of "
        f"{len(opened)} that were opened"
    )
