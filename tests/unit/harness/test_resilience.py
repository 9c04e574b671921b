"""What happens around a tool that fails, hangs or was asked before: attempts, rests, stand-ins, answers given again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from parts.workshop_stage import Gate, Given, Made, Stage, caller, on_stage, tool
from wardwright.contracts.provider import Breaker
from wardwright.contracts.tool import Cache, Retry, ToolScope
from wardwright.harness.cache import ENTRY_BYTES, Answers
from wardwright.harness.core.tool import Context
from wardwright.harness.run import INPUT_BYTES_MAX
from wardwright.kernel.errors import WardwrightError

AT_ONCE = Retry(attempts_max=1)


class Weak:
    """A function that fails until it is told not to."""

    def __init__(self, failures: int = 10**6, code: str = "tool_failed") -> None:
        self.code = code
        self.failures = failures
        self.ran = 0

    async def __call__(self, given: Given, context: Context) -> Made:
        """Says how often it ran."""
        self.ran += 1
        if self.failures > 0:
            self.failures -= 1
            raise WardwrightError(self.code, "not now")
        return Made(text=f"{given.text}{self.ran}")


# Attempts


def test_a_read_that_fails_is_tried_again_and_every_attempt_is_told(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        ended = await stage.call("weak")
        assert [one.error for one in ended.receipt.attempts] == ["tool_failed", None]
        assert ended.receipt.status == "completed"

    on_stage(tmp_path, scenario, tools=[tool("weak", Weak(1), retry=Retry(wait_ms=1))])


def test_what_writes_is_not_repeated_unless_its_contract_says_so(tmp_path: Path) -> None:
    once, thrice = Weak(), Weak()

    async def scenario(stage: Stage) -> None:
        await stage.call("once")
        await stage.call("thrice")
        assert (once.ran, thrice.ran) == (1, 3)

    on_stage(
        tmp_path,
        scenario,
        tools=[
            tool("once", once, "write-local", reversal="T0"),
            tool("thrice", thrice, "write-local", reversal="T0", retry=Retry(attempts_max=3, wait_ms=1)),
        ],
    )


@pytest.mark.parametrize("code", ["scope_denied", "sandbox_unavailable"])
def test_what_another_attempt_cannot_mend_is_not_tried_again(tmp_path: Path, code: str) -> None:
    weak = Weak(code=code)

    async def scenario(stage: Stage) -> None:
        await stage.call("weak")
        assert weak.ran == 1

    on_stage(tmp_path, scenario, tools=[tool("weak", weak, retry=Retry(attempts_max=5, wait_ms=1))])


def test_a_tool_that_hangs_is_cut_at_its_time_and_told_so(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        ended = await stage.call("hangs")
        assert (ended.receipt.status, ended.receipt.error) == ("timed_out", "tool_timeout")
        assert [one.error for one in ended.receipt.attempts] == ["tool_timeout"]

    on_stage(tmp_path, scenario, tools=[tool("hangs", Gate(), timeout_s=1)])


# Breakers


def broken() -> Breaker:
    return Breaker(calls_min=2, open_s=10, window_s=30)


def test_a_tool_rests_after_failures_then_one_probe_decides(tmp_path: Path) -> None:
    weak = Weak(failures=3)

    async def scenario(stage: Stage) -> None:
        assert [(await stage.call("weak")).receipt.status for _ in range(2)] == ["failed", "failed"]
        resting = await stage.call("weak")
        assert (resting.receipt.status, resting.receipt.error, weak.ran) == ("refused", "tool_unavailable", 2)
        assert resting.error is not None
        assert resting.error.hint
        stage.clock.advance(11_000_000)
        assert (await stage.call("weak")).receipt.status == "failed", "the probe"
        assert (await stage.call("weak")).receipt.error == "tool_unavailable"
        stage.clock.advance(11_000_000)
        assert (await stage.call("weak")).receipt.status == "completed", "the probe"
        assert (await stage.call("weak")).receipt.status == "completed"

    on_stage(tmp_path, scenario, tools=[tool("weak", weak, retry=AT_ONCE, breaker=broken())])


def test_a_probe_that_was_given_up_leaves_the_next_call_to_probe(tmp_path: Path) -> None:
    gate = Gate()

    class Slow(Weak):
        async def __call__(self, given: Given, context: Context) -> Made:
            return await (gate if given.text == "wait" else super().__call__)(given, context)

    async def scenario(stage: Stage) -> None:
        for _ in range(2):
            await stage.call("weak")
        stage.clock.advance(11_000_000)
        probe = asyncio.create_task(stage.call("weak", text="wait"))
        await gate.entered.wait()
        probe.cancel()
        await asyncio.gather(probe, return_exceptions=True)
        assert (await stage.call("weak")).receipt.status == "completed"

    on_stage(tmp_path, scenario, tools=[tool("weak", Slow(failures=2), retry=AT_ONCE, breaker=broken())])


def test_a_failure_counts_before_another_tool_has_stood_in_for_it(tmp_path: Path) -> None:
    gate, weak = Gate(), Weak()

    async def scenario(stage: Stage) -> None:
        first = asyncio.create_task(stage.call("weak"))
        await gate.entered.wait()
        second = asyncio.create_task(stage.call("weak"))
        await stage.call("echo")
        gate.open.set()
        await asyncio.gather(first, second)
        assert weak.ran == 1, "it rested already"

    rests = tool("weak", weak, retry=AT_ONCE, breaker=Breaker(calls_min=1), degrade="gate")
    on_stage(tmp_path, scenario, tools=[rests, tool("gate", gate), tool("echo")])


def test_one_target_and_one_tenant_rest_and_no_other(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        for _ in range(3):
            last = await stage.call("weak", text="bad.example")
        assert last.receipt.error == "tool_unavailable"
        assert (await stage.call("weak", text="good.example")).receipt.error == "tool_failed"
        elsewhere = await stage.call("weak", text="bad.example", caller=caller(tenant="other"))
        assert elsewhere.receipt.error == "tool_failed"

    weak = tool("weak", Weak(), retry=AT_ONCE, breaker=broken(), scope=ToolScope(hosts=("{text}:443",)))
    on_stage(tmp_path, scenario, tools=[weak])


def test_refusals_say_nothing_against_a_tools_health(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        for _ in range(5):
            assert (await stage.call("weak")).receipt.error == "scope_denied"

    on_stage(tmp_path, scenario, tools=[tool("weak", Weak(code="scope_denied"), retry=AT_ONCE, breaker=broken())])


# Another stands in


def test_another_tool_stands_in_and_both_receipts_say_so(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        ended = await stage.call("weak", text="hi")
        await stage.written()
        failed, instead = stage.receipts()
        assert ended.value == {"text": "hi"}
        assert ended.receipt == instead
        assert (failed.status, instead.degraded_from, instead.parent) == ("failed", "weak", failed.receipt)

    on_stage(tmp_path, scenario, tools=[tool("weak", Weak(), retry=AT_ONCE, degrade="echo"), tool("echo")])


def test_a_stand_in_that_fails_too_is_what_came_of_the_call(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        ended = await stage.call("weak")
        assert (ended.receipt.tool.name, ended.receipt.status) == ("weaker", "failed")

    weaker = tool("weaker", Weak(), retry=AT_ONCE)
    on_stage(tmp_path, scenario, tools=[tool("weak", Weak(), retry=AT_ONCE, degrade="weaker"), weaker])


def test_nothing_stands_in_for_what_a_rule_forbids(tmp_path: Path) -> None:
    rules = "rules:\n- {id: n, phase: tool.before, when: {eq: [tool.name, weak]}, then: [block], why: No.}\n"

    async def scenario(stage: Stage) -> None:
        ended = await stage.call("weak")
        assert (ended.receipt.tool.name, ended.receipt.status) == ("weak", "denied")

    tools = [tool("weak", Weak(), degrade="echo"), tool("echo")]
    on_stage(tmp_path, scenario, tools=tools, policies={"p": rules})


def test_a_stand_in_is_judged_by_the_rules_as_any_other_call(tmp_path: Path) -> None:
    rules = "rules:\n- {id: n, phase: tool.before, when: {eq: [tool.degraded, true]}, then: [block], why: No.}\n"

    async def scenario(stage: Stage) -> None:
        ended = await stage.call("weak")
        assert (ended.receipt.tool.name, ended.receipt.status) == ("echo", "denied")

    tools = [tool("weak", Weak(), retry=AT_ONCE, degrade="echo"), tool("echo")]
    on_stage(tmp_path, scenario, tools=tools, policies={"p": rules})


# Answers given again


def counted(failures: int = 0) -> Weak:
    return Weak(failures)


def test_an_answer_is_given_again_and_names_the_call_that_got_it(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        first, again = await stage.call("known", text="a"), await stage.call("known", text="a")
        assert again.value == first.value
        assert again.receipt.cached_from == first.receipt.receipt
        assert again.receipt.attempts == ()
        assert again.receipt.result == first.receipt.result

    on_stage(tmp_path, scenario, tools=[tool("known", counted(), cache=Cache(ttl_s=60))])


@pytest.mark.parametrize(
    "other",
    [
        {"text": "b"},
        {"text": "a", "caller": caller(tenant="other")},
        {"text": "a", "number": 1},
    ],
)
def test_another_question_is_another_answer(tmp_path: Path, other: dict[str, object]) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.call("known", text="a")
        assert (await stage.call("known", **other)).receipt.cached_from is None  # type: ignore[arg-type]  # as above

    on_stage(tmp_path, scenario, tools=[tool("known", counted(), cache=Cache(ttl_s=60))])


def test_arguments_are_the_same_in_whatever_order_they_are_spelled(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.call("known", raw=b'{"text": "a", "number": 0}')
        again = await stage.call("known", raw=b'{"number":0,"text":"\\u0061","path":"/srv/none"}')
        assert again.receipt.cached_from is not None

    on_stage(tmp_path, scenario, tools=[tool("known", counted(), cache=Cache(ttl_s=60))])


def test_an_answer_holds_for_its_time_and_no_longer(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.call("known")
        stage.clock.advance(59_000_000)
        assert (await stage.call("known")).receipt.cached_from is not None
        stage.clock.advance(2_000_000)
        assert (await stage.call("known")).receipt.cached_from is None

    on_stage(tmp_path, scenario, tools=[tool("known", counted(), cache=Cache(ttl_s=60))])


def test_failures_are_never_given_again(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        assert (await stage.call("known")).receipt.status == "failed"
        assert (await stage.call("known")).receipt.status == "completed"

    on_stage(tmp_path, scenario, tools=[tool("known", Weak(1), retry=AT_ONCE, cache=Cache(ttl_s=60))])


def test_what_writes_is_never_answered_from_before(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        for _ in range(2):
            assert (await stage.call("acts")).receipt.cached_from is None

    on_stage(tmp_path, scenario, tools=[tool("acts", counted(), "write-local", reversal="T0", cache=Cache(ttl_s=60))])


def test_an_answer_rests_on_what_its_declared_inputs_hold(tmp_path: Path) -> None:
    file = tmp_path / "input"
    file.write_text("one")

    async def scenario(stage: Stage) -> None:
        async def given_again() -> bool:
            return (await stage.call("known", path=str(file))).receipt.cached_from is not None

        assert not await given_again()
        assert await given_again()
        file.write_text("two")
        assert not await given_again()
        file.unlink()
        assert not await given_again(), "what it rests on is gone"

    reading = ToolScope(read=("{path}",))
    on_stage(
        tmp_path, scenario, tools=[tool("known", counted(), cache=Cache(ttl_s=60), inputs=("path",), scope=reading)]
    )


def test_an_answer_that_rests_on_more_than_is_looked_at_is_not_given_again(tmp_path: Path) -> None:
    file = tmp_path / "input"
    file.write_bytes(bytes(INPUT_BYTES_MAX) + b"one")

    async def scenario(stage: Stage) -> None:
        await stage.call("known", path=str(file))
        file.write_bytes(bytes(INPUT_BYTES_MAX) + b"two")
        assert (await stage.call("known", path=str(file))).receipt.cached_from is None

    reading = ToolScope(read=("{path}",))
    known = tool("known", counted(), cache=Cache(ttl_s=60), inputs=("path",), scope=reading)
    on_stage(tmp_path, scenario, tools=[known])


def test_an_answer_is_not_kept_where_its_input_changed_while_it_was_made(tmp_path: Path) -> None:
    file = tmp_path / "input"
    file.write_text("one")

    async def changes(given: Given, context: Context) -> Made:
        file.write_text("two")
        return Made(text="two")

    async def scenario(stage: Stage) -> None:
        await stage.call("known", path=str(file))
        file.write_text("one")
        assert (await stage.call("known", path=str(file))).receipt.cached_from is None

    reading = ToolScope(read=("{path}",))
    known = tool("known", changes, cache=Cache(ttl_s=60), inputs=("path",), scope=reading)
    on_stage(tmp_path, scenario, tools=[known])


def test_rules_see_an_answer_that_is_given_again(tmp_path: Path) -> None:
    rules = "rules:\n- {id: n, phase: tool.after, when: {eq: [result.cached, true]}, then: [block], why: Stale.}\n"

    async def scenario(stage: Stage) -> None:
        assert (await stage.call("known")).receipt.status == "completed"
        assert (await stage.call("known")).receipt.status == "denied"

    on_stage(tmp_path, scenario, tools=[tool("known", counted(), cache=Cache(ttl_s=60))], policies={"p": rules})


def test_answers_are_bounded_in_bytes_and_the_least_used_go_first() -> None:
    answers = Answers(lambda: 0.0, bytes_max=3 * (ENTRY_BYTES + 10))
    for name in ("a", "b", "c"):
        answers.put((name,), "rct_1", b"0123456789", 60)
    assert answers.get(("a",)) is not None
    answers.put(("d",), "rct_1", b"0123456789", 60)
    assert [answers.get((name,)) is not None for name in ("a", "b", "c", "d")] == [True, False, True, True]
    answers.put(("large",), "rct_1", b"x" * 10_000, 60)
    assert answers.get(("large",)) is None
