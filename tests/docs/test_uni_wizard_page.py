"""The page that says what shows each promise of Uni-Wizard: what it names is there."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from wardwright.cli.main import root

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/uni-wizard.md").read_text()
ROWS = [line for line in PAGE.splitlines() if line.startswith("|") and not line.startswith(("| Promise", "|---"))]


def words(row: str) -> list[str]:
    return re.findall(r"`([^`]+)`", row.rsplit("|", 2)[1])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:40])
def test_what_shows_a_promise_is_there(row: str) -> None:
    assert words(row), "a promise that nothing shows"
    for word in words(row):
        if word.startswith("wardwright "):
            command: click.Command | None = root
            with click.Context(root) as context:
                for name in word.split()[1:]:
                    if name.islower() and isinstance(command, click.Group):
                        command = command.get_command(context, name)
                        assert command is not None, f"there is no `{word}`"
        elif "/" in word and not word.startswith("/"):
            assert (ROOT / word).exists(), f"`{word}` is not there"


def test_every_pass_has_its_promises() -> None:
    assert len(ROWS) >= 20
    assert [line for line in PAGE.splitlines() if line.startswith("## ")] == [
        "## Pass 1: foundation",
        "## Pass 2: three houses",
        "## Pass 3: learning that shows its evidence",
        "## Pass 4: production",
    ]
