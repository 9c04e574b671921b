"""The calls of a run, in their order."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from parts.front import world
from wardwright import Harness
from wardwright.cli.main import run
from wardwright.cli.why import Step, _in_order


def step(receipt: str, at: int, parent: str | None = None) -> Step:
    return Step(
        cost_nano_usd=0,
        depth=0,
        error=None,
        house="",
        kind="tool",
        name=receipt,
        parent=parent,
        receipt=receipt,
        started_at=at,
        status="completed",
        total_us=1,
    )


def test_steps_stand_behind_what_they_are_steps_of_and_everything_by_time() -> None:
    steps = [step("d", 5), step("c", 3, "a"), step("b2", 2, "b"), step("b", 1, "a"), step("a", 0), step("m", 2)]
    found = [(one.receipt, one.depth) for one in _in_order(steps)]
    assert found == [("a", 0), ("b", 1), ("b2", 2), ("c", 1), ("m", 0), ("d", 0)]


def test_a_step_whose_whole_is_not_there_stands_alone() -> None:
    assert [(one.receipt, one.depth) for one in _in_order([step("b", 1, "gone")])] == [("b", 0)]


async def _called(folder: Path) -> None:
    async with world(folder) as made:
        await made.call("coding", headers={"x-wardwright-run-id": "r1"})
        await made.call("coding", headers={"x-wardwright-run-id": "r2"})


def test_calls_of_models_and_tools_of_one_run_are_told_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(_called(tmp_path))
    state = tmp_path / "state"
    with Harness(state=state, run="r1") as harness:
        receipt = harness.execute("system.info").provenance.receipt
    capsys.readouterr()
    assert run(["receipt", "why", receipt, "--state", str(state), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(one["kind"], one["name"]) for one in told["steps"]] == [("model", "coding"), ("tool", "system.info")]
    model = told["steps"][0]["receipt"]
    assert run(["receipt", "why", model, "--state", str(state)]) == 0
    assert "run r1: 2 calls" in capsys.readouterr().out
