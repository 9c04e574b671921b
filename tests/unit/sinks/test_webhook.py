"""The webhook: signatures, what is worth another attempt, and what is never told."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from parts.webhook_receiver import SECRET, Receiver, Reply, receiving
from wardwright.contracts.sink import WebhookSink
from wardwright.journal.sinks import Delivered, Later, Letter, Outcome, Refused
from wardwright.kernel.errors import WardwrightError
from wardwright.runtime.clock import SystemClock
from wardwright.sinks.signature import key_of, signed
from wardwright.sinks.webhook import Webhook
from wardwright.testing.certificates import Authority

LETTER = Letter(body=b'{"a":1}', id="alt_1")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def deliver(url: str, *, timeout_s: int = 5, tls_ca_file: str | None = None) -> Outcome:
    async def run() -> Outcome:
        settings = WebhookSink(name="sec", secret="env:S", timeout_s=timeout_s, tls_ca_file=tls_ca_file, url=url)
        sink = Webhook(settings, SECRET.encode(), SystemClock(), agent="wardwright/test")
        await sink.open()
        try:
            return await sink.deliver(LETTER)
        finally:
            await sink.aclose()

    return asyncio.run(run())


def test_a_signature_is_the_one_of_the_published_example() -> None:
    key = key_of(b"whsec_plJ3nmyCDGBKInavdOK15jsl")
    body = b'{"event_type":"ping","data":{"success":true}}'
    headers = dict(signed(key, "msg_loFOjxBNrRLzqYUf", 1731705121, body))
    assert headers[b"webhook-signature"] == b"v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="


def test_a_request_is_signed_typed_and_named(receiver: Receiver) -> None:
    assert deliver(f"{receiver.url}/alerts") == Delivered(note="HTTP 204")
    (posted,) = receiver.posted
    assert (posted.path, posted.id, posted.body, posted.genuine) == ("/alerts", "alt_1", LETTER.body, True)
    assert posted.headers["content-type"] == "application/json"
    assert posted.headers["user-agent"] == "wardwright/test"


def test_a_body_that_was_changed_on_the_way_is_not_genuine(receiver: Receiver) -> None:
    receiver.secret = b"another-secret-of-the-tests-that-is-long"
    deliver(receiver.url)
    assert [posted.genuine for posted in receiver.posted] == [False]


@pytest.mark.parametrize("secret", [b"short", b"whsec_c2hvcnQ=", b"whsec_***", b""])
def test_a_secret_that_proves_nothing_is_refused(secret: bytes) -> None:
    settings = WebhookSink(name="sec", secret="env:S", url="http://127.0.0.1:9")
    with pytest.raises(WardwrightError) as refused:
        Webhook(settings, secret, SystemClock(), agent="t")
    assert refused.value.code == "settings_invalid"
    assert secret.decode() not in refused.value.message or not secret


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_success_is_delivered(receiver: Receiver, status: int) -> None:
    receiver.default = Reply(status=status)
    assert isinstance(deliver(receiver.url), Delivered)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_what_may_pass_is_tried_again(receiver: Receiver, status: int) -> None:
    receiver.default = Reply(status=status)
    assert deliver(receiver.url) == Later(why=f"HTTP {status}")


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 403, 404, 410, 413, 422])
def test_what_will_not_pass_is_refused_and_redirects_are_not_followed(receiver: Receiver, status: int) -> None:
    receiver.default = Reply(status=status, headers=(("location", f"{receiver.url}/elsewhere"),))
    assert deliver(receiver.url) == Refused(why=f"HTTP {status}")
    assert len(receiver.posted) == 1


def test_a_receiver_says_how_long_it_wants_to_rest(receiver: Receiver) -> None:
    receiver.default = Reply(status=429, headers=(("retry-after", "7"),))
    assert deliver(receiver.url) == Later(after_s=7.0, why="HTTP 429")


def test_nothing_of_an_answer_is_told(receiver: Receiver) -> None:
    receiver.default = Reply(status=500, body=b"stack trace with a password", headers=(("x-secret", "hush"),))
    assert deliver(receiver.url) == Later(why="HTTP 500")


def test_a_receiver_that_does_not_answer_is_left_in_time(receiver: Receiver) -> None:
    receiver.default = Reply(wait_s=20)
    assert deliver(receiver.url, timeout_s=1) == Later(why="no answer within 1 s")


def test_a_connection_that_breaks_is_tried_again(receiver: Receiver) -> None:
    receiver.default = Reply(hang_up=True)
    assert deliver(receiver.url) == Later(why="the connection broke")


def test_nobody_there_is_tried_again_and_no_address_is_told() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        assert deliver(f"http://127.0.0.1:{held.getsockname()[1]}") == Later(why="it cannot be reached")


def test_a_certificate_is_verified(tmp_path: Path) -> None:
    for name in ("known", "strange"):
        (tmp_path / name).mkdir()
    known, strange = Authority(tmp_path / "known"), Authority(tmp_path / "strange")
    with receiving(tls=known.server_context("127.0.0.1")) as receiver:
        assert isinstance(deliver(receiver.url, tls_ca_file=str(known.bundle)), Delivered)
        assert deliver(receiver.url, tls_ca_file=str(strange.bundle)) == Later(why="its certificate does not verify")
    assert len(receiver.posted) == 1
