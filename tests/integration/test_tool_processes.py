"""Harnesses in processes of their own over one state directory: killed, started again, and beside each other."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from parts.tool_audit import audited_state, records_of
from parts.tool_child import STUCK, harnessed
from wardwright.cli.main import run
from wardwright.harness.core.receipt import LOST
from wardwright.journal.entry import Record
from wardwright.journal.life import mentioned

ASKS = """
kind: policy
name: asks
rules:
- {id: ask, phase: tool.before, when: {eq: [tool.name, append]}, then: [ask], why: A person decides.}
"""

SEQUENCE = """
kind: policy
name: exfiltration
state:
  secrets: {count: secret-read, scope: %s, within: {events: 200}}
rules:
- id: secret
  phase: tool.before
  when: {any_of: {field: scope.read, prefix: /vault/}}
  then: [{annotate: secret-read}]
  why: Whoever reads this knows a secret.
- {id: told, phase: tool.after, when: {detector: [result.text, secrets]}, then: [{annotate: secret-read}],
   why: Results hold secrets too.}
- id: sent
  phase: tool.before
  when: {all: [{any_of: {field: scope.hosts, contains: ':'}}, {gte: [state.secrets, 1]}]}
  then: [block]
  why: What was read in secret does not leave.
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def written(folder: Path, text: str) -> Path:
    file = folder / "policy.yaml"
    file.write_text(text)
    return file


# A process that is killed between its intent and its result


def test_a_call_that_was_under_way_is_lost_visible_and_undone_by_hand_alone(tmp_path: Path, state: Path) -> None:
    file = tmp_path / "a"
    lost: list[str] = []
    for number in range(3):
        file.write_text(f"before {number}")
        with harnessed(state) as one:
            one.tell(tool="begin", arguments={"path": str(file)}, run="r")
            assert one.child.first_line() == STUCK
            one.kill()
        assert file.read_text() == "half"
        with harnessed(state) as again:
            assert file.read_text() == "half", "nothing is repeated and nothing put back by itself"
            lost = [_receipt(record) for record in records_of(state) if record.kind == LOST]
            assert len(lost) == number + 1
            refused = again.ask(undo=lost[-1], run="r")
            assert refused.error == "tool_failed"
            assert "force" in (refused.hint or "")
            assert again.ask(undo=lost[-1], tenant="other", forced=True).error == "receipt_not_found"
            forced = again.ask(undo=lost[-1], run="r", forced=True)
            assert forced.error is None
            assert forced.receipt is not None
            assert forced.receipt.undoes == lost[-1]
            assert file.read_text() == f"before {number}"
            again.end()
    audited_state(state)


def _receipt(record: Record) -> str:
    return mentioned(record.data)


def test_what_a_second_process_lost_is_recorded_by_whoever_starts_next(tmp_path: Path, state: Path) -> None:
    file = tmp_path / "a"
    with harnessed(state) as first, harnessed(state) as second:
        second.tell(tool="begin", arguments={"path": str(file)})
        assert second.child.first_line() == STUCK
        second.kill()
        first.kill()
    with harnessed(state) as next_:
        assert sum(record.kind == LOST for record in records_of(state)) == 1
        next_.end()
    audited_state(state)


def test_a_call_that_is_under_way_elsewhere_is_not_told_as_lost(tmp_path: Path, state: Path) -> None:
    with harnessed(state) as busy, harnessed(state) as other:
        busy.tell(tool="begin", arguments={"path": str(tmp_path / "a")})
        assert busy.child.first_line() == STUCK
        (opened,) = [record for record in records_of(state) if record.kind == "tool.opened"]
        assert other.ask(undo=_receipt(opened), forced=True).error == "receipt_not_found"
        assert not any(record.kind == LOST for record in records_of(state))


def test_a_process_that_is_asked_to_end_while_a_tool_runs_leaves_no_broken_chain(tmp_path: Path, state: Path) -> None:
    with harnessed(state) as one:
        one.tell(tool="begin", arguments={"path": str(tmp_path / "a")})
        assert one.child.first_line() == STUCK
        os.kill(one.child.pid, signal.SIGTERM)
        one.child.process.wait()
    audited_state(state, ended_well=False)
    with harnessed(state) as again:
        again.end()
    audited_state(state)


# Approvals


def test_an_approval_outlives_its_process_and_lets_one_of_two_run_once(
    tmp_path: Path, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy, file = written(tmp_path, ASKS), tmp_path / "runs"
    call = {"tool": "append", "arguments": {"path": str(file), "text": "ran"}}
    with harnessed(state, policy) as one:
        first = one.ask(**call)
        assert first.receipt is not None
        id_ = first.receipt.approval
        assert first.error == "approval_required"
        one.kill()
    with harnessed(state, policy) as one, harnessed(state, policy) as other:
        for each in (one, other):
            again = each.ask(**call)
            assert again.receipt is not None
            assert again.receipt.approval == id_, "the same call waits for the same approval"
        assert run(["approval", "approve", str(id_), "--state", str(state)]) == 0
        for each in (one, other):
            each.tell(**call, approval=id_)
        ended = [one.heard(), other.heard()]
        assert sorted(each.error or "" for each in ended) == ["", "approval_spent"]
        assert file.read_text() == "ran\n"
        one.kill()
        other.end()
    with harnessed(state, policy) as later:
        assert later.ask(**call, approval=id_).error == "approval_spent"
        edited = {**call, "arguments": {"path": str(file), "text": "other"}}
        assert later.ask(**edited, approval=id_).error in ("approval_mismatch", "approval_spent")
        later.end()
    assert file.read_text() == "ran\n"
    capsys.readouterr()
    audited_state(state)


def test_what_a_person_denies_at_the_command_line_is_denied_here(
    tmp_path: Path, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = written(tmp_path, ASKS)
    call = {"tool": "append", "arguments": {"path": str(tmp_path / "runs")}}
    with harnessed(state, policy) as one:
        asked = one.ask(**call)
        assert asked.receipt is not None
        id_ = str(asked.receipt.approval)
        assert run(["approval", "deny", id_, "--why", "no", "--state", str(state)]) == 0
        assert one.ask(**call, approval=id_).error == "approval_denied"
        one.end()
    capsys.readouterr()
    assert not (tmp_path / "runs").exists()


# What was done before


def secret() -> dict[str, object]:
    return {"tool": "look", "arguments": {"path": "/vault/key"}}


def network() -> dict[str, object]:
    return {"tool": "send", "arguments": {"text": "example.com"}}


def test_after_a_secret_no_network_in_the_same_run_whichever_process_asks(tmp_path: Path, state: Path) -> None:
    policy = written(tmp_path, SEQUENCE % "run")
    with harnessed(state, policy) as one, harnessed(state, policy) as other:
        for _ in range(5):
            assert other.ask(**network(), run="r").error is None
        assert one.ask(**secret(), run="r").error is None
        assert other.ask(**network(), run="r").error == "policy_blocked", "at once"
        assert one.ask(**network(), run="r").error == "policy_blocked"
        assert other.ask(**network(), run="another").error is None
        assert other.ask(**network(), run="r", tenant="other").error is None
        one.kill()
        other.end()
    with harnessed(state, policy) as later:
        assert later.ask(**network(), run="r").error == "policy_blocked", "after a restart"
        later.end()
    audited_state(state)


def test_after_a_secret_no_network_for_the_agent_in_any_session(tmp_path: Path, state: Path) -> None:
    policy = written(tmp_path, SEQUENCE % "agent")
    key = "AKIA" + "Z7Q2M5X8K3W6P1V4"
    with harnessed(state, policy) as one:
        told = one.ask(
            tool="look", arguments={"path": "/etc/x", "text": f"aws_access_key_id = {key}"}, agent="a", session="s1"
        )
        assert told.error is None
        assert one.ask(**network(), agent="a", session="s2").error == "policy_blocked"
        assert one.ask(**network(), agent="b", session="s1").error is None
        one.end()
    assert key.encode() not in b"".join(bytes(record.data) for record in records_of(state))
    audited_state(state)
