"""What walls this machine can put up: looked at once, by doing it.

That bubblewrap is installed says little: user namespaces may be forbidden, or /proc masked by a container. So a probe
runs `true` behind it.

Rule 1: what is required and missing is an error (`sandbox_unavailable`). Nothing falls back to fewer walls in silence.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import sys
from typing import Final, Literal, TypeAlias, assert_never

import msgspec

from wardwright.harness.sandbox import bubblewrap, landlock, launcher
from wardwright.harness.sandbox.bubblewrap import Layout
from wardwright.kernel.errors import WardwrightError

PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs are looked up, whatever our own PATH is."""
PROBE_S_MAX: Final = 10.0
NOBODY: Final = 65_534
PIDS_KERNEL: Final = (6, 14)
"""Since this kernel a PID namespace has a number of processes of its own to hold."""

Requirement: TypeAlias = Literal["none", "programs", "all"]
"""What a caller insists on. `none`: the best walls there are, or none. `programs`: programs behind both walls, or not
at all. `all`: and nothing that a third party wrote runs in our process either."""
Walls: TypeAlias = Literal["both", "bubblewrap", "landlock", "none"]
"""What stands around a program."""
Processes: TypeAlias = Literal["namespace", "user", "unbounded"]
"""By what the processes of one run are counted: their own namespace, our user within it, or not at all."""


class Posture(msgspec.Struct, frozen=True, kw_only=True):
    """What one machine can do."""

    landlock_abi: int
    """0: none."""
    bubblewrap: str | None
    """The version that ran; None where it is missing or does not work."""
    problem: str | None = None
    """Why it does not."""
    processes: Processes
    layout: Layout

    @property
    def walls(self) -> Walls:
        """The best there is."""
        if self.bubblewrap is not None:
            return "both" if self.landlock_abi else "bubblewrap"
        return "landlock" if self.landlock_abi else "none"

    def require(self, requirement: Requirement) -> None:
        """Raises `sandbox_unavailable` where the machine cannot do what is required."""
        match requirement:
            case "none":
                return
            case "programs" | "all":
                if self.walls == "both":
                    return
                raise unavailable(self)
            case _:
                assert_never(requirement)


def unavailable(posture: Posture) -> WardwrightError:
    if posture.bubblewrap is None:
        return WardwrightError(
            "sandbox_unavailable",
            posture.problem or "bubblewrap does not work here",
            hint="install bubblewrap (`apt-get install bubblewrap`) and allow user namespaces to this process",
        )
    return WardwrightError(
        "sandbox_unavailable",
        "this kernel has no Landlock",
        hint="boot a kernel that was built with Landlock, and name it in `lsm=`",
    )


_found: Posture | None = None


async def posture() -> Posture:
    """That of this machine, looked at once in the life of the process."""
    global _found  # a machine does not change while we run
    if _found is None:
        _found = await look()
    return _found


async def look(program: str = "bwrap") -> Posture:
    """Look at this machine anew. `program` is bubblewrap's name or path."""
    path = shutil.which(program, path=PATH) if "/" not in program else program
    if path is None or not os.access(path, os.X_OK):
        layout = here(program)
        version: str | None = None
        problem: str | None = "bubblewrap is not installed"
    else:
        layout = here(path)
        version, problem = await _probe(layout)
    return Posture(
        landlock_abi=landlock.abi(),
        bubblewrap=version,
        problem=problem,
        processes=_processes(),
        layout=layout,
    )


def here(bubblewrap_path: str) -> Layout:
    """The layout of this machine."""
    python = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    prefix = os.path.realpath(sys.base_prefix)
    present = [path for path in bubblewrap.SYSTEM if os.path.lexists(path)]
    return Layout(
        bubblewrap=bubblewrap_path,
        python=python,
        launcher=_launcher(),
        runtime=() if prefix == "/usr" or prefix.startswith("/usr/") else (prefix,),
        folders=tuple(path for path in present if not os.path.islink(path)),
        links=tuple((path, os.readlink(path)) for path in present if os.path.islink(path)),
        etc=tuple(path for path in bubblewrap.ETC if os.path.exists(path)),
        uid=os.getuid() or NOBODY,
        gid=os.getgid() or NOBODY,
    )


def _launcher() -> str:
    """Importing it has compiled it, for this very interpreter, where the folder could be written."""
    compiled = importlib.util.cache_from_source(launcher.__file__)
    return os.path.realpath(compiled if os.path.exists(compiled) else launcher.__file__)


async def _probe(layout: Layout) -> tuple[str | None, str | None]:
    """The version of a bubblewrap that works, or why it does not."""
    version = await _said(layout.bubblewrap, "--version")
    wall = bubblewrap.argv(layout, bubblewrap.Within(), "/usr/bin/true", info=2, instruction=0)
    outcome = await _said(*wall[: wall.index("--")], "--", "/usr/bin/true")
    if version.code != 0 or outcome.code != 0:
        first = (outcome.text or version.text).strip().splitlines()[:1]
        return None, f"bubblewrap does not work here: {first[0][:300] if first else f'exit {outcome.code}'}"
    return version.text.removeprefix("bubblewrap").strip(), None


class _Said(msgspec.Struct, frozen=True):
    code: int
    text: str


async def _said(*argv: str) -> _Said:
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"PATH": PATH},
    )
    try:
        async with asyncio.timeout(PROBE_S_MAX):
            stdout, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return _Said(-9, f"no answer within {PROBE_S_MAX:g} s")
    return _Said(process.returncode or 0, stdout.decode(errors="replace"))


def _processes() -> Processes:
    release = os.uname().release.split(".")
    try:
        kernel = (int(release[0]), int(release[1]))
    except (ValueError, IndexError):
        kernel = (0, 0)
    if kernel >= PIDS_KERNEL:
        return "namespace"
    return "user" if os.getuid() != 0 else "unbounded"
