"""What an OpenAI client receives of an OpenAI upstream's stream."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from parts import sdk_oracles
from wardwright.dialects.answer import DONE, Identity
from wardwright.dialects.openai_stream import OpenAIRelay
from wardwright.dialects.openai_wire import error_event
from wardwright.kernel.errors import WardwrightError
from wardwright.kernel.usage import Usage

OURS = Identity("chatcmpl-rcp_1", "coding", 1_700_000_000)
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13, "prompt_tokens_details": {"cached_tokens": 2}}


def event(body: dict[str, Any]) -> bytes:
    shared = {"id": "chatcmpl-up", "object": "chat.completion.chunk", "created": 1, "model": "gpt-x"}
    return b"data: " + json.dumps({**shared, **body}, separators=(",", ":")).encode() + b"\n\n"


def delta(members: dict[str, Any], finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    return event({"choices": [{"index": index, "delta": members, "finish_reason": finish}], **more})


def call(index: int | None, **members: Any) -> bytes:
    entry = members if index is None else {"index": index, **members}
    return delta({"tool_calls": [entry]})


def relay(*events: bytes, **options: Any) -> tuple[bytes, OpenAIRelay]:
    reader = OpenAIRelay(OURS, **options)
    out = reader.feed(b"".join(events))
    return out + reader.close(), reader


def sent(stream: bytes) -> list[dict[str, Any]]:
    blocks = stream.split(b"\n\n")[:-1]
    return [json.loads(block.removeprefix(b"data: ")) for block in blocks if block != b"data: [DONE]"]


ROLE, STOP = delta({"role": "assistant", "content": ""}), delta({}, "stop")


def test_a_plain_stream_reaches_the_sdk_under_our_name() -> None:
    stream, reader = relay(ROLE, *[delta({"content": word}) for word in ("Hel", "lo", " wörld")], STOP, DONE)
    read = sdk_oracles.completion(stream)
    assert (read.id, read.model, read.created) == (OURS.id, "coding", OURS.created)
    assert read.choices[0].message.content == "Hello wörld"
    assert read.choices[0].message.role == "assistant"
    assert read.choices[0].finish_reason == "stop"
    assert (reader.tally.text_chars, reader.tally.events, reader.tally.finish) == (11, 5, {0: "stop"})
    assert (reader.tally.upstream_id, reader.tally.upstream_model) == ("chatcmpl-up", "gpt-x")
    assert reader.done


def test_members_nobody_knows_pass_as_they_came() -> None:
    odd = delta({"content": "a", "audio": {"id": 1}}, obfuscation="x1", service_tier="default")
    chunk = sent(relay(ROLE, odd, STOP)[0])[1]
    assert (chunk["obfuscation"], chunk["service_tier"]) == ("x1", "default")
    assert chunk["choices"][0]["delta"] == {"content": "a", "audio": {"id": 1}}


def test_the_role_stands_in_the_first_delta_and_in_no_other() -> None:
    stream, _ = relay(delta({"content": "a"}), delta({"role": "assistant", "content": "b"}), STOP)
    assert [chunk["choices"][0]["delta"].get("role") for chunk in sent(stream)] == ["assistant", None, None]
    assert sdk_oracles.completion(stream).choices[0].message.role == "assistant"


def test_usage_that_the_client_did_not_ask_for_is_swallowed_and_counted() -> None:
    stream, reader = relay(ROLE, STOP, event({"choices": [], "usage": USAGE}), DONE)
    assert b"prompt_tokens" not in stream
    assert reader.tally.usage == Usage(input=7, cached_input=2, output=4)


def test_usage_on_the_finish_chunk_becomes_one_last_chunk_for_a_client_that_asked() -> None:
    stream, reader = relay(ROLE, delta({"content": "a"}), delta({}, "stop", usage=USAGE), DONE, include_usage=True)
    chunks = sent(stream)
    assert [chunk["usage"] for chunk in chunks] == [None, None, None, USAGE]
    assert chunks[-1]["choices"] == []
    assert reader.tally.usage == Usage(input=7, cached_input=2, output=4)
    assert sdk_oracles.completion(stream).usage is not None


def test_usage_told_again_with_every_chunk_is_told_once() -> None:
    stream, reader = relay(
        delta({"role": "assistant"}, usage={"prompt_tokens": 9, "completion_tokens": 1}),
        delta({"content": "a"}, "stop", usage=USAGE),
        include_usage=True,
    )
    assert [chunk["usage"] for chunk in sent(stream)] == [None, None, USAGE]
    assert reader.tally.usage == Usage(input=7, cached_input=2, output=4)


def test_parallel_calls_that_all_claim_index_0_are_told_apart() -> None:
    stream, reader = relay(
        ROLE,
        call(0, id="call_a", type="function", function={"name": "f", "arguments": '{"x":'}),
        call(0, function={"arguments": "1}"}),
        call(0, id="call_b", type="function", function={"name": "g", "arguments": "{}"}),
        delta({}, "tool_calls"),
    )
    calls = sdk_oracles.completion(stream).choices[0].message.tool_calls
    assert calls is not None
    assert [(one.id, one.function.name, one.function.arguments) for one in calls] == [
        ("call_a", "f", '{"x":1}'),
        ("call_b", "g", "{}"),
    ]
    assert (reader.tally.tool_calls, reader.tally.argument_chars) == (2, 9)


def test_calls_without_index_or_id_get_both_and_the_same_ones_each_time() -> None:
    events = (
        ROLE,
        call(None, function={"name": "f", "arguments": "{}"}),
        call(None, function={"name": "g", "arguments": '{"a":'}),
        call(None, function={"arguments": "2}"}),
        delta({}, "tool_calls"),
    )
    calls = sdk_oracles.completion(relay(*events)[0]).choices[0].message.tool_calls
    assert calls is not None
    assert [(one.function.name, one.function.arguments) for one in calls] == [("f", "{}"), ("g", '{"a":2}')]
    assert len({one.id for one in calls}) == 2
    assert all(one.id.startswith("call_") for one in calls)
    assert relay(*events)[0] == relay(*events)[0]


def test_indexes_that_start_at_1_and_ids_that_repeat_are_mended() -> None:
    stream, _ = relay(
        ROLE,
        call(1, id="call_a", type="function", function={"name": "f", "arguments": ""}),
        call(1, id="call_a", type="function", function={"name": "f", "arguments": "{}"}),
        call(2, id="call_b", type="function", function={"name": "g", "arguments": "{}"}),
        delta({}, "tool_calls"),
    )
    calls = sdk_oracles.completion(stream).choices[0].message.tool_calls
    assert calls is not None
    assert [(one.id, one.function.name, one.function.arguments) for one in calls] == [
        ("call_a", "f", "{}"),
        ("call_b", "g", "{}"),
    ]


def test_several_choices_keep_their_numbers_and_all_must_finish() -> None:
    first = (delta({"content": "a"}), delta({"content": "b"}, index=1), delta({}, "stop"))
    assert relay(*first)[1].broken is not None
    stream, reader = relay(*first, delta({}, "tool_calls", index=1))
    read = sdk_oracles.completion(stream)
    assert [(c.message.content, c.finish_reason) for c in read.choices] == [("a", "stop"), ("b", "tool_calls")]
    assert reader.tally.finish == {0: "stop", 1: "tool_calls"}


@pytest.mark.parametrize(
    "events", [[], [ROLE], [ROLE, delta({"content": "half"})], [ROLE, DONE], [ROLE, STOP[:-20]], [b"data: {}\n\n"]]
)
def test_a_stream_without_its_end_is_broken_and_never_terminated(events: list[bytes]) -> None:
    stream, reader = relay(*events)
    assert reader.broken is not None
    assert reader.broken.code == "upstream_stream_broken"
    assert not reader.finished
    assert b"[DONE]" not in stream
    assert b'"stop"' not in stream


def test_a_terminator_that_never_comes_is_not_missed_after_the_finish() -> None:
    stream, reader = relay(ROLE, STOP)
    assert stream.endswith(DONE)
    assert reader.broken is None


def test_a_last_event_without_its_blank_line_still_counts() -> None:
    stream, reader = relay(ROLE, STOP.rstrip(b"\n"))
    assert reader.finished
    assert sdk_oracles.completion(stream).choices[0].finish_reason == "stop"


def test_nothing_follows_the_finish_but_usage() -> None:
    late = (delta({"content": ""}), delta({"content": "late"}), b": ping\n\n", event({"choices": []}))
    assert relay(ROLE, STOP, *late)[0] == relay(ROLE, STOP)[0]


def test_comments_and_keep_alives_are_dropped() -> None:
    stream, _ = relay(b": OPENROUTER PROCESSING\n\n", event({}), ROLE, b":\n\n", delta({"content": "a"}), STOP)
    assert stream == relay(ROLE, delta({"content": "a"}), STOP)[0]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"message": "boom at http://10.0.0.1/v1", "type": "server_error"}, "upstream_failed"),
        ({"message": "slow down", "code": 429}, "upstream_rate_limited"),
        ({"message": "This model's maximum context length is 10 tokens"}, "context_length_exceeded"),
        ("just words", "upstream_failed"),
    ],
)
def test_an_error_inside_the_stream_breaks_it_after_what_came_before(error: object, code: str) -> None:
    reader = OpenAIRelay(OURS)
    out = reader.feed(ROLE + delta({"content": "a"}) + event({"error": error}) + delta({"content": "b"}))
    assert len(sent(out)) == 2
    assert reader.broken is not None
    assert reader.broken.code == code
    assert "10.0.0.1" not in reader.broken.message
    assert reader.feed(STOP) == b""
    assert reader.close() == b""


def test_an_event_named_error_breaks_the_stream_whatever_it_holds() -> None:
    _, reader = relay(ROLE, b'event: error\ndata: {"message":"gone"}\n\n', STOP)
    assert reader.broken is not None
    assert reader.broken.message.endswith("gone")


@pytest.mark.parametrize(
    "payload", [b"not json", b"[1]", b'{"choices":7}', b'{"choices":[{"delta":{"content":"\xff"}}]}']
)
def test_bytes_that_are_not_the_dialect_break_the_stream(payload: bytes) -> None:
    reader = OpenAIRelay(OURS)
    assert len(sent(reader.feed(ROLE + b"data: " + payload + b"\n\n" + STOP))) == 1
    assert reader.broken is not None


@pytest.mark.parametrize("reason", ["error", "abort", "insufficient_system_resource"])
def test_a_finish_that_is_none_is_not_passed_off_as_one(reason: str) -> None:
    stream, reader = relay(ROLE, delta({"content": "a"}), delta({}, reason), DONE)
    assert reader.broken is not None
    assert b"[DONE]" not in stream


def test_other_servers_words_for_the_end_become_openais() -> None:
    assert sent(relay(ROLE, delta({}, "eos"))[0])[-1]["choices"][0]["finish_reason"] == "stop"


def test_an_empty_finish_reason_is_none() -> None:
    stream, _ = relay(delta({"role": "assistant", "content": "a"}, ""), STOP)
    assert [chunk["choices"][0]["finish_reason"] for chunk in sent(stream)] == [None, "stop"]


def test_an_event_past_the_bound_breaks_the_stream() -> None:
    _, reader = relay(ROLE, delta({"content": "x" * 500}), STOP, event_bytes_max=400)
    assert reader.broken is not None
    assert "400" in reader.broken.message


def test_sealed_reasoning_is_marked_with_its_target() -> None:
    details = [{"type": "reasoning.text", "text": "hm", "signature": "s", "index": 0}, {"type": "x", "summary": "y"}]
    stream, _ = relay(ROLE, delta({"reasoning_details": details}), STOP, mark="m1")
    marked = sent(stream)[1]["choices"][0]["delta"]["reasoning_details"]
    assert [entry.get("wardwright_target") for entry in marked] == ["m1", None]


def test_reasoning_refusals_and_old_function_calls_are_counted_apart() -> None:
    _, reader = relay(
        ROLE,
        delta({"reasoning_content": "abc"}),
        delta({"reasoning": "de", "content": "f"}),
        delta({"refusal": "no"}),
        delta({"function_call": {"arguments": "{}"}}),
        STOP,
    )
    tally = reader.tally
    assert (tally.reasoning_chars, tally.text_chars, tally.refusal_chars, tally.argument_chars) == (5, 1, 2, 2)


def test_the_sdk_raises_on_our_error_event() -> None:
    error = WardwrightError("upstream_stream_broken", "the answer broke off before its end")
    out = OpenAIRelay(OURS).feed(ROLE) + error_event(error, "rcp_1")
    with pytest.raises(openai.APIError, match="broke off"):
        sdk_oracles.chunks(out)
