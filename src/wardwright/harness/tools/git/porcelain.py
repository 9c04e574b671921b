"""What git writes for programs, read: NUL-separated, so that no name can be mistaken for another.

Pure. Names are bytes to git and text here. What of them is not UTF-8 becomes U+FFFD: such a name can be seen, and not
passed back.

Raises Unreadable where the output is not what git documents: a git that says something else is not guessed at. Output
that was cut (`cut`) ends with the last entry that is whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal, TypeAlias

import msgspec

ChangeKind: TypeAlias = Literal["added", "modified", "deleted", "renamed", "copied", "type", "unmerged", "none"]

_KINDS: Final[dict[str, ChangeKind]] = {
    ".": "none",
    "A": "added",
    "M": "modified",
    "D": "deleted",
    "R": "renamed",
    "C": "copied",
    "T": "type",
    "U": "unmerged",
}


class Unreadable(ValueError):
    """Not what git documents."""


class _Ends(Unreadable):
    """The output ends within an entry."""


# status


class FileState(msgspec.Struct, frozen=True, kw_only=True):
    """One file that differs."""

    path: str
    staged: ChangeKind
    """Between the last commit and the index."""
    unstaged: ChangeKind
    """Between the index and the working tree."""
    original: str | None = None
    """What a renamed or copied file was called."""
    conflict: bool = False
    """Both sides of a merge changed it."""


class StatusParts(msgspec.Struct, frozen=True, kw_only=True):
    """`git status --porcelain=v2 --branch -z`."""

    commit: str | None
    """None before the first."""
    branch: str | None
    """None where a commit is checked out, and no branch."""
    upstream: str | None
    ahead: int | None
    """Commits that the upstream lacks; None where it is not known."""
    behind: int | None
    changed: tuple[FileState, ...]
    untracked: tuple[str, ...]


def status(data: bytes, *, cut: bool = False) -> StatusParts:
    headers: dict[str, str] = {}
    changed: list[FileState] = []
    untracked: list[str] = []
    entries = _entries(data, cut)
    for entry in entries:
        mark, _, rest = entry.partition(" ")
        match mark:
            case "#":
                name, _, value = rest.partition(" ")
                headers[name] = value
            case "1":
                changed.append(_state(_fields(rest, 8)))
            case "2":
                fields = _fields(rest, 9)
                try:
                    changed.append(_state(fields, original=_next(entries)))
                except _Ends:
                    if not cut:
                        raise
            case "u":
                fields = _fields(rest, 10)
                path, (staged, unstaged) = fields[9], _pair(fields[0])
                changed.append(FileState(path=path, staged=staged, unstaged=unstaged, conflict=True))
            case "?":
                untracked.append(rest)
            case "!":
                continue
            case _:
                raise Unreadable(f"an entry begins with {mark[:20]!r}")
    ahead, behind = _counts(headers.get("branch.ab"))
    commit, branch = headers.get("branch.oid"), headers.get("branch.head")
    return StatusParts(
        commit=None if commit == "(initial)" else commit,
        branch=None if branch == "(detached)" else branch,
        upstream=headers.get("branch.upstream"),
        ahead=ahead,
        behind=behind,
        changed=tuple(changed),
        untracked=tuple(untracked),
    )


def _state(fields: Sequence[str], original: str | None = None) -> FileState:
    staged, unstaged = _pair(fields[0])
    return FileState(path=fields[-1], staged=staged, unstaged=unstaged, original=original)


def _pair(letters: str) -> tuple[ChangeKind, ChangeKind]:
    if len(letters) != 2:
        raise Unreadable(f"a state is two letters, and not {letters!r}")
    return _kind(letters[0]), _kind(letters[1])


def _kind(letter: str) -> ChangeKind:
    kind = _KINDS.get(letter)
    if kind is None:
        raise Unreadable(f"a state has the letter {letter!r}")
    return kind


def _counts(text: str | None) -> tuple[int | None, int | None]:
    if text is None:
        return None, None
    ahead, _, behind = text.partition(" ")
    if not (ahead.startswith("+") and behind.startswith("-")):
        raise Unreadable(f"the distance to the upstream is {text!r}")
    return _count(ahead[1:]), _count(behind[1:])


# log


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """One commit."""

    commit: str
    parents: tuple[str, ...]
    author: str
    email: str
    at_s: int
    """Seconds since the epoch, when it was written."""
    subject: str
    """The first line of its message."""
    body: str
    """The rest of it."""


LOG_FORMAT: Final = "tformat:%H%x00%P%x00%an%x00%ae%x00%at%x00%B"
"""With `-z`, which ends each commit with one more NUL."""

_LOG_FIELDS: Final = 6


def log(data: bytes, *, cut: bool = False) -> tuple[Commit, ...]:
    """`git log -z --format=LOG_FORMAT`."""
    entries = list(_entries(data, cut))
    if cut:
        del entries[len(entries) - len(entries) % _LOG_FIELDS :]
    return tuple(_commit(fields) for fields in _groups(entries, _LOG_FIELDS))


def _commit(fields: Sequence[str]) -> Commit:
    commit, parents, author, email, at, message = fields
    subject, _, body = message.strip("\n").partition("\n")
    return Commit(
        commit=commit,
        parents=tuple(parents.split()),
        author=author,
        email=email,
        at_s=_count(at),
        subject=subject,
        body=body.strip("\n"),
    )


# diff


class FileChange(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a difference."""

    path: str
    kind: ChangeKind
    original: str | None = None
    """What a renamed or copied file was called."""
    added: int | None
    """Lines; None for what is not text."""
    removed: int | None


def changes(data: bytes, *, cut: bool = False) -> tuple[FileChange, ...]:
    """`git diff --raw --numstat -z`: first every file's kind, then every file's lines, in the same order."""
    found: list[FileChange] = []
    try:
        for change in _changes(_entries(data, cut)):
            found.append(change)  # noqa: PERF402 - those before an entry that was cut are kept
    except _Ends:
        if not cut:
            raise
    return tuple(found)


def _changes(entries: Iterator[str]) -> Iterator[FileChange]:
    kinds: dict[tuple[str | None, str], ChangeKind] = {}
    for entry in entries:
        if entry.startswith(":"):
            letter = entry.rsplit(" ", 1)[-1][:1]
            path = _next(entries)
            original, path = (path, _next(entries)) if letter in ("R", "C") else (None, path)
            kinds[original, path] = _kind(letter)
            continue
        added, removed, path = _split(entry)
        original, path = (None, path) if path else (_next(entries), _next(entries))
        kind = kinds.get((original, path))
        if kind is None:
            raise Unreadable(f"lines are counted of {path!r}, which did not change")
        yield FileChange(path=path, kind=kind, original=original, added=_lines(added), removed=_lines(removed))


def _split(entry: str) -> tuple[str, str, str]:
    match entry.split("\t", 2):
        case [added, removed, path]:
            return added, removed, path
        case _:
            raise Unreadable(f"a count of lines reads {entry[:40]!r}")


def _lines(text: str) -> int | None:
    return None if text == "-" else _count(text)


# branches


class Branch(msgspec.Struct, frozen=True, kw_only=True):
    """One local branch."""

    name: str
    commit: str
    upstream: str | None
    current: bool


BRANCH_FORMAT: Final = "%(refname:lstrip=2)%00%(objectname)%00%(upstream:lstrip=2)%00%(HEAD)"


def branches(data: bytes) -> tuple[Branch, ...]:
    """`git for-each-ref --format=BRANCH_FORMAT refs/heads`: a line a branch; names of branches hold no line breaks."""
    found = []
    for line in data.decode(errors="replace").split("\n"):
        if not line:
            continue
        match line.split("\0"):
            case [name, commit, upstream, head]:
                found.append(Branch(name=name, commit=commit, upstream=upstream or None, current=head == "*"))
            case _:
                raise Unreadable(f"a branch reads {line[:40]!r}")
    return tuple(found)


# What they share


def _entries(data: bytes, cut: bool) -> Iterator[str]:
    """What stands between the NULs; of output that was cut, without the entry that the cut went through."""
    if cut:
        data = data[: data.rfind(b"\0") + 1]
    elif data and not data.endswith(b"\0"):
        raise _Ends("the output ends within an entry")
    return iter(data.decode(errors="replace").split("\0")[:-1])


def _next(entries: Iterator[str]) -> str:
    entry = next(entries, None)
    if entry is None:
        raise _Ends("the output ends within an entry")
    return entry


def _fields(text: str, count: int) -> list[str]:
    """Words between single blanks; the last one may hold blanks itself."""
    fields = text.split(" ", count - 1)
    if len(fields) != count:
        raise Unreadable(f"an entry has {len(fields)} fields of {count}")
    return fields


def _groups(entries: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    if len(entries) % size:
        raise Unreadable(f"{len(entries)} fields are no multiple of {size}")
    for start in range(0, len(entries), size):
        yield entries[start : start + size]


def _count(text: str) -> int:
    if not (text.isascii() and text.lstrip("-").isdigit()):
        raise Unreadable(f"{text[:20]!r} is not a number")
    return int(text)
