"""What houses owe, shown by receipts of real calls and by nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from parts.workshop_stage import Given, Made, Stage, caller, on_stage, tool
from wardwright.calls.receipt import Caller
from wardwright.contracts.tool import Retry, ToolScope
from wardwright.harness.call import Ended
from wardwright.harness.core.tool import AnyTool, Context
from wardwright.kernel.errors import WardwrightError

RUN = caller(run="r1")


async def reads(given: Given, context: Context) -> Made:
    content = await context.hands.read(given.path, bytes_max=1000)
    return Made(text=content.data.decode())


async def writes(given: Given, context: Context) -> Made:
    await context.hands.write(given.path, given.text.encode(), "replace")
    return Made(text="written")


class RedThenGreen:
    """Fails, then passes."""

    def __init__(self) -> None:
        self.ran = 0

    async def __call__(self, given: Given, context: Context) -> Made:
        """Runs a test."""
        self.ran += 1
        if self.ran == 1:
            raise WardwrightError("tool_failed", "red")
        return Made(text="green")


def tools() -> list[AnyTool]:
    return [
        tool("read", reads, scope=ToolScope(read=("{path}",)), retry=Retry(attempts_max=1)),
        tool("write", writes, "write-local", scope=ToolScope(write=("{path}",))),
        tool("test", RedThenGreen(), retry=Retry(attempts_max=1)),
    ]


def unmet(ended: Ended) -> str | None:
    return next((one.check for one in ended.receipt.obligations if not one.met), None)


def test_ezra_reads_what_it_writes_in_the_same_run_and_cites_it(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("before")
    path = str(file)

    async def scenario(stage: Stage) -> None:
        async def write(who: Caller, *evidence: str) -> Ended:
            return await stage.call("write", house="ezra", caller=who, path=path, text="x", evidence=evidence)

        blind = await write(RUN)
        assert (blind.receipt.status, unmet(blind)) == ("denied", "read_before_write")
        seen = await stage.call("read", house="ezra", caller=RUN, path=path)
        assert unmet(await write(RUN)) == "cites"
        assert unmet(await write(caller(run="r2"), seen.receipt.receipt)) == "read_before_write"
        done = await write(RUN, seen.receipt.receipt)
        assert (done.receipt.status, file.read_text()) == ("completed", "x")
        shown = {one.check: one.evidence for one in done.receipt.obligations}
        assert shown["read_before_write"] == (seen.receipt.receipt,)

    on_stage(tmp_path, scenario, tools=tools())


def test_a_file_that_does_not_exist_yet_is_read_by_finding_that_out(tmp_path: Path) -> None:
    path = str(tmp_path / "new")

    async def scenario(stage: Stage) -> None:
        looked = await stage.call("read", house="ezra", caller=RUN, path=path)
        assert looked.receipt.status == "failed"
        written = await stage.call("write", house="ezra", caller=RUN, path=path, text="x")
        assert unmet(written) == "cites"

    on_stage(tmp_path, scenario, tools=tools())


def test_without_a_run_or_a_session_nothing_was_read_before(tmp_path: Path) -> None:
    path = str(tmp_path / "a")

    async def scenario(stage: Stage) -> None:
        seen = await stage.call("read", house="ezra", path=path)
        ended = await stage.call("write", house="ezra", path=path, text="x", evidence=[seen.receipt.receipt])
        assert unmet(ended) == "read_before_write"

    on_stage(tmp_path, scenario, tools=tools())


@pytest.mark.parametrize("forged", ["rct_0000000000000000000000000000", "", "rcp_1", "' OR 1=1 --"])
def test_a_receipt_that_is_not_there_shows_nothing(tmp_path: Path, forged: str) -> None:
    file = tmp_path / "a"
    file.write_text("before")

    async def scenario(stage: Stage) -> None:
        await stage.call("read", house="ezra", caller=RUN, path=str(file))
        ended = await stage.call("write", house="ezra", caller=RUN, path=str(file), text="x", evidence=[forged])
        assert unmet(ended) == "cites"

    on_stage(tmp_path, scenario, tools=tools())


def test_a_receipt_of_another_tenant_shows_nothing(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("before")
    path = str(file)

    async def scenario(stage: Stage) -> None:
        theirs = await stage.call("read", house="ezra", caller=caller(run="r1", tenant="other"), path=path)
        ended = await stage.call(
            "write", house="ezra", caller=RUN, path=path, text="x", evidence=[theirs.receipt.receipt]
        )
        assert unmet(ended) == "read_before_write"
        await stage.call("read", house="ezra", caller=RUN, path=path)
        ended = await stage.call(
            "write", house="ezra", caller=RUN, path=path, text="x", evidence=[theirs.receipt.receipt]
        )
        assert unmet(ended) == "cites"

    on_stage(tmp_path, scenario, tools=tools())


def test_bezalel_names_a_plan_and_a_test_that_failed_and_then_passed(tmp_path: Path) -> None:
    path = str(tmp_path / "a")

    async def scenario(stage: Stage) -> None:
        red, green = await stage.call("test", text="t"), await stage.call("test", text="t")
        other = await stage.call("test", text="u")

        async def write(*evidence: Ended, plan: str | None = "p") -> str | None:
            ids = [one.receipt.receipt for one in evidence]
            return unmet(await stage.call("write", house="bezalel", path=path, text="x", plan=plan, evidence=ids))

        assert await write(red, green, plan=None) == "plan"
        assert await write(red) == "red_green"
        assert await write(green) == "red_green"
        assert await write(red, other) == "red_green", "another test"
        assert await write(green, red) is None, "in whatever order they are named"

    on_stage(tmp_path, scenario, tools=tools())


def test_houses_do_not_write_over_each_other_without_taking_over(tmp_path: Path) -> None:
    path = str(tmp_path / "a")

    async def scenario(stage: Stage) -> None:
        async def write(spelled: str, *evidence: str) -> Ended:
            return await stage.call("write", house="timmy", path=spelled, text="x", evidence=evidence)

        first = await stage.call("write", path=path, text="x")
        for spelled in (path, path.replace("/a", "//a"), path.replace("/a", "/./a")):
            refused = await write(spelled)
            assert unmet(refused) == "one_house", spelled
            assert first.receipt.receipt in (refused.error.message if refused.error else "")
        assert unmet(await write(path, first.receipt.receipt)) is None
        assert unmet(await write(path)) is None, "it is its own now"

    on_stage(tmp_path, scenario, tools=tools())


def test_who_wrote_last_is_not_buried_under_calls_that_were_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "a")

    async def scenario(stage: Stage) -> None:
        await stage.call("write", path=path, text="x")
        for _ in range(120):
            stage.clock.advance(1000)
            await stage.call("write", house="timmy", path=path, text="y")
        stage.past._recent.clear()  # as after a restart
        await stage.written()
        assert unmet(await stage.call("write", house="timmy", path=path, text="y")) == "one_house"

    on_stage(tmp_path, scenario, tools=tools())


def test_what_a_house_owes_is_not_asked_of_its_reads(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("x")

    async def scenario(stage: Stage) -> None:
        for house in ("timmy", "ezra", "bezalel"):
            ended = await stage.call("read", house=house, path=str(file))
            assert (ended.receipt.status, ended.receipt.obligations) == ("completed", ())

    on_stage(tmp_path, scenario, tools=tools())
