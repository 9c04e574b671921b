"""The guide of the harness: its examples run, in a repository of their own."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from wardwright.cli.main import run
from wardwright.harness.core.houses import BUILT_IN
from wardwright.harness.core.modes import Mode
from wardwright.runtime import settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/harness.md").read_text()
GIT = ("git", "-c", "user.name=A", "-c", "user.email=a@example.com")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Clean, with notes and the example tools in it; the current folder."""
    folder = tmp_path / "repository"
    shutil.copytree(ROOT / "examples/tools", folder / "examples/tools")
    (folder / "notes.md").write_text("Notes\nTODO: more of them\n")
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "Begin")):
        subprocess.run([*GIT, *words], cwd=folder, check=True)
    monkeypatch.setenv("WARDWRIGHT_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(folder)
    return folder


def test_the_python_on_the_page_runs_from_top_to_bottom(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page: dict[str, object] = {}
    for block in blocks("python"):
        exec(block, page)
    assert re.fullmatch(r"Predicted success: \d+%\n", capsys.readouterr().out)


def test_the_commands_on_the_page_end_as_it_says(repository: Path) -> None:
    shown = [line for block in blocks("sh") for line in block.splitlines()]
    typed = [line for line in shown if "…" not in line and not line.startswith("wardwright harness adapt")]
    assert typed
    for line in typed:
        said = re.search(r"# exit (\d)", line)
        words = shlex.split(line.replace("$PWD", str(repository)), comments=True)
        assert (line, run(words[1:])) == (line, int(said[1]) if said else 0)


def test_the_settings_on_the_page_declare_bounds() -> None:
    (declared,) = [block for block in blocks("yaml") if block.startswith("adapt:")]
    adapt = settings.decode(declared.encode(), "wardwright.yaml").adapt
    assert adapt.allow
    assert None not in (adapt.attempts, adapt.failure_ppm, adapt.timeout_s)


def test_every_house_and_mode_stands_on_the_page() -> None:
    for house in BUILT_IN:
        assert f"| `{house.name}` |" in PAGE
    assert f"| | {' | '.join(mode.value for mode in Mode)} |" in PAGE


def test_every_command_of_the_harness_stands_on_the_page() -> None:
    from wardwright.cli.lazy import LazyGroup
    from wardwright.cli.main import root

    assert isinstance(root, LazyGroup)
    for noun in ("tool", "house", "harness"):
        group = root.table[noun]
        assert isinstance(group, LazyGroup)
        missing = [verb for verb in group.table if f"{noun} {verb}" not in PAGE]
        assert missing == []
