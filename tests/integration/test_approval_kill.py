"""Approvals between real processes that are killed: what was given holds, and what was used stays used."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec
import pytest

from parts import children
from wardwright.cli.main import run

TESTS = Path(__file__).parent.parent


def killed(state: Path, *words: str) -> str:
    """What a gateway says before it is killed."""
    command = [sys.executable, "-m", "parts.approval_child", str(state), *words]
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    with children.running(command, env={**os.environ, "PYTHONPATH": path}) as child:
        said = child.first_line()
        assert said, child.said()
        child.process.kill()
        child.process.wait()
    return said


def test_an_approval_runs_one_request_however_often_the_gateway_dies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    id_ = killed(tmp_path, "ask")
    assert killed(tmp_path, "ask") == id_, "the same request finds the approval that it has"
    assert [killed(tmp_path, "redeem", id_) for _ in range(3)] == ["redeemed", "approval_spent", "approval_spent"]
    assert run(["approval", "show", id_, "--state", str(tmp_path), "--json"]) == 0
    shown = msgspec.json.decode(capsys.readouterr().out)
    assert (shown["status"], shown["decided_by"], shown["ran_as"]) == ("redeemed", "ada", "rcp_2")
    assert run(["journal", "verify", "--state", str(tmp_path)]) in (0, 2)
