"""What changes when another target continues a conversation."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardwright.dialects.handover import TARGET_MEMBER, ToolIdShape, hand_over, mark_details, mark_of, tool_id

SHAPES = {"openai": r".{1,40}", "anthropic": r"[a-zA-Z0-9_-]+", "mistral": r"[a-zA-Z0-9]{9}"}
MINE, OTHER = mark_of("coding/mine"), mark_of("coding/other")


def handed(messages: list[dict[str, Any]], shape: ToolIdShape = "openai") -> tuple[Any, tuple[str, ...]]:
    result, changes = hand_over(msgspec.Raw(json.dumps(messages).encode()), mark=MINE, shape=shape)
    return json.loads(bytes(result)), changes


def sealed(mark: str | None, text: str = "hm") -> dict[str, Any]:
    entry = {"type": "reasoning.text", "text": text, "signature": "s"}
    return entry if mark is None else {**entry, TARGET_MEMBER: mark}


@pytest.mark.parametrize("shape", ["openai", "anthropic", "mistral"])
@given(given_id=st.text(min_size=1, max_size=60))
def test_a_mapped_id_fits_and_mapping_it_again_changes_nothing(shape: ToolIdShape, given_id: str) -> None:
    mapped = tool_id(shape, given_id)
    assert re.fullmatch(SHAPES[shape], mapped, re.DOTALL)
    assert tool_id(shape, mapped) == mapped
    if re.fullmatch(SHAPES[shape], given_id, re.DOTALL):
        assert mapped == given_id or len(given_id) > 40


@given(st.sets(st.text(min_size=1, max_size=60), min_size=2, max_size=30))
def test_different_ids_stay_different(ids: set[str]) -> None:
    assert len({tool_id("mistral", one) for one in ids}) == len(ids)


def test_a_call_and_its_results_keep_meeting() -> None:
    messages: list[dict[str, Any]] = [
        {"role": "assistant", "tool_calls": [{"id": "toolu_01AB"}, {"id": "call.2"}]},
        {"role": "tool", "tool_call_id": "toolu_01AB", "content": "1"},
        {"role": "tool", "tool_call_id": "call.2", "content": "2"},
    ]
    result, changes = handed(messages, "mistral")
    ids = [call["id"] for call in result[0]["tool_calls"]]
    assert ids == [message["tool_call_id"] for message in result[1:]]
    assert len(set(ids)) == 2
    assert changes == ("tool_call_ids",)


def test_a_conversation_that_fits_is_the_same_bytes() -> None:
    raw = msgspec.Raw(b'[ {"role":"user"}, {"role":"tool","tool_call_id":"call_1","content":1.50} ]')
    result, changes = hand_over(raw, mark=MINE, shape="openai")
    assert (result is raw, changes) == (True, ())


def test_foreign_reasoning_goes_with_its_text_and_own_reasoning_stays_unmarked() -> None:
    own: dict[str, Any] = {"role": "assistant", "reasoning_content": "mine", "reasoning_details": [sealed(MINE)]}
    foreign: dict[str, Any] = {
        "role": "assistant",
        "content": "x",
        "reasoning_content": "hm",
        "reasoning_details": [sealed(OTHER)],
    }
    result, changes = handed([own, foreign])
    assert result == [{**own, "reasoning_details": [sealed(None)]}, {"role": "assistant", "content": "x"}]
    assert changes == ("foreign_reasoning",)


def test_reasoning_of_unknown_origin_is_left_to_the_target() -> None:
    message = {"role": "assistant", "reasoning_details": [sealed(None)]}
    assert handed([message]) == ([message], ())


def test_only_what_is_sealed_is_marked() -> None:
    details = [
        sealed(None),
        {"type": "reasoning.encrypted", "data": "x"},
        {"type": "reasoning.summary", "summary": "y"},
    ]
    marked = json.loads(bytes(mark_details(msgspec.Raw(json.dumps(details).encode()), MINE)))
    assert [entry.get(TARGET_MEMBER) for entry in marked] == [MINE, MINE, None]


def test_a_mark_does_not_tell_its_target() -> None:
    assert "coding" not in MINE
    assert MINE != OTHER


@pytest.mark.parametrize("messages", [b"7", b'[{"tool_calls":7}]', b"[1]"])
def test_what_is_no_conversation_is_left_for_the_target_to_refuse(messages: bytes) -> None:
    assert hand_over(msgspec.Raw(messages), mark=MINE, shape="mistral") == (msgspec.Raw(messages), ())
