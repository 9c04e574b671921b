"""Taking calls back: from snapshots, whole or not at all, under the rules."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from parts.workshop_stage import Gate, Given, Made, Stage, on_stage, tool
from wardwright.contracts.tool import ToolScope
from wardwright.harness.core.before import Absent
from wardwright.harness.core.tool import Context, Tool

WRITES = ToolScope(write=("{path}",))


async def writes(given: Given, context: Context) -> Made:
    await context.hands.write(given.path, given.text.encode(), "replace")
    return Made(text="written")


TOOLS = [tool("write", writes, "write-local", scope=WRITES)]


def test_an_undone_write_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("before")
    file.chmod(0o640)

    async def scenario(stage: Stage) -> None:
        done = await stage.call("write", path=str(file), text="after")
        back = await stage.undo(done.receipt)
        assert back.value == {"restored": [str(file)]}
        assert (back.receipt.undoes, back.receipt.status) == (done.receipt.receipt, "completed")
        assert file.read_text() == "before"
        assert file.stat().st_mode & 0o777 == 0o640

    on_stage(tmp_path, scenario, tools=TOOLS)


def test_a_file_that_was_not_there_is_removed(tmp_path: Path) -> None:
    file = tmp_path / "a"

    async def scenario(stage: Stage) -> None:
        done = await stage.call("write", path=str(file), text="after")
        assert done.receipt.snapshots[0].before == Absent()
        await stage.undo(done.receipt)
        assert not file.exists()

    on_stage(tmp_path, scenario, tools=TOOLS)


def test_an_undo_is_undone_like_any_other_call(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("before")

    async def scenario(stage: Stage) -> None:
        done = await stage.call("write", path=str(file), text="after")
        back = await stage.undo(done.receipt)
        again = await stage.undo(back.receipt)
        assert again.receipt.status == "completed"
        assert file.read_text() == "after"

    on_stage(tmp_path, scenario, tools=TOOLS)


def test_what_somebody_wrote_since_is_kept_unless_the_undo_is_forced(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("before")

    async def scenario(stage: Stage) -> None:
        done = await stage.call("write", path=str(file), text="after")
        file.write_text("theirs")
        refused = await stage.undo(done.receipt)
        assert (refused.receipt.status, refused.receipt.error) == ("refused", "tool_failed")
        assert file.read_text() == "theirs"
        forced = await stage.undo(done.receipt, forced=True)
        assert forced.receipt.status == "completed"
        assert file.read_text() == "before"

    on_stage(tmp_path, scenario, tools=TOOLS)


def test_of_several_files_all_are_put_back_or_none(tmp_path: Path) -> None:
    one, other = tmp_path / "a", tmp_path / "b"

    async def both(given: Given, context: Context) -> Made:
        for path in (given.path, given.text):
            await context.hands.write(path, b"after", "replace")
        return Made(text="")

    async def scenario(stage: Stage) -> None:
        done = await stage.call("both", path=str(one), text=str(other))
        other.write_text("theirs")
        assert (await stage.undo(done.receipt)).receipt.status == "refused"
        assert (one.read_text(), other.read_text()) == ("after", "theirs")

    writes_both = ToolScope(write=("{path}", "{text}"))
    on_stage(tmp_path, scenario, tools=[tool("both", both, "write-local", scope=writes_both)])


def test_a_call_that_kept_nothing_cannot_be_undone(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        done = await stage.call("echo")
        assert (await stage.undo(done.receipt)).receipt.status == "refused"

    on_stage(tmp_path, scenario, tools=[tool("echo")])


def test_a_write_that_was_cancelled_says_what_it_left_and_can_be_undone(tmp_path: Path) -> None:
    file, gate = tmp_path / "a", Gate()

    async def writes_and_waits(given: Given, context: Context) -> Made:
        await writes(given, context)
        return await gate(given, context)

    async def scenario(stage: Stage) -> None:
        task = asyncio.create_task(stage.call("slow", path=str(file), text="half"))
        await gate.entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await stage.written()
        (receipt,) = stage.receipts()
        assert receipt.status == "cancelled"
        assert (await stage.undo(receipt)).receipt.status == "completed"
        assert not file.exists()

    on_stage(tmp_path, scenario, tools=[tool("slow", writes_and_waits, "write-local", scope=WRITES)])


def test_two_writes_at_once_never_take_what_the_other_left_for_their_own(tmp_path: Path) -> None:
    file, gate = tmp_path / "a", Gate()
    file.write_text("before")

    async def waits_and_writes(given: Given, context: Context) -> Made:
        if given.text == "first":
            await gate(given, context)
        return await writes(given, context)

    async def scenario(stage: Stage) -> None:
        first = asyncio.create_task(stage.call("slow", path=str(file), text="first"))
        await gate.entered.wait()
        second = asyncio.create_task(stage.call("slow", path=str(file), text="second"))
        await stage.call("echo")
        gate.open.set()
        one, other = [ended.receipt for ended in await asyncio.gather(first, second)]
        assert one.snapshots[0].after == other.snapshots[0].before
        refused = await stage.undo(one)
        assert (refused.receipt.status, file.read_text()) == ("refused", "second")

    on_stage(tmp_path, scenario, tools=[tool("slow", waits_and_writes, "write-local", scope=WRITES), tool("echo")])


# Under the rules


def test_rules_see_that_a_call_is_taken_back_and_where_it_writes(tmp_path: Path) -> None:
    rules = """
    rules:
    - {id: kept, phase: tool.before, when: {exists: tool.undoes}, then: [block], why: What is done is done.}
    """
    file = tmp_path / "a"

    async def scenario(stage: Stage) -> None:
        done = await stage.call("write", path=str(file), text="after")
        refused = await stage.undo(done.receipt)
        assert refused.receipt.status == "denied"
        assert file.read_text() == "after"

    on_stage(tmp_path, scenario, tools=TOOLS, policies={"p": rules})


def test_an_undo_that_waits_for_a_person_is_asked_for_apart_from_the_call_and_from_a_forced_one(tmp_path: Path) -> None:
    rules = "rules:\n- {id: ask, phase: tool.before, then: [ask], why: A person decides.}\n"
    file = tmp_path / "a"

    async def scenario(stage: Stage) -> None:
        first = (await stage.call("write", path=str(file), text="after")).receipt.approval
        assert first is not None
        await stage.desk.approve(first, by="ada")
        done = await stage.call("write", path=str(file), text="after", approval=first)
        back = (await stage.undo(done.receipt)).receipt.approval
        assert back is not None
        await stage.desk.approve(back, by="ada")
        assert (await stage.undo(done.receipt, forced=True, approval=back)).receipt.error == "approval_mismatch"
        assert (await stage.undo(done.receipt, approval=back)).receipt.status == "completed"
        assert not file.exists()

    on_stage(tmp_path, scenario, tools=TOOLS, policies={"p": rules})


class Lookalike(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments that are spelled as an undo's are."""

    forced: bool = False
    receipt: str = ""


def test_an_approval_of_a_call_is_none_for_taking_another_back_however_its_arguments_look(tmp_path: Path) -> None:
    rules = """
    rules:
    - {id: ask, phase: tool.before, when: {exists: arguments.receipt}, then: [ask], why: A person decides.}
    """
    file = tmp_path / "a"

    async def looks_alike(given: Lookalike, context: Context) -> Made:
        await context.hands.write(str(file), b"after", "replace")
        return Made(text="")

    async def scenario(stage: Stage) -> None:
        first = (await stage.call("alike", receipt="x")).receipt.approval
        assert first is not None
        await stage.desk.approve(first, by="ada")
        done = (await stage.call("alike", receipt="x", approval=first)).receipt
        assert done.status == "completed"
        asked = (await stage.call("alike", receipt=done.receipt)).receipt.approval
        assert asked is not None
        await stage.desk.approve(asked, by="ada")
        assert (await stage.undo(done, approval=asked)).receipt.error == "approval_mismatch"
        assert file.read_text() == "after"

    contract = tool("alike", writes, "write-local", scope=ToolScope(write=(str(file),))).contract
    alike = Tool(contract=contract, arguments=Lookalike, result=Made, run=looks_alike)
    on_stage(tmp_path, scenario, tools=[alike], policies={"p": rules})


def test_a_rules_obligation_holds_for_undoing_too(tmp_path: Path) -> None:
    rules = "rules:\n- {id: p, phase: tool.before, then: [{oblige: plan}], why: Plans first.}\n"
    file = tmp_path / "a"

    async def scenario(stage: Stage) -> None:
        done = await stage.call("write", path=str(file), text="after", plan="x")
        assert (await stage.undo(done.receipt)).receipt.error == "obligation_unmet"
        assert (await stage.undo(done.receipt, plan="x")).receipt.status == "completed"

    on_stage(tmp_path, scenario, tools=TOOLS, policies={"p": rules})
