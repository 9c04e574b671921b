"""How connections are used: kept, cut, pipelined, offered upgrades, drained; and who may call on them."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parts import contracts, raw_upstream
from parts.contracts import chat
from parts.gateway_thread import GatewayThread, running
from parts.raw_client import CHAT, Answer, RawClient, request
from parts.raw_upstream import RawUpstream, Turn

PLAIN = json.dumps(chat("m")).encode()
STREAMED = json.dumps(chat("m", stream=True)).encode()
ADMIN = {"x-wardwright-admin-token": "an-admin-token-for-tests"}
ENVIRONMENT = {"WARDWRIGHT_ADMIN_TOKEN": ADMIN["x-wardwright-admin-token"]}


@pytest.fixture(scope="module")
def upstream() -> Iterator[RawUpstream]:
    with raw_upstream.running(raw_upstream.answers) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def gateway(upstream: RawUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayThread]:
    documents = [contracts.provider("up", upstream.base_url), contracts.model("m", "up")]
    with running(tmp_path_factory.mktemp("gateway"), documents, commit_delay_ms=1) as gateway:
        yield gateway


@pytest.fixture
def play(upstream: RawUpstream) -> Iterator[RawUpstream]:
    """The upstream, for a test that puts a play of its own in place."""
    yield upstream
    upstream.play = raw_upstream.answers


def is_whole(answer: Answer) -> bool:
    return answer.status == 200 and answer.json["choices"][0]["message"]["content"] == "one two"


def is_stream(answer: Answer) -> bool:
    return answer.status == 200 and answer.body.endswith(b"data: [DONE]\n\n") and answer.body.count(b"data: ") == 5


def test_one_connection_serves_a_thousand_calls_of_every_sort(gateway: GatewayThread) -> None:
    gateway.ended()
    with RawClient(gateway.port) as client:
        for _ in range(250):
            assert is_whole(client.ask(request(PLAIN)))
            assert is_stream(client.ask(request(STREAMED)))
            assert client.ask(request(b"{")).status == 400
            assert client.ask(request(b"", path="/healthz", method="GET")).status == 200
    ended = gateway.ended(750)
    assert sum(one.receipt.status == "completed" for one in ended) == 500
    assert sum(one.opened for one in ended) == 250


@settings(max_examples=60)
@given(
    cuts=st.lists(st.integers(min_value=1, max_value=10_000), max_size=6),
    streamed=st.booleans(),
    chunked=st.booleans(),
    offers=st.sampled_from(["", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"]),
)
def test_any_split_of_a_request_is_the_same_request(
    gateway: GatewayThread, cuts: list[int], streamed: bool, chunked: bool, offers: str
) -> None:
    body = STREAMED if streamed else PLAIN
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    content = b"".join(map(raw_upstream.chunk, (body[:7], body[7:9], body[9:], b""))) if chunked else body
    data = f"POST {CHAT} HTTP/1.1\r\n{offers}Host: 127.0.0.1\r\n{framing}\r\n\r\n".encode() + content
    places = sorted({cut % len(data) for cut in cuts} | {0, len(data)})
    with RawClient(gateway.port) as client:
        for start, end in itertools.pairwise(places):
            client.send(data[start:end])
            if end < len(data):
                gateway.on_loop(lambda: None)  # what was sent is read before the next piece comes
        answer = client.answer()
        assert is_stream(answer) if streamed else is_whole(answer)
        assert is_whole(client.ask(request(PLAIN)))


LIKE = f"POST {CHAT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %b\r\nAccept: */*\r\n\r\n".encode()
"""A head that differs in the length of its body alone."""


@pytest.mark.parametrize(
    "data",
    [
        LIKE % b"%d" % (len(PLAIN) + 2) + PLAIN + b"  ",
        LIKE % b"%d" % len(STREAMED) + STREAMED,
        LIKE % b"%d" % (len(PLAIN) - 1) + PLAIN,
        LIKE % b"%d" % len(PLAIN) + PLAIN + b"\r\n\r\n",
        LIKE % b"0%d" % len(PLAIN) + PLAIN,
        LIKE % b"+%d" % len(PLAIN) + PLAIN,
        LIKE % b"-1" + PLAIN,
        LIKE % b"" + PLAIN,
        LIKE % b"1_0" + PLAIN[:10],
        LIKE % b"\xb2" + PLAIN,
        LIKE % b"%d" % len(PLAIN) + PLAIN + LIKE % b"%d" % len(PLAIN) + PLAIN,
        LIKE.replace(b"Accept", b"Content-Length: 5\r\nAccept") % b"%d" % len(PLAIN) + PLAIN,
        LIKE.replace(b"Accept: */*", b"Transfer-Encoding: chunked") % b"%d" % len(PLAIN) + PLAIN,
        LIKE.replace(b"HTTP/1.1", b"HTTP/1.0") % b"%d" % len(PLAIN) + PLAIN,
        LIKE % b"999999999999" + PLAIN,
        LIKE % b"%d" % len(b"{") + b"{",
    ],
)
def test_a_head_like_the_last_one_is_read_like_a_first_one(gateway: GatewayThread, data: bytes) -> None:
    plain = LIKE % b"%d" % len(PLAIN) + PLAIN
    with RawClient(gateway.port) as fresh, RawClient(gateway.port) as used:
        for _ in range(3):
            assert is_whole(used.ask(plain))
        answers = [(fresh.ask(data), used.ask(data))]
        if not answers[0][0].is_last:
            answers.append((fresh.ask(plain), used.ask(plain)))
        for first, again in answers:
            assert (first.status, first.headers.keys()) == (again.status, again.headers.keys())
        if again.is_last:
            assert fresh.to_the_end() == used.to_the_end() == b""


def test_every_single_cut_of_an_offer_to_upgrade_is_declined(gateway: GatewayThread) -> None:
    """As Java's client sends it, on a connection that it then keeps."""
    data = request(PLAIN, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
    with RawClient(gateway.port) as client:
        for cut in range(1, len(data)):
            client.send(data[:cut])
            gateway.on_loop(lambda: None)
            client.send(data[cut:])
            answer = client.answer()
            assert is_whole(answer), cut
            assert not answer.is_last


def test_an_offer_of_websockets_is_declined_by_answering_the_request(gateway: GatewayThread) -> None:
    offer = request(b"", "Connection: Upgrade", "Upgrade: WebSocket", path="/healthz", method="GET")
    with RawClient(gateway.port) as client:
        assert client.ask(offer).status == 200
        assert client.ask(offer).status == 200


def test_a_client_that_waits_for_permission_to_send_gets_it_once(gateway: GatewayThread) -> None:
    data = request(PLAIN, "Expect: 100-continue")
    head, _, body = data.partition(b"\r\n\r\n")
    with RawClient(gateway.port) as client:
        client.send(head + b"\r\n\r\n")
        assert client.head().status == 100
        client.send(body)
        assert is_whole(client.answer())


def test_http_1_0_gets_a_stream_without_chunks_that_ends_with_the_connection(gateway: GatewayThread) -> None:
    with RawClient(gateway.port) as client:
        answer = client.ask(request(STREAMED, version="1.0"))
        assert "transfer-encoding" not in answer.headers
        assert answer.is_last
        assert is_stream(answer)
    with RawClient(gateway.port) as client:
        assert is_whole(client.ask(request(PLAIN, version="1.0")))
        assert client.to_the_end() == b""


@pytest.mark.parametrize("target", [f"http://127.0.0.1:1{CHAT}", f"{CHAT}?beta=true"])
def test_a_call_is_known_by_its_path(gateway: GatewayThread, target: str) -> None:
    with RawClient(gateway.port) as client:
        assert is_whole(client.ask(request(PLAIN, path=target)))


@pytest.mark.parametrize("body", [PLAIN, STREAMED], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    "behind",
    [request(PLAIN) * 3, b"\r\n\r\n" + request(PLAIN), b"}", b"\x00" * 100],
    ids=["calls", "blank", "brace", "nul"],
)
def test_what_stands_behind_a_call_is_not_taken_and_the_call_is_answered(
    gateway: GatewayThread, play: RawUpstream, body: bytes, behind: bytes
) -> None:
    gateway.ended()
    go_on = threading.Event()

    def waits(turn: Turn) -> None:
        assert go_on.wait(10)
        raw_upstream.answers(turn)

    play.play = waits
    before = len(play.turns)
    with RawClient(gateway.port) as client:
        client.send(request(body) + behind)
        play.wait_for_turn(before + 1)
        client.send(behind)
        gateway.on_loop(lambda: None)
        go_on.set()
        answer = client.answer()
        assert is_stream(answer) if body is STREAMED else is_whole(answer)
        assert answer.is_last
        assert client.to_the_end() == b""
    assert gateway.ended_once().receipt.status == "completed"
    assert len(play.turns) == before + 1


def test_blank_lines_between_requests_are_no_request(gateway: GatewayThread) -> None:
    with RawClient(gateway.port) as client:
        assert is_whole(client.ask(request(PLAIN)))
        assert is_whole(client.ask(b"\r\n" + request(PLAIN)))


def test_requests_behind_one_that_is_refused_at_once_are_answered_in_turn(gateway: GatewayThread) -> None:
    gateway.ended()
    with RawClient(gateway.port) as client:
        client.send(request(b"{") + request(b"") + request(PLAIN))
        assert [client.answer().status for _ in range(3)] == [400, 400, 200]
    gateway.ended(3)


def test_a_client_that_asks_to_close_is_closed(gateway: GatewayThread) -> None:
    for body in (PLAIN, STREAMED, b"{"):
        with RawClient(gateway.port) as client:
            assert client.ask(request(body, "Connection: close")).is_last
            assert client.to_the_end() == b""


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (("Host: evil.example",), "host_not_allowed"),
        (("Host: 127.0.0.1.evil.example",), "host_not_allowed"),
        (("Host: localhost:8787",), None),
        (("Host: LOCALHOST",), None),
        (("Host: [::1]:8787",), None),
        (("Host: ",), "host_not_allowed"),
        ((), "host_not_allowed"),
        (("Host: 127.0.0.1", "Origin: https://evil.example"), "origin_not_allowed"),
        (("Host: 127.0.0.1", "Origin: null"), "origin_not_allowed"),
        (("Host: 127.0.0.1", "Authorization: Basic eDp5"), "invalid_api_key"),
        (("Host: 127.0.0.1", "Authorization: Bearer"), "invalid_api_key"),
        (("Host: 127.0.0.1", "Authorization: Bearer wwk_unknown"), "invalid_api_key"),
        (("Host: 127.0.0.1", "Authorization: Bearer sk-whatever-sdks-insist-on"), None),
        (("Host: evil.example", "Authorization: Bearer sk-whatever-sdks-insist-on"), "host_not_allowed"),
    ],
)
def test_without_a_key_only_programs_on_this_machine_call(
    gateway: GatewayThread, upstream: RawUpstream, lines: tuple[str, ...], code: str | None
) -> None:
    gateway.ended()
    before = len(upstream.turns)
    head = "\r\n".join((f"POST {CHAT} HTTP/1.1", *lines, f"Content-Length: {len(PLAIN)}"))
    with RawClient(gateway.port) as client:
        answer = client.ask(head.encode() + b"\r\n\r\n" + PLAIN)
        assert is_whole(client.ask(request(PLAIN)))
    if code is None:
        assert is_whole(answer)
        gateway.ended(2)
    else:
        assert answer.code == code
        assert answer.status == (401 if code == "invalid_api_key" else 403)
        assert answer.headers["x-should-retry"] == "false"
        assert "x-wardwright-receipt-id" not in answer.headers
        gateway.ended(1)
        assert len(upstream.turns) == before + 1


def test_keys_open_what_they_are_made_for_until_they_are_revoked(upstream: RawUpstream, tmp_path: Path) -> None:
    documents = [contracts.provider("up", upstream.base_url), contracts.model("m", "up"), contracts.model("k", "up")]
    with running(tmp_path, documents, environment=ENVIRONMENT, keys="required", commit_delay_ms=1) as gateway:

        def make(**terms: Any) -> tuple[str, str]:
            status, _, made = gateway.ask("/api/keys", terms, ADMIN)
            assert status == 201, made
            return made["key"]["id"], made["token"]

        def call(model: str, **headers: str) -> tuple[int, str | None, dict[str, str]]:
            status, heard, answer = gateway.ask(CHAT, chat(model), headers)
            return status, answer.get("error", {}).get("code"), heard

        _, gateway.credential = make(label="whoever")
        _, narrow = make(models=["k*"], tenant="acme")
        soon = gateway.runtime.clock.now_us() + 300_000
        _, brief = make(expires_at=soon)
        revoked_id, revoked = make()
        gateway.ended()

        status, code, heard = call("m")
        assert (status, code, heard["www-authenticate"]) == (401, "missing_api_key", "Bearer")
        assert call("m", Authorization="Bearer nonsense")[:2] == (401, "invalid_api_key")
        assert call("m", Authorization=f"Bearer {gateway.credential}x")[:2] == (401, "invalid_api_key")
        assert call("m", Host="evil.example", Authorization=f"Bearer {gateway.credential}")[0] == 200
        assert call("m", **{"x-api-key": gateway.credential})[0] == 200
        assert call("k", Authorization=f"bearer {narrow}")[0] == 200
        assert call("m", Authorization=f"Bearer {narrow}")[:2] == (403, "model_not_allowed")
        assert call("kk", Authorization=f"Bearer {narrow}")[:2] == (404, "model_not_found")
        assert call("m", Authorization=f"Bearer {revoked}")[0] == 200
        gateway.until(lambda: call("m", Authorization=f"Bearer {brief}")[0] == 401, "the end of a key")
        assert gateway.runtime.clock.now_us() >= soon
        with RawClient(gateway.port) as connection:
            assert connection.ask(request(PLAIN, f"Authorization: Bearer {revoked}")).status == 200
            lines = [f"{name}: {value}" for name, value in ADMIN.items()]
            assert connection.ask(request(b"", *lines, path=f"/api/keys/{revoked_id}", method="DELETE")).status == 204
            assert connection.ask(request(PLAIN, f"Authorization: Bearer {revoked}")).code == "invalid_api_key"
        refused = [one.receipt for one in gateway.ended() if one.receipt.status == "refused"]
        assert [(one.error, one.caller.tenant.value) for one in refused] == [
            ("model_not_allowed", "acme"),
            ("model_not_found", "acme"),
        ]


def test_a_gateway_that_ends_finishes_what_it_began_and_takes_nothing_new(tmp_path: Path) -> None:
    first, go_on = threading.Event(), threading.Event()

    def slow(turn: Turn) -> None:
        turn.send(raw_upstream.SSE_HEAD, raw_upstream.chunk(raw_upstream.ROLE + raw_upstream.text("one ")))
        first.set()
        assert go_on.wait(10)
        rest = (raw_upstream.text("two"), raw_upstream.STOP, raw_upstream.DONE, b"")
        turn.send(*map(raw_upstream.chunk, rest))

    with raw_upstream.running(slow) as upstream:
        documents = [contracts.provider("up", upstream.base_url), contracts.model("m", "up")]
        with (
            running(tmp_path, documents) as gateway,
            RawClient(gateway.port) as client,
            RawClient(gateway.port) as idle,
            RawClient(gateway.port) as half,
        ):
            client.send(request(STREAMED))
            half.send(request(STREAMED)[:50])
            assert first.wait(10)
            gateway.server.should_exit = True
            assert idle.to_the_end() == b""
            assert half.to_the_end() == b""
            with pytest.raises(ConnectionRefusedError):
                RawClient(gateway.port)
            go_on.set()
            assert is_stream(client.answer())
            assert client.to_the_end() == b""
