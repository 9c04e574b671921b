"""A real llama.cpp server behind a running gateway: text, tools, embeddings, a client that leaves, load, refusals."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from parts import installation, llama_server, node_client, tiny_gguf
from parts.installation import Installation, Served, model, provider, target
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
STREAMS = 32
KEY = "the-key-of-the-large-server"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaServer]:
    """A server that wants a key and holds sixteen times as much."""
    directory = tmp_path_factory.mktemp("large")
    with llama_server.running(directory, slots=1, context_tokens=16 * tiny_gguf.CONTEXT_TOKENS, api_key=KEY) as server:
        yield server


@pytest.fixture(scope="module")
def here(llama: LlamaServer, large: LlamaServer, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    def tiny(name: str, provider: str, window: int) -> dict[str, object]:
        # The heuristic counts words; this model's vocabulary is bytes. So the contract promises more than it holds.
        return target(name, provider, model=MODEL, context_window=window, price={"input": "0.1", "output": "0.4"})

    return installation.at(
        tmp_path_factory.mktemp("llama-gateway"),
        provider("llama", llama.base_url),
        provider("large", large.base_url, credential="env:LARGE_KEY"),
        provider("locked-out", large.base_url),
        model("tiny", tiny("small", "llama", 8192), expose_selected_model=True),
        model("grows", tiny("small", "llama", 8192), tiny("roomy", "large", 65_536)),
        model("locked-out", tiny("roomy", "locked-out", 65_536)),
    )


@pytest.fixture(scope="module")
def near(here: Installation) -> Iterator[Served]:
    with here.serving(env={"LARGE_KEY": KEY}) as served:
        yield served


@pytest.fixture(scope="module")
def client(near: Served) -> openai.OpenAI:
    return near.client()


def test_a_streamed_answer_says_what_the_whole_one_says(
    llama: LlamaServer, near: Served, client: openai.OpenAI
) -> None:
    whole = client.chat.completions.create(model="tiny", messages=HELLO, max_tokens=24, temperature=0)
    with client.chat.completions.stream(
        model="tiny", messages=HELLO, max_tokens=24, temperature=0, stream_options={"include_usage": True}
    ) as stream:
        for _ in stream:
            pass
        final = stream.current_completion_snapshot  # the SDK refuses to call an answer final that was cut at its limit
    with openai.OpenAI(base_url=llama.base_url, api_key="unused") as direct:
        bare = direct.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=24, temperature=0)
    assert whole.choices[0].message.content
    assert whole.choices[0].message.content == final.choices[0].message.content == bare.choices[0].message.content
    assert whole.choices[0].finish_reason == final.choices[0].finish_reason == "length"
    assert whole.model == final.model == "tiny"
    assert whole.usage is not None
    assert final.usage is not None
    assert whole.usage.completion_tokens == final.usage.completion_tokens == 24
    for answer in (whole, final):
        receipt = near.receipt(answer.id)
        assert (receipt.usage.output_total, receipt.usage_source) == (24, "reported")
        assert receipt.usage.input_total == whole.usage.prompt_tokens
        assert receipt.cost_nano_usd == receipt.usage.input_total * 100 + 24 * 400


def test_a_tool_loop_runs_to_its_end(near: Served, client: openai.OpenAI) -> None:
    call = client.chat.completions.create(
        model="tiny",
        messages=HELLO,
        tools=[WEATHER],
        tool_choice="required",
        parallel_tool_calls=False,
        max_tokens=200,
        logit_bias=tiny_gguf.CALL_A_TOOL,
    )
    message = call.choices[0].message
    assert call.choices[0].finish_reason == "tool_calls"
    assert message.tool_calls is not None
    (made,) = message.tool_calls
    assert made.type == "function"
    assert made.function.name == "weather"
    assert json.loads(made.function.arguments)["city"] in {"Oslo", "Rome"}
    messages: list[ChatCompletionMessageParam] = [
        *HELLO,
        message.to_dict(),  # type: ignore[list-item]
        {"role": "tool", "tool_call_id": made.id, "content": "It rains."},
    ]
    answer = client.chat.completions.create(model="tiny", messages=messages, tools=[WEATHER], max_tokens=8)
    assert answer.choices[0].message.content
    receipt = near.receipt(answer.id)
    assert receipt.facts is not None
    assert (receipt.facts.step, receipt.facts.in_tool_loop) == (1, True)


def test_a_streamed_tool_call_parses(near: Served, client: openai.OpenAI) -> None:
    with client.chat.completions.stream(
        model="tiny",
        messages=HELLO,
        tools=[WEATHER],
        tool_choice="required",
        parallel_tool_calls=False,
        max_tokens=200,
        logit_bias=tiny_gguf.CALL_A_TOOL,
    ) as stream:
        final = stream.get_final_completion()
    calls = final.choices[0].message.tool_calls
    assert calls is not None
    assert json.loads(calls[0].function.arguments)["city"] in {"Oslo", "Rome"}
    receipt = near.receipt(final.id)
    assert receipt.client.tool_calls == 1
    assert receipt.client.argument_chars == len(calls[0].function.arguments)


def test_embeddings_have_the_width_of_the_model(near: Served, client: openai.OpenAI) -> None:
    raw = client.embeddings.with_raw_response.create(model="tiny", input=["one", "two"])
    answer = raw.parse()
    assert [len(item.embedding) for item in answer.data] == [tiny_gguf.WIDTH, tiny_gguf.WIDTH]
    receipt = near.receipt(raw.headers["x-wardwright-receipt-id"])
    assert receipt.usage.input_total == answer.usage.prompt_tokens > 0


def test_a_client_that_leaves_frees_the_slot_of_the_server(
    llama: LlamaServer, near: Served, client: openai.OpenAI
) -> None:
    stream = client.chat.completions.create(model="tiny", messages=HELLO, max_tokens=1900, stream=True)
    chunks = [next(stream) for _ in range(3)]
    stream.close()
    near.process.child.wait_for("idle server", lambda: llama.running_requests() == 0 or None, timeout_s=5)
    receipt = near.receipt(chunks[0].id)
    assert (receipt.status, receipt.error) == ("client_left", "client_closed_request")
    assert receipt.client.upstream == "cancelled"
    assert 0 < receipt.usage.output < 1900
    assert receipt.usage_source == "estimated"


def test_many_streams_at_once_are_each_complete_and_each_receipted_once(
    llama: LlamaServer, near: Served, client: openai.OpenAI
) -> None:
    answers: dict[int, tuple[str, str, str | None]] = {}

    def ask(number: int) -> None:
        chunks = list(
            client.chat.completions.create(
                model="tiny",
                messages=[{"role": "user", "content": f"Stream {number}"}],
                max_tokens=64,
                stream=True,
                user=f"load-{number}",
                extra_headers={"x-wardwright-user-id": f"load-{number}"},
            )
        )
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        answers[number] = (chunks[0].id, text, chunks[-1].choices[0].finish_reason)
        assert len({chunk.id for chunk in chunks}) == 1

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(STREAMS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers.keys() == set(range(STREAMS))
    assert {finish for _, _, finish in answers.values()} == {"length"}
    receipts = {id_.removeprefix("chatcmpl-"): near.receipt(id_) for id_, _, _ in answers.values()}
    assert len(receipts) == STREAMS
    assert all(receipt.usage.output_total == 64 for receipt in receipts.values())
    for number, (id_, text, _) in answers.items():
        receipt = receipts[id_.removeprefix("chatcmpl-")]
        assert receipt.client.text_chars == len(text)
        assert receipt.caller.user is not None
        assert receipt.caller.user.value == f"load-{number}"
    rows = [row for row in near.receipts(least=STREAMS, limit=500) if str(row["user"]).startswith("load-")]
    assert sorted(row["receipt"] for row in rows) == sorted(receipts)
    assert near.admin("POST", "/api/journal/verify")["verdict"] == "incomplete"  # it runs, so nothing closed it yet
    assert llama.running_requests() == 0


def test_a_prompt_that_outgrows_the_server_is_told_as_such(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "word " * 600}])
    assert caught.value.code == "context_length_exceeded"


def test_a_prompt_that_outgrows_one_server_goes_to_the_next_larger(near: Served, client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="grows", messages=[{"role": "user", "content": "word " * 600}], max_tokens=8
    )
    assert answer.choices[0].message.content
    receipt = near.receipt(answer.id)
    assert [attempt.failure for attempt in receipt.attempts] == ["context_length", None]
    assert receipt.selected is not None
    assert (receipt.selected.target, receipt.selected.fallback) == ("roomy", True)


def test_a_key_that_the_server_refuses_is_ours_and_not_the_callers(near: Served, client: openai.OpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="locked-out", messages=HELLO, max_tokens=4)
    assert (caught.value.status_code, caught.value.code) == (502, "upstream_credentials")
    assert KEY not in str(caught.value)
    receipt = near.receipt(caught.value.response.headers["x-wardwright-receipt-id"])
    assert receipt.attempts[0].failure == "credentials"


def test_the_official_client_for_node_sees_what_the_one_for_python_sees(near: Served) -> None:
    report = node_client.run(near.base_url, "unused", "wardwright/tiny")
    assert (report.whole.model, report.whole.finish_reason) == ("wardwright/tiny", "length")
    assert report.whole.usage is not None
    assert report.whole.usage.completion_tokens == 16
    assert report.whole.id == f"chatcmpl-{report.whole.receipt_id}"
    assert report.streamed.id == f"chatcmpl-{report.streamed.receipt_id}"
    assert (report.streamed.model, report.streamed.finish_reason) == ("wardwright/tiny", "length")
    assert report.streamed.usage is not None
    assert report.streamed.usage.completion_tokens == 16
    assert len(report.streamed.pieces) > 5
    assert {"tiny", "wardwright/tiny", "grows"} <= set(report.models)
    assert report.errors.unknown_model is not None
    assert (report.errors.unknown_model.class_, report.errors.unknown_model.code) == (
        "NotFoundError",
        "model_not_found",
    )
    assert report.errors.malformed is not None
    assert (report.errors.malformed.class_, report.errors.malformed.code) == ("BadRequestError", "invalid_request")
    assert report.errors.wrong_key is None, "keyless access takes any word that is no key of ours"
    for id_ in (report.whole.receipt_id, report.streamed.receipt_id):
        assert id_ is not None
        assert near.receipt(id_).client.text_chars > 0


def test_the_official_client_for_node_is_told_of_a_wrong_key(llama: LlamaServer, tmp_path: Path) -> None:
    made = installation.at(
        tmp_path, provider("llama", llama.base_url), model("tiny", target("small", "llama", model=MODEL))
    )
    with made.serving(options=["--keys", "required"]) as served:
        report = node_client.run(served.base_url, served.key(), "tiny")
    assert report.whole.text
    assert report.errors.wrong_key is not None
    assert (report.errors.wrong_key.class_, report.errors.wrong_key.code) == ("AuthenticationError", "invalid_api_key")
