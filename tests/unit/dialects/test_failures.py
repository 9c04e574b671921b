"""What upstream refusals mean, in the words of the servers that we know."""

from __future__ import annotations

import pytest

from wardwright.dialects.discretion import MESSAGE_CHARS_MAX, presentable
from wardwright.dialects.exchange import FailureClass, Headers
from wardwright.dialects.failures import RETRY_AFTER_S_MAX, failure_of

OPENAI_LONG = b"""{"error":{"message":"This model's maximum context length is 8192 tokens. However, you requested 9000",
"type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"""
VLLM_LONG = b"""{"object":"error","message":"This model's maximum context length is 4096 tokens.",
"type":"BadRequestError","param":null,"code":400}"""
LLAMA_CPP_LONG = b"""{"error":{"code":400,"message":"the request exceeds the available context size, try increasing it",
"type":"exceed_context_size_error","n_prompt_tokens":900,"n_ctx":512}}"""
OLLAMA_LONG = b'{"error":"input too long: exceeds maximum context length"}'
ANTHROPIC_LONG = b"""{"type":"error","error":{"type":"invalid_request_error",
"message":"prompt is too long: 210000 tokens > 200000 maximum"},"request_id":"req_1"}"""
ANTHROPIC_BROKE = b"""{"type":"error","error":{"type":"invalid_request_error",
"message":"Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing."}}"""
OPENAI_BROKE = b"""{"error":{"message":"You exceeded your current quota, please check your plan and billing details.",
"type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"""
ANTHROPIC_BUSY = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, OPENAI_LONG, "context_length"),
        (400, VLLM_LONG, "context_length"),
        (400, LLAMA_CPP_LONG, "context_length"),
        (500, OLLAMA_LONG, "context_length"),
        (400, ANTHROPIC_LONG, "context_length"),
        (413, ANTHROPIC_LONG, "context_length"),
        (529, ANTHROPIC_BUSY, "overloaded"),
        (500, ANTHROPIC_BUSY, "overloaded"),
        (503, b"", "overloaded"),
        (500, b"<html>", "server_error"),
        (502, b'{"error":"bad gateway"}', "server_error"),
        (408, b"", "server_error"),
        (429, b"", "rate_limited"),
        (401, b'{"error":{"message":"Incorrect API key provided: sk-abcdefghijklmnop"}}', "credentials"),
        (402, b"", "credentials"),
        (403, b"", "credentials"),
        (400, ANTHROPIC_BROKE, "credentials"),
        (429, OPENAI_BROKE, "credentials"),
        (404, b'{"error":"model \\"x\\" not found"}', "not_served"),
        (400, b'{"error":{"message":"no such model","code":"model_not_found"}}', "not_served"),
        (400, b'{"error":{"message":"bad temperature"}}', "rejected"),
        (422, b'{"detail":"field required"}', "rejected"),
        (302, b"", "protocol"),
    ],
)
def test_a_refusal_has_its_class(status: int, body: bytes, kind: FailureClass) -> None:
    failure = failure_of(status, [], body)
    assert (failure.kind, failure.status) == (kind, status)
    assert failure.message
    assert "sk-" not in failure.message


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([(b"retry-after", b"7")], 7),
        ([(b"retry-after", b"0.2")], 1),
        ([(b"retry-after-ms", b"1500"), (b"retry-after", b"9")], 2),
        ([(b"date", b"Fri, 20 Nov 2026 11:00:00 GMT"), (b"retry-after", b"Fri, 20 Nov 2026 11:00:30 GMT")], 30),
        ([(b"date", b"Fri, 20 Nov 2026 11:00:00 GMT"), (b"retry-after", b"Fri, 20 Nov 2026 10:00:00 GMT")], 0),
        ([(b"retry-after", b"1e300")], RETRY_AFTER_S_MAX),
        ([(b"retry-after", b"soon")], None),
        ([(b"retry-after", b"nan")], None),
        ([(b"retry-after", b"Fri, 20 Nov 2026 11:00:30 GMT")], None),
        ([], None),
    ],
)
def test_how_long_to_wait_is_read_without_a_clock(headers: Headers, seconds: int | None) -> None:
    assert failure_of(429, headers, b"").retry_after_s == seconds


def test_a_wait_is_read_only_where_waiting_helps() -> None:
    assert failure_of(400, [(b"retry-after", b"7")], b"").retry_after_s is None


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("plain words, 12 of 34 tokens", "plain words, 12 of 34 tokens"),
        ("see https://user:pw@internal.example/x?k=1 now", "see [address] now"),
        ("dial tcp 10.1.2.3:8000: refused", "dial tcp [address]: refused"),
        ("no route to fe80:0:0:0:1:2:3:4", "no route to [address]"),
        ("host gpu-7.internal:8000 down", "host [address] down"),
        ("open /srv/models/secret.gguf failed", "open [address] failed"),
        ("key sk-proj-abcdefghijklmnop is wrong", "key [secret] is wrong"),
        ("Authorization: Bearer abc.def", "Authorization: [secret]"),
        ("mail ops@example.com", "mail [personal data]"),
        ("two\n lines\x00", "two lines"),
        ("a/b test of n/a", "a/b test of n/a"),
    ],
)
def test_what_an_upstream_says_is_made_fit_for_callers(said: str, shown: str) -> None:
    assert presentable(said) == shown


def test_long_messages_are_cut() -> None:
    assert len(presentable("word " * 1000)) == MESSAGE_CHARS_MAX
