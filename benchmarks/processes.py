"""Processes under measurement: started on chosen cores, read from the kernel's own accounts, ended by their id.

Rule 1: CPU time is read from each process's CPU clock: nanoseconds, all threads, those that ended included.
Rule 2: a process leads its own group, and ending it ends that group and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

STOP_TIMEOUT_S: Final = 8.0


class Memory(msgspec.Struct, frozen=True):
    """Memory of a process tree in KiB."""

    pss_kib: int
    """Shared pages counted by share: adds up over a tree."""
    rss_kib: int


def free_port() -> int:
    """A loopback port that nobody holds now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Process:
    """One started program and what it starts in turn."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        directory: Path,
        cores: Iterable[int],
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        """Start it on `cores`, in `directory`, its output appended to `log`; OSError if it cannot be started."""
        self._log = log
        mine = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cores)
        try:
            with contextlib.ExitStack() as files:
                output = files.enter_context(log.open("ab")) if log is not None else subprocess.PIPE
                self._popen = subprocess.Popen(
                    argv,
                    cwd=directory,
                    env={**os.environ, **(environment or {})},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        finally:
            os.sched_setaffinity(0, mine)

    @property
    def pid(self) -> int:
        return self._popen.pid

    def read_line(self) -> str:
        """The next line of its output; only without a log."""
        assert self._popen.stdout is not None
        return bytes(self._popen.stdout.readline()).decode().strip()

    def ended(self) -> int | None:
        """Its exit status, None while it runs."""
        return self._popen.poll()

    def last_words(self, lines: int = 8) -> str:
        """The end of its log."""
        if self._log is None or not self._log.exists():
            return ""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])

    def cpu_ns(self) -> int:
        """CPU time of the tree so far, user and kernel."""
        return sum(_cpu_ns(pid) for pid in tree_of(self.pid))

    def memory(self) -> Memory:
        """Memory of the tree now."""
        shares = [_memory(pid) for pid in tree_of(self.pid)]
        return Memory(pss_kib=sum(share.pss_kib for share in shares), rss_kib=sum(share.rss_kib for share in shares))

    def pause(self) -> None:
        """Take it off the processor until `resume`, so that it disturbs no other's window."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """End the group, kill what does not end in time, and return when all of it is gone."""
        family = tree_of(self.pid)
        if self._popen.poll() is None:
            self._signal(signal.SIGCONT)
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(STOP_TIMEOUT_S)
        self._signal(signal.SIGKILL)
        self._popen.wait()
        if self._popen.stdout is not None:
            self._popen.stdout.close()
        patience = time.monotonic() + STOP_TIMEOUT_S
        while any(map(runs, family)) and time.monotonic() < patience:
            time.sleep(0.002)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, number)


def tree_of(pid: int) -> list[int]:
    """A process and its descendants that run now."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            for children in Path(f"/proc/{parent}/task").glob("*/children"):
                with contextlib.suppress(OSError):
                    found.extend(int(child) for child in children.read_text().split())
    return found


def runs(pid: int) -> bool:
    """Whether a process is there and not a zombie that its parent has yet to collect."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _cpu_ns(pid: int) -> int:
    """The CPU clock of another process: Linux derives the clock's id from the process id (`clock_getcpuclockid`)."""
    try:
        return time.clock_gettime_ns((~pid << 3) | 2)
    except OSError:
        return 0


def _memory(pid: int) -> Memory:
    fields: dict[str, int] = {}
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
            name, value = line.split(":")
            fields[name] = int(value.split()[0])
    return Memory(pss_kib=fields.get("Pss", 0), rss_kib=fields.get("Rss", 0))
