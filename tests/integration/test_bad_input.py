"""Bad input at the edge: always an error in OpenAI's envelope, a connection in a known state, a server that goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from parts import contracts, raw_upstream
from parts.contracts import chat
from parts.gateway_thread import GatewayThread, running
from parts.raw_client import CHAT, RawClient, request
from parts.raw_upstream import RawUpstream

BODY_BYTES_MAX = 100_000
HEAD_BYTES_MAX = 16_384
PLAIN = json.dumps(chat("m")).encode()
START = b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\n"
LATE_S = 8.0
"""Long past every deadline of a second, on a busy machine too."""
BUDGET = "max_completion_tokens"
MESSAGES = b'"messages":[{"role":"user","content":"hi"}]'


@pytest.fixture(scope="module")
def upstream() -> Iterator[RawUpstream]:
    with raw_upstream.running(raw_upstream.answers) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def module_gateway(upstream: RawUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayThread]:
    documents = [contracts.provider("up", upstream.base_url), contracts.model("m", "up")]
    limits = {
        "body_bytes_max": BODY_BYTES_MAX,
        "body_timeout_s": 1,
        "head_bytes_max": HEAD_BYTES_MAX,
        "head_timeout_s": 1,
        "idle_timeout_s": 1,
    }
    with running(tmp_path_factory.mktemp("gateway"), documents, limits=limits, commit_delay_ms=1) as gateway:
        yield gateway


@pytest.fixture
def gateway(module_gateway: GatewayThread) -> Iterator[GatewayThread]:
    """The gateway, and afterwards the proof that it still answers as before."""
    module_gateway.ended()
    yield module_gateway
    status, _, answer = module_gateway.ask(CHAT, chat("m"))
    assert (status, answer["choices"][0]["message"]["content"]) == (200, "one two")


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        (b"", 400, "invalid_json", None),
        (b"{", 400, "invalid_json", None),
        (b"nonsense", 400, "invalid_json", None),
        (PLAIN + b"}", 400, "invalid_json", None),
        (b"[1]", 400, "invalid_request", None),
        (b"null", 400, "invalid_request", None),
        (b"{}", 400, "invalid_request", None),
        (b'{"model":7,%b}' % MESSAGES, 400, "invalid_request", "model"),
        (b'{"model":"",%b}' % MESSAGES, 400, "invalid_request", "model"),
        (b'{"model":"m"}', 400, "invalid_request", None),
        (b'{"model":"m","messages":"hi"}', 400, "invalid_request", "messages"),
        (b'{"model":"m","messages":[]}', 400, "invalid_request", "messages"),
        (b'{"model":"m","messages":[7]}', 400, "invalid_request", "messages[0]"),
        (b'{"model":"m","stream":"yes",%b}' % MESSAGES, 400, "invalid_request", "stream"),
        (b'{"model":"m","n":0,%b}' % MESSAGES, 400, "invalid_request", "n"),
        (b'{"model":"m","n":1e999,%b}' % MESSAGES, 400, "invalid_request", "n"),
        (b'{"model":"m","max_tokens":-1,%b}' % MESSAGES, 400, "invalid_request", "max_tokens"),
        (b'{"model":"m","max_tokens":%d,%b}' % (2**53, MESSAGES), 400, "invalid_request", "max_tokens"),
        (b'{"model":"m","max_completion_tokens":%d,%b}' % (10**40, MESSAGES), 400, "invalid_request", BUDGET),
        (b'{"model":"m","n":%d,%b}' % (2**60, MESSAGES), 400, "invalid_request", "n"),
        (
            b'{"model":"m","metadata":{"region":"%b"},%b}' % (b"x" * 257, MESSAGES),
            400,
            "invalid_request",
            "metadata.region",
        ),
        (b'{"model":"m","metadata":[],%b}' % MESSAGES, 400, "invalid_request", "metadata"),
        (b'{"model":"m","metadata":{"tags":[1]},%b}' % MESSAGES, 400, "invalid_request", "metadata.tags"),
        (b'{"model":"m","x":NaN,%b}' % MESSAGES, 400, "invalid_json", None),
        (b'{"model":"m","x":"\xff",%b}' % MESSAGES, 400, "invalid_json", None),
        (b'{"model":"m","x":"\xed\xa0\x80",%b}' % MESSAGES, 400, "invalid_json", None),
        (b'{"model":"m","x":"\\ud800",%b}' % MESSAGES, 400, "invalid_json", None),
        (b'{"model":"m","x":"\\udc00\\ud800",%b}' % MESSAGES, 400, "invalid_json", None),
        (b'\xef\xbb\xbf{"model":"m",%b}' % MESSAGES, 400, "invalid_json", None),
        (b'{"model":"m","x":%b%b,%b}' % (b"[" * 127, b"]" * 127, MESSAGES), 200, None, None),
        (b'{"model":"m","x":%b%b,%b}' % (b"[" * 128, b"]" * 128, MESSAGES), 400, "json_too_deep", None),
        (b'{"model":"m","x":%b' % (b'{"a":' * 15_000), 400, "json_too_deep", None),
        (b'{"model":"m","x":%b' % (b"[" * 80_000), 400, "json_too_deep", None),
        (b'{"model":"%b",%b}' % (b"m" * 300, MESSAGES), 400, "invalid_request", "model"),
        (b'{"model":"mm",%b}' % MESSAGES, 404, "model_not_found", None),
        (b'{"model":"m\\r\\nx: y",%b}' % MESSAGES, 404, "model_not_found", None),
    ],
    ids=lambda value: repr(value[:40]) if isinstance(value, bytes) else None,
)
def test_a_bad_body_gets_an_envelope_a_receipt_and_keeps_its_connection(
    gateway: GatewayThread, body: bytes, status: int, code: str | None, param: str | None
) -> None:
    with RawClient(gateway.port) as client:
        answer = client.ask(request(body))
        assert answer.status == status
        again = client.ask(request(PLAIN))
        assert again.status == 200
    first, second = gateway.ended(2)
    assert answer.headers["x-wardwright-receipt-id"] == first.receipt.receipt
    assert second.receipt.status == "completed"
    assert not first.opened
    if code is not None:
        assert (answer.code, answer.error["param"]) == (code, param)
        assert answer.error["receipt_id"] == first.receipt.receipt
        assert answer.headers["x-should-retry"] == "false"
        assert (first.receipt.status, first.receipt.error) == ("refused", code)


def test_an_unknown_model_is_answered_with_the_name_that_was_meant(gateway: GatewayThread) -> None:
    status, _, answer = gateway.ask(CHAT, chat("wardwright/mm"))
    assert status == 404
    assert answer["error"]["message"].endswith("did you mean `m`?")


def test_of_duplicate_members_the_last_is_read_and_sent_and_no_other(
    gateway: GatewayThread, upstream: RawUpstream
) -> None:
    body = (
        b'{"model":"nobody","messages":[],"temperature":1,"model":"m","temperature":0,'
        b'"messages":[{"role":"user","content":"first"}],"messages":[{"role":"user","content":"last"}],'
        b'"stream":true,"stream":false}'
    )
    with RawClient(gateway.port) as client:
        answer = client.ask(request(body))
    assert answer.status == 200
    assert answer.json["object"] == "chat.completion"
    sent = json.loads(upstream.last.body, object_pairs_hook=list)
    assert sorted(sent) == sorted(
        [
            ("model", "m"),
            ("messages", [[("role", "user"), ("content", "last")]]),
            ("temperature", 0),
            ("stream", False),
        ]
    )


def test_members_that_nobody_here_knows_reach_the_upstream_as_they_came(
    gateway: GatewayThread, upstream: RawUpstream
) -> None:
    odd = b'{"b":[1.0,1e2,-0,12345678901234567890],"a":"\\u00e9\\/","\xc3\xa9":null}'
    with RawClient(gateway.port) as client:
        assert client.ask(request(b'{"model":"m","odd":%b,%b}' % (odd, MESSAGES))).status == 200
    assert b'"odd":' + odd in upstream.last.body


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
def test_a_body_beyond_the_limit_is_answered_before_its_end_and_closes(gateway: GatewayThread, chunked: bool) -> None:
    size = 40 * BODY_BYTES_MAX
    with RawClient(gateway.port) as client:
        if chunked:
            client.send(START + b"transfer-encoding: chunked\r\n\r\n")
            client.send(raw_upstream.chunk(b" " * 65_536) * (size // 65_536))
        else:
            client.send(request(b" " * size))
        answer = client.answer()
        assert client.to_the_end() == b""
    assert (answer.status, answer.code, answer.is_last) == (413, "body_too_large", True)
    assert answer.headers["x-should-retry"] == "false"


def test_a_declared_size_beyond_the_limit_is_answered_before_the_body_is_asked_for(gateway: GatewayThread) -> None:
    head = START + b"expect: 100-continue\r\ncontent-length: 10000000\r\n\r\n"
    with RawClient(gateway.port) as client:
        assert client.ask(head).status == 413


def test_what_follows_a_body_beyond_the_limit_is_never_taken_for_a_request(
    gateway: GatewayThread, upstream: RawUpstream
) -> None:
    before = len(upstream.turns)
    with RawClient(gateway.port) as client:
        client.send(request(b" " * (BODY_BYTES_MAX + 1)) + request(PLAIN))
        assert client.answer().status == 413
        assert client.to_the_end() == b""
    gateway.ended(0)
    assert len(upstream.turns) == before


@pytest.mark.parametrize("pieces", [1, 60])
def test_a_head_beyond_the_limit_is_refused_however_it_is_cut(gateway: GatewayThread, pieces: int) -> None:
    head = request(PLAIN, "X-Long: " + "x" * HEAD_BYTES_MAX)
    step = -(-len(head) // pieces)
    with RawClient(gateway.port) as client:
        client.send(*(head[at : at + step] for at in range(0, len(head), step)))
        answer = client.answer()
        assert client.to_the_end() == b""
    assert (answer.status, answer.code, answer.is_last) == (431, "headers_too_large", True)


def test_a_large_body_with_a_small_head_is_no_large_head(gateway: GatewayThread) -> None:
    body = json.dumps(chat("m", padding="x" * (BODY_BYTES_MAX - 1000))).encode()
    with RawClient(gateway.port) as client:
        assert client.ask(request(body)).status == 200
        assert client.ask(request(body)).status == 200


@pytest.mark.parametrize(
    "trailer", [b"x: " + b"x" * 4 * HEAD_BYTES_MAX, b"x: y\r\n" * HEAD_BYTES_MAX], ids=["one", "many"]
)
def test_trailers_without_end_are_cut_off(gateway: GatewayThread, trailer: bytes) -> None:
    with RawClient(gateway.port) as client:
        client.send(START + b"transfer-encoding: chunked\r\n\r\n")
        client.send(raw_upstream.chunk(PLAIN) + b"0\r\n")
        for at in range(0, len(trailer), 4096):
            client.send_unheard(trailer[at : at + 4096])
            gateway.turn()  # each piece a read of its own
        answer = client.answer()
    assert (answer.status, answer.code, answer.is_last) == (400, "invalid_request", True)


def test_trailers_say_nothing_about_the_call(gateway: GatewayThread) -> None:
    with RawClient(gateway.port) as client:
        client.send(
            START + b"x-wardwright-user-id: ann\r\ntransfer-encoding: chunked\r\n\r\n",
            raw_upstream.chunk(PLAIN) + b"0\r\nx-wardwright-user-id: bob\r\nauthorization: Basic x\r\n\r\n",
        )
        assert client.answer().status == 200
    user = gateway.ended_once().receipt.caller.user
    assert user is not None
    assert (user.source, user.value) == ("header", "ann")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("X-Wardwright-Session-Id: " + "s" * 257, "invalid_header"),
        ("X-Wardwright-Session-Id: a\tb", "invalid_header"),
        ("X-Wardwright-User-Id: \u202eevil", "invalid_header"),
        ("X-Wardwright-Run-Id: \udcff", "invalid_header"),
        ("X-Wardwright-Hops: many", "invalid_header"),
        ("X-Wardwright-Hops: -1", "invalid_header"),
        ("X-Wardwright-Hops: 99999", "invalid_header"),
        ("X-Wardwright-Hops: 4", "too_many_hops"),
        ("X-Stainless-Retry-Count: \u00b2", "invalid_header"),
    ],
)
def test_a_header_that_cannot_be_believed_is_refused(gateway: GatewayThread, line: str, code: str) -> None:
    with RawClient(gateway.port) as client:
        head, _, body = request(PLAIN).partition(b"\r\n\r\n")
        raw = line.encode("utf-8", "surrogateescape")
        answer = client.ask(head + b"\r\n" + raw + b"\r\n\r\n" + body)
        assert answer.code == code
        assert client.ask(request(PLAIN)).status == 200
    refused, _ = gateway.ended(2)
    assert refused.receipt.error == code


@pytest.mark.parametrize(
    "injected",
    [b"a\rX-Injected: 1", b"a\nX-Injected: 1", b"a\x00b", b"a\r\n X-Injected: 1", b"a\x0bb\x7f"],
    ids=["cr", "lf", "nul", "folded", "control"],
)
def test_a_header_cannot_be_split(gateway: GatewayThread, upstream: RawUpstream, injected: bytes) -> None:
    with RawClient(gateway.port) as client:
        head, _, body = request(PLAIN).partition(b"\r\n\r\n")
        answer = client.ask(head + b"\r\nX-Wardwright-Session-Id: " + injected + b"\r\n\r\n" + body)
    assert answer.status == 400
    assert answer.code in ("invalid_request", "invalid_header")
    assert "x-injected" not in answer.headers


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"hello there\r\n\r\n",
        b"POST /v1/chat/completions HTTP/9.9\r\nhost: 127.0.0.1\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\nhost: 127.0.0.1\n\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost : 127.0.0.1\r\n\r\n",
        START + b"content-length: 3\r\ncontent-length: 4\r\n\r\nabc",
        START + b"content-length: -1\r\n\r\n",
        START + b"content-length: 99999999999999999999\r\n\r\n",
        START + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        START + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
        START + b"transfer-encoding: chunked\r\n\r\n3\r\nabcd\r\n",
        b"GET http://[ HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",
        b"GET /caf\xc3\xa9 HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",
        b"CONNECT 127.0.0.1:80 HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",
    ],
    ids=lambda nonsense: repr(nonsense[:60]),
)
def test_what_is_no_request_is_told_so_and_closed(gateway: GatewayThread, nonsense: bytes) -> None:
    with RawClient(gateway.port) as client:
        answer = client.ask(nonsense)
        assert client.to_the_end() == b""
    assert (answer.status, answer.code, answer.is_last) == (400, "invalid_request", True)
    gateway.ended(0)


def test_the_waits_for_a_head_a_body_and_a_next_request_end(gateway: GatewayThread) -> None:
    head, _, body = request(PLAIN).partition(b"\r\n\r\n")
    half_head, half_body, half_app, silent, idle = (RawClient(gateway.port) for _ in range(5))
    with half_head, half_body, half_app, silent, idle:
        started = time.monotonic()
        half_head.send(head)
        half_body.send(head + b"\r\n\r\n" + body[:10])
        half_app.send(request(body, path="/v1/synthetic/simulate")[:-10])
        assert idle.ask(request(PLAIN)).status == 200
        for client in (half_head, half_body, half_app):
            answer = client.answer()
            assert (answer.status, answer.code, answer.is_last) == (408, "request_timeout", True)
            assert client.to_the_end() == b""
        assert silent.to_the_end() == b""
        assert idle.to_the_end() == b""
        assert 0.9 < time.monotonic() - started < LATE_S
    gateway.ended(1)


def test_bytes_that_come_slowly_do_not_move_the_deadline_of_a_head(gateway: GatewayThread) -> None:
    with RawClient(gateway.port) as client:
        started = time.monotonic()
        client.send(b"POST /v1/chat/completions HTTP/1.1\r\n")
        while not client.hears(0.1):
            client.send_unheard(b"x: y\r\n")
            assert time.monotonic() - started < LATE_S, "each line moved the deadline"
        assert client.answer().status == 408


def test_the_app_refuses_early_and_what_still_comes_is_no_request(gateway: GatewayThread) -> None:
    body = b"x" * 70_000
    with RawClient(gateway.port) as client:
        data = request(body, path="/nowhere")
        client.send(data[:200])
        answer = client.answer()
        assert answer.status == 404
        client.send_unheard(data[200:] + request(PLAIN))
        assert client.to_the_end() == b""
    gateway.ended(0)


def test_a_gateway_that_is_full_says_so(tmp_path: Path) -> None:
    documents = [contracts.scripted("s", {"text": "hello"}), contracts.model("m", "s")]
    with running(tmp_path, documents, limits={"connections_max": 2}) as gateway:
        with RawClient(gateway.port) as first, RawClient(gateway.port) as second:
            assert first.ask(request(PLAIN)).status == 200
            assert second.ask(request(PLAIN)).status == 200
            with RawClient(gateway.port) as third:
                answer = third.answer()
                assert (answer.status, answer.code, answer.is_last) == (503, "overloaded", True)
            assert first.ask(request(PLAIN)).status == 200
        gateway.until(lambda: gateway.on_loop(lambda: len(gateway.server.server_state.connections)) == 0)
        assert gateway.ask(CHAT, chat("m"))[0] == 200


def test_a_defect_of_the_gateway_ends_one_request_and_is_reported(
    gateway: GatewayThread, upstream: RawUpstream
) -> None:
    transport: Any = next(iter(gateway.runtime.gateway.catalog.endpoints().values())).transport
    kept = transport.start

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    transport.start = broken
    try:
        with RawClient(gateway.port) as client:
            answer = client.ask(request(PLAIN))
    finally:
        transport.start = kept
    assert (answer.status, answer.code) == (500, "internal_error")
    assert [type(defect) for defect in gateway.defects] == [ZeroDivisionError]
    gateway.defects.clear()
    ended = gateway.ended_once()
    assert (ended.receipt.status, ended.receipt.error) == ("failed", "internal_error")
