"""A run leaves nothing: no process, no descriptor, no file, whether it ends, fails, is late or is cancelled."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
import uvloop

from benchmarks import sandbox
from parts.real_hands import PYTHON, machine
from wardwright.harness.core.hands import Command, Scope
from wardwright.harness.sandbox.hands import LocalHands
from wardwright.harness.sandbox.posture import Posture, Walls
from wardwright.harness.sandbox.programs import GRACE_S, Limits
from wardwright.kernel.errors import WardwrightError

WALLS: Final[tuple[Walls, ...]] = ("none", "landlock", "both")
FLOOD: Final = """
import sys
for _ in range(64):
    sys.stdout.buffer.write(b"x" * (1 << 20))
    sys.stderr.write("y" * (1 << 20))
"""
GENTLE: Final = """
import signal, sys
def leave(*_):
    open(sys.argv[1], "w").write("asked first")
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
print("ready", flush=True)
signal.pause()
"""
DEAF: Final = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True:
    signal.pause()
"""
STARTS: Final = "import subprocess, signal; subprocess.Popen(['sleep', '99']); signal.pause()"
LIMITS: Final = """
import resource
print(resource.getrlimit(resource.RLIMIT_CPU)[0], resource.getrlimit(resource.RLIMIT_FSIZE)[0])
"""


@pytest.fixture(scope="module")
def posture() -> Posture:
    return machine()


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    made: Callable[[], asyncio.AbstractEventLoop] = request.param
    return made


def _hands(folder: Path, posture: Posture, walls: Walls, **limits: int) -> LocalHands:
    scope = Scope(write=(str(folder),), programs=(PYTHON, "true", "sh", "none-such"))
    return LocalHands(scope, posture, walls, limits=Limits(**limits))


def _command(folder: Path, *argv: str, timeout_s: float = 30, bytes_max: int = 1000) -> Command:
    return Command(argv=argv, cwd=str(folder), output_bytes_max=bytes_max, timeout_s=timeout_s)


def _python(folder: Path, code: str, *words: str, timeout_s: float = 30) -> Command:
    return _command(folder, PYTHON, "-I", "-S", "-c", code, *words, timeout_s=timeout_s)


def _left() -> tuple[int, list[str], list[str]]:
    """Our open descriptors, our children, and what lies in the folder for temporary files."""
    children = [Path(task, "children").read_text() for task in map(str, Path("/proc/self/task").iterdir())]
    return (
        len(os.listdir("/proc/self/fd")),
        [text for text in children if text.strip()],
        os.listdir(tempfile.gettempdir()),
    )


@pytest.mark.parametrize("walls", WALLS)
def test_nothing_is_left_of_a_run_however_it_ends(
    walls: Walls,
    posture: Posture,
    tmp_path: Path,
    loop: Callable[[], asyncio.AbstractEventLoop],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    hands = _hands(tmp_path, posture, walls)

    async def every() -> None:
        await hands.run(_command(tmp_path, "true"))
        await hands.run(_python(tmp_path, FLOOD))
        for refused in (
            _command(tmp_path, "none-such"),
            _command(tmp_path, "other"),
            _python(tmp_path, STARTS, timeout_s=0.2),
        ):
            with pytest.raises(WardwrightError):
                await hands.run(refused)
        async with asyncio.TaskGroup() as group:
            run = group.create_task(hands.run(_command(tmp_path, "sh", "-c", "sleep 99 & sleep 99")))
            soon = group.create_task(hands.run(_command(tmp_path, "true")))
            soon.add_done_callback(lambda _: run.cancel())
        assert run.cancelled()

    async def play() -> None:
        await every()  # the first time, threads and caches are made
        before = _left()
        await every()
        assert _left() == before

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(play())


@pytest.mark.parametrize("walls", WALLS)
def test_a_flood_is_dropped_and_not_held(walls: Walls, posture: Posture, tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ended = asyncio.run(_hands(tmp_path, posture, walls).run(_python(tmp_path, FLOOD)))
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert (len(ended.stdout), len(ended.stderr), ended.truncated, ended.code) == (1000, 1000, True, 0)
    assert grown_kb < 16 * 1024


@pytest.mark.parametrize("walls", WALLS)
def test_a_program_that_is_late_is_asked_first(walls: Walls, posture: Posture, tmp_path: Path) -> None:
    said = tmp_path / "said"
    with pytest.raises(WardwrightError) as late:
        asyncio.run(_hands(tmp_path, posture, walls).run(_python(tmp_path, GENTLE, str(said), timeout_s=2)))
    assert late.value.code == "tool_timeout"
    assert said.read_text() == "asked first"


@pytest.mark.parametrize("walls", WALLS)
def test_a_program_that_does_not_listen_is_ended_all_the_same(walls: Walls, posture: Posture, tmp_path: Path) -> None:
    async def play() -> float:
        began = asyncio.get_running_loop().time()
        with pytest.raises(WardwrightError):
            await _hands(tmp_path, posture, walls).run(_python(tmp_path, DEAF, timeout_s=0.5))
        return asyncio.get_running_loop().time() - began

    assert 0.5 + GRACE_S <= asyncio.run(play()) < 10


@pytest.mark.parametrize("walls", WALLS)
def test_a_signal_is_told_as_one(walls: Walls, posture: Posture, tmp_path: Path) -> None:
    ended = asyncio.run(_hands(tmp_path, posture, walls).run(_command(tmp_path, "sh", "-c", "kill -SEGV $$")))
    assert ended.code == -signal.SIGSEGV


@pytest.mark.parametrize("walls", WALLS)
def test_what_is_no_program_does_not_start(walls: Walls, posture: Posture, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program")
    (tmp_path / "text").chmod(0o755)
    hands = LocalHands(Scope(read=(str(tmp_path),), programs=(str(tmp_path / "text"),)), posture, walls)
    with pytest.raises(WardwrightError) as refused:
        asyncio.run(hands.run(_command(tmp_path, str(tmp_path / "text"))))
    assert refused.value.code == "tool_failed"
    assert "cannot be run" in refused.value.message


@pytest.mark.parametrize("walls", WALLS)
def test_limits_are_those_that_were_given(walls: Walls, posture: Posture, tmp_path: Path) -> None:
    hands = _hands(tmp_path, posture, walls, cpu_s_max=7, file_bytes_max=12345)
    assert asyncio.run(hands.run(_python(tmp_path, LIMITS))).stdout == b"7 12345\n"


def test_many_runs_at_once_are_each_their_own(posture: Posture, tmp_path: Path) -> None:
    hands = _hands(tmp_path, posture, "both")

    async def play() -> None:
        async with asyncio.TaskGroup() as group:
            runs = [group.create_task(hands.run(_command(tmp_path, "sh", "-c", f"echo {n}; pwd"))) for n in range(16)]
        assert [run.result().stdout for run in runs] == [f"{n}\n{tmp_path}\n".encode() for n in range(16)]

    asyncio.run(play())


def test_the_benchmark_measures_every_set_of_walls() -> None:
    assert [one.walls for one in asyncio.run(sandbox.measured(rounds=1, runs=2))] == list(sandbox.WALLS)
