"""Killing the writer at any moment loses nothing that was acknowledged, and leaves no call in doubt."""

from __future__ import annotations

import collections
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

from wardwright.journal.life import CLOSED, LOST, OPENED, receipt_of
from wardwright.journal.record import parse
from wardwright.journal.store import ChainKey, Line
from wardwright.journal.verify import Broken, Intact, verify
from wardwright.storage.keys import SignatureCheck, identity, public_keys
from wardwright.storage.reader import SegmentReader
from wardwright.storage.segments import SegmentWriter
from wardwright.testing.determinism import HandClock, SeededLuck
from wardwright.testing.hand_loop import HandLoop

ROUNDS = 25
CHILD = Path(__file__).parents[1] / "parts" / "journal_child.py"


def run_and_kill(state: Path, after_s: float) -> tuple[int, list[str]]:
    """What a child said before it was killed: how many calls it found lost, and the ids it acknowledged."""
    with subprocess.Popen([sys.executable, str(CHILD), str(state)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        first = child.stdout.readline()
        killer = threading.Timer(after_s, child.kill)
        killer.start()
        said = child.stdout.read()
        killer.join()
        child.wait()
    whole = said.rpartition(b"\n")[0].decode().splitlines()
    return int(first.split()[1]), [line.split()[0] for line in whole]


def test_every_acknowledged_record_survives_and_every_open_call_is_lost_once(tmp_path: Path) -> None:
    luck = random.Random(2024)
    acknowledged: set[str] = set()
    lost = 0
    reader = SegmentReader(tmp_path)
    seen: dict[ChainKey, Line] = {}
    ids: set[str] = set()
    began = time.monotonic()
    for _ in range(ROUNDS):
        found, told = run_and_kill(tmp_path, luck.uniform(0.0, 0.12))
        lost += found
        acknowledged.update(told)
        for key in reader.chains():
            after = seen[key].next if key in seen else None
            for line in reader.lines(key) if after is None else reader.lines(key, after):
                if line.whole:
                    ids.add(parse(line.text).id)
                    seen[key] = line
        assert acknowledged <= ids
    check = SignatureCheck(public_keys(tmp_path))
    assert not any(isinstance(verdict, Broken) for verdict in verify(reader, check))

    who = identity(tmp_path, now_us=0, luck=SeededLuck())
    writer = SegmentWriter(
        tmp_path, node=who.node, slot="gateway-0", signer=who.signer, clock=HandClock(), loop=HandLoop()
    )
    lost += writer.open().lost
    writer.close()
    verdicts = verify(reader, check)
    assert all(isinstance(verdict, Intact) for verdict in verdicts), verdicts

    lives: dict[str, list[str]] = collections.defaultdict(list)
    for line in reader.lines(ChainKey(writer.writer, "calls")):
        record = parse(line.text)
        receipt = receipt_of(record)
        if receipt is not None:
            lives[receipt].append(record.kind)
    assert all(life in ([OPENED, CLOSED], [OPENED, LOST]) for life in lives.values())
    assert sum(life[-1] == LOST for life in lives.values()) == lost
    assert lost > 0
    assert len(acknowledged) > ROUNDS
    assert time.monotonic() - began < 60
