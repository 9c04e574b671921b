"""Running git so that it does what it was asked and nothing else.

Rule 1: neither the user's nor the machine's configuration takes part, so that a tool means the same everywhere. The
repository's own does, without all in it that runs programs, asks people or signs: hooks (unless asked for), pagers,
editors, monitors, helpers of credentials, external differences, ssh commands. Filters that it names for its files
(`filter.NAME.clean`) do run, held to the scope of the call.
Rule 2: git looks for a repository in the folder that it was given, never above it, and for files there, wherever the
repository's configuration says that they lie (`core.worktree`).
Rule 3: whatever could be taken for an option stands behind `--end-of-options` or `--`, and paths are no patterns.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from typing import Final, TypeVar

from wardwright.contracts.tool import ToolScope
from wardwright.harness.core.hands import Ended
from wardwright.harness.core.tool import Context
from wardwright.harness.tools import programs
from wardwright.harness.tools.git.porcelain import Unreadable
from wardwright.kernel.errors import WardwrightError

T = TypeVar("T")

IDENTITY: Final = ("GIT_AUTHOR_EMAIL", "GIT_AUTHOR_NAME", "GIT_COMMITTER_EMAIL", "GIT_COMMITTER_NAME")
"""Who commits, where our own environment says so."""

READING: Final = ToolScope(read=("{repo_path}",), programs=("git",))
WRITING: Final = ToolScope(write=("{repo_path}",), programs=("git",), environment=IDENTITY)

_NO_HOOKS: Final = "core.hooksPath=/dev/null"

_CONFIGURATION: Final = (
    "color.ui=false",
    "commit.gpgSign=false",
    "core.alternateRefsCommand=true",
    "core.askPass=",
    "core.attributesFile=/dev/null",
    "core.fsmonitor=false",
    "core.pager=cat",
    "credential.helper=",
    "gc.auto=0",
    "i18n.logOutputEncoding=UTF-8",
    "log.showSignature=false",
    "maintenance.auto=false",
    "push.gpgSign=false",
    "submodule.recurse=false",
    "tag.gpgSign=false",
)

_ENVIRONMENT: Final = (
    ("GIT_ALLOW_PROTOCOL", "file:https:ssh"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_EDITOR", "false"),
    ("GIT_SSH_COMMAND", "ssh -oBatchMode=yes"),
    ("GIT_TERMINAL_PROMPT", "0"),
)


async def git(
    context: Context,
    repository: str,
    *arguments: str,
    stdin: bytes = b"",
    environment: tuple[tuple[str, str], ...] = (),
    hooks: bool = False,
) -> Ended:
    """Run git in a repository. Raises `tool_failed` with what it said."""
    settings = _CONFIGURATION if hooks else (*_CONFIGURATION, _NO_HOOKS)
    ended = await programs.run(
        context,
        "git",
        "--no-pager",
        "--no-optional-locks",
        "--literal-pathspecs",
        f"--work-tree={repository}",
        *(word for setting in settings for word in ("-c", setting)),
        *arguments,
        cwd=repository,
        stdin=stdin,
        environment=(*_ENVIRONMENT, ("GIT_CEILING_DIRECTORIES", posixpath.dirname(repository)), *environment),
        output_bytes_max=context.output_bytes_max,
    )
    return programs.require_success(ended, f"`git {arguments[0]}`")


def understood(read: Callable[[], T]) -> T:
    """What a parser makes of the output. Raises `tool_failed` where it is not what git documents."""
    try:
        return read()
    except Unreadable as cause:
        raise WardwrightError("tool_failed", f"git's answer cannot be read: {cause}") from cause
