"""What this machine can do is found by doing it, and what it cannot do is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from parts.real_hands import machine
from wardwright.harness.core.hands import Command, Scope
from wardwright.harness.sandbox import landlock
from wardwright.harness.sandbox.hands import LocalHands, OpenHands, SandboxedHands, hands
from wardwright.harness.sandbox.posture import Posture, Requirement, look, posture
from wardwright.kernel.errors import WardwrightError


@pytest.fixture(scope="module")
def here() -> Posture:
    return machine()


def _program(folder: Path, text: str) -> str:
    path = folder / "bwrap"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def _refused(found: Posture, requirement: Requirement) -> WardwrightError:
    with pytest.raises(WardwrightError) as refused:
        hands(Scope(), found, requirement)
    return refused.value


def test_this_machine_has_both_walls(here: Posture) -> None:
    assert here.walls == "both", here.problem
    assert here.landlock_abi == landlock.abi() >= 1
    assert isinstance(hands(Scope(), here, "all"), SandboxedHands)


def test_a_machine_is_looked_at_once() -> None:
    async def play() -> bool:
        return await posture() is await posture()

    assert asyncio.run(play())


def test_bubblewrap_that_is_missing_is_a_reason(tmp_path: Path) -> None:
    found = asyncio.run(look(str(tmp_path / "none")))
    assert (found.bubblewrap, found.walls) == (None, "landlock")
    error = _refused(found, "programs")
    assert error.code == "sandbox_unavailable"
    assert "not installed" in error.message
    assert error.hint is not None
    assert "apt-get install bubblewrap" in error.hint


def test_bubblewrap_that_is_there_and_does_not_work_is_a_reason(tmp_path: Path) -> None:
    found = asyncio.run(look(_program(tmp_path, "echo 'no user namespaces here' >&2; exit 1")))
    assert "no user namespaces here" in _refused(found, "programs").message


def test_a_kernel_without_landlock_is_a_reason(here: Posture) -> None:
    without = msgspec.structs.replace(here, landlock_abi=0)
    assert without.walls == "bubblewrap"
    assert "Landlock" in _refused(without, "all").message


def test_what_is_not_required_is_the_best_there_is(here: Posture, tmp_path: Path) -> None:
    found = asyncio.run(look(str(tmp_path / "none")))
    nothing = msgspec.structs.replace(found, landlock_abi=0)
    assert [hands(Scope(), one, "none").walls for one in (here, found, nothing)] == ["both", "landlock", "none"]
    assert OpenHands(Scope(), here).walls == "none"


def test_walls_that_do_not_go_up_run_nothing(here: Posture, tmp_path: Path) -> None:
    broken = msgspec.structs.replace(here.layout, bubblewrap=_program(tmp_path, "echo 'it broke since' >&2; exit 1"))
    scope = Scope(write=(str(tmp_path),), programs=("touch",))
    made = LocalHands(scope, msgspec.structs.replace(here, layout=broken), "both")
    argv = ("touch", str(tmp_path / "ran"))
    with pytest.raises(WardwrightError) as refused:
        asyncio.run(made.run(Command(argv=argv, cwd=str(tmp_path), output_bytes_max=1000, timeout_s=10)))
    assert refused.value.code == "sandbox_unavailable"
    assert "it broke since" in refused.value.message
    assert not (tmp_path / "ran").exists()


def test_a_thread_can_wall_itself_in(tmp_path: Path) -> None:
    """The wrapper by itself, without a launcher: what it says of the kernel is what the kernel does."""
    import threading

    (tmp_path / "in").mkdir()
    (tmp_path / "out").write_text("out")
    (tmp_path / "in" / "file").write_text("in")
    seen: list[object] = []

    def walled() -> None:
        plan = landlock.restrict(landlock.Rules(read=(str(tmp_path / "in"),)))
        seen.append(plan.abi)
        seen.append((tmp_path / "in" / "file").read_text())
        try:
            (tmp_path / "out").read_text()
        except PermissionError:
            seen.append("refused")

    thread = threading.Thread(target=walled)
    thread.start()
    thread.join()
    assert seen == [landlock.abi(), "in", "refused"]
    assert (tmp_path / "out").read_text() == "out"


def test_the_launcher_changes_no_setting_of_the_machine_where_there_is_no_namespace(
    here: Posture, tmp_path: Path
) -> None:
    """A bubblewrap that runs its program and makes no namespace: the walls do not go up, and no limit is set."""
    limits = [Path(path) for path in ("/proc/sys/kernel/pid_max", "/proc/sys/user/max_user_namespaces")]
    before = [limit.read_text() for limit in limits]
    skip = 'while [ "$1" != -- ]; do shift; done'
    program = _program(tmp_path, f'{skip}; exec "$2" "$3" "$4" {here.layout.launcher} "$6"')
    broken = msgspec.structs.replace(here, layout=msgspec.structs.replace(here.layout, bubblewrap=program))
    made = LocalHands(Scope(write=(str(tmp_path),), programs=("touch",)), broken, "both")
    argv = ("touch", str(tmp_path / "ran"))
    with pytest.raises(WardwrightError) as refused:
        asyncio.run(made.run(Command(argv=argv, cwd=str(tmp_path), output_bytes_max=1000, timeout_s=10)))
    after = [limit.read_text() for limit in limits]
    for limit, was, now in zip(limits, before, after, strict=True):
        if now != was:  # so that a failure of this test is not one of the machine
            limit.write_text(was)
    assert after == before
    assert refused.value.code == "sandbox_unavailable"
    assert "own user namespace" in refused.value.message
    assert not (tmp_path / "ran").exists()
