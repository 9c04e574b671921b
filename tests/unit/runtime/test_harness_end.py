"""A harness that nobody closes ends with its interpreter, in good order and without a word."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from wardwright.journal.verify import Intact
from wardwright.runtime.following import FOLLOW_S
from wardwright.runtime.offline import StoredJournal

# What is registered last runs first: while it sleeps harnesses live on, and no thread can be had any more.
PROGRAM = f"""\
import atexit, sys, time
from wardwright import Harness
for _ in range(2):
    harness = Harness(state=sys.argv[1])
    assert harness.execute("system.info").ok
{{then}}
atexit.register(time.sleep, {4 * FOLLOW_S})
"""


@pytest.mark.parametrize("then", ["", "del harness"], ids=["held", "dropped"])
def test_a_harness_that_was_left_open_closes_its_chains_quietly(tmp_path: Path, then: str) -> None:
    program = PROGRAM.format(then=then)
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")
    verdicts = StoredJournal(tmp_path).verify()
    assert verdicts
    assert all(isinstance(one, Intact) for one in verdicts)
