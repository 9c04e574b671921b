"""Every way in which a call of a tool ends, and what its receipt says of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from parts.workshop_stage import NO_WALLS, Gate, Given, Made, Stage, caller, on_stage, seal, tool
from wardwright.contracts.house import HouseContract
from wardwright.contracts.refusal import ContractErrors
from wardwright.contracts.tool import Retry
from wardwright.harness.call import CLAIMS_BYTES_MAX, EVIDENCE_MAX
from wardwright.harness.core.modes import Mode
from wardwright.harness.core.tool import Context
from wardwright.kernel.errors import WardwrightError

BLOCKS = """
rules:
- {id: no, phase: tool.before, when: {eq: [arguments.text, forbidden]}, then: [block], why: Not that.}
- {id: ask, phase: tool.before, when: {eq: [arguments.text, asked]}, then: [ask], why: A person decides.}
- {id: secret, phase: tool.after, when: {contains: [result.text, hush]}, then: [block], why: It stays here.}
"""


async def fails(given: Given, context: Context) -> Made:
    raise WardwrightError("tool_failed", "the world said no")


async def is_broken(given: Given, context: Context) -> Made:
    raise ZeroDivisionError("a defect")


async def leaves_its_scope(given: Given, context: Context) -> Made:
    await context.hands.read("/etc/shadow", bytes_max=10)
    return Made(text="")


async def says_no_text(given: Given, context: Context) -> Made:
    return Made(text="\ud800")


TOOLS = [
    tool("echo"),
    tool("fails", fails),
    tool("broken", is_broken),
    tool("strays", leaves_its_scope),
    tool("garbled", says_no_text),
    tool("acts", effect="write-local", reversal="T0"),
    tool("final", effect="irreversible", reversal="T4"),
]


@pytest.mark.parametrize(
    ("name", "text", "status", "code"),
    [
        ("echo", "hi", "completed", None),
        ("echo", "forbidden", "denied", "policy_blocked"),
        ("echo", "asked", "awaiting_approval", "approval_required"),
        ("echo", "hush", "denied", "policy_blocked"),
        ("fails", "", "failed", "tool_failed"),
        ("broken", "", "failed", "tool_failed"),
        ("strays", "", "denied", "scope_denied"),
        ("garbled", "", "failed", "internal_error"),
        ("nothing", "", "refused", "tool_not_found"),
    ],
)
def test_a_call_ends_once_and_its_receipt_says_how(
    tmp_path: Path, name: str, text: str, status: str, code: str | None
) -> None:
    async def scenario(stage: Stage) -> None:
        ended = await stage.call(name, text=text)
        await stage.written()
        assert (ended.receipt.status, ended.receipt.error) == (status, code)
        assert (None if ended.error is None else ended.error.code) == code
        assert stage.receipts() == (ended.receipt,)

    on_stage(tmp_path, scenario, tools=TOOLS, policies={"p": BLOCKS})


def test_a_refused_result_is_not_handed_over(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        ended = await stage.call("echo", text="hush")
        assert ended.value is None
        assert ended.receipt.result == ""

    on_stage(tmp_path, scenario, tools=TOOLS, policies={"p": BLOCKS})


def test_a_call_that_is_cancelled_has_a_receipt_and_one_alone(tmp_path: Path) -> None:
    gate = Gate()

    async def scenario(stage: Stage) -> None:
        task = asyncio.create_task(stage.call("hangs"))
        await gate.entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await stage.written()
        (receipt,) = stage.receipts()
        assert (receipt.status, receipt.error) == ("cancelled", "tool_cancelled")
        assert [one.error for one in receipt.attempts] == ["tool_cancelled"]

    on_stage(tmp_path, scenario, tools=[tool("hangs", gate)])


def test_a_call_that_is_cancelled_while_another_stands_in_for_it_has_one_receipt(tmp_path: Path) -> None:
    gate = Gate()

    async def scenario(stage: Stage) -> None:
        task = asyncio.create_task(stage.call("weak"))
        await gate.entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await stage.written()
        assert [(one.tool.name, one.status) for one in stage.receipts()] == [("weak", "failed"), ("hangs", "cancelled")]

    weak = tool("weak", fails, degrade="hangs", retry=Retry(attempts_max=1))
    on_stage(tmp_path, scenario, tools=[weak, tool("hangs", gate)])


@pytest.mark.parametrize(
    "raw", [b"{", b'{"text": 5}', b'{"unknown": 1}', b"[]", b'{"text": "\\ud800"}', b"\xff", b'{"number": 1e400}']
)
def test_arguments_that_cannot_be_read_are_refused_and_receipted(tmp_path: Path, raw: bytes) -> None:
    async def scenario(stage: Stage) -> None:
        ended = await stage.call("echo", raw=raw)
        assert (ended.receipt.status, ended.receipt.error) == ("refused", "tool_arguments")

    on_stage(tmp_path, scenario, tools=TOOLS)


@pytest.mark.parametrize(
    "said",
    [
        {"evidence": [f"rct_{number}" for number in range(EVIDENCE_MAX + 1)]},
        {"plan": "x" * CLAIMS_BYTES_MAX},
        {"plan": "\ud800"},
        {"approval": "\ud800"},
        {"caller": caller(agent="\ud800")},
    ],
)
def test_what_a_call_says_of_itself_is_bounded_text(tmp_path: Path, said: dict[str, object]) -> None:
    async def scenario(stage: Stage) -> None:
        ended = await stage.call("echo", text="hi", **said)  # type: ignore[arg-type]  # members of a call
        await stage.written()
        assert (ended.receipt.status, ended.receipt.error) == ("refused", "tool_arguments")
        assert stage.receipts() == (ended.receipt,)
        assert len(msgspec.json.encode(ended.receipt)) < 2000

    on_stage(tmp_path, scenario, tools=TOOLS)


def test_a_name_that_is_no_text_is_refused_and_receipted(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        ended = await stage.call("\ud800")
        await stage.written()
        assert ended.receipt.error == "tool_arguments"
        assert stage.receipts() == (ended.receipt,)

    on_stage(tmp_path, scenario, tools=TOOLS)


def test_a_house_that_is_not_there_is_refused_before_anything_runs(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        ended = await stage.call("echo", house="ezro", text="asked")
        assert (ended.receipt.status, ended.receipt.error) == ("refused", "tool_arguments")
        assert ended.error is not None
        assert "ezra" in (ended.error.hint or "")
        assert not list(stage.desk.all())

    on_stage(tmp_path, scenario, tools=TOOLS, policies={"p": BLOCKS})


# What rules see


def test_rules_before_a_call_see_what_walls_there_are(tmp_path: Path) -> None:
    rules = "rules:\n- {id: w, phase: tool.before, when: {eq: [tool.walls, none]}, then: [block], why: No walls.}\n"

    async def without(stage: Stage) -> None:
        assert (await stage.call("echo")).receipt.status == "denied"

    async def behind(stage: Stage) -> None:
        assert (await stage.call("echo")).receipt.status == "completed"

    on_stage(tmp_path, without, tools=TOOLS, policies={"p": rules})
    landlock = msgspec.structs.replace(NO_WALLS, landlock_abi=4)
    on_stage(tmp_path / "other", behind, tools=TOOLS, policies={"p": rules}, posture=landlock)


def test_rules_after_a_call_see_that_it_failed(tmp_path: Path) -> None:
    rules = """
    rules:
    - {id: f, phase: tool.after, when: {all: [{eq: [result.status, failed]}, {eq: [result.error, tool_failed]}]},
       then: [{annotate: failing}], why: Somebody counts.}
    """

    async def scenario(stage: Stage) -> None:
        ended = await stage.call("fails")
        (after,) = ended.receipt.policy
        assert [one.label for one in after.decision.annotations] == ["failing"]
        assert dict(after.facts)["result.status"] == "failed"

    on_stage(tmp_path, scenario, tools=TOOLS, policies={"p": rules})


def test_a_failure_that_a_rule_blocks_is_denied_and_told_in_the_rules_words(tmp_path: Path) -> None:
    rules = "rules:\n- {id: f, phase: tool.after, when: {eq: [result.status, failed]}, then: [block], why: Hide it.}\n"

    async def scenario(stage: Stage) -> None:
        ended = await stage.call("fails")
        assert ended.receipt.status == "denied"
        assert ended.error is not None
        assert "the world said no" not in ended.error.message

    on_stage(tmp_path, scenario, tools=TOOLS, policies={"p": rules})


# Obligations by rule


def test_a_rule_may_demand_a_check_and_the_call_is_denied_until_it_is_shown(tmp_path: Path) -> None:
    rules = "rules:\n- {id: p, phase: tool.before, then: [{oblige: plan}], why: Plans first.}\n"

    async def scenario(stage: Stage) -> None:
        refused = await stage.call("echo")
        assert (refused.receipt.status, refused.receipt.error) == ("denied", "obligation_unmet")
        assert refused.error is not None
        assert "the rules demand" in refused.error.message
        shown = await stage.call("echo", plan="the roof")
        assert [(one.check, one.met) for one in shown.receipt.obligations] == [("plan", True)]

    on_stage(tmp_path, scenario, tools=TOOLS, policies={"p": rules})


def test_a_check_that_nobody_knows_is_refused_when_rules_load(tmp_path: Path) -> None:
    rules = "rules:\n- {id: p, phase: tool.before, then: [{oblige: plans}], why: Plans first.}\n"

    async def scenario(stage: Stage) -> None:
        raise AssertionError("no stage stands under such rules")

    with pytest.raises(ContractErrors) as refused:
        on_stage(tmp_path, scenario, tools=TOOLS, policies={"p": rules})
    (error,) = refused.value.errors
    assert error.code == "contract_reference"
    assert "plan" in (error.hint or "")


def test_nothing_can_be_demanded_of_a_call_that_is_over(tmp_path: Path) -> None:
    rules = "rules:\n- {id: p, phase: tool.after, then: [{oblige: plan}], why: Plans first.}\n"

    async def scenario(stage: Stage) -> None:
        raise AssertionError("no stage stands under such rules")

    with pytest.raises(ContractErrors):
        on_stage(tmp_path, scenario, tools=TOOLS, policies={"p": rules})


# Modes


def test_the_sovereign_mode_refuses_to_act_where_the_journal_cannot_be_written(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        stage.writer.fail_at = 1
        ended = await stage.call("echo", mode=Mode.SOVEREIGN, text="hi")
        assert (ended.value, ended.error and ended.error.code) == (None, "journal_unavailable")
        later = await stage.call("echo", mode=Mode.SOVEREIGN, text="hi")
        assert (later.receipt.status, later.receipt.attempts) == ("refused", ())
        simple = await stage.call("echo", text="hi")
        assert simple.value == {"text": "hi"}

    behind = msgspec.structs.replace(NO_WALLS, landlock_abi=4, bubblewrap="0.8.0")
    on_stage(tmp_path, scenario, tools=TOOLS, posture=behind)


def test_a_write_goes_on_without_its_intent_where_the_mode_allows_it_and_is_still_receipted(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        stage.writer.fail_at = 1
        assert (await stage.call("acts", text="hi")).receipt.status == "completed"
        stage.writer.mend()
        await stage.written()
        assert [one.status for one in stage.receipts()] == ["completed"]

    on_stage(tmp_path, scenario, tools=TOOLS)


@pytest.mark.parametrize(
    ("mode", "name", "code"),
    [
        (Mode.SIMPLE, "acts", None),
        (Mode.INTELLIGENT, "echo", None),
        (Mode.INTELLIGENT, "acts", "sandbox_unavailable"),
        (Mode.SOVEREIGN, "echo", "sandbox_unavailable"),
    ],
)
def test_walls_are_required_as_the_mode_says(tmp_path: Path, mode: Mode, name: str, code: str | None) -> None:
    async def scenario(stage: Stage) -> None:
        ended = await stage.call(name, mode=mode)
        assert (None if ended.error is None else ended.error.code) == code
        assert ended.receipt.status == ("completed" if code is None else "refused")

    on_stage(tmp_path, scenario, tools=TOOLS)


def test_functions_of_third_parties_do_not_run_in_our_process_in_the_sovereign_mode(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        ended = await stage.call("echo", mode=Mode.SOVEREIGN)
        assert (ended.receipt.status, ended.receipt.error) == ("refused", "sandbox_unavailable")

    behind = msgspec.structs.replace(NO_WALLS, landlock_abi=4, bubblewrap="0.8.0")
    on_stage(tmp_path, scenario, tools=TOOLS, posture=behind, trusted=False)


def test_what_cannot_be_taken_back_needs_four_eyes_unless_the_house_may_decide(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        asked = await stage.call("final", mode=Mode.SOVEREIGN, text="x")
        assert asked.receipt.status == "awaiting_approval"
        ezra = await stage.call("final", mode=Mode.SOVEREIGN, text="y", house="other")
        assert ezra.receipt.status == "awaiting_approval"
        id_ = asked.receipt.approval
        assert id_ is not None
        await stage.desk.approve(id_, by="ada")
        done = await stage.call("final", mode=Mode.SOVEREIGN, text="x", approval=id_)
        assert (done.receipt.status, done.receipt.approval) == ("completed", id_)

    houses = (HouseContract(name="other"), HouseContract(name="judge", powers=("decide",)))
    behind = msgspec.structs.replace(NO_WALLS, landlock_abi=4, bubblewrap="0.8.0")
    on_stage(tmp_path, scenario, tools=TOOLS, posture=behind, houses=houses)


def test_what_nobody_can_foretell_is_asked_in_the_sovereign_mode_alone(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        for mode, status in ((Mode.SOVEREIGN, "awaiting_approval"), (Mode.SIMPLE, "completed")):
            assert (await stage.call("sends", mode=mode)).receipt.status == status

    behind = msgspec.structs.replace(NO_WALLS, landlock_abi=4, bubblewrap="0.8.0")
    on_stage(tmp_path, scenario, tools=[tool("sends", effect="write-remote", reversal="T3")], posture=behind)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("all_", [False, True])
def test_arguments_and_results_are_kept_where_the_mode_or_the_settings_demand_it(
    tmp_path: Path, mode: Mode, all_: bool
) -> None:
    kept = all_ or mode is Mode.SOVEREIGN

    async def scenario(stage: Stage) -> None:
        done = await stage.call("echo", mode=mode, text="hi")
        failed = await stage.call("fails", mode=mode)
        lost = await stage.call("nothing", mode=mode)
        wrong = await stage.call("echo", mode=mode, colour="red")
        assert [one.receipt.captured for one in (done, failed, lost, wrong)] == [kept, kept, False, False]
        if kept:
            tenant, arguments, result = stage.captured[done.receipt.receipt]
            assert (tenant, msgspec.json.decode(arguments)["text"], result) == ("local", "hi", b'{"text":"hi"}')
            assert seal(tenant, arguments) == done.receipt.arguments
            assert seal(tenant, result) == done.receipt.result
            assert stage.captured[failed.receipt.receipt][2] == b""
        else:
            assert stage.captured == {}

    behind = msgspec.structs.replace(NO_WALLS, landlock_abi=4, bubblewrap="0.8.0")
    on_stage(tmp_path, scenario, tools=TOOLS, posture=behind, captures_all=all_)


def test_a_receipt_never_claims_what_could_not_be_kept(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        stage.capture_fails = True
        ended = await stage.call("echo", text="hi")
        assert (ended.receipt.status, ended.receipt.captured) == ("completed", False)
        (defect,) = stage.reports
        assert str(defect) == "the disk is full"

    on_stage(tmp_path, scenario, tools=TOOLS, captures_all=True)
