"""Repeating a call: which failures invite it, who waits how long, and how the receipts hang together."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import openai
import pytest

from parts import contracts, raw_upstream
from parts.contracts import chat
from parts.gateway_thread import GatewayThread, running
from parts.raw_client import Answer, RawClient, request
from parts.raw_upstream import RawUpstream, Turn, whole

FAILURE: Final = b'{"error":{"message":"not now","type":"server_error"}}'


class Moody:
    """A play that answers each request with the next of its moods, and well when it has none left."""

    def __init__(self, *moods: bytes) -> None:
        self.moods = list(moods)

    def __call__(self, turn: Turn) -> None:
        if self.moods:
            turn.send(self.moods.pop(0))
        else:
            raw_upstream.answers(turn)


@pytest.fixture
def upstream() -> Iterator[RawUpstream]:
    with raw_upstream.running(raw_upstream.answers) as upstream:
        yield upstream


@pytest.fixture
def gateway(upstream: RawUpstream, tmp_path: Path) -> Iterator[GatewayThread]:
    documents = [
        contracts.provider("up", upstream.base_url),
        contracts.scripted("spare", {"text": "from the spare"}),
        contracts.model("m", "up"),
        contracts.model("backed", "up", "spare"),
        contracts.model("tiny", "spare", route={"dispatcher": ["spare"]}),
    ]
    documents[-1]["targets"][0]["context_window"] = 10
    documents.append(contracts.model("guarded", "spare", route={"guard": {"when": {"tags": ["vip"]}, "then": "spare"}}))
    with running(tmp_path, documents, commit_delay_ms=1) as gateway:
        yield gateway


def call(gateway: GatewayThread, model: str) -> Answer:
    with RawClient(gateway.port) as client:
        return client.ask(request(json.dumps(chat(model)).encode()))


@pytest.mark.parametrize("status", [500, 503, 429])
def test_the_official_client_repeats_what_may_fare_better_and_each_receipt_names_the_one_before(
    gateway: GatewayThread, upstream: RawUpstream, status: int
) -> None:
    upstream.play = Moody(whole(FAILURE, status, "retry-after: 0"), whole(FAILURE, status, "retry-after: 0"))
    with openai.OpenAI(base_url=gateway.base_url, api_key="none", max_retries=2) as sdk:
        answer = sdk.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
    assert answer.choices[0].message.content == "one two"
    receipts = [one.receipt for one in gateway.ended(3)]
    assert [one.status for one in receipts] == ["failed", "failed", "completed"]
    assert [one.retry_of for one in receipts] == [None, receipts[0].receipt, receipts[1].receipt]
    assert [one.request.retries for one in receipts] == [0, 1, 2]
    assert len({one.request.body for one in receipts}) == 1
    assert len(upstream.turns) == 3


def test_a_call_that_only_looks_like_a_failed_one_is_no_repetition(
    gateway: GatewayThread, upstream: RawUpstream
) -> None:
    upstream.play = Moody(whole(FAILURE, 500))
    assert [call(gateway, "m").status for _ in range(2)] == [502, 200]
    assert [one.receipt.retry_of for one in gateway.ended(2)] == [None, None]


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("nobody", 404, "model_not_found"),
        ("tiny", 400, "context_length_exceeded"),
        ("guarded", 403, "route_refused"),
        ("m", 400, "upstream_rejected"),
    ],
)
def test_the_official_client_does_not_repeat_what_stays_refused(
    gateway: GatewayThread, upstream: RawUpstream, model: str, status: int, code: str
) -> None:
    upstream.play = Moody(whole(b'{"error":{"message":"temperature is too high"}}', 400))
    with (
        openai.OpenAI(base_url=gateway.base_url, api_key="none", max_retries=5) as sdk,
        pytest.raises(openai.APIStatusError) as refused,
    ):
        sdk.chat.completions.create(model=model, messages=[{"role": "user", "content": "hello"}])
    assert (refused.value.status_code, refused.value.code) == (status, code)
    assert refused.value.response.headers["x-should-retry"] == "false"
    assert gateway.ended_once().receipt.error == code


def test_a_client_that_would_wait_longer_than_a_minute_is_told_not_to_retry_by_itself(
    gateway: GatewayThread, upstream: RawUpstream
) -> None:
    upstream.play = Moody(whole(FAILURE, 429, "retry-after: 61"))
    refused = call(gateway, "m")
    assert (refused.status, refused.headers["retry-after"]) == (429, "61")
    assert refused.headers["x-should-retry"] == "false"


def test_a_target_that_asks_for_quiet_gets_it_and_its_callers_are_told_how_long(
    gateway: GatewayThread, upstream: RawUpstream
) -> None:
    upstream.play = Moody(whole(FAILURE, 429, "retry-after: 2"))
    started = time.monotonic()
    first = call(gateway, "m")
    assert (first.status, first.code, first.headers["retry-after"]) == (429, "upstream_rate_limited", "2")
    assert "x-should-retry" not in first.headers
    second = call(gateway, "m")
    assert second.status in (429, 503)
    assert len(upstream.turns) == 1, "the target was asked while it rested"
    backed = call(gateway, "backed")
    assert backed.json["choices"][0]["message"]["content"] == "from the spare"
    skipped = gateway.ended(3)[2].receipt.plan
    assert skipped is not None
    assert [(skip.target, skip.reason) for skip in skipped.skipped] == [("up", "rate_limited")]
    gateway.until(lambda: call(gateway, "m").status == 200, "the end of the rest")
    assert time.monotonic() - started > 1.9
    assert len(upstream.turns) == 2
