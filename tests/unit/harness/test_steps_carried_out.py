"""Tools made of others: order, expectations, and how they go on once an approval was given."""

from __future__ import annotations

from pathlib import Path

from parts.workshop_stage import Given, Made, Stage, caller, on_stage, tool
from wardwright.contracts.tool import Parameter, Step, ToolContract
from wardwright.harness.call import Ended
from wardwright.harness.core.tool import Context
from wardwright.harness.run import DEPTH_MAX

ASKS = """
rules:
- {id: ask, phase: tool.before, when: {eq: [arguments.text, careful]}, then: [ask], why: A person decides.}
"""


class Log:
    """Says what it was told, and remembers it."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def __call__(self, given: Given, context: Context) -> Made:
        """Says what it was told."""
        self.heard.append(given.text)
        return Made(text=given.text)


def steps(*texts: str, name: str = "whole", tool: str = "echo", expect: str | None = None) -> ToolContract:
    return ToolContract(
        name=name,
        effect="read",
        reversal="T0",
        doc="So.",
        parameters=(Parameter(name="last", type="text"),),
        steps=tuple(
            Step(
                tool=tool,
                arguments=(("text", text),),
                expect=() if expect is None else (("text", expect),),
            )
            for text in texts
        ),
    )


def given_back(ended: Ended) -> list[tuple[str, object]]:
    assert isinstance(ended.value, dict)
    return [(one["receipt"], one["result"]) for one in ended.value["steps"]]


def test_steps_run_in_order_each_with_a_receipt_that_names_the_whole(tmp_path: Path) -> None:
    log = Log()

    async def scenario(stage: Stage) -> None:
        ended = await stage.call("whole", last="c")
        await stage.written()
        *parts, whole = stage.receipts()
        assert log.heard == ["a", "b", "c"]
        assert [one.parent for one in parts] == [whole.receipt] * 3
        assert whole.steps == tuple(one.receipt for one in parts)
        assert given_back(ended) == [(one.receipt, {"text": text}) for one, text in zip(parts, "abc", strict=True)]
        assert {one.caller.run.value for one in parts if one.caller.run} == {whole.receipt}, "one run"

    on_stage(tmp_path, scenario, tools=[tool("echo", log)], documents=[steps("a", "b", "{last}")])


def test_a_step_whose_result_is_not_expected_stops_the_rest(tmp_path: Path) -> None:
    log = Log()

    async def scenario(stage: Stage) -> None:
        ended = await stage.call("whole")
        assert (ended.receipt.status, ended.receipt.error) == ("failed", "tool_failed")
        assert log.heard == ["a", "b"]
        assert len(ended.receipt.steps) == 1

    on_stage(tmp_path, scenario, tools=[tool("echo", log)], documents=[steps("a", "b", "a", expect="a")])


def test_a_step_that_a_rule_forbids_stops_the_rest_and_the_whole_is_denied(tmp_path: Path) -> None:
    rules = "rules:\n- {id: n, phase: tool.before, when: {eq: [arguments.text, b]}, then: [block], why: No.}\n"
    log = Log()

    async def scenario(stage: Stage) -> None:
        ended = await stage.call("whole")
        assert ended.receipt.status == "denied"
        assert log.heard == ["a"]

    on_stage(tmp_path, scenario, tools=[tool("echo", log)], documents=[steps("a", "b", "c")], policies={"p": rules})


def test_steps_that_were_done_before_an_approval_was_asked_for_are_not_repeated(tmp_path: Path) -> None:
    log = Log()

    async def scenario(stage: Stage) -> None:
        asked = await stage.call("whole")
        id_ = asked.receipt.approval
        assert asked.receipt.status == "awaiting_approval"
        assert id_ is not None
        await stage.desk.approve(id_, by="ada")
        done = await stage.call("whole", approval=id_)
        assert done.receipt.status == "completed"
        assert log.heard == ["a", "careful", "z"]
        assert done.receipt.resumes == asked.receipt.receipt
        assert done.receipt.steps[0] == asked.receipt.steps[0]
        assert [result for _, result in given_back(done)] == [None, {"text": "careful"}, {"text": "z"}]
        again = await stage.call("whole", approval=id_)
        assert again.receipt.status == "awaiting_approval", "an approval is for one run"
        assert log.heard == ["a", "careful", "z"]

    on_stage(
        tmp_path, scenario, tools=[tool("echo", log)], documents=[steps("a", "careful", "z")], policies={"p": ASKS}
    )


def test_every_step_that_needs_an_approval_gets_one_of_its_own(tmp_path: Path) -> None:
    log = Log()

    async def scenario(stage: Stage) -> None:
        id_, seen = None, []
        for _ in range(3):
            ended = await stage.call("whole", approval=id_)
            id_ = ended.receipt.approval
            if ended.receipt.status == "completed":
                break
            assert id_ is not None
            seen.append(id_)
            await stage.desk.approve(id_, by="ada")
        assert ended.receipt.status == "completed"
        assert len(set(seen)) == 2
        assert log.heard == ["a", "careful", "b", "careful"]
        await stage.written()
        runs = {one.caller.run.value for one in stage.receipts() if one.parent and one.caller.run}
        assert len(runs) == 1, "it stays one run"

    documents = [steps("a", "careful", "b", "careful")]
    on_stage(tmp_path, scenario, tools=[tool("echo", log)], documents=documents, policies={"p": ASKS})


def test_an_approval_of_the_whole_and_one_of_a_step_are_had_one_after_the_other(tmp_path: Path) -> None:
    rules = ASKS + "- {id: whole, phase: tool.before, when: {eq: [tool.name, whole]}, then: [ask], why: All of it.}\n"
    log = Log()

    async def scenario(stage: Stage) -> None:
        first = (await stage.call("whole")).receipt.approval
        assert first is not None
        await stage.desk.approve(first, by="ada")
        second = await stage.call("whole", approval=first)
        assert second.receipt.status == "awaiting_approval"
        assert second.receipt.approval not in (None, first)
        await stage.desk.approve(second.receipt.approval or "", by="ada")
        done = await stage.call("whole", approval=second.receipt.approval)
        assert done.receipt.status == "completed"
        assert log.heard == ["a", "careful"]

    documents = [steps("a", "careful")]
    on_stage(tmp_path, scenario, tools=[tool("echo", log)], documents=documents, policies={"p": rules})


def test_nobody_else_takes_up_what_another_caller_began(tmp_path: Path) -> None:
    log = Log()

    async def scenario(stage: Stage) -> None:
        asked = await stage.call("whole", caller=caller(agent="ann"))
        id_ = asked.receipt.approval
        assert id_ is not None
        await stage.desk.approve(id_, by="ada")
        taken = await stage.call("whole", approval=id_, caller=caller(agent="bob"))
        assert taken.receipt.resumes is None
        assert log.heard[:2] == ["a", "a"], "bob's own steps are done for bob"

    documents = [steps("a", "careful")]
    on_stage(tmp_path, scenario, tools=[tool("echo", log)], documents=documents, policies={"p": ASKS})


def test_tools_within_tools_end_at_a_depth(tmp_path: Path) -> None:
    names = [f"level-{number}" for number in range(DEPTH_MAX + 2)]

    async def scenario(stage: Stage) -> None:
        ended = await stage.call(names[0])
        await stage.written()
        assert ended.error is not None
        assert "deeper than" in ended.error.message
        assert len(stage.receipts()) == DEPTH_MAX + 2

    inner = [
        ToolContract(name=name, effect="read", reversal="T0", doc="So.", steps=(Step(tool=next_),))
        for name, next_ in zip(names, [*names[1:], "echo"], strict=True)
    ]
    on_stage(tmp_path, scenario, tools=[tool("echo")], documents=inner)


def test_a_tool_of_steps_teaches_as_one_try(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        ended = await stage.call("whole")
        assert len(ended.receipt.attempts) == 1
        assert len(stage.patterns) > 2

    on_stage(tmp_path, scenario, tools=[tool("echo")], documents=[steps("a")])
