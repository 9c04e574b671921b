"""Facts about tools agree with looking at every call one by one, over any conversation."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from wardwright.calls.tool_facts import ToolUse
from wardwright.dialects.openai_tool_steps import canonical
from wardwright.routing.draw import Keyed

SECRET = Keyed(b"tenant")
ARGUMENTS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(["path", "line", "é"]), st.integers(0, 1) | st.sampled_from(["a", "b"]), max_size=3
)
CALL = st.tuples(st.sampled_from(["read", "edit"]), ARGUMENTS, st.none() | st.sampled_from(["", "[]", "x", "y"]))
STEP = st.lists(CALL, max_size=3)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def messages(steps: list[list[tuple[str, dict[str, Any], str | None]]], *, shuffled: bool) -> msgspec.Raw:
    """The conversation as a client would send it; `shuffled`: keys of arguments in another order, with spaces."""
    said: list[dict[str, Any]] = [{"role": "user", "content": "go"}]
    for step in steps:
        made = []
        for index, (name, arguments, _) in enumerate(step):
            members = dict(reversed(arguments.items())) if shuffled else arguments
            text = json.dumps(members, indent=1 if shuffled else None, ensure_ascii=shuffled)
            made.append({"id": f"c{index}", "type": "function", "function": {"name": name, "arguments": text}})
        said.append({"role": "assistant", "content": "", "tool_calls": made} if made else {"role": "assistant"})
        results = [
            {"role": "tool", "tool_call_id": f"c{index}", "content": result}
            for index, (_, _, result) in enumerate(step)
            if result is not None
        ]
        said += reversed(results) if shuffled else results
    return msgspec.Raw(json.dumps(said).encode())


@given(st.lists(STEP, max_size=6))
def test_repeats_are_what_counting_every_call_gives(steps: list[list[tuple[str, dict[str, Any], str | None]]]) -> None:
    every = [call for step in steps for call in step if call[2] is not None]
    latest = [call for call in (steps[-1] if steps else []) if call[2] is not None]
    use = ToolUse(messages(steps, shuffled=False), SECRET)
    assert use.repeats() == max((every.count(call) for call in latest), default=0)
    assert use.unanswered() == sum(call[2] is None for call in (steps[-1] if steps else []))


@given(st.lists(STEP, min_size=1, max_size=4))
def test_the_order_of_keys_and_of_results_changes_nothing(
    steps: list[list[tuple[str, dict[str, Any], str | None]]],
) -> None:
    plain, shuffled = (ToolUse(messages(steps, shuffled=one), SECRET) for one in (False, True))
    assert plain.call_digests() == shuffled.call_digests()
    assert plain.result_digests() == shuffled.result_digests()
    assert plain.repeats() == shuffled.repeats()


@given(ARGUMENTS, ARGUMENTS)
def test_calls_have_one_digest_where_they_say_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = (ToolUse(messages([[("read", each, None)]], shuffled=False), SECRET) for each in (one, other))
    assert (first.call_digests() == second.call_digests()) == (one == other)


@given(JSON)
def test_what_stands_for_a_text_stands_for_itself(value: Any) -> None:
    once = canonical(json.dumps(value, indent=2))
    assert canonical(once) == once
    assert json.loads(once) == value
