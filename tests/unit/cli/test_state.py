"""Which state directory, and who runs over it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from wardwright.cli.state import SERVER_FILE, running_in
from wardwright.runtime.state_directory import state_of


def test_the_option_wins_over_the_environment_and_that_over_the_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.delenv("WARDWRIGHT_STATE", raising=False)
    assert state_of(None) == tmp_path / ".local" / "state" / "wardwright"
    monkeypatch.setenv("XDG_STATE_HOME", "/xdg")
    assert state_of(None) == Path("/xdg/wardwright")
    monkeypatch.setenv("WARDWRIGHT_STATE", "/named")
    assert state_of(None) == Path("/named")
    assert state_of(Path("/option")) == Path("/option")


def test_an_address_counts_while_its_process_lives(tmp_path: Path) -> None:
    assert running_in(tmp_path) is None
    (tmp_path / SERVER_FILE).write_text(f'{{"pid": {os.getpid()}, "url": "http://127.0.0.1:1"}}')
    assert running_in(tmp_path) == "http://127.0.0.1:1"
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / SERVER_FILE).write_text(f'{{"pid": {gone.pid}, "url": "http://127.0.0.1:1"}}')
    assert running_in(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}'])
def test_a_file_that_is_no_address_names_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / SERVER_FILE).write_text(text)
    assert running_in(tmp_path) is None
