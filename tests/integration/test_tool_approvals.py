"""Approvals that calls of tools ask for, settled through a gateway that runs over the same state directory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from parts import gateway_process
from parts.front import DOCUMENTS
from wardwright.cli.exits import Exit
from wardwright.runtime.harness import Harness

RULES = """\
kind: policy
name: writing
rules:
  - id: a-person-looks
    phase: tool.before
    when: {eq: [tool.name, file.write]}
    then: [{require_approval: {message: This writes., expires_s: 3600}}]
    why: It is a test.
"""


@pytest.fixture
def contracts(tmp_path: Path) -> Path:
    folder = tmp_path / "contracts"
    folder.mkdir()
    for name, text in DOCUMENTS.items():
        (folder / name).write_text(text)
    return folder


def ww(state: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wardwright", *words, "--state", str(state), "--json"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_a_running_gateway_shows_and_settles_what_tools_ask_for(tmp_path: Path, contracts: Path) -> None:
    rules, state = tmp_path / "rules.yaml", tmp_path / "state"
    rules.write_text(RULES)
    given = {"path": str(tmp_path / "made.txt"), "content": "x"}
    with gateway_process.running(contracts, state), Harness(state=state, config=rules) as harness:
        for _ in range(3):  # this writer's records are then later than all that the gateway writes
            harness.execute("file.read", path=str(rules))
        waiting = harness.execute("file.write", **given)
        assert waiting.approval is not None
        shown = ww(state, "approval", "show", waiting.approval)
        assert (shown.returncode, json.loads(shown.stdout)["model"]) == (Exit.AWAITING_APPROVAL, "file.write")
        assert ww(state, "approval", "approve", waiting.approval).returncode == Exit.OK
        assert harness.execute("file.write", approval=waiting.approval, **given).status == "completed"
        told = json.loads(ww(state, "approval", "show", waiting.approval).stdout)
        assert (told["status"], told["decided_by"]) == ("redeemed", "admin")
    again = json.loads(ww(state, "approval", "show", waiting.approval).stdout)
    assert again["status"] == "redeemed"
