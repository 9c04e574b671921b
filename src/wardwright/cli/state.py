"""Which state directory a command works on, and which gateway runs over it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

SERVER_FILE: Final = "server.json"


class _Running(msgspec.Struct):
    pid: int
    url: str


def running_in(state: Path) -> str | None:
    """Where the gateway of a state directory says that it is found; None where its process is gone.

    Another process may have its number by now: whoever needs to know asks at the address.
    """
    try:
        running = msgspec.json.decode((state / SERVER_FILE).read_bytes(), type=_Running)
    except (OSError, msgspec.MsgspecError):
        return None
    try:
        os.kill(running.pid, 0)
    except PermissionError:
        pass  # it lives, and belongs to someone else
    except OSError:
        return None
    return running.url
