"""Both transports behind one gateway: for the same upstream the client gets the same bytes, ids and instants aside."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import pytest

from parts import installation, upstream
from parts import openai_answers as answers
from parts.installation import Json, Served, model, provider, target
from parts.upstream import EVENTS, Reply, Upstream

TRANSPORTS: Final = ("native", "httpx2")

LONG: Final = "a word and another, " * 20_000

REPLIES: Final[dict[str, Reply]] = {
    "whole": answers.whole("Hello, 世界"),
    "two-choices": answers.whole("left", "right"),
    "long": answers.whole(LONG),
    "stream": answers.words("one two three four"),
    "stream-in-one-piece": Reply((b"".join(answers.words("one two three four").pieces),), headers=EVENTS),
    "stream-cut-anywhere": Reply(
        tuple(bytes([byte]) for byte in b"".join(answers.words("split 世界").pieces)), headers=EVENTS
    ),
    "tools": answers.stream(
        [
            answers.delta({"tool_calls": [answers.call("call_a", "find", "", 0)]}),
            answers.delta({"tool_calls": [{"index": 0, "function": {"arguments": '{"q": "x"}'}}]}),
        ],
        finish="tool_calls",
    ),
    "chunked-whole": Reply((answers.whole("in two").pieces[0][:40], answers.whole("in two").pieces[0][40:])),
    "empty-stream": Reply((answers.DONE,), headers=EVENTS),
    "html": Reply((b"<html>busy</html>",), headers=(("content-type", "text/html"),)),
    "400": answers.error(400, "`temperature` is too high"),
    "401": answers.error(401, "who are you"),
    "404": answers.error(404, "no such model"),
    "500": answers.error(500, "boom"),
    "503": answers.error(503, "busy", headers=(("retry-after", "9"),)),
    "too-long": answers.error(400, "maximum context length is 8192 tokens"),
    "error-event": Reply(
        (*answers.words("one two").pieces[:2], b'data: {"error": {"message": "died"}}\n\n'), headers=EVENTS
    ),
    "ends-early": Reply(answers.words("one two").pieces[:2], headers=EVENTS, ending="cut"),
    "resets-late": Reply(answers.words("one two").pieces[:2], headers=EVENTS, ending="reset"),
    "resets-at-once": Reply(ending="reset"),
    "stalls-at-once": Reply(ending="stall"),
}


@pytest.fixture(scope="module")
def far() -> Iterator[Upstream]:
    with upstream.running() as server:
        for name, reply in REPLIES.items():
            server.on(name, reply)
        yield server


@pytest.fixture(scope="module")
def near(far: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    documents: list[Json] = []
    for transport in TRANSPORTS:
        timeouts = {"first_byte_s": 1}
        documents.append(provider(transport, far.base_url, transport=transport, timeouts=timeouts))
        documents += [model(f"{transport}-{name}", target(name, transport)) for name in REPLIES]
    with installation.at(tmp_path_factory.mktemp("transports"), *documents).serving() as served:
        yield served


_CHANGING: Final = re.compile(rb'rcp_[0-9a-f]+|"created": ?\d+|(?:native|httpx2)-')


def heard(near: Served, name: str, *, stream: bool) -> tuple[int, dict[str, str], bytes]:
    """Status, telling headers and the body of an answer, without what differs from call to call."""
    body = {"model": name, "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
    answer = near.http.post("/v1/chat/completions", json=body)
    telling = ("content-type", "retry-after", "x-should-retry", "cache-control")
    headers = {header: answer.headers[header] for header in telling if header in answer.headers}
    return answer.status_code, headers, _CHANGING.sub(b"", answer.content)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", REPLIES)
def test_the_client_cannot_tell_the_transports_apart(near: Served, far: Upstream, name: str, stream: bool) -> None:
    native, other = (heard(near, f"{transport}-{name}", stream=stream) for transport in TRANSPORTS)
    assert native == other
    assert native[2]


@pytest.mark.parametrize("name", ["whole", "tools"])
def test_the_upstream_cannot_tell_whom_the_call_was_for(near: Served, far: Upstream, name: str) -> None:
    for transport in TRANSPORTS:
        heard(near, f"{transport}-{name}", stream=True)
    native, other = far.of(name)[-2:]
    assert native.raw == other.raw
    assert native.path == other.path
    dull = {"host", "connection", "accept", "accept-encoding", "user-agent"}
    assert {name: value for name, value in native.headers.items() if name not in dull} == {
        name: value for name, value in other.headers.items() if name not in dull
    }


def test_the_receipts_say_the_same_of_both(near: Served) -> None:
    for name in ("whole", "stream", "500", "ends-early"):
        told = []
        for transport in TRANSPORTS:
            heard(near, f"{transport}-{name}", stream=True)
            row = near.receipts(model=f"{transport}-{name}", stream="true", limit=1)[0]
            receipt = near.receipt(row["receipt"])
            told.append(
                (
                    receipt.status,
                    receipt.error,
                    receipt.client.text_chars,
                    receipt.usage,
                    [(attempt.failure, attempt.http_status, attempt.message) for attempt in receipt.attempts],
                )
            )
        assert told[0] == told[1], name
