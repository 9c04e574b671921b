"""Sessions at the command line, written down: what was typed, what came out, how it ended.

A session is a text file:

    # gateway: stopped
    $ wardwright model list
    MODEL    STATUS
    --- stderr
    hint: …
    --- exit 2

Its first line says over what it runs: `none` (no state directory yet), `tools` (the same, with contracts of tools in
`tools`), `stopped` (one that a gateway left), `changed` (the same, with one record of it altered), `asked` (one where a
request waits for approval and an alert found nobody), `governed` (one under the policy `desk.yaml`) or `running`.
`NAME=VALUE` before a command is its environment. What changes from run to run is replaced by a word in `<…>` before it
is compared; runs of blanks count as two, since columns are as wide as what stands in them.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import shlex
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from wardwright.cli.main import run

PROMPT: Final = "$ "

_VOLATILE: Final = (
    (re.compile(r"\b(rcp|rct|tsk|key|node|apr|alt)_[0-9a-z]{26,28}\b"), r"<\1>"),
    (re.compile(r"\bwwk_[0-9A-Za-z]{44}\b"), "<token>"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ"), "<instant>"),
    (re.compile(r'("(?:[a-z]+_)?at": )\d{16}'), r'\1"<instant>"'),
    (re.compile(r"\b\d+(?:\.\d+)? (?:µs|ms)\b|\b\d+\.\d\d s\b"), "<time>"),
    (re.compile(r'("[a-z0-9_]+_us": )\d+'), r'\1"<time>"'),
    (re.compile(r" *[▏▎▍▌▋▊▉█]+ *"), " <bar> "),
    (re.compile(r"\b(head|seq \d+,) [0-9a-f]{12}\b"), r"\1 <id>"),
    (re.compile(r'("(?:head|id|prev)": )"[0-9a-f]{64}"'), r'\1"<id>"'),
    (re.compile(r"(python|event loop|disk|inodes|stored): .+"), r"\1: <of this machine>"),
    (
        re.compile(r'("about": "(?:python|event loop|disk|inodes|stored)",\n.*\n.*"says": ).+'),
        r'\1"<of this machine>",',
    ),
    (re.compile(r"(process|last checkpoint) \d+"), r"\1 <number>"),
    (re.compile(r'("(?:arguments|result|reads|writes)": )"[0-9a-f]{16,64}"'), r'\1"<digest>"'),
    (re.compile(r"^(walls +).+$", re.MULTILINE), r"\1<of this machine>"),
    (re.compile(r"127\.0\.0\.1:\d{4,5}"), "127.0.0.1:<port>"),
    (re.compile(r"--cursor \S+"), "--cursor <cursor>"),
    (re.compile(r"(?<=\S) {2,}"), "  "),
)


class Step(NamedTuple):
    """One command and all that came of it."""

    command: str
    stdout: str
    stderr: str
    code: int

    def came_out(self) -> str:
        """All of it below the command."""
        parts = [_ended(self.stdout)]
        if self.stderr:
            parts += ["--- stderr\n", _ended(self.stderr)]
        if self.code:
            parts.append(f"--- exit {self.code}\n")
        return "".join(parts)


class Session(NamedTuple):
    """A session as it is written down."""

    gateway: str
    commands: tuple[str, ...]
    text: str


def read(path: Path) -> Session:
    text = path.read_text()
    first, _, _ = text.partition("\n")
    commands = tuple(line.removeprefix(PROMPT) for line in text.splitlines() if line.startswith(PROMPT))
    return Session(gateway=first.removeprefix("# gateway: "), commands=commands, text=text)


def played(session: Session, secrets: dict[str, str]) -> str:
    """The session run anew, as text. `secrets` are replaced by their names: paths of this run, for one."""
    steps: list[Step] = []
    noted: dict[str, str] = {}
    for command in session.commands:
        step = _step(command, noted)
        noted |= _noted(step.stdout + step.stderr)
        steps.append(step)
    text = "\n".join(f"{PROMPT}{step.command}\n{_lasting(step.came_out(), secrets)}" for step in steps)
    return f"# gateway: {session.gateway}\n{text}"


def _lasting(text: str, secrets: dict[str, str]) -> str:
    """What is the same in every run."""
    for secret, name in secrets.items():
        text = text.replace(secret, name)
    for pattern, word in _VOLATILE:
        text = pattern.sub(word, text)
    return text


def _step(command: str, noted: dict[str, str]) -> Step:
    """Run one command in this process. `@rcp`, `@rct`, `@key`, `@apr`, `@alt` and `@tsk` stand for the last such id
    shown in it, `$PWD` for the current folder."""
    typed = command.replace("$PWD", str(Path.cwd()))
    for name, value in noted.items():
        typed = typed.replace(f"@{name}", value)
    stdout, stderr = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    words = shlex.split(typed)
    settings = dict(word.split("=", 1) for word in itertools.takewhile(lambda word: "=" in word, words))
    with (
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in settings.items():
            patch.setenv(name, value)
        code = run(words[len(settings) + 1 :])
    stdout.flush()
    assert isinstance(stdout.buffer, io.BytesIO)
    return Step(command, stdout.buffer.getvalue().decode(), stderr.getvalue(), code)


def _noted(text: str) -> dict[str, str]:
    kinds = ("rcp", "rct", "key", "apr", "alt", "tsk")
    found = {kind: re.search(rf"\b{kind}_[0-9a-z]{{26,28}}\b", text) for kind in kinds}
    return {kind: match[0] for kind, match in found.items() if match is not None}


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"
