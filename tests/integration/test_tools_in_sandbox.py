"""The built-in tools over real hands: with both walls, with one, and with none, they say the same."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from parts.real_git import git, repository
from parts.real_hands import machine
from wardwright.contracts.tool import ToolScope
from wardwright.harness.core.scope import scope_of
from wardwright.harness.core.tool import Context, Tools, decoded
from wardwright.harness.sandbox.hands import LocalHands
from wardwright.harness.sandbox.posture import Posture, Walls
from wardwright.harness.tools.built_in import BUILT_IN
from wardwright.kernel.errors import WardwrightError

TOOLS: Final = Tools(BUILT_IN)
WALLS: Final[tuple[Walls, ...]] = ("both", "landlock", "none")


@pytest.fixture(scope="module")
def posture() -> Posture:
    return machine()


class Calls:
    """Calls tools as whoever runs them does."""

    def __init__(self, posture: Posture, walls: Walls) -> None:
        self._posture = posture
        self._walls = walls

    def __call__(self, tool_name: str, /, *, scope: ToolScope | None = None, **arguments: object) -> Any:
        tool = TOOLS.get(tool_name)
        contract = tool.contract if scope is None else msgspec.structs.replace(tool.contract, scope=scope)
        given = decoded(tool.arguments, arguments)
        hands = LocalHands(scope_of(contract, given), self._posture, self._walls)
        context = Context(hands=hands, output_bytes_max=contract.output_bytes_max, run="r", timeout_s=30.0)
        return asyncio.run(_ran(tool.run(given, context)))


async def _ran(running: Any) -> object:
    result: object = await running
    return result


@pytest.fixture(params=WALLS)
def calls(request: pytest.FixtureRequest, posture: Posture) -> Calls:
    return Calls(posture, request.param)


def test_git_reads_and_writes_a_repository(calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("NAME", "Ada"), ("EMAIL", "ada@example.com")):
        monkeypatch.setenv(f"GIT_AUTHOR_{name}", value)
        monkeypatch.setenv(f"GIT_COMMITTER_{name}", value)
    folder = repository(tmp_path / "repository")
    git(folder, "config", "user.name", "Ada")
    git(folder, "config", "user.email", "ada@example.com")
    (folder / "a.txt").write_text("one\nthree\n")
    (folder / "b.txt").write_text("new\n")
    at = str(folder)
    assert calls("git.status", repo_path=at).branch == "main"
    assert "three" in msgspec.json.encode(calls("git.diff", repo_path=at)).decode()
    calls("git.commit", repo_path=at, message="Second", paths=["a.txt"])
    assert git(folder, "log", "--format=%s") == "Second\nFirst"
    assert "Second" in msgspec.json.encode(calls("git.log", repo_path=at)).decode()
    calls("git.branch", repo_path=at, how="create", name="side")
    assert "side" in git(folder, "branch")


def test_files_are_read_searched_and_written(calls: Calls, tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file.txt"
    path.parent.mkdir()
    path.write_text("one\ntwo\n")
    assert "two" in msgspec.json.encode(calls("file.read", path=str(path))).decode()
    assert "two" in msgspec.json.encode(calls("file.search", path=str(path.parent), pattern="tw.")).decode()
    calls("file.write", path=str(path), content="three\n", how="replace")
    assert path.read_text() == "three\n"


def test_the_machine_is_described_and_not_the_sandbox(calls: Calls, tmp_path: Path) -> None:
    assert calls("system.info").host == socket.gethostname()
    assert f'"pid":{os.getpid()},' in msgspec.json.encode(calls("process.list")).decode()
    assert calls("disk.usage", path=str(tmp_path))


def test_a_host_that_a_contract_names_is_reached(calls: Calls) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(WardwrightError) as refused:
            calls("port.check", host="127.0.0.1", port=port)
        assert refused.value.code == "scope_denied"
        assert calls("port.check", host="127.0.0.1", port=port, scope=ToolScope(hosts=(f"127.0.0.1:{port}",)))
