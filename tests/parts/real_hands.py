"""The real hands over folders of this machine, as the kit sees them, in each of their grades."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from wardwright.harness.core.hands import Scope
from wardwright.harness.sandbox.hands import LocalHands
from wardwright.harness.sandbox.posture import Posture, Walls, look
from wardwright.testing import hands_kit

PYTHON: Final = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
"""An interpreter that the walls let run: the one that runs the launcher."""
LOOKS_MAX: Final = 500
"""Times that a process is looked for, 10 ms apart."""

PROGRAMS: Final[dict[hands_kit.Behaviour, str]] = {
    "copy": "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())",
    "fail": "import sys; sys.stderr.write('oops\\n'); sys.exit(3)",
    "flood": f"import sys; sys.stdout.buffer.write(b'x' * {hands_kit.FLOOD_BYTES})",
    "environment": "import os; [print(f'{name}={value}') for name, value in os.environ.items()]",
    "folder": "import os; print(os.getcwd())",
    "endless": (
        "import subprocess, signal, sys; "
        "subprocess.Popen([sys.executable, '-I', '-S', '-c', 'import signal; signal.pause()', sys.argv[1]]); "
        "signal.pause()"
    ),
}


def machine() -> Posture:
    """What this machine can do, looked at anew."""
    return asyncio.run(look())


class RealSubject:
    """Two folders beside each other, programs in Python, a server on loopback."""

    def __init__(self, folder: Path, posture: Posture, walls: Walls, setenv: Callable[[str, str], None]) -> None:
        self.inside = str(folder / "inside")
        self.outside = str(folder / "inside-not")
        self._posture = posture
        self._walls = walls
        self._setenv = setenv
        self._mark = f"endless-{folder.name}-{os.getpid()}"
        self._server: asyncio.Server | None = None
        for path in (self.inside, self.outside):
            os.mkdir(path)

    def hands(self, scope: Scope) -> LocalHands:
        return LocalHands(scope, self._posture, self._walls)

    def put(self, path: str, data: bytes) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(data)

    def get(self, path: str) -> bytes | None:
        try:
            return Path(path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def folder(self, path: str) -> None:
        Path(path).mkdir(parents=True, exist_ok=True)

    def link(self, path: str, to: str) -> None:
        os.symlink(to, path)

    def pipe(self, path: str) -> None:
        os.mkfifo(path)

    def set_environment(self, name: str, value: str) -> None:
        self._setenv(name, value)

    def argv(self, behaviour: hands_kit.Behaviour) -> tuple[str, ...]:
        return (PYTHON, "-I", "-S", "-c", PROGRAMS[behaviour], self._mark)

    async def until_endless_runs(self) -> None:
        for _ in range(LOOKS_MAX):
            if self._endless() >= 2:
                return
            await asyncio.sleep(0.01)
        raise AssertionError("the endless program did not begin")

    async def endless_is_gone(self) -> bool:
        for _ in range(LOOKS_MAX):
            if self._endless() == 0:
                return True
            await asyncio.sleep(0.01)
        return False

    async def site(self) -> hands_kit.Site:
        self._server = await asyncio.start_server(_serve, "127.0.0.1", 0)
        closed = await asyncio.start_server(_serve, "127.0.0.1", 0)
        closed_port = closed.sockets[0].getsockname()[1]
        closed.close()
        await closed.wait_closed()
        return hands_kit.Site(host="127.0.0.1", port=self._server.sockets[0].getsockname()[1], closed_port=closed_port)

    async def aclose(self) -> None:
        if self._server is not None:
            self._server.close()

    def _endless(self) -> int:
        """How many processes carry our mark, walls and all."""
        mark = self._mark.encode()
        return sum(mark in words for words in _command_lines())


def _command_lines() -> Iterator[list[bytes]]:
    """Of every process on this machine."""
    for process in os.listdir("/proc"):
        if process.isdigit():
            with suppress(OSError):
                yield Path("/proc", process, "cmdline").read_bytes().split(b"\0")


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        length = 0
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        body = await reader.readexactly(length)
        answer = hands_kit.respond(method, urlsplit(target).path, body)
        if answer is None:
            await reader.read()  # until the client gives up
            return
        fields = "".join(f"{name}: {value}\r\n" for name, value in answer.headers)
        writer.write(f"HTTP/1.1 {answer.status} OK\r\n{fields}Content-Length: {len(answer.body)}\r\n\r\n".encode())
        writer.write(answer.body)
        await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()
