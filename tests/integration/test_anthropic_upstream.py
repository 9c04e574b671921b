"""A provider that speaks Anthropic's Messages behind the gateway, OpenAI's client in front of it.

The fake provider is held to Anthropic's own client first, and refuses the requests that the real one refuses.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from anthropic.types import MessageParam, ToolUseBlockParam
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam, ChatCompletionToolParam

from parts import anthropic_server, installation, upstream
from parts import openai_answers as answers
from parts.anthropic_server import HIDDEN, KEY, MODEL, SEAL, THOUGHT, Turn, strictly
from parts.installation import Served, model, provider, target
from parts.messages_stream import end, event, start, text
from parts.upstream import EVENTS, Reply, Upstream

HELLO: list[ChatCompletionMessageParam] = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Hello, 世界"},
]
WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells the weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
TURNS = {
    "text": Turn("Hello back, 世界"),
    "thinking": Turn("Hello back", thinks=True),
    "tools": Turn(
        "Let me look.",
        calls=(("toolu_01", "weather", {"city": "Oslo"}), ("toolu_02", "weather", {"city": "Rome"})),
        stop_reason="tool_use",
    ),
    "bare-tool": Turn(calls=(("toolu_03", "weather", {}),), stop_reason="tool_use"),
    "cut": Turn("Hello ba", stop_reason="max_tokens"),
    "refusal": Turn("I cannot", stop_reason="refusal"),
}
TURN_LIMIT = 3


@pytest.fixture(scope="module")
def far() -> Iterator[Upstream]:
    with upstream.running() as server:
        yield server


@pytest.fixture(scope="module")
def near(far: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    claude = target(
        MODEL,
        "anthropic",
        context_window="200K",
        price={"input": "3", "cached_input": "0.3", "cache_write": "3.75", "output": "15"},
    )
    made = installation.at(
        tmp_path_factory.mktemp("anthropic"),
        provider("anthropic", far.base_url, dialect="anthropic", credential="env:ANTHROPIC_TEST_KEY"),
        provider("other", far.base_url),
        model("claude", claude),
        model("mixed", claude, target("able", "other"), route={"alloy": {
            "strategy": "round_robin", "members": [MODEL, "able"]}}),
        model("falls", target("overloaded", "anthropic"), target("able", "other")),
        *(model(f"fails-{name}", target(f"fails-{name}", "anthropic")) for name in FAILURES),
    )  # fmt: skip
    with made.serving(env={"ANTHROPIC_TEST_KEY": KEY}) as served:
        yield served


@pytest.fixture(scope="module")
def client(near: Served) -> openai.OpenAI:
    return near.client()


# The fake, judged by Anthropic's own client


@pytest.mark.parametrize("name", TURNS)
def test_the_fake_sends_what_the_providers_own_client_reads(far: Upstream, name: str) -> None:
    turn = TURNS[name]
    far.on(MODEL, strictly(turn))
    ask: dict[str, Any] = {"model": MODEL, "max_tokens": 64, "messages": [{"role": "user", "content": [
        {"type": "text", "text": "Hi"}]}]}  # fmt: skip
    with anthropic.Anthropic(base_url=far.base_url.removesuffix("/v1"), api_key=KEY, max_retries=0) as direct:
        whole = direct.messages.create(**ask)
        with direct.messages.stream(**ask) as stream:
            streamed = stream.get_final_message()
    for message in (whole, streamed):
        assert [block.to_dict(exclude_none=True) for block in message.content] == [
            _plain(block) for block in turn.blocks()
        ]
        assert message.stop_reason == turn.stop_reason
        assert message.usage.output_tokens == 15
        assert message.usage.cache_read_input_tokens == 4


def _plain(block: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in block.items() if value is not None}


def test_the_fake_refuses_what_the_provider_refuses(far: Upstream) -> None:
    far.on(MODEL, strictly(TURNS["text"]))
    bare = far.base_url.removesuffix("/v1")
    hello: MessageParam = {"role": "user", "content": [{"type": "text", "text": "Hi"}]}
    with (
        anthropic.Anthropic(base_url=bare, api_key="wrong", max_retries=0) as stranger,
        pytest.raises(anthropic.AuthenticationError),
    ):
        stranger.messages.create(model=MODEL, max_tokens=8, messages=[hello])
    call: ToolUseBlockParam = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}
    with (
        anthropic.Anthropic(base_url=bare, api_key=KEY, max_retries=0) as direct,
        pytest.raises(anthropic.BadRequestError, match="without `tool_result`"),
    ):
        direct.messages.create(
            model=MODEL, max_tokens=8, messages=[hello, {"role": "assistant", "content": [call]}, hello]
        )


# The gateway between


def complete(client: openai.OpenAI, *, stream: bool, **ask: Any) -> openai.types.chat.ChatCompletion:
    """An answer, asked for whole or gathered by the SDK from its stream."""
    if not stream:
        answer: openai.types.chat.ChatCompletion = client.chat.completions.create(**ask)
        return answer
    with client.chat.completions.stream(**ask, stream_options={"include_usage": True}) as pieces:
        for _ in pieces:
            pass
        return pieces.current_completion_snapshot


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("name", "finish"),
    [("text", "stop"), ("tools", "tool_calls"), ("bare-tool", "tool_calls"), ("cut", "length"),
     ("refusal", "content_filter")],
)  # fmt: skip
def test_every_ending_and_every_kind_of_block_reads_as_openais(
    far: Upstream, near: Served, client: openai.OpenAI, name: str, finish: str, stream: bool
) -> None:
    turn = TURNS[name]
    far.on(MODEL, strictly(turn))
    answer = complete(client, stream=stream, model="claude", messages=HELLO, tools=[WEATHER])
    message = answer.choices[0].message
    assert (message.content or "") == turn.text
    assert answer.choices[0].finish_reason == finish
    assert [
        (call.id, call.function.name, json.loads(call.function.arguments))
        for call in message.tool_calls or []
        if call.type == "function"
    ] == list(turn.calls)
    assert (answer.model, answer.object) == ("claude", "chat.completion")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (32, 15)
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens == 4


def test_the_request_reads_as_anthropics(far: Upstream, client: openai.OpenAI) -> None:
    far.on(MODEL, strictly(TURNS["text"]))
    client.chat.completions.create(
        model="claude",
        messages=HELLO,
        tools=[WEATHER],
        tool_choice="required",
        parallel_tool_calls=False,
        max_tokens=99,
        temperature=0.5,
        stop=["END"],
        user="someone",
    )
    asked = far.last(MODEL)
    assert (asked.path, asked.headers["anthropic-version"]) == ("/v1/messages", "2023-06-01")
    assert "authorization" not in asked.headers
    body = asked.body
    assert body["system"] == [{"type": "text", "text": "Be kind."}]
    assert body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Hello, 世界"}]}]
    assert body["tools"][0]["name"] == "weather"
    assert body["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}
    assert (body["max_tokens"], body["temperature"], body["stop_sequences"]) == (99, 0.5, ["END"])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_tool_loop_goes_there_and_back(far: Upstream, near: Served, client: openai.OpenAI, stream: bool) -> None:
    far.on(MODEL, strictly(TURNS["tools"]), strictly(Turn("It rains in both.")))
    messages = list(HELLO)
    first = complete(client, stream=stream, model="claude", messages=messages, tools=[WEATHER])
    calls = first.choices[0].message.tool_calls
    assert calls is not None
    messages.append(first.choices[0].message.to_dict())  # type: ignore[arg-type]
    messages += [{"role": "tool", "tool_call_id": call.id, "content": f"rain {call.id}"} for call in calls]
    second = complete(client, stream=stream, model="claude", messages=messages, tools=[WEATHER])
    assert second.choices[0].message.content == "It rains in both."
    assert far.last(MODEL).body["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Let me look."},
                {"type": "tool_use", "id": "toolu_01", "name": "weather", "input": {"city": "Oslo"}},
                {"type": "tool_use", "id": "toolu_02", "name": "weather", "input": {"city": "Rome"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_01", "content": "rain toolu_01"},
                {"type": "tool_result", "tool_use_id": "toolu_02", "content": "rain toolu_02"},
            ],
        },
    ]
    assert near.receipt(second.id).attempts[0].changed == ()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_sealed_thinking_goes_back_as_it_came(far: Upstream, near: Served, client: openai.OpenAI, stream: bool) -> None:
    far.on(MODEL, strictly(TURNS["thinking"]), strictly(Turn("Again")))
    messages = list(HELLO)
    first = complete(client, stream=stream, model="claude", messages=messages, reasoning_effort="low", max_tokens=4096)
    message = first.choices[0].message.to_dict()
    assert far.last(MODEL).body["thinking"] == {"type": "adaptive"}
    assert message["reasoning_content"] == THOUGHT
    messages += [message, {"role": "user", "content": "And now?"}]  # type: ignore[list-item]
    complete(client, stream=stream, model="claude", messages=messages, max_tokens=4096)
    assert far.last(MODEL).body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": THOUGHT, "signature": SEAL},
        {"type": "redacted_thinking", "data": HIDDEN},
        {"type": "text", "text": "Hello back"},
    ]
    receipt = near.receipt(first.id)
    assert receipt.client.reasoning_chars == len(THOUGHT)


def test_sealed_thinking_stays_with_the_member_of_the_alloy_that_sealed_it(
    far: Upstream, near: Served, client: openai.OpenAI
) -> None:
    call = (("toolu_01", "weather", {"city": "Oslo"}),)
    thinks = Turn("Hm.", thinks=True, calls=call, stop_reason="tool_use")
    far.on(MODEL, strictly(thinks), strictly(Turn("It rains.")))
    far.on(
        "able",
        answers.whole(
            {"role": "assistant", "content": None, "tool_calls": [answers.call("call_x", "weather", "{}")]},
            finish="tool_calls",
        ),
    )
    messages = list(HELLO)
    answered = []
    for _ in range(TURN_LIMIT):
        answer = client.chat.completions.create(model="mixed", messages=messages, tools=[WEATHER], max_tokens=4096)
        answered.append(near.receipt(answer.id))
        message = answer.choices[0].message
        messages.append(message.to_dict())  # type: ignore[arg-type]
        messages += [{"role": "tool", "tool_call_id": one.id, "content": "rain"} for one in message.tool_calls or []]
    assert [receipt.selected.target for receipt in answered if receipt.selected] == [MODEL, "able", MODEL]
    other = json.dumps(far.last("able").body)
    assert SEAL not in other
    assert HIDDEN not in other
    assert answered[1].attempts[0].changed == ("foreign_reasoning",)
    again = far.last(MODEL).body["messages"][1]["content"]
    assert {"type": "thinking", "thinking": THOUGHT, "signature": SEAL} in again
    assert answered[2].attempts[0].changed == ()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_every_class_of_usage_is_told_and_paid_for_apart(
    far: Upstream, near: Served, client: openai.OpenAI, stream: bool
) -> None:
    far.on(MODEL, strictly(TURNS["text"]))
    receipt = near.receipt(complete(client, stream=stream, model="claude", messages=HELLO).id)
    usage = receipt.usage
    assert (usage.input, usage.cached_input, usage.cache_write, usage.output) == (25, 4, 3, 15)
    assert receipt.cost_nano_usd == 25 * 3000 + 4 * 300 + 3 * 3750 + 15 * 15_000
    assert receipt.usage_source == "reported"
    assert receipt.attempts[0].upstream_model == MODEL
    assert receipt.attempts[0].upstream_id == "msg_1"


def test_a_stream_arrives_as_it_is_written(far: Upstream, client: openai.OpenAI) -> None:
    pieces = [start(), *(event("content_block_delta", index=0, delta={"type": "text_delta", "text": f"{n} "})
                         for n in range(6))]  # fmt: skip
    opening = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    closing = event("content_block_stop", index=0) + end()
    far.on(MODEL, strictly(Reply((pieces[0] + opening, *pieces[1:], closing), headers=EVENTS, gap_s=0.3)))
    arrived = [
        time.monotonic()
        for chunk in client.chat.completions.create(model="claude", messages=HELLO, stream=True)
        if chunk.choices and chunk.choices[0].delta.content
    ]
    assert len(arrived) == 6
    assert arrived[-1] - arrived[0] > 0.8


FAILURES: dict[str, tuple[Reply, int, str]] = {
    "overloaded": (anthropic_server.error(529, "overloaded_error", "Overloaded"), 502, "upstream_failed"),
    "limited": (
        anthropic_server.error(429, "rate_limit_error", "Slow down", (("retry-after", "7"),)),
        429,
        "upstream_rate_limited",
    ),
    "invalid": (anthropic_server.error(400, "invalid_request_error", "tools.0: bad"), 400, "upstream_rejected"),
    "too-long": (
        anthropic_server.error(400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
        400,
        "context_length_exceeded",
    ),
    "broke": (
        anthropic_server.error(400, "invalid_request_error", "Your credit balance is too low to access the API"),
        502,
        "upstream_credentials",
    ),
    "forbidden": (anthropic_server.error(403, "permission_error", "No."), 502, "upstream_credentials"),
    "absent": (anthropic_server.error(404, "not_found_error", "model: nothing"), 502, "upstream_failed"),
    "internal": (anthropic_server.error(500, "api_error", "Internal server error"), 502, "upstream_failed"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_each_refusal_of_the_provider_has_its_code_here(
    far: Upstream, near: Served, client: openai.OpenAI, name: str
) -> None:
    reply, status, code = FAILURES[name]
    far.on(f"fails-{name}", reply)
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model=f"fails-{name}", messages=HELLO)
    assert (caught.value.status_code, caught.value.code) == (status, code)
    assert "credit" not in caught.value.message
    if name == "limited":
        assert caught.value.response.headers["retry-after"] == "7"


def test_an_overloaded_provider_is_followed_by_the_next(far: Upstream, near: Served, client: openai.OpenAI) -> None:
    far.on("overloaded", anthropic_server.error(529, "overloaded_error", "Overloaded"))
    far.on("able", answers.whole("from the other"))
    answer = client.chat.completions.create(model="falls", messages=HELLO)
    assert answer.choices[0].message.content == "from the other"
    assert [attempt.failure for attempt in near.receipt(answer.id).attempts] == ["overloaded", None]


def test_what_the_dialect_cannot_say_goes_to_a_target_that_can(
    far: Upstream, near: Served, client: openai.OpenAI
) -> None:
    far.on("able", answers.whole("left", "right"))
    before = len(far.of("overloaded"))
    answer = client.chat.completions.create(model="falls", messages=HELLO, n=2)
    assert [choice.message.content for choice in answer.choices] == ["left", "right"]
    assert len(far.of("overloaded")) == before
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="claude", messages=HELLO, n=2)


def test_an_error_inside_the_stream_is_an_error_and_never_an_end(
    far: Upstream, near: Served, client: openai.OpenAI
) -> None:
    broken = event("error", error={"type": "overloaded_error", "message": "Overloaded"})
    far.on(MODEL, Reply((start(), text(0, "Hello ")[:-60], broken), headers=EVENTS))
    stream = client.chat.completions.create(model="claude", messages=HELLO, stream=True)
    seen: list[ChatCompletionChunk] = []
    with pytest.raises(openai.APIError) as caught:
        seen.extend(stream)
    assert caught.value.code == "upstream_unavailable"
    assert all(chunk.choices[0].finish_reason is None for chunk in seen)


@pytest.mark.parametrize("ending", ["cut", "reset"])
def test_a_stream_that_ends_early_is_an_error_and_never_an_end(
    far: Upstream, client: openai.OpenAI, ending: Any
) -> None:
    far.on(MODEL, Reply((start(), text(0, "Hello ")), headers=EVENTS, ending=ending))
    stream = client.chat.completions.create(model="claude", messages=HELLO, stream=True)
    seen: list[ChatCompletionChunk] = []
    with pytest.raises(openai.APIError, match=r"broke off|ended before"):
        seen.extend(stream)
    assert all(chunk.choices[0].finish_reason is None for chunk in seen)


def test_a_client_that_leaves_ends_the_providers_work(far: Upstream, near: Served, client: openai.OpenAI) -> None:
    far.on(MODEL, Reply((start(), text(0, "Hello ")), headers=EVENTS, ending="stall"))
    before = len(far.left)
    stream = client.chat.completions.create(model="claude", messages=HELLO, stream=True)
    first = next(stream)
    stream.close()
    far.wait_until(lambda: len(far.left) > before)
    receipt = near.receipt(first.id)
    assert (receipt.status, receipt.client.upstream) == ("client_left", "cancelled")
    assert receipt.usage.input_total > 0
