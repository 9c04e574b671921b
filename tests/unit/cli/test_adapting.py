"""Proposals for thresholds, written and taken back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wardwright import Harness
from wardwright.cli.exits import Exit
from wardwright.cli.main import run
from wardwright.runtime import library

DOCUMENT = """\
kind: tool
name: file.read          # ours
effect: read
implements: file.read
scope: {read: ["{path}"]}
retry: {attempts_max: 3, wait_ms: 1}   # hopeful
"""


ASKING = """\
kind: policy
name: reading
rules:
  - id: ask
    phase: tool.before
    when: {eq: [tool.name, file.read]}
    then: [{require_approval: {message: May it?, expires_s: 60}}]
    why: Until it is known.
"""


@pytest.fixture
def contracts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tool whose repeated tries never succeed, as its calls say."""
    folder = tmp_path / "contracts"
    folder.mkdir()
    (folder / "wardwright.yaml").write_text("adapt: {attempts: {low: 1, high: 3, step_max: 2}}\n")
    (folder / "read.yaml").write_text(DOCUMENT)
    monkeypatch.setenv("WARDWRIGHT_STATE", str(tmp_path / "state"))
    with Harness(config=folder) as harness:
        harness.batch([("file.read", {"path": str(tmp_path / "missing")})] * 20)
    return folder


def test_a_proposal_changes_the_file_of_its_tool_when_it_is_applied_and_back(
    contracts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["harness", "adapt", str(contracts), "--json"]) == Exit.PENDING
    told = json.loads(capsys.readouterr().out)
    (one,) = told["proposals"]
    assert (one["tool"], one["proposal"]["was"], one["proposal"]["to"], one["otherwise"]) == ("file.read", 3, 1, 0)
    assert "+retry: {attempts_max: 1, wait_ms: 1}   # hopeful" in told["diff"]
    assert (contracts / "read.yaml").read_text() == DOCUMENT

    assert run(["harness", "adapt", str(contracts), "--apply"]) == Exit.OK
    assert library.read([contracts]).tools["file.read"].value.attempts_max == 1
    assert "read.yaml" in capsys.readouterr().out

    assert run(["harness", "adapt", "--undo"]) == Exit.OK
    assert (contracts / "read.yaml").read_text() == DOCUMENT


def test_a_built_in_tool_gets_a_contract_of_its_own_which_goes_again(contracts: Path) -> None:
    (contracts / "read.yaml").unlink()
    assert run(["harness", "adapt", str(contracts), "--apply"]) == Exit.OK
    assert library.read([contracts]).tools["file.read"].value.attempts_max == 1
    assert run(["harness", "adapt", "--undo"]) == Exit.OK
    assert [path.name for path in contracts.iterdir()] == ["wardwright.yaml"]


def test_what_somebody_wrote_since_is_not_undone(contracts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["harness", "adapt", str(contracts), "--apply"]) == Exit.OK
    (contracts / "read.yaml").write_text(DOCUMENT.replace("hopeful", "mine"))
    assert run(["harness", "adapt", "--undo"]) == Exit.FAILED
    assert "somebody has changed the file" in capsys.readouterr().err
    assert "mine" in (contracts / "read.yaml").read_text()


def test_a_rule_that_asks_about_a_tool_that_never_fails_goes_into_shadow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "wardwright.yaml").write_text("adapt: {allow: true}\n")
    monkeypatch.setenv("WARDWRIGHT_STATE", str(tmp_path / "state"))
    with Harness() as harness:
        harness.batch([("file.read", {"path": __file__})] * 80)
    (folder / "ask.yaml").write_text(ASKING)
    with Harness(config=folder) as harness:
        assert harness.execute("file.read", path=__file__).status == "awaiting_approval"
    assert run(["harness", "adapt", str(folder), "--apply"]) == Exit.OK
    told = capsys.readouterr().out
    assert "file.read: the rule reading/ask -> shadow" in told
    assert "1 of 81 calls would have come out otherwise" in told
    with Harness(config=folder) as harness:
        assert harness.execute("file.read", path=__file__).ok
    assert run(["harness", "adapt", "--undo"]) == Exit.OK
    assert (folder / "ask.yaml").read_text() == ASKING


def test_nothing_is_proposed_without_declared_bounds(contracts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (contracts / "wardwright.yaml").unlink()
    assert run(["harness", "adapt", str(contracts)]) == Exit.FAILED
    assert "no threshold of tools has declared bounds" in capsys.readouterr().err
