"""The real inference server is what the other integration tests take it for."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from parts import llama_server, tiny_gguf
from parts.llama_server import MODEL, LlamaServer

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello, 世界"}]
WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "enum": ["Oslo", "Rome"]}},
            "required": ["city"],
        },
    },
}


@pytest.fixture
def client(llama: LlamaServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=llama.base_url, api_key="unused", max_retries=0, timeout=20) as client:
        yield client


def test_a_whole_answer_has_text_and_usage(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=12, temperature=0)
    assert answer.choices[0].finish_reason == "length"
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 12


def test_a_streamed_answer_arrives_in_pieces_and_says_the_same(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=12, temperature=0)
    with client.chat.completions.create(
        model=MODEL, messages=HELLO, max_tokens=12, temperature=0, stream=True, stream_options={"include_usage": True}
    ) as stream:
        chunks = list(stream)
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert len([piece for piece in pieces if piece]) > 5
    assert "".join(pieces) == whole.choices[0].message.content
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 12


def test_a_tool_call_is_made_when_it_is_required(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL,
        messages=HELLO,
        tools=[WEATHER],
        tool_choice="required",
        parallel_tool_calls=False,
        logit_bias=tiny_gguf.CALL_A_TOOL,
        max_tokens=200,
    )
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls is not None
    (call,) = choice.message.tool_calls
    assert call.type == "function"
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments)["city"] in {"Oslo", "Rome"}


def test_a_streamed_tool_call_concatenates_to_json(client: openai.OpenAI) -> None:
    arguments = ""
    reasons: list[str] = []
    with client.chat.completions.create(
        model=MODEL,
        messages=HELLO,
        tools=[WEATHER],
        tool_choice="required",
        parallel_tool_calls=False,
        logit_bias=tiny_gguf.CALL_A_TOOL,
        max_tokens=200,
        stream=True,
    ) as stream:
        for chunk in stream:
            for choice in chunk.choices:
                reasons += [choice.finish_reason] if choice.finish_reason else []
                for call in choice.delta.tool_calls or []:
                    arguments += (call.function and call.function.arguments) or ""
    assert json.loads(arguments)["city"] in {"Oslo", "Rome"}
    assert reasons == ["tool_calls"]


def test_embeddings_have_the_width_of_the_model(client: openai.OpenAI) -> None:
    answer = client.embeddings.create(model=MODEL, input=["one", "two"], encoding_format="float")
    assert [len(item.embedding) for item in answer.data] == [tiny_gguf.WIDTH, tiny_gguf.WIDTH]


def test_a_prompt_that_does_not_fit_is_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="exceeds the available context size"):
        client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "x" * (tiny_gguf.CONTEXT_TOKENS + 1)}]
        )


def test_it_stops_working_for_a_client_that_left(tmp_path: Path) -> None:
    with (
        llama_server.running(tmp_path, slots=1, context_tokens=32_768) as server,
        openai.OpenAI(base_url=server.base_url, api_key="unused", max_retries=0, timeout=20) as client,
    ):
        stream = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=32_000, stream=True)
        next(iter(stream))
        busy = server.running_requests()
        stream.close()
        asked_at = time.monotonic()
        client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=1)
        waited_s = time.monotonic() - asked_at
    assert busy == 1
    assert waited_s < 2.0
