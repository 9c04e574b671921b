"""Calls made from the API document, well-formed and not: documented answers, no defect, and one receipt each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core import NOT_SET

from parts import contracts
from parts.contracts import chat
from parts.front import document
from parts.gateway_thread import GatewayThread, running
from parts.raw_client import CHAT, Answer, RawClient, request
from wardwright.api.table import AT_THE_EDGE

DOCUMENT: dict[str, Any] = document()
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
SHARE = 2
"""Each operation and mode gets one in so many of the examples that a property gets."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayThread]:
    documents = [contracts.scripted("s", {"text": "one two"}, {"status": 503}), contracts.model("m", "s", "s2")]
    documents.append(contracts.scripted("s2", {"text": "three"}))
    with running(tmp_path_factory.mktemp("gateway"), documents, commit_delay_ms=1) as gateway:
        yield gateway


def hold_to_document(path: str, answer: Answer) -> None:
    """The status is documented, and the body is what the document says of it."""
    described = DOCUMENT["paths"][path]["post"]["responses"].get(str(answer.status))
    assert described is not None, f"{answer.status} is not documented: {answer.body!r}"
    assert answer.status != 500, answer.body
    media = answer.headers["content-type"].partition(";")[0]
    content = described["content"][media]
    if media == "application/json":
        schema = content["schema"] | {"components": DOCUMENT["components"]}
        jsonschema_rs.validator_for(schema).validate(answer.json)
    else:
        assert answer.body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("path", [row.path for row in AT_THE_EDGE])
def test_every_call_is_answered_as_documented_and_has_one_receipt(
    gateway: GatewayThread, path: str, mode: GenerationMode
) -> None:
    gateway.ended()
    answered: list[str] = []
    statuses: set[int] = set()

    @given(case=SCHEMA[path]["POST"].as_strategy(generation_mode=mode), named=st.booleans())
    @settings(max_examples=settings().max_examples // SHARE, suppress_health_check=list(HealthCheck))
    def play(case: Any, named: bool) -> None:
        asked = case.body
        if named and isinstance(asked, dict):
            asked = asked | {"model": "m"}
        body = b"" if asked is NOT_SET else asked if isinstance(asked, bytes) else json.dumps(asked).encode()
        answer = client.ask(request(body, path=path))
        hold_to_document(path, answer)
        answered.append(answer.headers["x-wardwright-receipt-id"])
        statuses.add(answer.status)

    with RawClient(gateway.port) as client:
        play()
    assert [one.receipt.receipt for one in gateway.ended(len(answered))] == answered
    assert 200 in statuses or mode is GenerationMode.NEGATIVE, "no example is a call"
    assert statuses & {400, 404}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = [
    *("model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n", "tools", "user"),
    *("functions", "parallel_tool_calls", "response_format", "logprobs", "reasoning_effort", "modalities", "metadata"),
]


@given(
    changes=st.dictionaries(st.sampled_from(MEMBERS) | st.text(max_size=8), JSON, max_size=3),
    stream=st.booleans(),
    cut=st.none() | st.integers(min_value=0, max_value=200),
    flip=st.none() | st.tuples(st.integers(min_value=0, max_value=10_000), st.integers(min_value=0, max_value=255)),
)
def test_a_good_request_with_anything_in_it_is_answered_as_documented(
    gateway: GatewayThread,
    changes: dict[str, Any],
    stream: bool,
    cut: int | None,
    flip: tuple[int, int] | None,
) -> None:
    body = bytearray(json.dumps(chat("m", stream=stream) | changes).encode("utf-8", "surrogatepass"))
    if flip is not None:
        body[flip[0] % len(body)] = flip[1]
    with RawClient(gateway.port) as client:
        for data in (bytes(body), bytes(body[:cut])):
            hold_to_document(CHAT, client.ask(request(data)))
