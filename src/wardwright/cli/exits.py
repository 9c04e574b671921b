"""Exit codes: a closed set that scripts and agents may rest on."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from wardwright.kernel.errors import Fault, WardwrightError


class Exit(IntEnum):
    """How a command ended."""

    OK = 0
    FAILED = 1
    PENDING = 2
    """Changes are pending, or it cannot be told."""
    DENIED = 3
    AWAITING_APPROVAL = 4
    INTEGRITY = 5
    """Evidence does not verify."""
    USAGE = 64
    """The command line cannot be understood."""
    INTERRUPTED = 130
    """Ended by the user, as shells report it."""


_BY_CODE: Final[dict[str, Exit]] = {
    "approval_required": Exit.AWAITING_APPROVAL,
    "usage": Exit.USAGE,
    "journal_broken": Exit.INTEGRITY,
    "journal_incomplete": Exit.PENDING,
    "record_invalid": Exit.INTEGRITY,
    "tool_server_changed": Exit.INTEGRITY,
}


def exit_of(error: WardwrightError) -> Exit:
    """The exit code under which a failure is told.

    >>> exit_of(WardwrightError("admin_required", "the token is wrong")).name
    'DENIED'
    """
    found = _BY_CODE.get(error.code)
    if found is not None:
        return found
    return Exit.DENIED if error.fault is Fault.POLICY or error.status in (401, 403) else Exit.FAILED
