"""Captured bodies: kept where capture is on, shown to whoever may read the receipt, forgotten for good."""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from parts.front import ADMIN, Answered, World, in_world
from wardwright.dialects.openai_wire import error_body
from wardwright.gateway.core.heading import Heading
from wardwright.storage.capture_writer import CaptureFileWriter
from wardwright.storage.captures import CaptureFiles

ASKED: Final = "asked-8c1f"
TOLD: Final = "told-3b7e"
"""Words that stand in no other place than in bodies."""

DOCUMENTS: Final = {
    "all.yaml": f"""
kind: provider
name: scripted
transport: scripted
scripts:
  - {{model: fast, steps: [{{text: "{TOLD}"}}]}}
  - {{model: stalls, steps: [{{chunks: ["{TOLD}", more], stall_after_chunks: 1}}]}}
  - {{model: breaks, steps: [{{chunks: ["{TOLD}", more], break_after_chunks: 1}}]}}
---
kind: model
name: coding
targets: [{{name: fast, provider: scripted, model: fast, context_window: 8192}}]
---
kind: model
name: stalling
targets: [{{name: stalls, provider: scripted, model: stalls, context_window: 8192}}]
---
kind: model
name: breaking
targets: [{{name: breaks, provider: scripted, model: breaks, context_window: 8192}}]
"""
}


def body_of(model: str, *, stream: bool = False) -> bytes:
    return msgspec.json.encode(
        {"model": model, "messages": [{"role": "user", "content": f"{ASKED} ü"}], "stream": stream}
    )


async def called(world: World, body: bytes, headers: Mapping[str, str] | None = None) -> Answered:
    client = Answered()
    sent = {name.encode(): value.encode() for name, value in (headers or {}).items()}
    world.runtime.gateway.call("chat", Heading({b"host": b"localhost", **sent}), body, client)
    return await client.heard()


async def bodies(world: World, receipt: str, headers: Mapping[str, str] = ADMIN) -> Any:
    response = await world.get(f"/v1/receipts/{receipt}/bodies", headers=headers)
    assert response.status_code == 200, response.text
    return response.json()


async def receipt_of(world: World, receipt: str) -> Any:
    return (await world.get(f"/v1/receipts/{receipt}", headers=ADMIN)).json()["receipt"]


async def none_kept(world: World, receipt: str) -> None:
    response = await world.get(f"/v1/receipts/{receipt}/bodies", headers=ADMIN)
    assert (response.status_code, response.json()["error"]["code"]) == (404, "capture_not_found")


def in_capturing(tmp_path: Path, play: Any, **options: Any) -> None:
    in_world(tmp_path, play, **{"documents": DOCUMENTS, "capture": "bodies", **options})


def files_with(folder: Path, *words: str) -> set[str]:
    """The files below a folder that hold any of the words."""
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and any(word.encode() in path.read_bytes() for word in words)
    }


@pytest.mark.parametrize("durability", ["batch", "before_response"])
@pytest.mark.parametrize("stream", [False, True])
def test_what_was_asked_and_answered_is_shown_byte_for_byte(tmp_path: Path, stream: bool, durability: str) -> None:
    async def play(world: World) -> None:
        body = body_of("coding", stream=stream)
        call = await called(world, body)
        shown = await bodies(world, call.receipt)
        assert shown["id"] == call.receipt
        assert shown["request"] == {"bytes": len(body), "content": body.decode(), "cut": False, "encoding": "utf-8"}
        assert shown["answer"]["content"].encode() == call.body
        assert shown["answer"]["bytes"] == len(call.body)
        assert TOLD in shown["answer"]["content"]
        assert (await receipt_of(world, call.receipt))["captured"] is True

    in_capturing(tmp_path, play, durability=durability)


@pytest.mark.parametrize("body", [body_of("unknown"), b'{"model": "coding"', b"\xff\xfe"], ids=["name", "cut", "bytes"])
def test_a_refused_call_shows_what_it_was_told(tmp_path: Path, body: bytes) -> None:
    async def play(world: World) -> None:
        call = await called(world, body)
        assert call.error is not None
        shown = await bodies(world, call.receipt)
        assert shown["answer"]["content"].encode() == error_body(call.error, call.receipt)
        asked = shown["request"]
        content = asked["content"].encode()
        assert body == (base64.b64decode(content) if asked["encoding"] == "base64" else content)

    in_capturing(tmp_path, play)


def test_a_stream_that_breaks_shows_the_error_it_ended_with(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        call = await called(world, body_of("breaking", stream=True))
        shown = await bodies(world, call.receipt)
        assert shown["answer"]["content"].encode() == call.body
        assert b'"error"' in call.body.splitlines()[-2]

    in_capturing(tmp_path, play)


def test_a_client_that_left_is_shown_what_was_sent_until_then(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        client = Answered()
        live = world.runtime.gateway.call(
            "chat", Heading({b"host": b"localhost"}), body_of("stalling", stream=True), client
        )
        assert live is not None
        await client.begun()
        while TOLD.encode() not in client.body:
            await world.get("/healthz")
        live.left()
        receipt = None
        while receipt is None:  # nobody is told when the receipt of a call without a client is on disk
            receipt = await receipt_of(world, client.receipt)
        assert (receipt["status"], receipt["captured"]) == ("client_left", True)
        assert (await bodies(world, client.receipt))["answer"]["content"].encode() == client.body

    in_capturing(tmp_path, play)


def test_while_a_call_is_under_way_its_bodies_are_not_kept_yet(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        client = Answered()
        live = world.runtime.gateway.call(
            "chat", Heading({b"host": b"localhost"}), body_of("stalling", stream=True), client
        )
        assert live is not None
        await client.begun()
        await none_kept(world, client.receipt)
        live.left()

    in_capturing(tmp_path, play)


def test_a_long_body_is_cut_between_characters_and_says_so(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        body = body_of("coding")
        cut = body.index("ü".encode()) + 1
        world.runtime.captures.bytes_max = cut
        call = await called(world, body)
        shown = await bodies(world, call.receipt)
        assert shown["request"] == {
            "bytes": len(body), "content": body[: cut - 1].decode(), "cut": True, "encoding": "utf-8",
        }  # fmt: skip
        assert shown["answer"]["content"].encode() == call.body[:cut]
        assert (shown["answer"]["bytes"], shown["answer"]["cut"]) == (len(call.body), True)

    in_capturing(tmp_path, play)


def test_capture_is_off_unless_it_is_switched_on(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        whole = await called(world, body_of("coding"))
        stream = await called(world, body_of("coding", stream=True))
        refused = await called(world, body_of("unknown"))
        for call in (whole, stream, refused):
            await none_kept(world, call.receipt)
            assert "captured" not in await receipt_of(world, call.receipt)
        assert not (tmp_path / "state" / "captures").exists()

    in_world(tmp_path, play, documents=DOCUMENTS)
    held = files_with(tmp_path / "state", ASKED, TOLD)
    assert {Path(name).parts[0] for name in held} == {"blobs"}  # the provider's document holds its own script


def test_bodies_stand_in_captures_and_nowhere_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def play(world: World) -> None:
        for body in (body_of("coding"), body_of("coding", stream=True), body_of("breaking", stream=True)):
            call = await called(world, body)
            await bodies(world, call.receipt)
            await world.get("/v1/receipts", headers=ADMIN)
        await called(world, b'{"model": "coding", "messages": "%s"}' % ASKED.encode())

    in_capturing(tmp_path, play)
    held = files_with(tmp_path / "state", ASKED, TOLD)
    assert {Path(name).parts[0] for name in held} == {"captures", "blobs"}  # the provider's document holds its script
    assert files_with(tmp_path / "state", ASKED) == {name for name in held if name.startswith("captures/")}
    assert len(files_with(tmp_path / "state", ASKED)) == 4
    assert ASKED not in caplog.text
    assert TOLD not in caplog.text


def test_whoever_may_read_a_receipt_may_read_its_bodies_and_nobody_else(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        _, own = await world.key(tenant="acme")
        _, colleague = await world.key(tenant="acme")
        _, whole = await world.key(tenant="acme", scopes=["call", "receipts:tenant"])
        _, foreign = await world.key(tenant="globex", scopes=["call", "receipts:tenant"])
        _, blind = await world.key(tenant="acme", scopes=["call"])
        call = await called(world, body_of("coding"), own)
        path = f"/v1/receipts/{call.receipt}/bodies"
        for headers in (own, whole, ADMIN):
            assert (await world.get(path, headers=headers)).status_code == 200
        for headers in (colleague, foreign, {}):
            refused = await world.get(path, headers=headers)
            assert (refused.status_code, refused.json()["error"]["code"]) == (404, "receipt_not_found")
        assert (await world.get(path, headers=blind)).status_code == 403

    in_capturing(tmp_path, play)


def test_forgotten_bodies_are_gone_and_the_chain_says_so(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        first = await called(world, body_of("coding"))
        second = await called(world, body_of("coding"))
        ask = {"tenant": "local", "receipt": first.receipt}
        gone = await world.post("/api/journal/forget", headers=ADMIN, json=ask)
        assert gone.json() == {"captures": 1, "key": False, "tenant": "local"}
        await none_kept(world, first.receipt)
        assert (await bodies(world, second.receipt))["answer"]["content"].encode() == second.body
        gone = await world.post("/api/journal/forget", headers=ADMIN, json={"tenant": "local"})
        assert gone.json() == {"captures": 1, "key": True, "tenant": "local"}
        await none_kept(world, second.receipt)
        assert (await receipt_of(world, second.receipt))["status"] == "completed"

    in_capturing(tmp_path, play)
    assert files_with(tmp_path / "state", ASKED) == set()
    control = "".join(path.read_text() for path in (tmp_path / "state" / "journal").rglob("control/*.jsonl"))
    assert control.count('"kind":"capture.forgotten"') == 1
    assert control.count('"kind":"tenant.forgotten"') == 1


def test_a_full_queue_drops_the_capture_and_never_the_call(tmp_path: Path) -> None:
    losses: list[int] = []

    async def play(world: World) -> None:
        full = CaptureFileWriter(
            CaptureFiles(tmp_path / "state"),
            bytes_max=1000,
            on_loss=lambda count, _: losses.append(count),
            waiting_max=0,
        )
        world.runtime.gateway.capture = full
        call = await called(world, body_of("coding"))
        assert TOLD.encode() in call.body
        assert "captured" not in await receipt_of(world, call.receipt)
        await none_kept(world, call.receipt)
        app = world.altered(captures=full)
        metrics = (await world.get("/metrics", app=app, headers=ADMIN)).text
        assert "wardwright_captures_dropped_total 1.0" in metrics
        storage = (await world.get("/admin/storage", app=app, headers=ADMIN)).json()
        assert (storage["capture"], storage["captures"]["dropped"]) == ("bodies", 1)

    in_capturing(tmp_path, play)
