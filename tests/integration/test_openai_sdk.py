"""The official Python client against a running gateway: what it parses, accumulates and raises.

The upstream answers what each test wrote down, so that every member of the answer is known.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections.abc import Iterator

import openai
import pytest
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam, ChatCompletionToolParam
from openai.types.shared_params.response_format_json_schema import JSONSchema

from parts import installation, upstream
from parts import openai_answers as answers
from parts.installation import Served, model, provider, target
from parts.upstream import Reply, Upstream

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello, 世界"}]
WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


@pytest.fixture(scope="module")
def far() -> Iterator[Upstream]:
    with upstream.running() as server:
        yield server


@pytest.fixture(scope="module")
def near(far: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = installation.at(
        tmp_path_factory.mktemp("openai-sdk"),
        provider("far", far.base_url),
        provider("plain", far.base_url, stream_options=False),
        model("chat", target("able", "far")),
        model("unasked", target("able", "plain")),
        model("narrow", target("small", "far", context_window=64), route="small"),
        model("limited", target("limited", "far"), route="limited"),
        model("deaf", target("no-tools", "far", capabilities=["json_object"]), route="no-tools"),
        model("locked", target("able", "far", labels=["hosted"]), restrict=["local"]),
        model("exposed", target("able", "far"), expose_selected_model=True),
    )
    with made.serving() as served:
        yield served


@pytest.fixture(scope="module")
def client(near: Served) -> openai.OpenAI:
    return near.client()


def test_a_whole_answer_carries_the_name_asked_for_the_receipt_and_the_reported_usage(
    far: Upstream, near: Served, client: openai.OpenAI
) -> None:
    far.on("able", answers.whole("Hello back, 世界"))
    raw = client.chat.completions.with_raw_response.create(model="wardwright/chat", messages=HELLO, temperature=0.2)
    answer = raw.parse()
    assert answer.choices[0].message.content == "Hello back, 世界"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "wardwright/chat"
    assert answer.id == f"chatcmpl-{raw.headers['x-wardwright-receipt-id']}"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (21, 7, 28)
    assert far.last("able").body == {"model": "able", "messages": HELLO, "temperature": 0.2}
    receipt = near.receipt(answer.id)
    assert (receipt.request.model, receipt.client.text_chars) == ("wardwright/chat", len("Hello back, 世界"))
    assert receipt.attempts[0].upstream_model == "upstream-model-0613"
    assert (receipt.usage.input, receipt.usage.cached_input, receipt.usage.output, receipt.usage.reasoning) == (
        16, 5, 5, 2,
    )  # fmt: skip


def test_a_stream_arrives_as_it_is_written_under_one_identity(far: Upstream, client: openai.OpenAI) -> None:
    far.on("able", answers.words("one two three four five", gap_s=0.2))
    arrived: list[float] = []
    chunks = []
    with client.chat.completions.create(model="chat", messages=HELLO, stream=True) as stream:
        for chunk in stream:
            chunks.append(chunk)
            if chunk.choices and chunk.choices[0].delta.content:
                arrived.append(time.monotonic())
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "one two three four five "
    assert len(arrived) == 5
    assert arrived[-1] - arrived[0] > 0.2
    assert chunks[0].choices[0].delta.role == "assistant"
    assert {(chunk.id, chunk.model, chunk.created) for chunk in chunks} == {(chunks[0].id, "chat", chunks[0].created)}
    assert chunks[0].id.startswith("chatcmpl-rcp_")
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["stop"]


def test_a_stream_that_trickles_over_a_second_is_not_gathered_first(far: Upstream, client: openai.OpenAI) -> None:
    far.on("able", answers.words("a b c d e f", gap_s=0.2))
    asked_at = time.monotonic()
    with client.chat.completions.create(model="chat", messages=HELLO, stream=True) as stream:
        arrived = [time.monotonic() - asked_at for chunk in stream if chunk.choices and chunk.choices[0].delta.content]
    assert arrived[-1] > 1.0
    assert arrived[0] < arrived[-1] - 0.5
    assert statistics.median(later - earlier for earlier, later in itertools.pairwise(arrived)) > 0.1


def test_usage_streams_when_it_is_asked_for(far: Upstream, client: openai.OpenAI) -> None:
    far.on("able", answers.words("one two"))
    chunks = list(
        client.chat.completions.create(
            model="chat", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 28
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_usage_that_nobody_asked_for_goes_to_the_receipt_alone(
    far: Upstream, near: Served, client: openai.OpenAI
) -> None:
    far.on("able", answers.words("one two"))
    chunks = list(client.chat.completions.create(model="chat", messages=HELLO, stream=True))
    assert far.last("able").body["stream_options"] == {"include_usage": True}
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)
    assert near.receipt(chunks[0].id).usage_source == "reported"


def test_a_provider_that_does_not_know_stream_options_is_not_sent_them(
    far: Upstream, near: Served, client: openai.OpenAI
) -> None:
    silent = answers.words("one two").pieces
    far.on("able", Reply((*silent[:-2], silent[-1]), headers=upstream.EVENTS))
    chunks = list(client.chat.completions.create(model="unasked", messages=HELLO, stream=True))
    assert "stream_options" not in far.last("able").body
    receipt = near.receipt(chunks[0].id)
    assert receipt.usage_source == "estimated"
    assert receipt.usage.output > 0


def test_the_sdks_accumulator_rebuilds_parallel_tool_calls_from_interleaved_fragments(
    far: Upstream, near: Served, client: openai.OpenAI
) -> None:
    far.on(
        "able",
        answers.stream(
            [
                answers.delta({"tool_calls": [answers.call("call_a", "weather", "", 0)]}),
                answers.delta({"tool_calls": [answers.call("call_b", "weather", '{"ci', 1)]}),
                answers.delta({"tool_calls": [{"index": 0, "function": {"arguments": '{"city": '}}]}),
                answers.delta(
                    {
                        "tool_calls": [
                            {"index": 1, "function": {"arguments": 'ty": "Rome"}'}},
                            {"index": 0, "function": {"arguments": '"Oslo"}'}},
                        ]
                    }
                ),
            ],
            finish="tool_calls",
        ),
    )
    with client.chat.completions.stream(model="chat", messages=HELLO, tools=[WEATHER]) as stream:
        deltas = [event for event in stream if event.type == "tool_calls.function.arguments.delta"]
        final = stream.get_final_completion()
    calls = final.choices[0].message.tool_calls
    assert calls is not None
    assert [(call.id, call.function.name, call.function.arguments) for call in calls] == [
        ("call_a", "weather", '{"city": "Oslo"}'),
        ("call_b", "weather", '{"city": "Rome"}'),
    ]
    assert final.choices[0].finish_reason == "tool_calls"
    assert len(deltas) >= 4
    receipt = near.receipt(final.id)
    assert (receipt.client.tool_calls, receipt.client.argument_chars) == (2, 32)
    assert receipt.facts is not None
    assert receipt.facts.capabilities == ("tools",)


def test_a_whole_answer_carries_parallel_tool_calls(far: Upstream, client: openai.OpenAI) -> None:
    calls = [answers.call("call_a", "weather", '{"city":"Oslo"}'), answers.call("call_b", "weather", "{}")]
    far.on("able", answers.whole({"role": "assistant", "content": None, "tool_calls": calls}, finish="tool_calls"))
    answer = client.chat.completions.create(
        model="chat", messages=HELLO, tools=[WEATHER], tool_choice="required", parallel_tool_calls=True
    )
    made = answer.choices[0].message.tool_calls
    assert made is not None
    assert [call.id for call in made] == ["call_a", "call_b"]
    body = far.last("able").body
    assert (body["tools"], body["tool_choice"], body["parallel_tool_calls"]) == ([WEATHER], "required", True)


def test_two_choices_come_whole_and_streamed(far: Upstream, client: openai.OpenAI) -> None:
    far.on("able", answers.whole("left", "right"))
    whole = client.chat.completions.create(model="chat", messages=HELLO, n=2)
    assert [choice.message.content for choice in whole.choices] == ["left", "right"]
    pieces = [(1, "ri"), (0, "le"), (1, "ght"), (0, "ft")]
    far.on(
        "able",
        answers.stream((answers.delta({"content": text}, index=index) for index, text in pieces), choices=2),
    )
    with client.chat.completions.stream(model="chat", messages=HELLO, n=2) as stream:
        final = stream.get_final_completion()
    assert [choice.message.content for choice in final.choices] == ["left", "right"]
    assert [choice.finish_reason for choice in final.choices] == ["stop", "stop"]


def test_logprobs_come_whole_and_streamed(far: Upstream, client: openai.OpenAI) -> None:
    told = {"content": [{"token": "hi", "bytes": [104, 105], "logprob": -0.25, "top_logprobs": []}], "refusal": None}
    far.on("able", answers.whole("hi", logprobs=told))
    whole = client.chat.completions.create(model="chat", messages=HELLO, logprobs=True, top_logprobs=2)
    assert whole.choices[0].logprobs is not None
    assert whole.choices[0].logprobs.content is not None
    assert whole.choices[0].logprobs.content[0].logprob == -0.25
    far.on("able", answers.stream([answers.delta({"content": "hi"}, logprobs=told)]))
    with client.chat.completions.stream(model="chat", messages=HELLO, logprobs=True) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].logprobs is not None
    assert final.choices[0].logprobs.content is not None
    assert final.choices[0].logprobs.content[0].token == "hi"


def test_a_refusal_is_not_taken_for_an_answer(far: Upstream, client: openai.OpenAI) -> None:
    far.on("able", answers.stream([answers.delta({"refusal": "I will "}), answers.delta({"refusal": "not."})]))
    with client.chat.completions.stream(model="chat", messages=HELLO) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.refusal == "I will not."
    assert not final.choices[0].message.content


def test_a_schema_for_the_answer_reaches_the_upstream_and_its_answer_parses(
    far: Upstream, client: openai.OpenAI
) -> None:
    schema: JSONSchema = {
        "name": "city",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    }
    far.on("able", answers.whole('{"city": "Oslo"}'))
    answer = client.chat.completions.create(
        model="chat",
        messages=HELLO,
        response_format={"type": "json_schema", "json_schema": schema},
    )
    assert answer.choices[0].message.content == '{"city": "Oslo"}'
    assert far.last("able").body["response_format"] == {"type": "json_schema", "json_schema": schema}


def test_members_that_nobody_knows_reach_the_upstream(far: Upstream, client: openai.OpenAI) -> None:
    far.on("able", answers.whole("ok"))
    odd = {"min_p": 0.05, "guided_regex": "[a-z]+", "nested": {"deep": [1, 2.5, None, "世"]}, "seed": 7, "best_of": 1}
    client.chat.completions.create(model="chat", messages=HELLO, extra_body=odd)
    body = far.last("able").body
    assert {name: body[name] for name in odd} == odd


def test_every_documented_sampling_member_reaches_the_upstream(far: Upstream, client: openai.OpenAI) -> None:
    far.on("able", answers.whole("ok"))
    client.chat.completions.create(
        model="chat",
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        ],
        frequency_penalty=0.5,
        logit_bias={"50256": -100},
        max_completion_tokens=64,
        metadata={"topic": "test"},
        presence_penalty=-0.5,
        reasoning_effort="low",
        seed=11,
        service_tier="auto",
        stop=["\n\n", "END"],
        temperature=1.25,
        top_p=0.9,
        user="someone",
    )
    body = far.last("able").body
    assert body.keys() == {
        "model", "messages", "frequency_penalty", "logit_bias", "max_completion_tokens", "metadata",
        "presence_penalty", "reasoning_effort", "seed", "service_tier", "stop", "temperature", "top_p", "user",
    }  # fmt: skip
    assert body["stop"] == ["\n\n", "END"]
    assert body["messages"][1]["content"] == [{"type": "text", "text": "hi"}]


def test_the_callers_key_and_headers_stay_here(far: Upstream, near: Served) -> None:
    far.on("able", answers.whole("ok"))
    client = near.client("sk-of-the-caller", organization="org-of-the-caller", default_headers={"x-team": "secret"})
    client.chat.completions.create(model="chat", messages=HELLO)
    headers = far.last("able").headers
    told = " ".join(f"{name}: {value}" for name, value in headers.items())
    assert "of-the-caller" not in told
    assert "secret" not in told
    assert "x-stainless-lang" not in headers


def test_embeddings_pass_through_with_a_receipt(far: Upstream, near: Served, client: openai.OpenAI) -> None:
    far.on(
        "able",
        Reply(
            (
                b"""{"object": "list", "model": "upstream-model", "usage": {"prompt_tokens": 3, "total_tokens": 3},
                "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -0.25]}]}""",
            )
        ),
    )
    raw = client.embeddings.with_raw_response.create(
        model="chat", input=["some text"], dimensions=2, encoding_format="float"
    )
    answer = raw.parse()
    assert answer.data[0].embedding == [0.5, -0.25]
    assert answer.model == "chat"
    asked = far.last("able")
    assert asked.path == "/v1/embeddings"
    assert asked.body == {"model": "able", "input": ["some text"], "dimensions": 2, "encoding_format": "float"}
    receipt = near.receipt(raw.headers["x-wardwright-receipt-id"])
    assert (receipt.request.kind, receipt.status, receipt.usage.input) == ("embeddings", "completed", 3)


def test_models_are_listed_and_shown_flat_and_prefixed(client: openai.OpenAI) -> None:
    names = {entry.id for entry in client.models.list()}
    assert {"chat", "wardwright/chat", "narrow", "wardwright/narrow"} <= names
    assert not names & {"able", "far", "small"}
    for name in ("chat", "wardwright/chat"):
        shown = client.models.retrieve(name)
        assert (shown.id, shown.object) == (name, "model")


def test_the_selected_model_is_told_only_where_the_contract_exposes_it(far: Upstream, client: openai.OpenAI) -> None:
    far.on("able", answers.whole("ok"))
    hidden = client.chat.completions.with_raw_response.create(model="chat", messages=HELLO)
    shown = client.chat.completions.with_raw_response.create(model="exposed", messages=HELLO)
    assert "x-wardwright-selected-model" not in hidden.headers
    assert shown.headers["x-wardwright-selected-model"] == "far/able"


# Errors: their class is what a user's code switches on, their code what it may look at.


def test_a_request_that_is_no_request_is_a_bad_request(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="chat", messages="not a list")  # type: ignore[arg-type]
    assert (caught.value.code, caught.value.type) == ("invalid_request", "invalid_request_error")
    assert caught.value.param == "messages"


def test_an_unknown_name_is_not_found_and_the_nearest_is_named(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="did you mean `exposed`") as caught:
        client.chat.completions.create(model="wardwright/exposd", messages=HELLO)
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nothing-like-it")


def test_a_prompt_that_fits_nowhere_is_a_bad_request_naming_the_largest_window(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="is 64 tokens; it needs") as caught:
        client.chat.completions.create(model="narrow", messages=HELLO, max_tokens=100)
    assert caught.value.code == "context_length_exceeded"


def test_a_capability_that_no_target_has_is_a_bad_request(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="tools") as caught:
        client.chat.completions.create(model="deaf", messages=HELLO, tools=[WEATHER])
    assert caught.value.code == "unsupported_capability"


def test_a_route_without_a_target_is_permission_denied_and_not_to_be_retried(far: Upstream, near: Served) -> None:
    with pytest.raises(openai.PermissionDeniedError) as caught:
        near.client(max_retries=2).chat.completions.create(model="locked", messages=HELLO)
    assert caught.value.code == "route_refused"
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert "hosted" not in caught.value.message
    assert "able" not in caught.value.message
    assert len(near.receipts(model="locked")) == 1


def test_an_upstreams_rate_limit_is_a_rate_limit_with_its_patience(far: Upstream, client: openai.OpenAI) -> None:
    far.on("limited", answers.error(429, "slow down", headers=(("retry-after", "20"),)))
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="limited", messages=HELLO)
    assert caught.value.code == "upstream_rate_limited"
    assert caught.value.response.headers["retry-after"] == "20"
    with pytest.raises(openai.RateLimitError):
        client.chat.completions.create(model="limited", messages=HELLO)
    assert len(far.of("limited")) == 1, "a target that asked for quiet was called again"


@pytest.mark.parametrize(
    ("reply", "status", "code"),
    [
        (answers.error(500, "boom"), 502, "upstream_failed"),
        (answers.error(401, "bad key sk-abcdefghijklmnop1234"), 502, "upstream_credentials"),
        (answers.error(422, "no such tool"), 400, "upstream_rejected"),
        (answers.error(400, "maximum context length is 8192 tokens"), 400, "context_length_exceeded"),
        (Reply(ending="reset"), 502, "upstream_failed"),
        (Reply((b"<html>busy</html>",)), 502, "upstream_failed"),
    ],
    ids=["500", "401", "422", "too-long", "reset", "html"],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_upstreams_failure_is_a_status_error_with_our_code(
    far: Upstream, near: Served, client: openai.OpenAI, reply: Reply, status: int, code: str, stream: bool
) -> None:
    far.on("able", reply)
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="chat", messages=HELLO, stream=stream)
    assert (caught.value.status_code, caught.value.code) == (status, code)
    assert "sk-abc" not in str(caught.value)
    receipt = near.receipt(caught.value.response.headers["x-wardwright-receipt-id"])
    assert (receipt.status, receipt.error, receipt.client.status) == ("failed", code, status)


def test_a_stream_that_breaks_off_is_an_error_and_never_an_end(
    far: Upstream, near: Served, client: openai.OpenAI
) -> None:
    cut = answers.words("one two three").pieces[:3]
    far.on("able", Reply(cut, headers=upstream.EVENTS, ending="reset"))
    seen: list[ChatCompletionChunk] = []
    stream = client.chat.completions.create(model="chat", messages=HELLO, stream=True)
    with pytest.raises(openai.APIError, match="broke off") as caught:
        seen.extend(stream)
    assert caught.value.code == "upstream_stream_broken"
    assert all(chunk.choices[0].finish_reason is None for chunk in seen)
    receipt = near.receipt(seen[0].id)
    assert (receipt.status, receipt.error) == ("failed", "upstream_stream_broken")
    assert receipt.client.text_chars == len("one two ")


def test_an_error_event_of_the_upstream_is_an_error_here(far: Upstream, client: openai.OpenAI) -> None:
    said = b'data: {"error": {"message": "the engine died", "type": "server_error"}}\n\n'
    far.on("able", Reply((*answers.words("one two").pieces[:2], said), headers=upstream.EVENTS))
    with pytest.raises(openai.APIError, match="the engine died") as caught:
        list(client.chat.completions.create(model="chat", messages=HELLO, stream=True))
    assert caught.value.code == "upstream_failed"


def test_an_sdk_that_retries_makes_a_new_call_that_names_the_one_before(far: Upstream, near: Served) -> None:
    far.on("able", answers.error(500, "boom"), answers.error(503, "still"), answers.whole("at last"))
    client = near.client(max_retries=2)
    answer = client.chat.completions.create(model="chat", messages=[{"role": "user", "content": "retry me"}])
    assert answer.choices[0].message.content == "at last"
    third = near.receipt(answer.id)
    assert third.request.retries == 2
    assert third.retry_of is not None
    second = near.receipt(third.retry_of)
    assert (second.request.retries, second.status) == (1, "failed")
    assert second.retry_of is not None
    assert near.receipt(second.retry_of).request.retries == 0


def test_the_async_client_sees_the_same(far: Upstream, near: Served) -> None:
    far.on("able", answers.whole("whole"), answers.words("in pieces"), answers.error(500, "boom"))

    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=near.base_url, api_key="unused", max_retries=0) as client:
            whole = await client.chat.completions.create(model="chat", messages=HELLO)
            assert whole.choices[0].message.content == "whole"
            async with client.chat.completions.stream(model="chat", messages=HELLO) as stream:
                final = await stream.get_final_completion()
            assert final.choices[0].message.content == "in pieces "
            with pytest.raises(openai.InternalServerError) as caught:
                await client.chat.completions.create(model="chat", messages=HELLO)
            assert caught.value.code == "upstream_failed"
            assert "chat" in [entry.id async for entry in client.models.list()]

    asyncio.run(main())


def test_an_async_client_that_is_cancelled_frees_the_upstream(far: Upstream, near: Served) -> None:
    far.on("able", Reply(ending="stall"))
    before = len(far.left)

    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=near.base_url, api_key="unused", max_retries=0) as client:
            call = asyncio.create_task(client.chat.completions.create(model="chat", messages=HELLO, user="leaver"))
            await asyncio.to_thread(far.wait_until, lambda: far.last("able").body.get("user") == "leaver")
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

    asyncio.run(main())
    far.wait_until(lambda: len(far.left) > before)
    left = near.receipts(status="client_left", limit=1)[0]
    assert (left["http_status"], left["error"]) == (499, "client_closed_request")


def test_keys_are_wanted_where_they_are_required(far: Upstream, tmp_path_factory: pytest.TempPathFactory) -> None:
    far.on("able", answers.whole("ok"))
    made = installation.at(
        tmp_path_factory.mktemp("keys"),
        provider("far", far.base_url),
        model("chat", target("able", "far")),
        model("other", target("able", "far")),
    )
    with made.serving(options=["--keys", "required"]) as served:
        token = served.key(models=["chat"])
        with pytest.raises(openai.AuthenticationError) as unknown:
            served.client("sk-made-up").chat.completions.create(model="chat", messages=HELLO)
        assert unknown.value.code == "invalid_api_key"
        with pytest.raises(openai.AuthenticationError) as missing:
            served.client().chat.completions.create(
                model="chat", messages=HELLO, extra_headers={"Authorization": openai.Omit()}
            )
        assert missing.value.code == "missing_api_key"
        keyed = served.client(token)
        assert keyed.chat.completions.create(model="chat", messages=HELLO).choices[0].message.content == "ok"
        with pytest.raises(openai.PermissionDeniedError) as denied:
            keyed.chat.completions.create(model="other", messages=HELLO)
        assert denied.value.code == "model_not_allowed"
        assert {entry.id for entry in keyed.models.list()} == {"chat", "wardwright/chat"}
        key_id = served.receipts(model="chat")[0]["key"]
        served.admin("DELETE", f"/api/keys/{key_id}")
        with pytest.raises(openai.AuthenticationError) as revoked:
            keyed.chat.completions.create(model="chat", messages=HELLO)
        assert revoked.value.code == "invalid_api_key"
    assert {receipt.error for receipt in made.audited[0].receipts} == {None, "model_not_allowed"}
