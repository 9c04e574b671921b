"""The file of lines: bounded, rotated by anybody, whole lines after a crash."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from wardwright.contracts.sink import JsonlSink
from wardwright.journal.sinks import Letter
from wardwright.kernel.errors import WardwrightError
from wardwright.sinks.jsonl import JsonlFile


def deliver(folder: Path, *bodies: bytes, bytes_max: int = 1_000_000) -> Path:
    async def run() -> Path:
        sink = JsonlFile(JsonlSink(name="default", path="alerts.jsonl", bytes_max=bytes_max), folder)
        await sink.open()
        for body in bodies:
            await sink.deliver(Letter(body=body, id="alt_1"))
        return sink.path

    return asyncio.run(run())


def test_a_relative_path_lies_in_the_state_directory_and_is_its_owners(tmp_path: Path) -> None:
    path = deliver(tmp_path, b"{}")
    assert (path, path.stat().st_mode & 0o777) == (tmp_path / "alerts.jsonl", 0o600)


def test_a_line_that_a_crash_cut_short_spoils_no_other(tmp_path: Path) -> None:
    path = deliver(tmp_path, b'{"a":1}')
    path.write_bytes(path.read_bytes() + b'{"a":2,"b')
    deliver(tmp_path, b'{"a":2}')
    assert path.read_bytes().splitlines() == [b'{"a":1}', b'{"a":2,"b', b'{"a":2}']


def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    path = deliver(tmp_path, b"1")
    path.rename(tmp_path / "yesterday")
    deliver(tmp_path, b"2")
    assert path.read_bytes() == b"2\n"


def test_a_full_file_is_set_aside_and_one_alone_is_kept(tmp_path: Path) -> None:
    path = deliver(tmp_path, b"a" * 60, b"b" * 60, b"c" * 60, bytes_max=100)
    assert path.read_bytes() == b"c" * 60 + b"\n"
    assert path.with_name("alerts.jsonl.1").read_bytes() == b"b" * 60 + b"\n"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_that_cannot_be_made_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    sink = JsonlFile(JsonlSink(name="default", path="file/alerts.jsonl"), tmp_path)
    with pytest.raises(WardwrightError) as refused:
        asyncio.run(sink.open())
    assert refused.value.code == "settings_invalid"
