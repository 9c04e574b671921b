"""What a hostile program tries is stopped, each for its own reason, and nothing outside has changed."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from parts.escapes import ATTEMPTS, OPEN, SECRET, UNTRIED, VARIABLE, Attempt, World, world
from parts.real_hands import PYTHON, machine
from wardwright.harness.core.hands import Command, Ended, Scope
from wardwright.harness.sandbox.hands import LocalHands
from wardwright.harness.sandbox.posture import Posture, Walls
from wardwright.kernel.errors import WardwrightError

TIMEOUT_S: Final = 30.0
SWAPS: Final = 400
"""Times that a file is swapped for a link while it is read."""


@pytest.fixture(scope="module")
def posture() -> Posture:
    return machine()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv(VARIABLE, SECRET)
    with world(tmp_path) as made:
        yield made


def _scope(here: World, *programs: str) -> Scope:
    return Scope(read=(str(here.docs),), write=(str(here.inside),), programs=programs)


def _run(here: World, posture: Posture, walls: Walls, *argv: str, stdin: bytes = b"") -> Ended:
    hands = LocalHands(_scope(here, argv[0]), posture, walls)
    command = Command(argv=argv, cwd=str(here.inside), stdin=stdin, output_bytes_max=100_000, timeout_s=TIMEOUT_S)
    return asyncio.run(hands.run(command))


def _attempt(attempt: Attempt, here: World, posture: Posture, walls: Walls) -> Ended:
    return _run(here, posture, walls, PYTHON, "-I", "-S", "-c", attempt.program, *here.words())


def _expected(attempt: Attempt, walls: Walls) -> str:
    return {"none": OPEN, "both": attempt.both, "bubblewrap": attempt.bubblewrap, "landlock": attempt.landlock}[walls]


@pytest.mark.parametrize("walls", ["both", "bubblewrap", "landlock", "none"])
@pytest.mark.parametrize("attempt", ATTEMPTS, ids=str)
def test_an_attempt_ends_as_the_corpus_says(attempt: Attempt, walls: Walls, here: World, posture: Posture) -> None:
    expected = _expected(attempt, walls)
    if expected == UNTRIED or (walls == "none" and not attempt.harmless):
        assert walls in ("landlock", "none")
        return
    ended = _attempt(attempt, here, posture, walls)
    said = ended.stdout.decode()
    if expected == OPEN:
        assert said.startswith("DONE") or here.state() != here.before, (said, ended.stderr)
        return
    assert re.search(rf"^STOPPED .*({expected})", said), (said, ended.stderr)
    assert SECRET not in said
    assert here.state() == here.before


# What is no piece of Python


@pytest.mark.parametrize("walls", ["both", "landlock", "none"])
def test_words_of_a_shell_are_words(walls: Walls, here: World, posture: Posture) -> None:
    out = here.outside / "made"
    commands = (f"; touch {out}", f"$(touch {out})", f"`touch {out}`", f"&& touch {out}", f"| tee {out}", f"> {out}")
    words = (*commands, f"\ntouch {out}", "*", "~", "$HOME", "--", "")
    ended = _run(here, posture, walls, "printf", "%s\\0", *words)
    assert ended.stdout.decode().split("\0")[:-1] == list(words)
    assert here.state() == here.before


@pytest.mark.parametrize("walls", ["both", "bubblewrap", "landlock"])
@pytest.mark.parametrize(
    "line",
    [
        "cat {outside}/secret",
        "true && cat {outside}/secret",
        "cat < {outside}/secret",
        "cat {inside}/link; cat {docs}/../outside/secret",
        "touch {outside}/made || echo > {outside}/made",
        "cp {outside}/secret {inside}/; cat {inside}/secret",
        "(cat {outside}/secret &) ; wait; sh -c 'sh -c \"cat {outside}/secret\"'",
        "mv {docs}/page {inside}/; rm -rf {docs}/* {outside}/*",
        "env; cat /proc/*/environ; set",
        "kill -9 {victim}",
    ],
)
def test_a_shell_that_the_scope_names_is_held_like_any_program(
    line: str, walls: Walls, here: World, posture: Posture
) -> None:
    said = line.format(inside=here.inside, docs=here.docs, outside=here.outside, victim=here.victim.pid)
    ended = _run(here, posture, walls, "sh", "-c", said)
    assert SECRET.encode() not in ended.stdout + ended.stderr
    assert here.state() == here.before


def test_a_scope_that_is_the_machine_itself_is_read_by_hands_and_runs_nothing(here: World, posture: Posture) -> None:
    hands = LocalHands(Scope(read=("/proc",), programs=("true",)), posture, "both")
    command = Command(argv=("true",), cwd="/", output_bytes_max=100, timeout_s=TIMEOUT_S)

    async def play() -> None:
        assert (await hands.read("/proc/version", bytes_max=1000)).data
        with pytest.raises(WardwrightError) as refused:
            await hands.run(command)
        assert refused.value.code == "scope_denied"

    asyncio.run(play())


CONNECTS: Final = """
import os, socket, sys
for path in sys.argv[1:]:
    try:
        socket.socket(socket.AF_UNIX).connect(path)
        print("reached")
    except OSError as error:
        print(type(error).__name__)
"""


def test_a_socket_that_the_scope_names_is_reached_and_the_one_beside_it_is_not(
    posture: Posture,
) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,  # the path of a socket must be short
        socket.socket(socket.AF_UNIX) as named,
        socket.socket(socket.AF_UNIX) as beside,
    ):
        paths = (f"{folder}/named", f"{folder}/beside")
        for listening, path in zip((named, beside), paths, strict=True):
            listening.bind(path)
            listening.listen()
        argv = (PYTHON, "-I", "-S", "-c", CONNECTS, *paths)
        command = Command(argv=argv, cwd="/", output_bytes_max=1000, timeout_s=TIMEOUT_S)
        scope = Scope(read=(paths[0],), programs=(PYTHON,))
        ended = asyncio.run(LocalHands(scope, posture, "both").run(command))
    assert ended.stdout.split() == [b"reached", b"FileNotFoundError"], ended


HOSTILE: Final = """#!/bin/sh
touch ran
cat {outside}/secret >> stolen 2>/dev/null
env >> stolen
touch {outside}/made
kill -9 {victim}
exit 0
"""

CONFIG: Final = """
[core]
	repositoryformatversion = 0
	fsmonitor = {inside}/hostile
	hooksPath = {inside}
	sshCommand = {inside}/hostile
	pager = {inside}/hostile
	editor = {inside}/hostile
[user]
	name = somebody
	email = somebody@example.com
[diff]
	external = {inside}/hostile
[diff "hostile"]
	textconv = {inside}/hostile
[filter "hostile"]
	clean = {inside}/hostile
	smudge = {inside}/hostile
[gpg]
	program = {inside}/hostile
[commit]
	gpgSign = true
[remote "origin"]
	url = ssh://example.com/x
	fetch = +refs/heads/*:refs/remotes/origin/*
[protocol "ext"]
	allow = always
"""


@pytest.mark.parametrize("walls", ["both", "bubblewrap", "landlock"])
@pytest.mark.parametrize(
    "command",
    [
        ("status",),
        ("diff",),
        ("add", "file"),
        ("commit", "--allow-empty", "-m", "x"),
        ("fetch", "origin"),
        ("fetch", "ext::sh -c {inside}/hostile%20"),
    ],
    ids=" ".join,
)
def test_what_a_hostile_repository_has_git_run_stays_within(
    command: tuple[str, ...], walls: Walls, here: World, posture: Posture
) -> None:
    assert _run(here, posture, walls, "git", "init", "-q", ".").code == 0
    (here.inside / ".gitattributes").write_text("* filter=hostile diff=hostile\n")
    (here.inside / ".git" / "config").write_text(CONFIG.format(inside=here.inside))
    hostile = HOSTILE.format(outside=here.outside, victim=here.victim.pid)
    for name in ("hostile", "pre-commit", "commit-msg", "post-commit", "post-index-change", "reference-transaction"):
        (here.inside / name).write_text(hostile)
        (here.inside / name).chmod(0o755)
    _run(here, posture, walls, "git", *(word.format(inside=here.inside) for word in command))
    assert (here.inside / "ran").exists() or command == ("diff",), "the repository was not hostile at all"
    stolen = here.inside / "stolen"
    assert not stolen.exists() or SECRET not in stolen.read_text()
    assert here.state() == here.before


DAEMON: Final = """
import os, signal, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open(sys.argv[1] + "/daemon", "w").close()
        signal.pause()
    os._exit(0)
os.wait()
while not os.path.exists(sys.argv[1] + "/daemon"):
    pass
"""


def _alive(mark: str) -> list[int]:
    """The processes of this machine that carry a word on their command line."""
    found = []
    for process in os.listdir("/proc"):
        if process.isdigit():
            with suppress(OSError):
                words = Path("/proc", process, "cmdline").read_bytes().split(b"\0")
                found += [int(process)] * (mark.encode() in words)
    return found


@pytest.mark.parametrize("walls", ["both", "bubblewrap"])
def test_a_daemon_is_gone_when_its_call_is(walls: Walls, here: World, posture: Posture) -> None:
    ended = _run(here, posture, walls, PYTHON, "-I", "-S", "-c", DAEMON, str(here.inside), here.mark)
    assert ended.code == 0, ended.stderr
    assert (here.inside / "daemon").exists()
    assert _alive(here.mark) == []


def test_a_daemon_that_holds_the_pipes_does_not_hold_up_the_call(here: World, posture: Posture) -> None:
    """Without the outer wall a daemon lives on: it has left the process group."""
    ended = _run(here, posture, "landlock", PYTHON, "-I", "-S", "-c", DAEMON, str(here.inside), here.mark)
    left = _alive(here.mark)
    for process in left:
        os.kill(process, signal.SIGKILL)
    assert ended.code == 0, ended.stderr
    assert len(left) == 1


@pytest.mark.parametrize("how", ["file", "folder"])
def test_a_link_that_is_swapped_in_while_a_file_is_read_leads_nowhere(how: str, here: World, posture: Posture) -> None:
    target = here.inside / "swapped"
    inner, outer = here.inside / "one", here.inside / "two"
    if how == "folder":
        inner.mkdir()
        (inner / "secret").write_text("harmless")
        outer.symlink_to(here.outside)
        path = target / "secret"
    else:
        inner.write_text("harmless")
        outer.symlink_to(here.outside / "secret")
        path = target
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for one in (inner, outer):
                os.rename(one, target)
                os.rename(target, one)

    async def play() -> set[str]:
        hands = LocalHands(_scope(here), posture, "none")
        seen: set[str] = set()
        for number in range(SWAPS):
            try:
                if number % 4 == 3:
                    await hands.write(str(path), b"harmless", "replace")
                else:
                    seen.add((await hands.read(str(path), bytes_max=100)).data.decode())
            except WardwrightError as error:
                seen.add(error.code)
        return seen

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        seen = asyncio.run(play())
    finally:
        stop.set()
        swapping.join()
    assert seen <= {"harmless", "", "scope_denied", "tool_failed"}
    assert here.state() == here.before
