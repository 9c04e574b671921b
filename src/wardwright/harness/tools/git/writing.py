"""git.commit, git.branch, git.sync: what changes a repository, or another one.

Nothing here rewrites history: no amending, no forcing, no deleting of what is not merged.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from wardwright.contracts.tool import ToolContract, ToolScope
from wardwright.harness.core.payload import fitting_items
from wardwright.harness.core.tool import AnyTool, Context, Tool
from wardwright.harness.tools.git import porcelain
from wardwright.harness.tools.git.command import IDENTITY, WRITING, git, understood
from wardwright.harness.tools.git.porcelain import Branch, Commit
from wardwright.harness.tools.git.reading import Paths
from wardwright.harness.tools.words import AbsolutePath, BranchName, Revision
from wardwright.kernel.errors import Place, WardwrightError

# git.commit


class CommitArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to commit."""

    repo_path: AbsolutePath
    """The top folder of a working tree."""
    message: Annotated[str, msgspec.Meta(min_length=1, max_length=65_536, pattern=r"^[^\x00]*\S[^\x00]*$")]
    paths: Paths = ()
    """What of the working tree to commit, from the top folder, and nothing else. Unset: what is staged already."""
    everything: bool = False
    """Commit all that differs, files that git does not know included."""
    author: Annotated[str, msgspec.Meta(pattern=r"^[^<>\x00\n]+ <[^<>\s\x00]+>$(?!\n)", max_length=256)] | None = None
    """`Name <mail@example.com>`; unset: what the repository or the environment says."""
    hooks: bool = False
    """Run the hooks of the repository."""


class Committed(msgspec.Struct, frozen=True, kw_only=True):
    """The new commit."""

    commit: Commit


async def commit(arguments: CommitArguments, context: Context) -> Committed:
    """Commit what is staged, some paths, or everything. Fails where there is nothing to commit."""
    if arguments.everything and arguments.paths:
        message = "`everything` leaves no choice of `paths`"
        raise WardwrightError("tool_arguments", message, place=Place(path="paths"))
    repository = arguments.repo_path
    if arguments.everything or arguments.paths:
        await git(context, repository, "add", "--all", "--", *(arguments.paths or (".",)))
    only = ("--only", "--", *arguments.paths) if arguments.paths else ()
    await git(
        context,
        repository,
        "commit",
        "--quiet",
        "--file=-",
        "--cleanup=whitespace",
        "--no-gpg-sign",
        *only,
        stdin=arguments.message.encode(),
        environment=_signed(arguments.author),
        hooks=arguments.hooks,
    )
    ended = await git(
        context, repository, "log", "-z", f"--format={porcelain.LOG_FORMAT}", "--max-count=1", "HEAD", "--"
    )
    (made,) = understood(lambda: porcelain.log(ended.stdout))
    return Committed(commit=made)


def _signed(author: str | None) -> tuple[tuple[str, str], ...]:
    if author is None:
        return ()
    name, _, mail = author.removesuffix(">").partition(" <")
    return tuple(zip(IDENTITY, (mail, name, mail, name), strict=True))


# git.branch


class BranchArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to do with which branch."""

    repo_path: AbsolutePath
    """The top folder of a working tree."""
    how: Literal["list", "create", "switch", "delete"] = "list"
    """`switch` keeps changes that are not committed, and fails where it could not; `delete` only what is merged."""
    name: BranchName | None = None
    """Needed for all but `list`."""
    start: Revision = "HEAD"
    """Where a new branch begins."""


class Branches(msgspec.Struct, frozen=True, kw_only=True):
    """The branches there are now."""

    current: str | None
    """None where a commit is checked out, and no branch."""
    branches: tuple[Branch, ...]
    """By name."""
    truncated: bool


async def branch(arguments: BranchArguments, context: Context) -> Branches:
    """List, create, switch to or delete a branch."""
    repository, name = arguments.repo_path, arguments.name or ""
    if arguments.how != "list" and not name:
        message = f"`how: {arguments.how}` needs the name of a branch"
        raise WardwrightError("tool_arguments", message, place=Place(path="name"))
    match arguments.how:
        case "create":
            await git(context, repository, "branch", "--no-track", "--end-of-options", name, arguments.start)
        case "switch":
            await git(context, repository, "switch", "--quiet", "--no-guess", "--end-of-options", name)
        case "delete":
            await git(context, repository, "branch", "--quiet", "--delete", "--end-of-options", name)
        case "list":
            pass
    ended = await git(
        context,
        repository,
        "for-each-ref",
        f"--format={porcelain.BRANCH_FORMAT}",
        "refs/heads",
    )
    listed = ended.stdout[: ended.stdout.rfind(b"\n") + 1] if ended.truncated else ended.stdout
    found = understood(lambda: porcelain.branches(listed))
    current = next((one.name for one in found if one.current), None)
    branches = fitting_items(found, context.output_bytes_max // 2)
    return Branches(current=current, branches=branches, truncated=ended.truncated or len(branches) < len(found))


# git.sync


class SyncArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which way."""

    repo_path: AbsolutePath
    """The top folder of a working tree."""
    how: Literal["fetch", "pull", "push"]
    """`pull` fetches and goes forward; it never merges. `push` never forces."""
    remote: BranchName = "origin"
    """The name of a remote that the repository knows."""
    branch: BranchName | None = None
    """Unset: the one that is checked out."""


class Synced(msgspec.Struct, frozen=True, kw_only=True):
    """Where a branch was and is: for `fetch` and `push` the remote's, for `pull` the one that is checked out."""

    branch: str
    remote: str
    before: str | None
    """The commit; None where there was none."""
    after: str | None
    changed: bool


async def sync(arguments: SyncArguments, context: Context) -> Synced:
    """Fetch, pull or push one branch. History is never rewritten, on either side."""
    repository, remote = arguments.repo_path, arguments.remote
    current = await _current(context, repository)
    name = arguments.branch or current
    if name is None:
        message = "no branch is checked out, so `branch` must be named"
        raise WardwrightError("tool_arguments", message, place=Place(path="branch"))
    theirs, ours = f"refs/remotes/{remote}/{name}", f"refs/heads/{name}"
    if arguments.how == "pull" and name != current:
        raise WardwrightError("tool_failed", f"`{name}` is not checked out, and a pull goes forward there alone")
    watched = ours if arguments.how == "pull" else theirs
    before = await _commit_of(context, repository, watched)
    match arguments.how:
        case "fetch":
            await _fetch(context, repository, remote, f"+{ours}:{theirs}")
        case "pull":
            await _fetch(context, repository, remote, f"+{ours}:{theirs}")
            await git(context, repository, "merge", "--quiet", "--ff-only", "--no-verify-signatures", theirs)
        case "push":
            await git(
                context,
                repository,
                "push",
                "--quiet",
                "--no-follow-tags",
                "--no-signed",
                "--recurse-submodules=no",
                "--receive-pack=git-receive-pack",
                "--end-of-options",
                remote,
                f"{ours}:{ours}",
            )
    after = await _commit_of(context, repository, watched)
    return Synced(branch=name, remote=remote, before=before, after=after, changed=before != after)


async def _fetch(context: Context, repository: str, remote: str, what: str) -> None:
    await git(
        context,
        repository,
        "fetch",
        "--quiet",
        "--no-tags",
        "--no-recurse-submodules",
        "--no-auto-maintenance",
        "--upload-pack=git-upload-pack",
        "--end-of-options",
        remote,
        what,
    )


async def _current(context: Context, repository: str) -> str | None:
    ended = await git(
        context, repository, "status", "--porcelain=v2", "--branch", "-z", "--untracked-files=no",
        "--ignore-submodules=all",
    )  # fmt: skip
    return understood(lambda: porcelain.status(ended.stdout, cut=ended.truncated)).branch


async def _commit_of(context: Context, repository: str, ref: str) -> str | None:
    ended = await git(context, repository, "for-each-ref", "--format=%(objectname)", ref)
    return ended.stdout.decode().strip() or None


# Contracts

COMMIT: Final = Tool(
    contract=ToolContract(
        name="git.commit", effect="write-local", reversal="T3", implements="git.commit", timeout_s=60, scope=WRITING
    ),
    arguments=CommitArguments,
    result=Committed,
    run=commit,
)

BRANCH: Final = Tool(
    contract=ToolContract(
        name="git.branch", effect="write-local", reversal="T2", implements="git.branch", timeout_s=60, scope=WRITING
    ),
    arguments=BranchArguments,
    result=Branches,
    run=branch,
)

SYNC: Final = Tool(
    contract=ToolContract(
        name="git.sync",
        effect="write-remote",
        reversal="T3",
        implements="git.sync",
        timeout_s=300,
        scope=ToolScope(write=("{repo_path}",), programs=("git",), environment=("SSH_AUTH_SOCK",)),
    ),
    arguments=SyncArguments,
    result=Synced,
    run=sync,
)

TOOLS: Final[tuple[AnyTool, ...]] = (COMMIT, BRANCH, SYNC)
