"""Which state directory is meant where none is named."""

from __future__ import annotations

import os
from pathlib import Path


def state_of(option: Path | None) -> Path:
    """`--state`, else `$WARDWRIGHT_STATE`, else `$XDG_STATE_HOME/wardwright`."""
    if option is not None:
        return option
    named = os.environ.get("WARDWRIGHT_STATE")
    if named:
        return Path(named)
    home = os.environ.get("XDG_STATE_HOME")
    return (Path(home) if home else Path.home() / ".local" / "state") / "wardwright"
