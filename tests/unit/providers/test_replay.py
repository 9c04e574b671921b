"""Recordings: made from any transport, played again to the same ears."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import msgspec
import pytest

from wardwright.contracts.provider import Provider, Script, ScriptStep
from wardwright.dialects.exchange import HttpRequest
from wardwright.kernel.errors import WardwrightError
from wardwright.providers.replay import RecordingTransport, ReplayTransport
from wardwright.providers.scripted import ScriptedTransport
from wardwright.testing.hand_timers import HandTimers
from wardwright.testing.heard import Heard

STREAM = ScriptStep(chunks=("größer ", "als ", "drei"), delay_ms=300, chunk_delay_ms=100)
STEPS = (STREAM, ScriptStep(status=429, retry_after_s=3), ScriptStep(chunks=("a", "b"), break_after_chunks=1))


def request(**members: object) -> HttpRequest:
    headers = ((b"authorization", b"Bearer sk-caller"), (b"x-api-key", b"sk-other"))
    return HttpRequest("/chat/completions", headers, msgspec.json.encode({"model": "m", "stream": True} | members))


def recorded(directory: Path, *requests: HttpRequest) -> list[Heard]:
    """Ask a scripted provider and record what it answers."""
    timers = HandTimers()
    provider = Provider(name="p", transport="scripted", scripts=(Script(model="m", steps=STEPS),))
    transport = RecordingTransport(ScriptedTransport(provider, timers.wheel, timers), directory / "p.jsonl", timers)
    asyncio.run(transport.open())
    return [ask(transport, timers, one) for one in requests]


def replaying(directory: Path) -> tuple[ReplayTransport, HandTimers]:
    timers = HandTimers()
    transport = ReplayTransport(Provider(name="p", transport="replay", recordings=str(directory)), timers.wheel, timers)
    asyncio.run(transport.open())
    return transport, timers


def ask(transport: RecordingTransport | ReplayTransport, timers: HandTimers, one: HttpRequest) -> Heard:
    heard = Heard(timers)
    heard.exchange = transport.start(one, heard)
    timers.pass_time(10)
    heard.check()
    return heard


def test_a_replay_sounds_like_the_recording(tmp_path: Path) -> None:
    requests = [request(), request(), request()]
    originals = recorded(tmp_path, *requests)
    transport, timers = replaying(tmp_path)
    for original, one in zip(originals, requests, strict=True):
        start_s = timers.time()
        again = ask(transport, timers, one)
        assert (again.status, again.bodies, again.failure) == (original.status, original.bodies, original.failure)
        assert again.is_complete == original.is_complete
        assert (b"retry-after" in dict(again.headers)) == (again.status == 429)
        if original is originals[0]:
            assert [at - start_s for at in again.arrivals_s] == pytest.approx([0.3, 0.4, 0.5])
    last = ask(transport, timers, requests[0])
    assert last.failure == originals[-1].failure, "the last recording repeats"


def test_an_equal_body_is_found_before_an_equal_model(tmp_path: Path) -> None:
    recorded(tmp_path, request(user="a"), request(user="b"))
    transport, timers = replaying(tmp_path)
    assert ask(transport, timers, request(user="b")).status == 429
    assert ask(transport, timers, request(user="c")).status == 200


def test_a_request_that_nothing_answers_fails_to_connect(tmp_path: Path) -> None:
    recorded(tmp_path, request())
    transport, timers = replaying(tmp_path)
    for unknown in (request(model="other"), HttpRequest("/embeddings", (), request().body)):
        failure = ask(transport, timers, unknown).failure
        assert failure is not None
        assert failure.kind == "connect"


def test_nothing_of_a_request_but_its_digest_and_model_is_written(tmp_path: Path) -> None:
    recorded(tmp_path, request(messages=[{"role": "user", "content": "a secret"}]))
    written = (tmp_path / "p.jsonl").read_text()
    assert not [word for word in ("sk-caller", "sk-other", "authorization", "secret") if word in written]


def test_headers_that_no_dialect_reads_are_not_written(tmp_path: Path) -> None:
    recorded(tmp_path, request())
    assert {name for name, _ in json.loads((tmp_path / "p.jsonl").read_text())["headers"]} == {"content-type"}


def test_a_cancelled_exchange_is_not_recorded(tmp_path: Path) -> None:
    timers = HandTimers()
    provider = Provider(name="p", transport="scripted", scripts=(Script(model="m", steps=STEPS),))
    transport = RecordingTransport(ScriptedTransport(provider, timers.wheel, timers), tmp_path / "p.jsonl", timers)
    heard = Heard(timers)
    heard.exchange = transport.start(request(), heard)
    timers.pass_time(0.35)
    heard.cancel()
    timers.pass_time(10)
    heard.check()
    assert not (tmp_path / "p.jsonl").exists()


def test_bytes_that_are_no_text_survive(tmp_path: Path) -> None:
    line = {
        "v": 1,
        "method": "POST",
        "path": "/chat/completions",
        "model": "m",
        "request": "sha256:",
        "status": 200,
        "pieces": [{"at_ms": 0, "base64": "//4="}, {"at_ms": 5, "text": "é"}],
    }
    (tmp_path / "hand.jsonl").write_text("\n" + json.dumps(line) + "\n")
    transport, timers = replaying(tmp_path)
    assert ask(transport, timers, request()).bodies == [b"\xff\xfe", "é".encode()]


@pytest.mark.parametrize(
    "line", ["{", '{"v":2}', '{"v":1,"method":"POST","path":"/x","request":"","pieces":[{"at_ms":0,"base64":"!"}]}']
)
def test_a_line_that_is_no_recording_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "broken.jsonl").write_text("\n" + line)
    with pytest.raises(WardwrightError) as caught:
        replaying(tmp_path)
    assert caught.value.code == "settings_invalid"
    assert caught.value.place is not None
    assert caught.value.place.line == 2


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(WardwrightError, match="no such directory"):
        replaying(tmp_path / "nowhere")
    with pytest.raises(WardwrightError, match="needs `recordings`"):
        ReplayTransport(Provider(name="p", transport="replay"), HandTimers().wheel, HandTimers())
