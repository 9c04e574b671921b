"""OpenAI chat requests, retold for Anthropic. Every body made here is one that the provider's own SDK types admit."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from parts import messages_stream as up
from parts import sdk_oracles
from wardwright.dialects.answer import Identity
from wardwright.dialects.anthropic_voice import AnthropicVoice
from wardwright.dialects.handover import mark_of
from wardwright.dialects.voice import Ask, Spoken
from wardwright.kernel.errors import WardwrightError

HI = {"role": "user", "content": "hi"}
TARGET = "coding/cloud"


def spoken(model: str = "claude-sonnet-4-5", target: str = TARGET, **given: Any) -> Spoken:
    members = {name: msgspec.Raw(json.dumps(value).encode()) for name, value in {"messages": [HI], **given}.items()}
    ask = Ask(members=members, model=model, stream=bool(given.get("stream")), output_tokens=4096, target=target)
    return AnthropicVoice().request(ask)


def body(**given: Any) -> Any:
    sent = json.loads(spoken(**given).request.body)
    sdk_oracles.require_message_params(
        {name: sent[name] for name in sent if name not in ("temperature", "top_p", "top_k")}
    )
    return sent


def changed(**given: Any) -> tuple[str, ...]:
    return spoken(**given).changed


def call(id_: str = "call_1", arguments: str = '{"a":1}') -> dict[str, Any]:
    return {"id": id_, "type": "function", "function": {"name": "f", "arguments": arguments}}


def result(id_: str = "call_1", content: Any = "42") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id_, "content": content}


def test_the_smallest_request_has_a_budget_and_the_version_header() -> None:
    request = spoken().request
    assert request.path == "/messages"
    assert (b"anthropic-version", b"2023-06-01") in request.headers
    assert body() == {
        "model": "claude-sonnet-4-5",
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
    }


def test_system_and_developer_messages_become_the_system_prompt() -> None:
    messages = [
        {"role": "system", "content": "a"},
        {"role": "developer", "content": [{"type": "text", "text": "b"}]},
        HI,
    ]
    assert body(messages=messages)["system"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert changed(messages=messages) == ()


def test_a_later_system_message_is_moved_and_told() -> None:
    messages = [HI, {"role": "system", "content": "be brief"}]
    assert body(messages=messages)["system"] == [{"type": "text", "text": "be brief"}]
    assert changed(messages=messages) == ("system_position",)


def test_parallel_results_and_the_text_after_them_are_one_user_turn() -> None:
    messages = [
        HI,
        {"role": "assistant", "content": None, "tool_calls": [call("call_1"), call("call_2", "")]},
        result("call_1"),
        result("call_2", [{"type": "text", "text": "b"}]),
        {"role": "user", "content": "go on"},
    ]
    told = body(messages=messages)["messages"]
    assert [turn["role"] for turn in told] == ["user", "assistant", "user"]
    assert told[1]["content"] == [
        {"type": "tool_use", "id": "call_1", "name": "f", "input": {"a": 1}},
        {"type": "tool_use", "id": "call_2", "name": "f", "input": {}},
    ]
    assert told[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "call_1", "content": "42"},
        {"type": "tool_result", "tool_use_id": "call_2", "content": [{"type": "text", "text": "b"}]},
        {"type": "text", "text": "go on"},
    ]


def test_ids_and_arguments_that_the_provider_refuses_are_mended_and_told() -> None:
    messages = [HI, {"role": "assistant", "tool_calls": [call("call.1", '{"a":')]}, result("call.1")]
    assistant, answer = body(messages=messages)["messages"][1:]
    assert assistant["content"][0]["id"] == answer["content"][0]["tool_use_id"] != "call.1"
    assert assistant["content"][0]["input"] == {"invalid_json": '{"a":'}
    assert changed(messages=messages) == ("tool_arguments", "tool_call_ids")


def test_images_and_documents_are_carried() -> None:
    parts = [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"}},
    ]
    blocks = body(messages=[{"role": "user", "content": parts}])["messages"][0]["content"]
    assert [block["type"] for block in blocks] == ["text", "image", "image", "document"]
    assert blocks[1]["source"] == {"type": "base64", "media_type": "image/png", "data": "QUJD"}
    assert blocks[2]["source"] == {"type": "url", "url": "https://example.com/a.png"}


def test_cache_marks_of_clients_that_know_their_target_stay() -> None:
    mark = {"type": "ephemeral"}
    part = {"type": "text", "text": "long", "cache_control": mark}
    assert body(messages=[{"role": "user", "content": [part]}])["messages"][0]["content"] == [part]


@pytest.mark.parametrize(
    ("choice", "parallel", "expected"),
    [
        (None, None, None),
        ("auto", None, {"type": "auto"}),
        ("none", False, {"type": "none"}),
        ("required", None, {"type": "any"}),
        ({"type": "function", "function": {"name": "f"}}, True, {"type": "tool", "name": "f"}),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        ("required", False, {"type": "any", "disable_parallel_tool_use": True}),
    ],
)
def test_tools_and_their_choice(choice: object, parallel: bool | None, expected: object) -> None:
    function = {"name": "f", "description": "does", "parameters": {"type": "object"}, "strict": True}
    tools = [{"type": "function", "function": function}, {"type": "function", "function": {"name": "g"}}]
    sent = body(tools=tools, tool_choice=choice, parallel_tool_calls=parallel)
    assert sent["tools"] == [
        {"name": "f", "description": "does", "input_schema": {"type": "object"}, "strict": True},
        {"name": "g", "input_schema": {"type": "object", "properties": {}}},
    ]
    assert sent.get("tool_choice") == expected


def test_limits_stops_and_sampling() -> None:
    sent = body(max_completion_tokens=9, max_tokens=7, stop="END", temperature=0.5, top_p=0.9, stream=True, user="u1")
    assert (sent["max_tokens"], sent["stop_sequences"], sent["temperature"]) == (9, ["END"], 0.5)
    assert (sent["top_p"], sent["stream"], sent["metadata"]) == (0.9, True, {"user_id": "u1"})
    assert body(max_tokens=7)["max_tokens"] == 7
    assert body(temperature=1.7, stop=["\n", "x"])["stop_sequences"] == ["x"]
    assert changed(temperature=1.7, stop=["\n", "x"]) == ("stop", "temperature")


def test_a_schema_for_the_answer_becomes_an_output_format() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    sent = body(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})
    assert sent["output_config"] == {"format": {"type": "json_schema", "schema": schema}}


@pytest.mark.parametrize(
    ("effort", "budget"), [("minimal", 1024), ("low", 1024), ("medium", 4096), ("high", 10_000), ("max", 10_000)]
)
def test_effort_becomes_a_thinking_budget_below_the_limit(effort: str, budget: int) -> None:
    sent = body(reasoning_effort=effort, max_tokens=20_000, temperature=0.2)
    assert sent["thinking"] == {"type": "enabled", "budget_tokens": budget}
    assert "temperature" not in sent
    assert changed(reasoning_effort=effort, max_tokens=20_000, temperature=0.2) == ("temperature",)


@pytest.mark.parametrize("model", ["claude-opus-4-6", "claude-sonnet-5", "claude-opus-4-7", "claude-mythos-preview"])
def test_models_that_decide_for_themselves_take_an_effort(model: str) -> None:
    sent = body(model=model, reasoning_effort="high")
    assert (sent["thinking"], sent["output_config"]) == ({"type": "adaptive"}, {"effort": "high"})


@pytest.mark.parametrize(
    "model",
    ["claude-3-7-sonnet-latest", "claude-opus-4-20250514", "claude-opus-4-1", "claude-haiku-4-5-20251001", "other"],
)
def test_older_and_other_models_take_a_budget(model: str) -> None:
    assert body(model=model, reasoning_effort="low")["thinking"]["type"] == "enabled"


@pytest.mark.parametrize(
    "given",
    [
        {"max_tokens": 1000},
        {"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "required"},
        {"messages": [HI, {"role": "assistant", "tool_calls": [call()]}, result()]},
    ],
)
def test_thinking_is_left_out_where_the_provider_would_refuse_it(given: dict[str, Any]) -> None:
    assert "thinking" not in body(reasoning_effort="high", **given)
    assert changed(reasoning_effort="high", **given) == ("reasoning_effort",)


def test_no_effort_means_no_thinking() -> None:
    assert body(reasoning_effort="none")["thinking"] == {"type": "disabled"}


def test_the_providers_own_members_pass() -> None:
    thinking = {"type": "enabled", "budget_tokens": 2000}
    assert body(thinking=thinking, top_k=5, reasoning_effort="low")["thinking"] == thinking
    assert changed(thinking=thinking, top_k=5) == ()


def test_what_only_tunes_is_left_out_and_told() -> None:
    assert changed(seed=0, logit_bias={"1": 2}, frequency_penalty=0, presence_penalty=0.5, odd=1, metadata={}) == (
        "logit_bias",
        "odd",
        "presence_penalty",
        "seed",
    )


def test_members_that_the_target_lacks_are_left_out() -> None:
    members = {"messages": msgspec.Raw(json.dumps([HI]).encode()), "temperature": msgspec.Raw(b"0.3")}
    ask = Ask(
        members=members, model="m", stream=False, output_tokens=5, target="t", unsupported=("temperature", "seed")
    )
    said = AnthropicVoice().request(ask)
    assert "temperature" not in json.loads(said.request.body)
    assert said.changed == ("temperature",)


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"functions": []}, "functions"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"tools": [{"type": "custom"}]}, "tools[0]"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "some"}, "tool_choice"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x/a"}}]}]},
         "messages[0].content[0]"),
        ({"messages": [{"role": "function", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "assistant", "function_call": {"name": "f"}}]}, "messages[0]"),
    ],
)  # fmt: skip
def test_what_would_change_the_meaning_is_refused_with_its_place(given: dict[str, Any], path: str) -> None:
    with pytest.raises(WardwrightError) as refused:
        spoken(**given)
    assert refused.value.code == "unsupported_capability"
    assert refused.value.place is not None
    assert refused.value.place.path == path


@pytest.mark.parametrize(
    "given",
    [
        {"messages": 7},
        {"messages": [{"role": "system", "content": "alone"}]},
        {"messages": [HI, {"role": "tool", "content": "x"}]},
        {"temperature": "warm"},
        {"reasoning_effort": "heroic"},
    ],
)
def test_what_is_no_request_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(WardwrightError) as refused:
        spoken(**given)
    assert refused.value.code == "invalid_request"


def test_values_that_say_nothing_are_admitted() -> None:
    assert body(n=1, logprobs=False, modalities=["text"], stop=None, response_format={"type": "text"}) == body()


def test_embeddings_are_refused() -> None:
    with pytest.raises(WardwrightError, match="embeddings"):
        AnthropicVoice().request(
            Ask(kind="embeddings", members={}, model="m", stream=False, output_tokens=1, target="t")
        )


def test_thinking_survives_the_way_to_the_client_and_back_to_the_same_target_alone() -> None:
    stream = up.start() + up.thinking(0, "sig==", "hé ", "hm") + up.redacted(1, "cipher") + up.tool(2, "toolu_1", "f")
    reader = AnthropicVoice().reader(Identity("i", "m", 1), stream=True, include_usage=False, headers=[], target=TARGET)
    message = sdk_oracles.completion(reader.feed(stream + up.end("tool_use")) + reader.close()).choices[0].message
    messages = [HI, message.to_dict(), result("toolu_1")]
    same = body(messages=messages, reasoning_effort="low")
    assert same["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "hé hm", "signature": "sig=="},
        {"type": "redacted_thinking", "data": "cipher"},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
    ]
    assert same["thinking"]["type"] == "enabled"
    other = spoken(messages=messages, target="coding/other")
    assert b"sig==" not in other.request.body
    assert b"cipher" not in other.request.body
    assert other.changed == ("foreign_reasoning",)
    assert mark_of(TARGET).encode() not in other.request.body
