"""A folder in which anybody leaves work for the one process that takes it in.

Rule 1: a file appears whole, durable, and under a name that nobody else uses; leaving it takes no lock.
Rule 2: whoever takes a file in removes it afterwards, so that after a crash between the two it is taken in once more:
what is taken in must know a repeated name.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from wardwright.kernel.errors import WardwrightError
from wardwright.storage.files import create

FILES_MAX: Final = 10_000
"""Files that wait in one folder."""


class Spool:
    """One folder. It need not exist."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def leave(self, name: str, content: bytes) -> bool:
        """False where the name is taken. Raises `tasks_full`."""
        if len(self.names()) >= FILES_MAX:
            raise WardwrightError("tasks_full", f"{FILES_MAX} files wait in {self.folder}", hint="start a runner")
        return create(self.folder / name, content)

    def names(self) -> tuple[str, ...]:
        """Sorted; drafts are not among them."""
        try:
            found = os.listdir(self.folder)
        except FileNotFoundError:
            return ()
        return tuple(sorted(name for name in found if not name.startswith(".")))

    def read(self, name: str) -> bytes | None:
        """None where it is gone."""
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)
