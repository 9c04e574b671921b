"""All that a tool can touch of the world: programs, files, hosts. Whoever hands it over decides what is within reach.

Rule 1: a tool does nothing to the world but through its hands. So one place holds it to its scope, whatever it asks.
Rule 2: what is out of scope raises `scope_denied` with the path, host or program; it never looks like an empty answer.
Rule 3: every answer is bounded and says so: what was cut off is told by `truncated`.
Rule 4: no shell: a program is a list of words. Cancelling a run ends its whole process group.
"""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

import msgspec

from wardwright.kernel.errors import WardwrightError

WriteHow: TypeAlias = Literal["create", "replace", "append"]


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What one call of a tool may touch. Nothing is within reach that does not stand here."""

    read: tuple[str, ...] = ()
    """Absolute folders and files, each with all beneath it."""
    write: tuple[str, ...] = ()
    """The same; what may be written may be read."""
    hosts: tuple[str, ...] = ()
    """`host:port`, where `*` is any port, and a host that begins with `*.` is any name beneath it. A host that is
    written out may lie at a private address; a name beneath `*.` may not."""
    public_hosts: tuple[str, ...] = ()
    """The same, at addresses of the public internet alone: what the caller chose, and not the contract."""
    programs: tuple[str, ...] = ()
    """Names that are looked up on PATH, or absolute paths."""
    environment: tuple[str, ...] = ()
    """Variables that programs see of ours; everything else is hidden from them."""


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """One program to run."""

    argv: tuple[str, ...]
    cwd: str
    """Within the scope; or `/`, for programs to which it means nothing."""
    stdin: bytes = b""
    environment: tuple[tuple[str, str], ...] = ()
    """Set for this run, beside what the scope lets through."""
    output_bytes_max: int
    """Of stdout and of stderr, each."""
    timeout_s: float


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How a program ended."""

    code: int
    """Negative: the signal that ended it."""
    stdout: bytes
    stderr: bytes
    truncated: bool


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a file."""

    data: bytes
    size: int
    """Bytes of the whole file."""
    truncated: bool


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a folder."""

    name: str
    kind: Literal["file", "folder", "link", "other"]
    size: int


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """A folder's entries, by name."""

    items: tuple[Item, ...]
    truncated: bool


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP request."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    body_bytes_max: int
    """Of the answer."""
    timeout_s: float


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a server answered. Redirects are answers too: following one is another request."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    truncated: bool


class Hands(Protocol):
    """Raises `scope_denied`, and `tool_failed` for what the world refuses; `tool_timeout` where a time runs out."""

    async def run(self, command: Command) -> Ended:
        """Run a program to its end."""
        ...

    async def read(self, path: str, *, offset: int = 0, bytes_max: int) -> Content:
        """A part of a regular file. An offset past its end reads nothing."""
        ...

    async def list(self, path: str, *, items_max: int) -> Listing:
        """A folder. Links are told as links, wherever they lead."""
        ...

    async def write(self, path: str, data: bytes, how: WriteHow) -> int:
        """Write a file whole, atomically where it replaces one; bytes written. `create` refuses what exists already;
        `replace` and `append` make a file that does not. Folders are not made."""
        ...

    async def resolve(self, host: str) -> tuple[str, ...]:
        """The addresses of a host."""
        ...

    async def connect(self, host: str, port: int, *, timeout_s: float) -> str:
        """Connect and close again: the address that answered."""
        ...

    async def exchange(self, request: Request) -> Answer:
        """One HTTP exchange. The address is resolved once, checked, and the same one is connected to."""
        ...


def out_of_scope(what: str, hint: str | None = None) -> WardwrightError:
    return WardwrightError("scope_denied", f"{what} is not within this call's scope", hint=hint)
