"""Child processes that tests start: bounded waits, a clear failure with the child's own words, a sure end.

Rule 1: a child never outlives its `with` block: it is asked to end, then made to.
Rule 2: whoever waits for a child says how long, and a child that ended meanwhile fails the wait at once.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, TypeVar

Found = TypeVar("Found")

READY_TIMEOUT_S: Final = 30.0
"""Generous: the machine may be busy with other tests."""
END_TIMEOUT_S: Final = 10.0
POLL_S: Final = 0.01
SAID_CHARS_MAX: Final = 4000


@dataclass(frozen=True)
class Child:
    """A running process and what it wrote to its standard error."""

    process: subprocess.Popen[str]
    stderr_file: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def said(self) -> str:
        """The end of its standard error."""
        return self.stderr_file.read_text(errors="replace")[-SAID_CHARS_MAX:]

    def wait_for(self, what: str, look: Callable[[], Found | None], *, timeout_s: float = READY_TIMEOUT_S) -> Found:
        """The first value that `look` finds; AssertionError when the child ends or time runs out before."""
        give_up_at = time.monotonic() + timeout_s
        while True:
            ended = self.process.poll()
            found = look()
            if found is not None:
                return found
            if ended is not None:
                raise AssertionError(f"the child ended with {ended} before {what}; it said:\n{self.said()}")
            if time.monotonic() > give_up_at:
                raise AssertionError(f"no {what} within {timeout_s} s; the child said:\n{self.said()}")
            time.sleep(POLL_S)

    def stdin(self) -> IO[str]:
        assert self.process.stdin is not None
        return self.process.stdin

    def first_line(self) -> str:
        """The first line of its standard output; empty when it ended without one."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@contextmanager
def running(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Iterator[Child]:
    """Start a command and end it with the block: its standard input closed, then SIGTERM, at last SIGKILL."""
    with tempfile.TemporaryDirectory(prefix="wardwright-child-") as scratch:
        stderr_file = Path(scratch, "stderr")
        with (
            stderr_file.open("w") as stderr,
            subprocess.Popen(
                list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, env=env, cwd=cwd, text=True
            ) as process,
        ):
            try:
                yield Child(process, stderr_file)
            finally:
                _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        assert process.stdin is not None
        process.stdin.close()
        process.terminate()
        try:
            process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
