"""git.status, git.log, git.diff: what a repository says, without changing anything in it."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from wardwright.contracts.tool import ToolContract
from wardwright.harness.core.payload import Payload, fitting, fitting_items, told, whole_chars
from wardwright.harness.core.tool import AnyTool, Context, Tool
from wardwright.harness.tools.git import porcelain
from wardwright.harness.tools.git.command import READING, git, understood
from wardwright.harness.tools.git.porcelain import Commit, FileChange, FileState
from wardwright.harness.tools.words import AbsolutePath, RelativePath, Revision
from wardwright.kernel.errors import Place, WardwrightError

Paths = Annotated[tuple[RelativePath, ...], msgspec.Meta(max_length=1000)]


# git.status


class StatusArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which repository."""

    repo_path: AbsolutePath
    """The top folder of a working tree."""
    untracked: Literal["all", "folders", "none"] = "folders"
    """Whether files are told that git does not know: each, a folder of such files as one, or none."""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What differs from the last commit."""

    branch: str | None
    """None where a commit is checked out, and no branch."""
    commit: str | None
    """None before the first."""
    upstream: str | None
    ahead: int | None
    """Commits that the upstream lacks, as far as it was fetched; None where it is not known."""
    behind: int | None
    clean: bool
    """Nothing differs, and no file is untracked (where those are told)."""
    changed: tuple[FileState, ...]
    untracked: tuple[str, ...]
    truncated: bool


async def status(arguments: StatusArguments, context: Context) -> Status:
    """Tell the branch of a repository and what in it is not committed. Changes within submodules are not looked for."""
    files = {"all": "all", "folders": "normal", "none": "no"}[arguments.untracked]
    ended = await git(
        context,
        arguments.repo_path,
        "status",
        "--porcelain=v2",
        "--branch",
        "-z",
        "--ignore-submodules=dirty",
        f"--untracked-files={files}",
    )
    parts = understood(lambda: porcelain.status(ended.stdout, cut=ended.truncated))
    changed = fitting_items(parts.changed, context.output_bytes_max // 2)
    untracked = fitting_items(parts.untracked, context.output_bytes_max // 4)
    cut = ended.truncated or len(changed) < len(parts.changed) or len(untracked) < len(parts.untracked)
    return Status(
        branch=parts.branch,
        commit=parts.commit,
        upstream=parts.upstream,
        ahead=parts.ahead,
        behind=parts.behind,
        clean=not (parts.changed or parts.untracked or ended.truncated),
        changed=changed,
        untracked=untracked,
        truncated=cut,
    )


# git.log


class LogArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which commits."""

    repo_path: AbsolutePath
    """The top folder of a working tree."""
    revision: Revision = "HEAD"
    """Where to begin, or a range such as `v1..v2`."""
    paths: Paths = ()
    """Only commits that touch one of these, from the top folder."""
    count_max: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 20
    skip: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    """Commits to leave out first."""


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """Commits, the newest first."""

    commits: tuple[Commit, ...]
    truncated: bool
    """There are more."""


async def log(arguments: LogArguments, context: Context) -> Log:
    """List commits, the newest first."""
    ended = await git(
        context,
        arguments.repo_path,
        "log",
        "-z",
        f"--format={porcelain.LOG_FORMAT}",
        "--no-show-signature",
        "--no-notes",
        "--no-color",
        f"--max-count={arguments.count_max + 1}",
        f"--skip={arguments.skip}",
        "--end-of-options",
        arguments.revision,
        "--",
        *arguments.paths,
    )
    commits = understood(lambda: porcelain.log(ended.stdout, cut=ended.truncated))
    told_commits = fitting_items(commits[: arguments.count_max], context.output_bytes_max // 2)
    return Log(commits=told_commits, truncated=ended.truncated or len(told_commits) < len(commits))


# git.diff


class DiffArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Between what."""

    repo_path: AbsolutePath
    """The top folder of a working tree."""
    base: Revision | None = None
    """The older side; unset: the index, or with `staged` the last commit."""
    head: Revision | None = None
    """The newer side; unset: the working tree, or with `staged` the index. Needs `base`."""
    staged: bool = False
    """Compare the index, in the place of the working tree."""
    paths: Paths = ()
    """Only these, from the top folder."""
    patch: bool = True
    """Tell the lines, too."""
    context_lines: Annotated[int, msgspec.Meta(ge=0, le=100)] = 3


class Diff(msgspec.Struct, frozen=True, kw_only=True):
    """What differs."""

    files: tuple[FileChange, ...]
    patch: Payload | None
    """A unified difference; of files that are not text only that they differ."""
    truncated: bool


async def diff(arguments: DiffArguments, context: Context) -> Diff:
    """Compare the working tree, the index or commits: which files differ, how many lines of each, and the lines."""
    if arguments.head is not None and (arguments.base is None or arguments.staged):
        message = "`head` needs `base`, and means nothing beside `staged`"
        raise WardwrightError("tool_arguments", message, place=Place(path="head"))
    sides = [side for side in (arguments.base, arguments.head) if side is not None]
    options = ("--no-ext-diff", "--no-textconv", "--no-color", "--find-renames", "--ignore-submodules=dirty")
    rest = (*(["--cached"] if arguments.staged else []), "--end-of-options", *sides, "--", *arguments.paths)
    ended = await git(context, arguments.repo_path, "diff", *options, "--raw", "--numstat", "-z", *rest)
    changes = understood(lambda: porcelain.changes(ended.stdout, cut=ended.truncated))
    files = fitting_items(changes, context.output_bytes_max // 4)
    cut = ended.truncated or len(files) < len(changes)
    if not arguments.patch:
        return Diff(files=files, patch=None, truncated=cut)
    lines = f"--unified={arguments.context_lines}"
    patch = await git(context, arguments.repo_path, "diff", *options, "--submodule=short", lines, "--patch", *rest)
    whole = whole_chars(patch.stdout) if patch.truncated else patch.stdout
    data = fitting(whole, context.output_bytes_max // 2)
    return Diff(files=files, patch=told(data), truncated=cut or patch.truncated or len(data) < len(whole))


# Contracts

STATUS: Final = Tool(
    contract=ToolContract(
        name="git.status", effect="read", reversal="T0", implements="git.status", timeout_s=30, scope=READING
    ),
    arguments=StatusArguments,
    result=Status,
    run=status,
)

LOG: Final = Tool(
    contract=ToolContract(
        name="git.log", effect="read", reversal="T0", implements="git.log", timeout_s=30, scope=READING
    ),
    arguments=LogArguments,
    result=Log,
    run=log,
)

DIFF: Final = Tool(
    contract=ToolContract(
        name="git.diff", effect="read", reversal="T0", implements="git.diff", timeout_s=60, scope=READING
    ),
    arguments=DiffArguments,
    result=Diff,
    run=diff,
)

TOOLS: Final[tuple[AnyTool, ...]] = (STATUS, LOG, DIFF)
