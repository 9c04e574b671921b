"""Captured bodies on the command line."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import msgspec
import pytest

from parts.front import world
from wardwright.api.bodies import Bodies, Shown
from wardwright.cli.exits import Exit
from wardwright.cli.main import run
from wardwright.cli.receipt_words import lines_of_bodies


def called(tmp_path: Path, capture: str) -> str:
    """The receipt of a call through a gateway that has ended; `tmp_path / "state"` is what it left."""

    async def call() -> str:
        async with world(tmp_path, capture=capture) as made:
            return (await made.call()).receipt

    return asyncio.run(call())


def test_bodies_stand_below_the_receipt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    receipt = called(tmp_path, "bodies")
    state = ["--state", str(tmp_path / "state")]
    assert run(["receipt", "show", receipt, *state]) == Exit.OK
    plain = capsys.readouterr().out
    assert "--bodies" in plain
    assert "hello there" not in plain
    assert run(["receipt", "show", receipt, "--bodies", *state]) == Exit.OK
    told = capsys.readouterr().out
    assert told.startswith(plain)
    assert '"content":"hi"' in told
    assert "hello there" in told
    assert run(["receipt", "show", receipt, "--bodies", "--json", *state]) == Exit.OK
    document = msgspec.json.decode(capsys.readouterr().out)
    assert document["receipt"]["receipt"] == document["bodies"]["id"] == receipt
    assert "hello there" in document["bodies"]["answer"]["content"]


def test_bodies_that_nobody_kept_are_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    receipt = called(tmp_path, "off")
    assert run(["receipt", "show", receipt, "--bodies", "--state", str(tmp_path / "state")]) == Exit.FAILED
    assert "[capture_not_found]" in capsys.readouterr().err


def test_one_call_is_forgotten_for_good(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    receipt = called(tmp_path, "bodies")
    state = ["--state", str(tmp_path / "state")]
    forget = ["journal", "forget", "--tenant", "local", "--receipt", receipt, *state]
    assert run(forget) == Exit.PENDING
    assert receipt in capsys.readouterr().out
    assert run(["receipt", "show", receipt, "--bodies", *state]) == Exit.OK
    assert run([*forget, "--yes"]) == Exit.OK
    assert run(["receipt", "show", receipt, "--bodies", *state]) == Exit.FAILED
    capsys.readouterr()
    assert run([*forget, "--yes"]) == Exit.OK
    assert "nothing of it was here" in capsys.readouterr().out
    assert run(["journal", "verify", *state]) == Exit.OK


def test_no_body_moves_the_cursor() -> None:
    hostile = Shown(bytes=99, content="a\x1b[2Jb\r\x9bc\td\n\n", cut=True, encoding="utf-8")
    binary = Shown(bytes=2, content="//4=", cut=False, encoding="base64")
    assert list(lines_of_bodies(Bodies(id="rcp_x", request=hostile, answer=binary))) == [
        "",
        "request (99 bytes, cut)",
        "a\\x1b[2Jb\\x0d\\x9bc\td",
        "",
        "answer (2 bytes, not text: in base64)",
        "//4=",
    ]


def test_what_a_tool_was_told_and_gave_stands_below_its_receipt_until_it_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WARDWRIGHT_CAPTURE", "bodies")
    (tmp_path / "notes.md").write_text("the very words")
    state = ["--state", str(tmp_path / "state")]
    receipts = []
    for name, argument in (("file.read", []), ("file.write", ["--arg", "content=others", "--arg", "how=replace"])):
        path = f"path={tmp_path / 'notes.md'}"
        assert run(["tool", "call", name, "--arg", path, *argument, "--json", *state]) == Exit.OK
        receipts.append(json.loads(capsys.readouterr().out)["receipt"])
    read, wrote = receipts
    show = ["receipt", "show", read, *state]
    assert run(show) == Exit.OK
    plain = capsys.readouterr().out
    assert "--bodies" in plain
    assert "the very words" not in plain
    assert run([*show, "--bodies"]) == Exit.OK
    told = capsys.readouterr().out
    assert told.startswith(plain)
    assert "the very words" in told
    assert run([*show, "--bodies", "--json"]) == Exit.OK
    bodies = json.loads(capsys.readouterr().out)["bodies"]
    assert json.loads(bodies["request"]["content"])["path"] == str(tmp_path / "notes.md")

    assert run(["journal", "forget", "--tenant", "local", "--receipt", read, "--yes", *state]) == Exit.OK
    capsys.readouterr()
    assert run([*show, "--bodies"]) == Exit.FAILED
    assert "capture_not_found" in capsys.readouterr().err

    everything = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert any(path.read_bytes() == b"the very words" for path in everything)  # what an undo would put back
    assert run(["journal", "forget", "--tenant", "local", "--yes", *state]) == Exit.OK
    left = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert not any(b"the very words" in path.read_bytes() for path in left)
    assert run(["tool", "undo", wrote, *state]) == Exit.FAILED
