"""file.read, file.search, file.write."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Final, Literal

import msgspec

from wardwright.contracts.tool import ToolContract, ToolScope
from wardwright.harness.core.hands import Hands
from wardwright.harness.core.payload import Payload, fitting, is_text, told, untold, whole_chars
from wardwright.harness.core.tool import AnyTool, Context, Tool
from wardwright.harness.tools.words import AbsolutePath
from wardwright.kernel.errors import Place, WardwrightError
from wardwright.kernel.globs import matches
from wardwright.kernel.patterns.admission import Phrase, Regex, admit
from wardwright.kernel.patterns.language import PatternProblem
from wardwright.kernel.patterns.search import searcher

READ_BYTES_MAX: Final = 512 * 1024
"""Of one `file.read`. In base64 and JSON it stays below the bound of a result."""
COMPARED_BYTES_MAX: Final = 16 * 1024 * 1024
"""Of a file that is read whole for its digest."""
SEARCHED_BYTES_MAX: Final = 1024 * 1024
"""Of one file that is searched; what is longer is searched so far."""
SEARCHED_ALL_BYTES_MAX: Final = 64 * 1024 * 1024
"""Of one search."""
FOLDER_ITEMS_MAX: Final = 4096
"""Entries of one folder that is searched."""
DEPTH_MAX: Final = 32
"""Folders below the one that is searched."""
LINE_CHARS_MAX: Final = 300
"""Of a line that is told."""
SLOW_LINES_MAX: Final = 10
"""Of one file, on which a search ran out of time, before the rest of it is left."""
SEARCHED_LINE_CHARS_MAX: Final = 20_000
"""Of a line that is searched: longer ones are rarely written by people, and cost the most."""


# file.read


class ReadArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to read."""

    path: AbsolutePath
    """The absolute path of a file."""
    offset: int = 0
    """Where to begin, in bytes; negative counts from the end."""
    bytes_max: Annotated[int, msgspec.Meta(ge=1, le=READ_BYTES_MAX)] = 64 * 1024
    """The most bytes to read."""
    binary: bool = False
    """Give bytes that are not text, too, in base64."""


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a file."""

    path: str
    size: int
    """Bytes of the whole file."""
    offset: int
    """Where the part begins."""
    kind: Literal["text", "binary"]
    content: Payload | None
    """None where the file is binary and that was not asked for."""
    digest: str | None
    """`sha256:…` of the file, where this is all of it: what `file.write` can expect."""
    next_offset: int | None
    """Where to read on; None at the end."""
    truncated: bool


async def read(arguments: ReadArguments, context: Context) -> Read:
    """Read a file, or a part of one. Text comes as text; of binary files only that they are."""
    offset = arguments.offset
    if offset < 0:
        size = (await context.hands.read(arguments.path, bytes_max=1)).size
        offset = max(0, size + offset)
    content = await context.hands.read(arguments.path, offset=offset, bytes_max=arguments.bytes_max)
    data = whole_chars(content.data) if content.truncated else content.data
    text = is_text(data)
    data = fitting(data if text else content.data, context.output_bytes_max // 2)
    truncated = content.truncated or len(data) < len(content.data)
    end = offset + len(data)
    return Read(
        path=arguments.path,
        size=content.size,
        offset=offset,
        kind="text" if text else "binary",
        content=told(data) if text or arguments.binary else None,
        digest=digest(data) if offset == 0 and not truncated else None,
        next_offset=end if truncated else None,
        truncated=truncated,
    )


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


# file.write


class WriteArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to write."""

    path: AbsolutePath
    """The absolute path of a file, in a folder that exists."""
    content: str
    """The text, or the bytes in base64."""
    encoding: Literal["utf-8", "base64"] = "utf-8"
    """What `content` is."""
    how: Literal["create", "replace", "append"] = "create"
    """`create` refuses a file that exists; `replace` writes it whole, at once; `append` adds at its end."""
    expected_digest: Annotated[str, msgspec.Meta(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None
    """Refuse unless the file still has this digest, as `file.read` told it."""


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What was written."""

    path: str
    bytes: int
    """Written now."""
    digest: str | None
    """`sha256:…` of what was written; of an appended file only where its digest was expected."""


async def write(arguments: WriteArguments, context: Context) -> Written:
    """Write a file: create, replace or append. With `expected_digest`, only if nobody has changed it since."""
    data = untold(Payload(encoding=arguments.encoding, text=arguments.content), "content")
    before = b""
    if arguments.expected_digest is not None:
        if arguments.how == "create":
            message = "a file that is to be created has no digest yet"
            raise WardwrightError("tool_arguments", message, place=Place(path="expected_digest"))
        before = await _unchanged(context.hands, arguments.path, arguments.expected_digest)
    count = await context.hands.write(arguments.path, data, arguments.how)
    known = arguments.how != "append" or arguments.expected_digest is not None
    whole = before + data if arguments.how == "append" else data
    return Written(path=arguments.path, bytes=count, digest=digest(whole) if known else None)


async def _unchanged(hands: Hands, path: str, expected: str) -> bytes:
    """What a file holds, if it has the digest that is expected."""
    content = await hands.read(path, bytes_max=COMPARED_BYTES_MAX)
    if content.truncated:
        raise WardwrightError("tool_failed", f"`{path}` is too large for its digest to be compared")
    if digest(content.data) != expected:
        hint = "read it again; somebody has written to it since"
        raise WardwrightError("tool_failed", f"`{path}` is no longer what was expected", hint=hint)
    return content.data


# file.search


class SearchArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to look for."""

    path: AbsolutePath
    """A file, or a folder that is searched with all beneath it. Links are not followed."""
    pattern: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    """What a line must hold."""
    literal: bool = False
    """The pattern is a text as it stands, and no regular expression."""
    ignore_case: bool = False
    names: tuple[str, ...] = ()
    """Search only files whose name, or path below the folder, is one of these, such as `*.py`."""
    hidden: bool = False
    """Search files and folders whose names begin with `.`, too."""
    matches_max: Annotated[int, msgspec.Meta(ge=1, le=2000)] = 200
    files_max: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 2000
    """The most files to open."""


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """One line in which the pattern is found."""

    path: str
    line: int
    """From 1."""
    column: int
    """From 1, in characters."""
    text: str
    """The line, shortened around the match where it is long."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Where a pattern is found."""

    matches: tuple[Match, ...]
    """By path, then line."""
    files_searched: int
    files_binary: int
    """Not searched."""
    truncated: bool
    """There may be more, for one of the reasons in `cut`."""
    cut: tuple[str, ...]
    """What was left out in part: `matches`, `files`, `folders`, `depth`, `bytes`, `lines`, `time`, `unreadable`."""


async def search(arguments: SearchArguments, context: Context) -> Found:
    """Find the lines of files that hold a pattern. A pattern that could stall the search is refused."""
    find = _finder(arguments)
    cut: set[str] = set()
    found: list[Match] = []
    searched = binary = spent = length = 0
    async for path in _files(arguments, context.hands, cut):
        if searched + binary >= arguments.files_max:
            cut.add("files")
            break
        try:
            content = await context.hands.read(path, bytes_max=SEARCHED_BYTES_MAX)
        except WardwrightError as error:
            if error.code != "tool_failed" or path == posixpath.normpath(arguments.path):
                raise
            cut.add("unreadable")  # such as another user's, or gone since the folder was read
            continue
        spent += len(content.data)
        data = whole_chars(content.data) if content.truncated else content.data
        if content.truncated:
            cut.add("bytes")
        if not is_text(data):
            binary += 1
            continue
        searched += 1
        for match in _matches(path, data.decode(), find, cut):
            length += len(msgspec.json.encode(match)) + 1
            if len(found) >= arguments.matches_max or length > context.output_bytes_max // 2:
                cut.add("matches")
                break
            found.append(match)
        if "matches" in cut:
            break
        if spent >= SEARCHED_ALL_BYTES_MAX:
            cut.add("bytes")
            break
    return Found(
        matches=tuple(found),
        files_searched=searched,
        files_binary=binary,
        truncated=bool(cut),
        cut=tuple(sorted(cut)),
    )


def _finder(arguments: SearchArguments) -> Callable[[str], int | None]:
    """Where a line first holds the pattern; None where it does not. Raises TimeoutError."""
    kind = Phrase if arguments.literal else Regex
    try:
        find = searcher(admit(kind(arguments.pattern, arguments.ignore_case)))
    except PatternProblem as problem:
        raise WardwrightError(
            "tool_arguments", str(problem), place=Place(path="pattern"), hint=problem.fix
        ) from problem

    def start(line: str) -> int | None:
        match = find(line)
        return None if match is None else match.start()

    return start


def _matches(path: str, text: str, find: Callable[[str], int | None], cut: set[str]) -> Iterator[Match]:
    slow = 0
    for number, line in enumerate(text.split("\n"), start=1):
        if len(line) > SEARCHED_LINE_CHARS_MAX:
            cut.add("lines")
            line = line[:SEARCHED_LINE_CHARS_MAX]
        try:
            start = find(line.removesuffix("\r"))
        except TimeoutError:
            cut.add("time")
            slow += 1
            if slow >= SLOW_LINES_MAX:
                return
            continue
        if start is not None:
            yield Match(path=path, line=number, column=start + 1, text=_around(line.rstrip("\r"), start))


def _around(line: str, at: int) -> str:
    """A line, or the part of it around a match."""
    if len(line) <= LINE_CHARS_MAX:
        return line
    begin = max(0, min(at - LINE_CHARS_MAX // 4, len(line) - LINE_CHARS_MAX))
    end = begin + LINE_CHARS_MAX
    return ("…" if begin else "") + line[begin:end] + ("…" if end < len(line) else "")


async def _files(arguments: SearchArguments, hands: Hands, cut: set[str]) -> AsyncIterator[str]:
    """The files to search, in the order of their paths; nothing is followed that is a link."""
    top = posixpath.normpath(arguments.path)
    if await _is_file(hands, top):
        yield top
        return
    waiting = [(top, 0)]
    while waiting:
        folder, depth = waiting.pop()
        try:
            listing = await hands.list(folder, items_max=FOLDER_ITEMS_MAX)
        except WardwrightError as error:
            if error.code != "tool_failed" or folder == top:
                raise
            cut.add("unreadable")
            continue
        if listing.truncated:
            cut.add("folders")
        below: list[tuple[str, int]] = []
        for item in listing.items:
            path = posixpath.join(folder, item.name)
            if item.name.startswith(".") and not arguments.hidden:
                continue
            if item.kind == "folder":
                below.append((path, depth + 1))
            elif item.kind == "file" and _is_named(path, top, arguments.names):
                yield path
        if depth >= DEPTH_MAX and below:
            cut.add("depth")
            continue
        waiting.extend(reversed(below))


async def _is_file(hands: Hands, path: str) -> bool:
    """Whether a path is a file; what cannot be read for another reason than being a folder is told."""
    try:
        await hands.list(path, items_max=1)
    except WardwrightError as error:
        if error.code != "tool_failed":
            raise
        return True
    return False


def _is_named(path: str, top: str, names: tuple[str, ...]) -> bool:
    below = posixpath.relpath(path, top)
    return not names or any(matches(name, posixpath.basename(path)) or matches(name, below) for name in names)


# Contracts

READ: Final = Tool(
    contract=ToolContract(
        name="file.read",
        effect="read",
        reversal="T0",
        implements="file.read",
        timeout_s=10,
        scope=ToolScope(read=("{path}",)),
    ),
    arguments=ReadArguments,
    result=Read,
    run=read,
)

SEARCH: Final = Tool(
    contract=ToolContract(
        name="file.search",
        effect="read",
        reversal="T0",
        implements="file.search",
        timeout_s=60,
        scope=ToolScope(read=("{path}",)),
    ),
    arguments=SearchArguments,
    result=Found,
    run=search,
)

WRITE: Final = Tool(
    contract=ToolContract(
        name="file.write",
        effect="write-local",
        reversal="T1",
        implements="file.write",
        timeout_s=10,
        scope=ToolScope(write=("{path}",)),
    ),
    arguments=WriteArguments,
    result=Written,
    run=write,
)

TOOLS: Final[tuple[AnyTool, ...]] = (READ, SEARCH, WRITE)
