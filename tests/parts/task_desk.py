"""The command line of tasks as tests use it: each command a process, or in this one."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from parts import children
from parts.children import Child
from wardwright.cli.main import run


def ask(state: Path, *words: str) -> tuple[int, Any]:
    """Run `wardwright task …` here; its exit code and its document."""
    stdout = io.StringIO()
    with contextlib.redirect_stdout(stdout):
        code = run(["task", *words, "--state", str(state), "--json"])
    return code, json.loads(stdout.getvalue())


def add(state: Path, *words: str) -> str:
    """Add a task; its id."""
    code, said = ask(state, "add", *words)
    assert code == 0, said
    return str(said["task"]["id"])


def states(state: Path) -> dict[str, str]:
    """How every task stands, by id."""
    return {one["id"]: one["state"] for one in ask(state, "list")[1]["data"]}


def one(state: Path, id_: str) -> Any:
    return ask(state, "show", id_)[1]


@contextmanager
def runner(state: Path, *words: str, env: dict[str, str] | None = None) -> Iterator[Child]:
    """A process that runs tasks."""
    command = [sys.executable, "-m", "wardwright", "task", "run", "--state", str(state), *words]
    own = {name: value for name, value in os.environ.items() if not name.startswith("WARDWRIGHT_")}
    with children.running(command, env=own | (env or {})) as child:
        yield child


def until(child: Child, state: Path, id_: str, wanted: str) -> Any:
    """The task once it stands so."""

    def look() -> Any:
        found = one(state, id_)
        return found if found["state"] == wanted else None

    return child.wait_for(f"task that is {wanted}", look)
