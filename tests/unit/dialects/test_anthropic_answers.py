"""What an OpenAI client receives of an Anthropic upstream."""

from __future__ import annotations

import json
from typing import Any

import pytest

from parts import messages_stream as up
from parts import sdk_oracles
from wardwright.dialects.answer import DONE, Identity
from wardwright.dialects.anthropic_voice import AnthropicVoice
from wardwright.dialects.exchange import Headers
from wardwright.dialects.handover import TARGET_MEMBER, mark_of
from wardwright.dialects.voice import Reader
from wardwright.kernel.usage import Usage

OURS = Identity("chatcmpl-rcp_1", "coding", 1_700_000_000)
EVENTS: Headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
JSON: Headers = [(b"content-type", b"application/json")]
FULL = (
    up.start()
    + up.thinking(0, "sig==", "Let me ", "think.")
    + up.redacted(1, "cipher")
    + up.text(2, "Hé", "llo")
    + up.tool(3, "toolu_1", "f", '{"a":', "1}")
    + up.tool(4, "toolu_2", "g")
    + up.end("tool_use")
)


def reader(*, stream: bool = True, include_usage: bool = False, headers: Headers = EVENTS) -> Reader:
    voice = AnthropicVoice()
    return voice.reader(OURS, stream=stream, include_usage=include_usage, headers=headers, target="coding/cloud")


def read(data: bytes, **options: Any) -> tuple[bytes, Reader]:
    made = reader(**options)
    out = made.feed(data)
    return out + made.close(), made


def whole_of(stream: bytes) -> bytes:
    """The same answer, as the provider would have given it whole."""
    return sdk_oracles.message(stream).to_json().encode()


def test_a_stream_of_every_block_reaches_the_sdk() -> None:
    stream, made = read(FULL, include_usage=True)
    completion = sdk_oracles.completion(stream)
    (choice,) = completion.choices
    assert (completion.id, completion.model, choice.finish_reason) == (OURS.id, "coding", "tool_calls")
    assert (choice.message.role, choice.message.content) == ("assistant", "Héllo")
    assert choice.message.tool_calls is not None
    assert [(call.id, call.function.name, call.function.arguments) for call in choice.message.tool_calls] == [
        ("toolu_1", "f", '{"a":1}'),
        ("toolu_2", "g", "{}"),
    ]
    assert completion.usage is not None
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (32, 15)
    assert completion.usage.prompt_tokens_details is not None
    assert completion.usage.prompt_tokens_details.cached_tokens == 4
    tally = made.tally
    assert tally.usage == Usage(input=25, cache_write=3, cached_input=4, output=15)
    assert (tally.text_chars, tally.reasoning_chars, tally.tool_calls, tally.argument_chars) == (5, 13, 2, 9)
    assert (tally.upstream_id, tally.upstream_model, tally.finish) == ("msg_1", "claude-test-1", {0: "tool_calls"})
    assert made.done


def test_sealed_thinking_leaves_in_the_member_that_clients_send_back() -> None:
    stream, _ = read(FULL)
    (choice,) = sdk_oracles.completion(stream).choices
    extra = choice.message.model_extra or {}
    assert extra["reasoning_content"] == "Let me think."
    mark = mark_of("coding/cloud")
    shared = {"format": "anthropic-claude-v1", TARGET_MEMBER: mark}
    assert extra["reasoning_details"] == [
        {"type": "reasoning.text", "text": "Let me think.", "signature": "sig==", "index": 0, **shared},
        {"type": "reasoning.encrypted", "data": "cipher", "index": 1, **shared},
    ]


@pytest.mark.parametrize("include_usage", [False, True])
def test_streamed_or_whole_asked_or_given_the_answer_is_one(include_usage: bool) -> None:
    whole, _ = read(whole_of(FULL), stream=False, headers=JSON)
    gathered, gatherer = read(FULL, stream=False)
    restreamed, _ = read(whole_of(FULL), include_usage=include_usage, headers=JSON)
    streamed, _ = read(FULL, include_usage=include_usage)
    assert json.loads(gathered) == json.loads(whole)
    assert sdk_oracles.completion(restreamed).to_dict() == sdk_oracles.completion(streamed).to_dict()
    message = sdk_oracles.whole(whole).choices[0].message.to_dict()
    again = sdk_oracles.completion(streamed).choices[0].message.to_dict()
    assert {name: again[name] for name in ("content", "reasoning_content", "reasoning_details")} == {
        name: message[name] for name in ("content", "reasoning_content", "reasoning_details")
    }
    assert gatherer.tally.usage == Usage(input=25, cache_write=3, cached_input=4, output=15)


@pytest.mark.parametrize(
    ("stop_reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("pause_turn", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
    ],
)
def test_every_stop_reason_has_its_finish(stop_reason: str, finish: str) -> None:
    stream, made = read(up.start() + up.text(0, "a") + up.end(stop_reason))
    assert made.tally.finish == {0: finish}
    assert f'"finish_reason":"{finish}"'.encode() in stream
    whole, _ = read(whole_of(up.start() + up.text(0, "a") + up.end(stop_reason)), stream=False, headers=JSON)
    assert json.loads(whole)["choices"][0]["finish_reason"] == finish


def test_a_refusal_says_its_reason() -> None:
    details = {"type": "refusal", "explanation": "not this", "category": None}
    stream, made = read(up.start() + up.end("refusal", stop_details=details))
    assert b'"refusal":"not this"' in stream
    assert made.tally.refusal_chars == 8


def test_thinking_tokens_are_a_class_of_their_own() -> None:
    usage = {"output_tokens": 50, "output_tokens_details": {"thinking_tokens": 30}}
    ending = up.event("message_delta", delta={"stop_reason": "end_turn"}, usage=usage) + up.event("message_stop")
    assert read(up.start() + ending)[1].tally.usage == Usage(
        input=25, cache_write=3, cached_input=4, output=20, reasoning=30
    )


def test_a_later_count_overwrites_and_one_not_sent_stands() -> None:
    usage = {"input_tokens": 40, "output_tokens": 7}
    ending = up.event("message_delta", delta={"stop_reason": "end_turn"}, usage=usage) + up.event("message_stop")
    assert read(up.start() + ending)[1].tally.usage == Usage(input=40, cache_write=3, cached_input=4, output=7)


def test_nothing_leaves_before_there_is_something_to_say() -> None:
    made = reader()
    assert made.feed(up.start()) == b""
    assert made.feed(up.event("content_block_start", index=0, content_block={"type": "text", "text": ""})) == b""


@pytest.mark.parametrize(
    "events",
    [
        b"",
        up.start(),
        up.start() + up.text(0, "half"),
        up.start() + up.text(0, "half") + up.event("message_stop"),
        up.start() + up.text(0, "half") + up.end("abandoned"),
        up.start() + up.text(0, "half") + up.end(None),
    ],
)
def test_a_stream_without_its_end_is_broken_and_never_terminated(events: bytes) -> None:
    for stream in (True, False):
        out, made = read(events, stream=stream)
        assert made.broken is not None
        assert made.broken.code == "upstream_stream_broken"
        assert b"[DONE]" not in out
        assert b'"stop"' not in out


@pytest.mark.parametrize(
    "event",
    [
        b"event: message_delta\ndata: nonsense\n\n",
        up.start(),
        up.event("content_block_delta", index=7, delta={"type": "text_delta", "text": "x"}),
        up.event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "x"}),
        up.event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        up.event("content_block_stop", index=9),
    ],
)
def test_events_out_of_place_are_not_the_dialect(event: bytes) -> None:
    opened = up.event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    out, made = read(up.start() + opened + event + up.end())
    assert made.broken is not None
    assert b"[DONE]" not in out


@pytest.mark.parametrize(
    ("type_", "code"),
    [
        ("overloaded_error", "upstream_unavailable"),
        ("rate_limit_error", "upstream_rate_limited"),
        ("api_error", "upstream_failed"),
    ],
)
def test_an_error_event_breaks_the_answer_after_what_came_before(type_: str, code: str) -> None:
    made = reader()
    error = up.event("error", error={"type": type_, "message": "it broke"})
    out = made.feed(up.start() + up.text(0, "a") + error + up.text(1, "b"))
    assert out.count(b"data: ") == 1
    assert made.broken is not None
    assert (made.broken.code, made.broken.message) == (code, "the upstream reported an error: it broke")
    assert made.close() == b""


def test_blocks_and_deltas_that_the_clients_dialect_lacks_are_left_out() -> None:
    search = up.block(0, {"type": "web_search_tool_result", "tool_use_id": "x", "content": []})
    citation = {"type": "citations_delta", "citation": {}}
    cited = up.block(1, {"type": "text", "text": ""}, citation, {"type": "text_delta", "text": "a"})
    stream, made = read(up.start() + search + cited + up.event("novelty") + up.end())
    assert sdk_oracles.completion(stream).choices[0].message.content == "a"
    assert made.broken is None


def test_the_terminator_may_be_missing_after_the_reason() -> None:
    stream, made = read(up.start() + up.text(0, "a") + up.end().split(b"event: message_stop")[0])
    assert stream.endswith(DONE)
    assert made.tally.usage is not None
    assert not made.done


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"type":"message","content":[]}'])
def test_a_whole_body_that_is_no_message_is_broken(body: bytes) -> None:
    out, made = read(body, stream=False, headers=JSON)
    assert (out, made.broken is not None) == (b"", True)


def test_an_error_in_a_whole_body_is_reported() -> None:
    _, made = read(b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}', stream=False, headers=JSON)
    assert made.broken is not None
    assert made.broken.code == "upstream_unavailable"
