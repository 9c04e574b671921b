"""Capture over real sockets, and after the gateway has ended."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import httpx2
import msgspec
import pytest

from parts.installation import Served, at, model, target
from wardwright.cli.exits import Exit
from wardwright.cli.main import run

SCRIPTED: Final = {
    "kind": "provider",
    "name": "scripted",
    "transport": "scripted",
    "scripts": [
        {"model": "fast", "steps": [{"text": "told-3b7e, and a little more"}]},
        {"model": "stalls", "steps": [{"chunks": ["told", "more"], "stall_after_chunks": 1}]},
    ],
}


def body_of(model: str, *, stream: bool) -> bytes:
    return msgspec.json.encode(
        {"model": model, "stream": stream, "messages": [{"role": "user", "content": "asked-8c1f"}]}
    )


def called(served: Served, body: bytes) -> tuple[str, bytes]:
    """The receipt of a call, and the body that came over the wire."""
    answer = httpx2.post(f"{served.base_url}/chat/completions", content=body, timeout=20)
    return answer.headers["x-wardwright-receipt-id"], answer.content


def test_what_went_over_the_wire_is_read_back_while_the_gateway_runs_and_after(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = at(
        tmp_path,
        SCRIPTED,
        model("coding", target("fast", "scripted")),
        model("stalling", target("stalls", "scripted")),
    )
    heard: dict[str, tuple[bytes, bytes]] = {}
    with made.serving(env={"WARDWRIGHT_CAPTURE": "bodies"}) as served:
        for body in (
            body_of("coding", stream=False),
            body_of("coding", stream=True),
            body_of("nobody", stream=True),
            b'{"model": "coding", ',
        ):
            receipt, told = called(served, body)
            heard[receipt] = (body, told)
        body = body_of("stalling", stream=True)
        with httpx2.stream("POST", f"{served.base_url}/chat/completions", content=body, timeout=20) as answer:
            left = answer.headers["x-wardwright-receipt-id"]
            told = b""
            for piece in answer.iter_raw():
                told += piece
                if b"told" in told and told.endswith(b"\n\n"):
                    break
        served.receipts(receipt=left)
        heard[left] = (body, told)
        for receipt, (asked, told) in heard.items():
            shown = served.admin("GET", f"/v1/receipts/{receipt}/bodies")
            assert shown["request"]["content"].encode() == asked
            assert shown["answer"]["content"].encode() == told, receipt
    for receipt, (asked, told) in heard.items():
        assert run(["receipt", "show", receipt, "--bodies", "--json", "--state", str(made.state)]) == Exit.OK
        bodies = msgspec.json.decode(capsys.readouterr().out)["bodies"]
        assert (bodies["request"]["content"].encode(), bodies["answer"]["content"].encode()) == (asked, told)
    assert {path.name for path in (made.state / "captures").rglob("rcp_*")} == set(heard)
