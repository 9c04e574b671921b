"""What rules read of tools is about the latest step, each call of it, and what came of it.

Two defects of the tool context that the first sketches had stay away: `TestOldCallsDoNotCount` (the first call of a
conversation stood for all, parallel calls were ignored) and `TestUseIsNoLoop` (a tool's name alone made a loop).
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from wardwright.calls.tool_facts import CALLS_MAX, DIGEST_CHARS, TOOL_FACTS, ToolUse, Unread
from wardwright.policy.phases import Fact
from wardwright.routing.draw import Keyed

Message = dict[str, Any]


def user(text: str = "go on") -> Message:
    return {"role": "user", "content": text}


def step(*calls: tuple[str, str, str | None]) -> list[Message]:
    """An assistant message that makes these calls, and the results that are there: name, arguments, result."""
    made = [
        {"id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for index, (name, arguments, _) in enumerate(calls)
    ]
    results = [
        {"role": "tool", "tool_call_id": f"call_{index}", "content": result}
        for index, (_, _, result) in enumerate(calls)
        if result is not None
    ]
    return [{"role": "assistant", "content": None, "tool_calls": made}, *results]


def used(*messages: Message, key: bytes = b"tenant") -> ToolUse:
    return ToolUse(msgspec.Raw(json.dumps(messages).encode()), Keyed(key))


def facts(*messages: Message) -> dict[str, Fact]:
    use = used(*messages)
    return {name: read(use) for name, read in TOOL_FACTS.items()}


class TestOldCallsDoNotCount:
    def test_the_latest_step_is_told_and_not_the_first(self) -> None:
        use = used(user(), *step(("search", "{}", "found")), *step(("edit", '{"path": "a"}', "done")))

        assert use.names() == ("edit",)

    def test_every_parallel_call_is_told(self) -> None:
        use = used(user(), *step(("search", '{"q": 1}', "x"), ("search", '{"q": 2}', None), ("edit", "{}", "")))

        assert use.names() == ("search", "search", "edit")
        assert len(set(use.call_digests())) == 3
        assert (len(use.result_digests()), use.unanswered(), use.empty_results()) == (2, 1, 1)

    def test_a_call_of_long_ago_holds_nothing_after_an_answer_without_calls(self) -> None:
        said = {"role": "assistant", "content": "There you are."}

        assert facts(user(), *step(("search", "{}", "found")), said, user("and now?")) == {
            "tools.empty_results": 0,
            "tools.latest": (),
            "tools.latest_calls": (),
            "tools.latest_results": (),
            "tools.latest_results_chars": 0,
            "tools.repeats": 0,
            "tools.unanswered": 0,
        }

    def test_a_step_whose_ids_were_used_before_has_its_own_results(self) -> None:
        use = used(*step(("read", "{}", "before")), *step(("read", "{}", None)))

        assert (use.unanswered(), use.result_digests()) == (1, ())


class TestUseIsNoLoop:
    def test_the_same_tool_with_other_arguments_is_no_repetition(self) -> None:
        reads = [step(("read", json.dumps({"path": name}), "text")) for name in ("a.py", "b.py", "c.py")]

        assert used(user(), *(message for one in reads for message in one)).repeats() == 1

    def test_the_same_call_with_another_result_is_no_repetition(self) -> None:
        runs = [step(("run_tests", "{}", f"{left} failed")) for left in (3, 2, 1)]

        assert used(user(), *(message for one in runs for message in one)).repeats() == 1

    def test_the_same_call_with_the_same_result_is_one_whatever_the_order_of_keys(self) -> None:
        use = used(
            user(),
            *step(("read", '{"path": "a", "line": 1}', "text")),
            *step(("list", "{}", "a")),
            *step(("read", '{"line":1,"path":"a"}', "text")),
        )

        assert use.repeats() == 2

    def test_of_parallel_calls_the_one_that_stands_most_often_counts(self) -> None:
        once, again = ("read", '{"path": "b"}', "b"), ("read", '{"path": "a"}', "a")

        assert used(user(), *step(again), *step(again), *step(once, again)).repeats() == 3

    def test_a_loop_that_was_left_does_not_count(self) -> None:
        assert used(*(3 * step(("read", "{}", "same"))), *step(("edit", "{}", "done"))).repeats() == 1

    def test_a_call_without_its_result_does_not_count(self) -> None:
        assert used(*(2 * step(("read", "{}", "same"))), *step(("read", "{}", None))).repeats() == 0


@pytest.mark.parametrize("result", ["", "  \n", "[]", "{ }", "null", '""'])
def test_a_result_that_holds_nothing_is_a_result(result: str) -> None:
    use = used(user(), *step(("search", "{}", result)))

    assert (use.empty_results(), use.unanswered(), len(use.result_digests())) == (1, 0, 1)


def test_a_result_in_parts_is_their_text() -> None:
    parts = step(("search", "{}", "one\ntwo"))
    parts[1]["content"] = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]

    assert used(*parts).result_digests() == used(*step(("search", "{}", "one\ntwo"))).result_digests()
    assert used(*parts).result_chars() == 7


def test_numbers_that_a_float_would_confuse_stay_apart() -> None:
    first, second = (step(("pay", '{"account": 1234567890123456789' + digit + "}", "ok")) for digit in ("1", "2"))

    assert used(*first, *second).repeats() == 1


def test_digests_compare_within_a_tenant_alone_and_tell_calls_from_results() -> None:
    messages = step(("a", "b", "b"))
    ours, theirs = used(*messages), used(*messages, key=b"another tenant")

    assert ours.call_digests() == used(*messages).call_digests() != theirs.call_digests()
    assert ours.call_digests() != ours.result_digests()
    assert {len(digest) for digest in ours.call_digests()} == {DIGEST_CHARS}


def test_calls_without_arguments_are_alike_however_that_is_written() -> None:
    function = {"name": "list", "arguments": None}
    use = used({"role": "assistant", "tool_calls": [{"id": None, "type": "function", "function": function}]})

    assert (use.names(), use.unanswered()) == (("list",), 1)
    assert use.call_digests() == used(*step(("list", "", None))).call_digests()


def test_where_a_name_ends_and_arguments_begin_matters() -> None:
    assert used(*step(("ab", "c", None))).call_digests() != used(*step(("a", "bc", None))).call_digests()


def test_functions_of_the_form_before_tools_count_too() -> None:
    old: list[Message] = [
        {"role": "assistant", "content": None, "function_call": {"name": "read", "arguments": "{}"}},
        {"role": "function", "name": "read", "content": "text"},
    ]

    assert used(*old, *old).repeats() == 2


def test_custom_tools_are_told_by_their_input() -> None:
    call = {"id": "c", "type": "custom", "custom": {"name": "shell", "input": "ls"}}
    use = used({"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c", "content": "a"})

    assert (use.names(), use.call_digests()) == (("shell",), used(*step(("shell", "ls", None))).call_digests())


@pytest.mark.parametrize(
    ("calls", "why"),
    [
        ([("read", "{}", None)] * (CALLS_MAX + 1), "calls"),
        ([("r" * 300, "{}", None)], "name"),
    ],
)
def test_what_no_provider_makes_is_not_told(calls: list[tuple[str, str, str | None]], why: str) -> None:
    with pytest.raises(Unread, match=why):
        used(*step(*calls))
