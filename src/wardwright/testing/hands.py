"""Hands over a small world in memory: files, programs and hosts that do what a test says.

    world = World()
    world.write("/srv/notes.txt", b"hello")
    world.programs["git"] = told({("status",): b"## main\\0"})
    world.serve("example.com", 443, lambda request: answer(200, b"hi"), address="93.184.216.34")
    hands = ScriptedHands(world, Scope(read=("/srv",), programs=("git",)))

Rule 1: it keeps the promises of `testing.hands_kit`, so that a tool that works with it works with the real ones.
Rule 2: it remembers what it was asked to run and to send.
"""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec

from wardwright.harness.core.hands import (
    Answer,
    Command,
    Content,
    Ended,
    Hands,
    Item,
    Listing,
    Request,
    Scope,
    WriteHow,
    out_of_scope,
)
from wardwright.harness.core.reach import address_within, host_within
from wardwright.kernel.errors import WardwrightError

LINKS_MAX: Final = 40
"""Links followed on the way to one file."""

_PORTS: Final = {"http": 80, "https": 443}


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What a program sees."""

    command: Command
    environment: dict[str, str]
    folder: str


Program: TypeAlias = Callable[[Run], Awaitable[Ended]]
"""May wait as long as it likes: it is cancelled when its time runs out."""
Server: TypeAlias = Callable[[Request], Answer | None]
"""None: it never answers."""


class World:
    """Everything that hands could touch. One world may be shared by hands with different scopes."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.folders: set[str] = {"/"}
        self.links: dict[str, str] = {}
        self.pipes: set[str] = set()
        """What is neither file, folder nor link."""
        self.locked: set[str] = set()
        """Files and folders that may not be opened, whatever a scope says: another user's."""
        self.programs: dict[str, Program] = {}
        """By the first word of a command."""
        self.environment: dict[str, str] = {}
        self.addresses: dict[str, tuple[str, ...]] = {}
        """Of each host."""
        self.servers: dict[tuple[str, int], Server] = {}
        """By address and port."""
        self.ran: list[Command] = []
        self.sent: list[Request] = []

    def write(self, path: str, data: bytes) -> None:
        self.folder(posixpath.dirname(path))
        self.files[path] = data

    def folder(self, path: str) -> None:
        """A folder, and those that it lies in."""
        while path not in self.folders:
            self.folders.add(path)
            path = posixpath.dirname(path)

    def link(self, path: str, to: str) -> None:
        self.folder(posixpath.dirname(path))
        self.links[path] = to

    def serve(self, host: str, port: int, server: Server, *, address: str) -> None:
        self.addresses[host] = (address,)
        self.servers[address, port] = server

    def real(self, path: str) -> str:
        """Where a path leads once its links are followed; what does not exist stays as it is written."""
        steps = [step for step in path.split("/") if step]
        at, followed = "/", 0
        while steps:
            step = steps.pop(0)
            if step in (".", ".."):
                at = posixpath.dirname(at) if step == ".." else at
                continue
            at = posixpath.join(at, step)
            if at in self.links:
                followed += 1
                if followed > LINKS_MAX:
                    raise WardwrightError("tool_failed", f"`{path}` leads through too many links")
                target = self.links[at]
                steps = [step for step in target.split("/") if step] + steps
                at = "/" if target.startswith("/") else posixpath.dirname(at)
        return at

    def kind(self, path: str) -> Literal["file", "folder", "link", "other"] | None:
        """What stands at a path, not following a link there."""
        if path in self.links:
            return "link"
        if path in self.files:
            return "file"
        if path in self.folders:
            return "folder"
        return "other" if path in self.pipes else None


class ScriptedHands(Hands):
    """Implements `harness.core.hands.Hands`."""

    def __init__(self, world: World, scope: Scope) -> None:
        self.world = world
        self.scope = scope

    async def run(self, command: Command) -> Ended:
        name = command.argv[0] if command.argv else ""
        if name not in self.scope.programs:
            raise out_of_scope(f"the program `{name}`")
        folder = "/" if command.cwd == "/" else self._within(command.cwd, (*self.scope.read, *self.scope.write))
        if folder not in self.world.folders:
            raise WardwrightError("tool_failed", f"`{command.cwd}` is not a folder")
        program = self.world.programs.get(name)
        if program is None:
            raise WardwrightError("tool_failed", f"there is no program `{name}`")
        self.world.ran.append(command)
        ours = {name: self.world.environment[name] for name in self.scope.environment if name in self.world.environment}
        run = Run(command=command, environment={**ours, **dict(command.environment)}, folder=folder)
        try:
            async with asyncio.timeout(command.timeout_s):
                ended = await program(run)
        except TimeoutError as cause:
            raise WardwrightError("tool_timeout", f"`{name}` ran longer than {command.timeout_s:g} s") from cause
        most = command.output_bytes_max
        return Ended(
            code=ended.code,
            stdout=ended.stdout[:most],
            stderr=ended.stderr[:most],
            truncated=ended.truncated or len(ended.stdout) > most or len(ended.stderr) > most,
        )

    async def read(self, path: str, *, offset: int = 0, bytes_max: int) -> Content:
        data = self._file(path, (*self.scope.read, *self.scope.write))
        part = data[offset : offset + bytes_max]
        return Content(data=part, size=len(data), truncated=offset + len(part) < len(data))

    async def list(self, path: str, *, items_max: int) -> Listing:
        folder = self._within(path, (*self.scope.read, *self.scope.write))
        if folder not in self.world.folders or folder in self.world.locked:
            raise WardwrightError("tool_failed", f"`{path}` is not a folder that can be opened")
        everything = {*self.world.files, *self.world.folders, *self.world.links, *self.world.pipes} - {"/"}
        paths = sorted(one for one in everything if posixpath.dirname(one) == folder)
        items = tuple(self._item(one) for one in paths[:items_max])
        return Listing(items=items, truncated=len(paths) > items_max)

    async def write(self, path: str, data: bytes, how: WriteHow) -> int:
        real = self._within(path, self.scope.write)
        kind = self.world.kind(real)
        if posixpath.dirname(real) not in self.world.folders:
            raise WardwrightError("tool_failed", f"the folder of `{path}` does not exist")
        if kind not in (None, "file"):
            raise WardwrightError("tool_failed", f"`{path}` is not a regular file")
        if how == "create" and kind is not None:
            raise WardwrightError("tool_failed", f"`{path}` exists already")
        self.world.files[real] = self.world.files.get(real, b"") + data if how == "append" else data
        return len(data)

    async def resolve(self, host: str) -> tuple[str, ...]:
        if not host_within(self.scope, host, None):
            raise out_of_scope(f"the host `{host}`")
        return self._addresses(host)

    async def connect(self, host: str, port: int, *, timeout_s: float) -> str:
        address = self._address(host, port)
        if (address, port) not in self.world.servers:
            raise WardwrightError("tool_failed", f"nobody listens at `{host}:{port}`")
        return address

    async def exchange(self, request: Request) -> Answer:
        try:
            parts = urlsplit(request.url)
            port = parts.port or _PORTS.get(parts.scheme)
        except ValueError as cause:
            raise out_of_scope(f"`{request.url}`") from cause
        if parts.scheme not in _PORTS or port is None or parts.hostname is None:
            raise out_of_scope(f"`{request.url}`")
        server = self.world.servers.get((self._address(parts.hostname, port), port))
        if server is None:
            raise WardwrightError("tool_failed", f"nobody listens at `{parts.hostname}:{port}`")
        self.world.sent.append(request)
        answered = server(request)
        if answered is None:
            raise WardwrightError("tool_timeout", f"`{parts.hostname}` did not answer within {request.timeout_s:g} s")
        return msgspec.structs.replace(
            answered,
            body=answered.body[: request.body_bytes_max],
            truncated=answered.truncated or len(answered.body) > request.body_bytes_max,
        )

    # Within the scope or not

    def _within(self, path: str, roots: tuple[str, ...]) -> str:
        """Where a path really leads, if that and the path itself lie beneath a root."""
        if not path.startswith("/") or "\0" in path or not _beneath(posixpath.normpath(path), roots):
            raise out_of_scope(f"`{path}`")
        real = self.world.real(path)
        if not _beneath(real, tuple(self.world.real(root) for root in roots)):
            raise out_of_scope(f"`{path}`")
        return real

    def _file(self, path: str, roots: tuple[str, ...]) -> bytes:
        real = self._within(path, roots)
        match self.world.kind(real):
            case "file" if real not in self.world.locked:
                return self.world.files[real]
            case None:
                raise WardwrightError("tool_failed", f"`{path}` does not exist")
            case _:
                raise WardwrightError("tool_failed", f"`{path}` is not a regular file that can be opened")

    def _item(self, path: str) -> Item:
        kind = self.world.kind(path)
        assert kind is not None
        return Item(name=posixpath.basename(path), kind=kind, size=len(self.world.files.get(path, b"")))

    def _addresses(self, host: str) -> tuple[str, ...]:
        try:
            return (str(ip_address(host.removeprefix("[").removesuffix("]"))),)
        except ValueError:
            addresses = self.world.addresses.get(host.lower(), ())
        if not addresses:
            raise WardwrightError("tool_failed", f"the host `{host}` has no address")
        return addresses

    def _address(self, host: str, port: int) -> str:
        if not host_within(self.scope, host, port):
            raise out_of_scope(f"the host `{host}:{port}`")
        addresses = self._addresses(host)
        for address in addresses:
            if address_within(self.scope, host, port, address):
                return address
        raise out_of_scope(f"the private address {addresses[0]} of `{host}:{port}`")


def told(answers: Mapping[tuple[str, ...], Ended | bytes]) -> Program:
    """A program that answers by its arguments: the entry whose words all stand in them, in this order; the longest such
    entry, where several do. Bytes are what it writes before it ends well. Anything else ends with code 64."""

    async def program(run: Run) -> Ended:
        arguments = run.command.argv[1:]
        fitting = [words for words in answers if _stands(words, arguments)]
        if not fitting:
            return ended(64, stderr=f"no answer is scripted for {' '.join(arguments)}".encode())
        answer = answers[max(fitting, key=len)]
        return answer if isinstance(answer, Ended) else ended(0, answer)

    return program


def ended(code: int, stdout: bytes = b"", stderr: bytes = b"") -> Ended:
    return Ended(code=code, stdout=stdout, stderr=stderr, truncated=False)


def answer(status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status=status, headers=tuple((headers or {}).items()), body=body, truncated=False)


def _beneath(path: str, roots: tuple[str, ...]) -> bool:
    trimmed = [root.rstrip("/") for root in roots]
    return any(path == root or path.startswith(f"{root}/") for root in trimmed)


def _stands(words: tuple[str, ...], arguments: tuple[str, ...]) -> bool:
    rest = iter(arguments)
    return all(word in rest for word in words)
