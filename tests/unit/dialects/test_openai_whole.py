"""Whole OpenAI answers, and the two crossings between whole and streamed."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from parts import sdk_oracles
from wardwright.dialects.answer import DONE, Identity, Tally, Whole
from wardwright.dialects.openai_embeddings import read_embeddings
from wardwright.dialects.openai_gather import OpenAIGather
from wardwright.dialects.openai_stream import OpenAIRelay
from wardwright.dialects.openai_whole import as_stream, read_whole
from wardwright.dialects.openai_wire import error_body
from wardwright.dialects.whole_reader import WholeReader
from wardwright.kernel.errors import Place, WardwrightError
from wardwright.kernel.events import Broken
from wardwright.kernel.usage import Usage

OURS = Identity("chatcmpl-rcp_1", "coding", 1_700_000_000)
USAGE = {
    "prompt_tokens": 19,
    "completion_tokens": 10,
    "total_tokens": 29,
    "prompt_tokens_details": {"cached_tokens": 8, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 6},
}
HEAD = {"id": "chatcmpl-up", "object": "chat.completion", "created": 1, "model": "gpt-x"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def choice(finish: str | None = "stop", **message: Any) -> dict[str, Any]:
    return {"index": 0, "message": {"role": "assistant", **message}, "logprobs": None, "finish_reason": finish}


def answer(*choices: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({**HEAD, "choices": list(choices), **more}, separators=(",", ":")).encode()


def read(body: bytes, mark: str | None = None) -> Whole:
    whole = read_whole(body, OURS, mark=mark)
    assert isinstance(whole, Whole)
    return whole


def test_a_plain_answer_changes_its_name_and_nothing_else() -> None:
    body = answer(choice(content="hi", annotations=[]), usage=USAGE, service_tier="default", system_fingerprint="fp")
    whole = read(body)
    assert json.loads(whole.body) == json.loads(body) | {"id": OURS.id, "created": OURS.created, "model": "coding"}
    assert whole.tally == Tally(
        events=1,
        text_chars=2,
        finish={0: "stop"},
        usage=Usage(input=11, cached_input=8, output=4, reasoning=6),
        upstream_id="chatcmpl-up",
        upstream_model="gpt-x",
        system_fingerprint="fp",
    )
    assert sdk_oracles.whole(whole.body).choices[0].message.content == "hi"


@pytest.mark.parametrize(
    "body",
    [
        answer(choice(content="hé"), usage=USAGE),
        answer(choice(content=None, tool_calls=[CALL]), usage=USAGE),
        answer(choice("length", content="x", reasoning_content="y")),
    ],
)
def test_the_order_and_spacing_of_members_do_not_matter(body: bytes) -> None:
    members = json.loads(body)
    moved = json.dumps(dict(reversed(members.items()))).encode()
    assert json.loads(read(moved).body) == json.loads(read(body).body)
    assert read(moved).tally == read(body).tally


def test_an_identity_said_twice_does_not_leak_the_second() -> None:
    body = answer(choice(content="hi"))[:-1] + b',"model":"gpt-x","id":"chatcmpl-up"}'
    assert b"chatcmpl-up" not in read(body).body
    assert b"gpt-x" not in read(body).body


def test_what_servers_leave_out_is_put_in() -> None:
    nameless = {"function": {"name": "f", "arguments": "{}"}}
    body = answer({"message": {"content": None, "tool_calls": [nameless, nameless]}, "finish_reason": "tool_call"})
    entry = sdk_oracles.whole(read(body).body).choices[0]
    assert (entry.index, entry.finish_reason, entry.message.role) == (0, "tool_calls", "assistant")
    calls = entry.message.tool_calls
    assert calls is not None
    assert len({call.id for call in calls}) == 2
    assert {call.type for call in calls} == {"function"}
    assert (read(body).tally.tool_calls, read(body).tally.argument_chars) == (2, 4)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "upstream_failed"),
        (b"<html>", "upstream_failed"),
        (b"[]", "upstream_failed"),
        (b"{}", "upstream_failed"),
        (answer(), "upstream_failed"),
        (answer(choice(content="\udcff")).replace(b"\\udcff", b"\xff"), "upstream_failed"),
        (answer({"index": 0, "finish_reason": "stop"}), "upstream_failed"),
        (answer(choice(content="hi"), error={"message": "no"}), "upstream_failed"),
        (b'{"error":{"message":"slow down","type":"rate_limit_error"}}', "upstream_rate_limited"),
        (answer(choice(None, content="hi")), "upstream_stream_broken"),
        (answer(choice("error", content="hi")), "upstream_stream_broken"),
    ],
)
def test_what_is_no_answer_is_broken(body: bytes, code: str) -> None:
    broken = read_whole(body, OURS)
    assert isinstance(broken, Broken)
    assert broken.code == code


def test_usage_classes_never_overlap_nor_go_below_zero() -> None:
    odd = {"prompt_tokens": 5, "completion_tokens": None, "prompt_tokens_details": {"cached_tokens": 9}}
    assert read(answer(choice(content=""), usage=odd)).tally.usage == Usage(cached_input=5)


FULL = answer(
    choice(
        "tool_calls",
        content="hé",
        reasoning_content="hm",
        tool_calls=[CALL, {**CALL, "id": "call_2"}],
        reasoning_details=[{"type": "reasoning.text", "text": "hm", "signature": "s"}],
    ),
    {"index": 1, "message": {"role": "assistant", "content": "b"}, "finish_reason": "stop"},
    usage=USAGE,
    system_fingerprint="fp",
)


@pytest.mark.parametrize("include_usage", [False, True])
def test_a_whole_answer_becomes_a_stream_that_the_sdk_puts_together_again(include_usage: bool) -> None:
    reader = WholeReader(
        lambda body: read_whole(body, OURS), render=lambda w: as_stream(w, include_usage=include_usage)
    )
    assert reader.feed(FULL[:50]) == reader.feed(FULL[50:]) == b""
    stream = reader.close()
    assert stream.endswith(DONE)
    assert reader.tally == read(FULL).tally
    whole = sdk_oracles.completion(stream)
    first, second = whole.choices
    assert (first.message.content, first.finish_reason, second.message.content) == ("hé", "tool_calls", "b")
    assert first.message.tool_calls is not None
    assert [call.id for call in first.message.tool_calls] == ["call_1", "call_2"]
    assert (whole.usage is not None) == include_usage


def test_a_stream_gathers_into_the_whole_answer_it_was_cut_from() -> None:
    gather = OpenAIGather(OURS)
    stream = as_stream(read(FULL), include_usage=True)
    for byte in stream:
        assert gather.feed(bytes([byte])) == b""
    whole = json.loads(gather.close())
    assert whole == json.loads(read(FULL).body)
    assert gather.tally.usage == read(FULL).tally.usage
    assert gather.tally.finish == {0: "tool_calls", 1: "stop"}


def test_gathered_pieces_of_text_logprobs_and_arguments_join() -> None:
    def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
        entry = {"index": 0, "delta": delta, "finish_reason": finish, **more}
        return b"data: " + json.dumps({**HEAD, "choices": [entry]}).encode() + b"\n\n"

    def arguments(text: str) -> dict[str, Any]:
        return {"tool_calls": [{"index": 0, "function": {"arguments": text}}]}

    gather = OpenAIGather(OURS)
    gather.feed(chunk({"role": "assistant", "content": "a"}, logprobs={"content": [{"token": "a"}]}))
    gather.feed(chunk({"content": "b"}, logprobs={"content": [{"token": "b"}]}))
    gather.feed(chunk({"tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "f", "arguments": "{"}}]}))
    gather.feed(chunk(arguments("}")) + chunk({}, "tool_calls") + DONE)
    assert gather.done
    (entry,) = sdk_oracles.whole(gather.close()).choices
    assert entry.message.content == "ab"
    assert entry.logprobs is not None
    assert [token.token for token in entry.logprobs.content or []] == ["a", "b"]
    assert entry.message.tool_calls is not None
    assert entry.message.tool_calls[0].to_dict() == CALL


def test_a_gathered_stream_that_breaks_gives_nothing() -> None:
    gather = OpenAIGather(OURS)
    gather.feed(as_stream(read(FULL), include_usage=False)[:-200])
    assert gather.close() == b""
    assert gather.broken is not None


def test_answers_past_the_bound_are_not_held() -> None:
    whole = WholeReader(lambda body: read_whole(body, OURS), answer_bytes_max=10)
    whole.feed(FULL)
    assert (whole.close(), whole.broken is not None) == (b"", True)
    gather = OpenAIGather(OURS, answer_bytes_max=10)
    gather.feed(as_stream(read(FULL), include_usage=False))
    assert (gather.close(), gather.broken is not None) == (b"", True)


def test_a_stream_read_by_either_reader_counts_the_same() -> None:
    stream = as_stream(read(FULL), include_usage=True)
    relay, gather = OpenAIRelay(OURS), OpenAIGather(OURS)
    for reader in (relay, gather):
        reader.feed(stream)
        reader.close()
    assert relay.tally == gather.tally


def test_embeddings_pass_under_the_name_asked_for() -> None:
    body = b'{"object":"list","data":[{"embedding":[0.1],"index":0}],"model":"e-1","usage":{"prompt_tokens":3}}'
    whole = read_embeddings(body, "search")
    assert isinstance(whole, Whole)
    assert whole.body == body.replace(b'"e-1"', b'"search"')
    assert whole.tally.usage == Usage(input=3)
    assert isinstance(read_embeddings(b"{}", "search"), Broken)


def test_an_error_body_is_the_envelope_the_sdk_switches_on() -> None:
    error = WardwrightError("invalid_request", "`n` is 0", place=Place(path="n"), hint="leave it out")
    with pytest.raises(openai.BadRequestError) as raised:
        sdk_oracles.whole(error_body(error, "rcp_1"), status=400)
    assert (raised.value.code, raised.value.param, raised.value.type) == (
        "invalid_request",
        "n",
        "invalid_request_error",
    )
    assert "`n` is 0; leave it out" in str(raised.value)
    assert json.loads(error_body(error, "rcp_1"))["error"]["receipt_id"] == "rcp_1"
