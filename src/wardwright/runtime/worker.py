"""Which of the processes that serve one address this one is.

Rule 1: worker 0 is the *keeper*: it reads contract files, changes what serves, keeps the index up, and answers
everything that is no call. A gateway that serves alone is a keeper.
Rule 2: every worker carries calls whole: it writes a journal of its own, keeps its own alerts, breakers and upstream
connections, and goes on serving where the keeper is gone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

WORKERS_MAX: Final = 64


class Worker(msgspec.Struct, frozen=True):
    """One of `count` processes."""

    number: int = 0
    """From 0."""
    count: int = 1

    @property
    def alone(self) -> bool:
        return self.count == 1

    @property
    def keeper(self) -> bool:
        return self.number == 0

    @property
    def slot(self) -> str:
        """Of its journal writer."""
        return slot_of(self.number)

    def own(self, name: str) -> str:
        """The name of a file that each worker has of its own.

        >>> Worker(0, 2).own("work.sqlite"), Worker(1, 2).own("work.sqlite")
        ('work.sqlite', 'work-1.sqlite')
        """
        stem, dot, suffix = name.partition(".")
        return name if self.keeper else f"{stem}-{self.number}{dot}{suffix}"

    def left_behind(self, state: Path, name: str) -> tuple[Path, ...]:
        """Own files of that name of workers with a number past the last."""
        stem, dot, suffix = name.partition(".")
        found = (path for path in state.glob(f"{stem}-*{dot}{suffix}"))
        numbered = ((path.name.removeprefix(f"{stem}-").removesuffix(f"{dot}{suffix}"), path) for path in found)
        return tuple(path for number, path in sorted(numbered) if number.isdecimal() and int(number) >= self.count)

    @property
    def siblings(self) -> tuple[int, ...]:
        """The others' numbers."""
        return tuple(number for number in range(self.count) if number != self.number)


ALONE: Final = Worker()


def slot_of(number: int) -> str:
    return f"gateway-{number}"


def door_of(state: Path, number: int) -> Path:
    """The Unix socket on which a worker answers the others."""
    return state / "workers" / f"{number}.sock"
