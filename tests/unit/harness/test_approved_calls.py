"""Calls that wait for a person, by the pipeline: what is asked for, and when an approval is used up."""

from __future__ import annotations

import asyncio
from pathlib import Path

from parts.workshop_stage import Given, Made, Stage, caller, on_stage, tool
from wardwright.contracts.provider import Breaker
from wardwright.contracts.tool import Retry
from wardwright.harness.core.tool import Context
from wardwright.journal.approvals import Approval
from wardwright.kernel.errors import WardwrightError

ASKS = "rules:\n- {id: ask, phase: tool.before, then: [ask], why: A person decides.}\n"


async def asked(stage: Stage, **call: object) -> str:
    ended = await stage.call("echo", **call)  # type: ignore[arg-type]  # members of a call
    assert ended.receipt.status == "awaiting_approval"
    assert ended.receipt.approval is not None
    return ended.receipt.approval


def left(stage: Stage, id_: str) -> Approval:
    return stage.desk.find(id_)


def test_the_same_call_waits_for_the_same_approval(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        assert await asked(stage, text="a") == await asked(stage, text="a")
        assert await asked(stage, text="a") != await asked(stage, text="b")
        id_ = await asked(stage, text="a")
        assert await asked(stage, text="a", approval=id_) == id_  # named before anybody has decided

    on_stage(tmp_path, scenario, tools=[tool("echo")], policies={"p": ASKS})


def test_an_approval_is_for_one_run_of_the_arguments_that_a_person_saw(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        id_ = await asked(stage, text="a")
        await stage.desk.approve(id_, by="ada")
        codes = [(await stage.call("echo", text=text, approval=id_)).receipt.error for text in ("b", "a", "a")]
        assert codes == ["approval_mismatch", None, "approval_spent"]

    on_stage(tmp_path, scenario, tools=[tool("echo")], policies={"p": ASKS})


def test_two_calls_at_once_cannot_both_use_an_approval(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        id_ = await asked(stage, text="a")
        await stage.desk.approve(id_, by="ada")
        both = await asyncio.gather(*(stage.call("echo", text="a", approval=id_) for _ in range(2)))
        assert sorted(one.receipt.status for one in both) == ["completed", "denied"]

    on_stage(tmp_path, scenario, tools=[tool("echo")], policies={"p": ASKS})


def test_a_denied_an_expired_and_a_foreign_approval_let_nothing_run(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        denied, late, theirs = await asked(stage, text="a"), await asked(stage, text="b"), await asked(stage, text="c")
        await stage.desk.deny(denied, by="ada", why="no")
        for id_ in (late, theirs):
            await stage.desk.approve(id_, by="ada")
        foreign = await stage.call("echo", text="c", approval=theirs, caller=caller(tenant="other"))
        assert foreign.receipt.error == "approval_not_found"
        assert (await stage.call("echo", text="a", approval=denied)).receipt.error == "approval_denied"
        stage.clock.advance(366 * 86_400 * 1_000_000)
        assert (await stage.call("echo", text="b", approval=late)).receipt.error == "approval_expired"

    on_stage(tmp_path, scenario, tools=[tool("echo")], policies={"p": ASKS})


def test_a_call_that_no_rule_holds_back_uses_no_approval(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        ended = await stage.call("echo", approval="apr_forged")
        assert (ended.receipt.status, ended.receipt.approval) == ("completed", None)

    on_stage(tmp_path, scenario, tools=[tool("echo")])


def test_an_approval_is_not_used_up_by_a_call_that_is_refused_anyway(tmp_path: Path) -> None:
    owes = ASKS.replace("then: [ask]", "then: [ask, {oblige: plan}]")

    async def scenario(stage: Stage) -> None:
        id_ = await asked(stage, text="a", plan="the roof")
        await stage.desk.approve(id_, by="ada")
        assert (await stage.call("echo", text="a", approval=id_)).receipt.error == "obligation_unmet"
        assert left(stage, id_).ended is None
        assert (await stage.call("echo", text="a", approval=id_, plan="the roof")).receipt.status == "completed"

    on_stage(tmp_path, scenario, tools=[tool("echo")], policies={"p": owes})


def test_an_approval_is_not_used_up_while_the_tool_rests(tmp_path: Path) -> None:
    async def fails(given: Given, context: Context) -> Made:
        raise WardwrightError("tool_failed", "no")

    async def scenario(stage: Stage) -> None:
        for text in ("a", "b"):
            id_ = await asked(stage, text=text)
            await stage.desk.approve(id_, by="ada")
            ended = await stage.call("echo", text=text, approval=id_)
        assert ended.receipt.error == "tool_unavailable"
        assert left(stage, id_).ended is None

    rests = tool("echo", fails, retry=Retry(attempts_max=1), breaker=Breaker(calls_min=1))
    on_stage(tmp_path, scenario, tools=[rests], policies={"p": ASKS})


def test_a_block_is_not_lifted_by_an_approval(tmp_path: Path) -> None:
    blocks = ASKS + "- {id: no, phase: tool.before, when: {eq: [tool.plan, b]}, then: [block], why: No.}\n"

    async def scenario(stage: Stage) -> None:
        id_ = await asked(stage, text="a")
        await stage.desk.approve(id_, by="ada")
        assert (await stage.call("echo", text="a", plan="b", approval=id_)).receipt.error == "policy_blocked"
        assert left(stage, id_).ended is None

    on_stage(tmp_path, scenario, tools=[tool("echo")], policies={"p": blocks})
