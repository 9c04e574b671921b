"""Files that appear whole or not at all, for their owner alone."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def make_dir(path: Path) -> None:
    """A directory for its owner alone, and those above it, with durable names."""
    if path.is_dir():
        return
    make_dir(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    sync_dir(path.parent)


def sync_dir(path: Path) -> None:
    """Make the names in a directory as durable as the files they name."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def create(path: Path, content: bytes) -> bool:
    """Write a file that does not exist yet; False, and nothing changed, where it does.

    Two processes that race agree: one of them creates the file, and the other may read it whole.
    """
    make_dir(path.parent)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    with contextlib.suppress(FileNotFoundError):
        draft.unlink()
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(fd)
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    sync_dir(path.parent)
    return True
