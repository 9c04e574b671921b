"""Running programs: begun behind walls, bounded while they run, ended with all that they started.

Rule 1: a program is a list of words; no shell sees them.
Rule 2: what it writes past the bound is read and dropped: neither memory nor the program is held up by it.
Rule 3: a run is over when nothing of it runs any more. Behind bubblewrap that is its PID namespace, whatever a program
does to leave its process group; without it, it is the process group, and a program that leaves that lives on.
Rule 4: time running out and being cancelled are the same: SIGTERM to the program's group, some grace, SIGKILL to all.
"""

from __future__ import annotations

import asyncio
import marshal
import os
import resource
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from typing import Any, Final

import msgspec

from wardwright.harness.core.hands import Command, Ended, Scope, out_of_scope
from wardwright.harness.sandbox import bubblewrap, landlock
from wardwright.harness.sandbox.beneath import Folders
from wardwright.harness.sandbox.bubblewrap import Within
from wardwright.harness.sandbox.egress import Door
from wardwright.harness.sandbox.posture import PATH, Posture, Walls
from wardwright.kernel.errors import WardwrightError

GRACE_S: Final = 1.0
"""Between SIGTERM and SIGKILL."""
DRAIN_S_MAX: Final = 1.0
"""For what was written before the end; what still holds a pipe then has left the process group."""
REAP_S_MAX: Final = 10.0
"""For what was killed to be gone. A process may be stuck in the kernel, on a disk that does not answer."""
MESSAGE_BYTES_MAX: Final = 1024
SIGNALS_MAX: Final = 64

PROCESSES_LEAST: Final = 301
"""The least that the kernel takes for a PID namespace."""

DOOR_VARIABLES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
"""Where programs look for the way out."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one process of a run may use (`setrlimit(2)`), and how many of them there may be."""

    processes_max: int = 512
    """Of a run behind bubblewrap; at least PROCESSES_LEAST."""
    memory_bytes_max: int = 8 * 1024**3
    """Of addresses, which some runtimes reserve in plenty."""
    cpu_s_max: int = 3600
    file_bytes_max: int = 4 * 1024**3
    files_max: int = 1024

    def __post_init__(self) -> None:
        if self.processes_max < PROCESSES_LEAST:
            raise ValueError(f"processes_max is at least {PROCESSES_LEAST}")

    def told(self) -> list[tuple[int, int]]:
        return [
            (resource.RLIMIT_AS, self.memory_bytes_max),
            (resource.RLIMIT_CPU, self.cpu_s_max),
            (resource.RLIMIT_FSIZE, self.file_bytes_max),
            (resource.RLIMIT_NOFILE, self.files_max),
            (resource.RLIMIT_CORE, 0),
        ]


class Programs:
    """Runs the programs of one scope."""

    def __init__(self, scope: Scope, folders: Folders, posture: Posture, walls: Walls, limits: Limits) -> None:
        self._scope = scope
        self._folders = folders
        self._posture = posture
        self._walls = walls
        self._limits = limits

    async def run(self, command: Command) -> Ended:
        """Raises `scope_denied`, `tool_failed`, `tool_timeout`; `sandbox_unavailable` where the walls do not go up."""
        program = self._program(command)
        if self._walls != "none":
            bubblewrap.refuse_unholdable(self._scope)
        async with asyncio.TaskGroup() as group:
            outcome = await self._outcome(command, program, group)
        if isinstance(outcome, WardwrightError):  # raised here, since a group would wrap it
            raise outcome
        return outcome

    async def _outcome(self, command: Command, program: str, group: asyncio.TaskGroup) -> Ended | WardwrightError:
        try:
            async with AsyncExitStack() as held:
                folder = self._folder(command, held)
                private = await self._private(held)
                run = _Run(held, command.output_bytes_max, self._scope, group)
                instruction = self._instruction(command, program, folder, private, run, held)
                argv = self._argv(program, instruction, run)
                # a descriptor of a folder outside would be a way out: behind bubblewrap the folder is named instead
                inherited = (instruction,) if self._is_enclosed else (folder, instruction)
                try:
                    await run.start(argv, _memory_file(command.stdin, held), inherited)
                    async with asyncio.timeout(command.timeout_s):
                        await run.ended()
                except TimeoutError as cause:
                    name = command.argv[0]
                    raise WardwrightError(
                        "tool_timeout", f"`{name}` ran longer than {command.timeout_s:g} s"
                    ) from cause
                finally:
                    await run.finish()
                return self._told(run, command)
        except WardwrightError as error:
            return error

    async def _private(self, held: AsyncExitStack) -> str:
        """What stands for /tmp. Behind Landlock alone it is a folder of the run's own, which is removed in a thread: a
        program may have filled it."""
        if self._walls != "landlock":
            return "/tmp"
        folder = await asyncio.to_thread(tempfile.mkdtemp, prefix="wardwright-")
        held.push_async_callback(asyncio.to_thread, shutil.rmtree, folder, ignore_errors=True)
        return folder

    def _folder(self, command: Command, held: AsyncExitStack) -> int:
        """Where a program begins. The root, which is in no scope, stands for nowhere in particular."""
        if command.cwd == "/":
            folder = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            held.callback(os.close, folder)
            return folder
        return held.enter_context(self._folders.opened(command.cwd, os.O_RDONLY | os.O_DIRECTORY))

    @property
    def _is_enclosed(self) -> bool:
        return self._walls in ("both", "bubblewrap")

    def _program(self, command: Command) -> str:
        """The file that a command's first word means: one that the scope names, in the very same words."""
        name = command.argv[0] if command.argv else ""
        if not name or name not in self._scope.programs or ("/" in name and not name.startswith("/")):
            raise out_of_scope(f"the program `{name}`")
        if any("\0" in word for word in command.argv):
            raise WardwrightError("tool_failed", "a word of the command has a zero byte in it")
        path = name if name.startswith("/") else shutil.which(name, path=PATH)
        if path is None or not os.path.isfile(path):
            raise WardwrightError("tool_failed", f"there is no program `{name}`")
        return os.path.realpath(path)

    def _instruction(
        self, command: Command, program: str, folder: int, private: str, run: _Run, held: AsyncExitStack
    ) -> int:
        """The launcher's, in a file of memory: no other process reads it on its way."""
        inner = self._is_enclosed
        hosts = (*self._scope.hosts, *self._scope.public_hosts)
        told: dict[str, Any] = {
            "status": run.launcher.fileno(),
            "namespace": inner,
            "processes_max": self._limits.processes_max if self._posture.processes == "namespace" else 0,
            "limits": self._limits_told(inner),
            "walls": self._inner_wall(program, private),
            "door": DOOR_VARIABLES if hosts and self._walls != "none" else (),
            "connect": int(landlock.Net.CONNECT_TCP) if self._posture.landlock_abi >= 4 else 0,
            "folder": command.cwd if inner else folder,
            "program": program,
            "argv": list(command.argv),
            "environment": self._environment(command, private),
        }
        return _memory_file(marshal.dumps(told), held)

    def _limits_told(self, inner: bool) -> list[tuple[int, int]]:
        limits = self._limits.told()
        if inner and self._posture.processes == "user":
            limits.append((resource.RLIMIT_NPROC, self._limits.processes_max))
        return limits

    def _inner_wall(self, program: str, private: str) -> dict[str, Any] | None:
        match self._walls:
            case "both":
                rules = bubblewrap.rules(self._posture.layout, self._within(), program)
            case "landlock":
                rules = bubblewrap.alone(self._posture.layout, self._within(), program, private)
            case _:
                return None
        return landlock.plan(rules, self._posture.landlock_abi).told()

    def _environment(self, command: Command, private: str) -> dict[str, str]:
        every = {"PATH": PATH, "LANG": "C.UTF-8", "HOME": private, "TMPDIR": private}
        if self._walls != "none":
            every["GIT_CONFIG_NOSYSTEM"] = "1"  # git gives up where that file is there and may not be read
        every |= {name: os.environ[name] for name in self._scope.environment if name in os.environ}
        every |= dict(command.environment)
        for name, value in every.items():
            if not name or "=" in name or "\0" in name or "\0" in value:
                raise WardwrightError("tool_failed", f"{name!r} cannot be the name of a variable")
        return every

    def _within(self) -> Within:
        return within(self._folders)

    def _argv(self, program: str, instruction: int, run: _Run) -> tuple[str, ...]:
        layout = self._posture.layout
        if self._is_enclosed:
            return bubblewrap.argv(layout, self._within(), program, info=run.open_info(), instruction=instruction)
        return (layout.python, "-I", "-S", layout.launcher, str(instruction))

    def _told(self, run: _Run, command: Command) -> Ended:
        name = command.argv[0]
        if not run.started:
            said = [run.failure] if run.failure else run.stderr.data.decode(errors="replace").strip().splitlines()[:1]
            raise WardwrightError(
                "sandbox_unavailable", f"the walls did not go up: {said[0][:300] if said else 'no reason was given'}"
            )
        if run.failure is not None:
            raise WardwrightError("tool_failed", f"`{name}` cannot be run: {run.failure}")
        return Ended(
            code=_code(run.code, behind_bubblewrap=self._is_enclosed),
            stdout=bytes(run.stdout.data),
            stderr=bytes(run.stderr.data),
            truncated=run.stdout.truncated or run.stderr.truncated,
        )


def within(folders: Folders) -> Within:
    """What of a scope can be bound: what was there when the hands were made, also a socket that the scope names.

    What lies in a folder that gives the same rights is left out, since rights add up. So no path is looked up for a
    wall in a folder where a program of this scope could have put something else by then.
    """
    there = [root for root in folders.roots if root.name is None or os.path.exists(root.real)]
    return bubblewrap.widest(
        Within(
            read=tuple((root.spelled, root.real) for root in there if not root.writable),
            write=tuple((root.spelled, root.real) for root in there if root.writable),
        )
    )


class _Output(asyncio.Protocol):
    """One pipe, kept up to its bound and dropped past it."""

    def __init__(self, bytes_max: int, over: Callable[[], None]) -> None:
        self.data = bytearray()
        self.truncated = False
        self._bytes_max = bytes_max
        self._over = over

    def data_received(self, data: bytes) -> None:
        room = self._bytes_max - len(self.data)
        self.data += data[:room]
        self.truncated = self.truncated or len(data) > room

    def connection_lost(self, exc: Exception | None) -> None:
        self._over()


class _Run:
    """One process and what watches it. Everything it opens is closed by `finish` or by the stack that it was given."""

    def __init__(self, held: AsyncExitStack, output_bytes_max: int, scope: Scope, group: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._scope = scope
        self._group = group
        self._drained: asyncio.Future[None] = loop.create_future()
        self._open = 2
        self.stdout = _Output(output_bytes_max, self._one_drained)
        self.stderr = _Output(output_bytes_max, self._one_drained)
        self._ours, self.launcher = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        held.callback(self._ours.close)
        held.callback(self.launcher.close)
        self._ours.setblocking(False)
        self._ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._info: tuple[int, int] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._program: int | None = None
        self._init: int | None = None
        self._transports: list[asyncio.BaseTransport] = []
        self._door: Door | None = None
        self.started = False
        self.failure: str | None = None

    @property
    def code(self) -> int:
        assert self._process is not None
        return self._process.returncode if self._process.returncode is not None else -signal.SIGKILL

    def open_info(self) -> int:
        """The descriptor on which bubblewrap says which process is the first of its namespace."""
        ours, theirs = os.pipe()
        os.set_blocking(ours, False)
        self._info = ours, theirs
        return theirs

    async def start(self, argv: tuple[str, ...], stdin: int, inherited: tuple[int, ...]) -> None:
        """Raises `tool_failed` where not even the launcher starts."""
        pipes = [os.pipe(), os.pipe()]
        try:
            for (reading, _), output in zip(pipes, (self.stdout, self.stderr), strict=True):
                file = os.fdopen(reading, "rb", buffering=0)
                transport, _ = await self._loop.connect_read_pipe(lambda output=output: output, file)  # type: ignore[misc]
                self._transports.append(transport)
            self._loop.add_reader(self._ours.fileno(), self._hear)
            info = () if self._info is None else (self._info[1],)
            self._process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=stdin,
                stdout=pipes[0][1],
                stderr=pipes[1][1],
                env={"PATH": PATH},
                cwd="/",
                start_new_session=True,
                pass_fds=(self.launcher.fileno(), *inherited, *info),
            )
        except OSError as error:
            raise WardwrightError("tool_failed", f"`{argv[0]}` cannot be started: {error.strerror}") from error
        finally:
            for _, writing in pipes:
                os.close(writing)
            if self._info is not None:
                os.close(self._info[1])
            self.launcher.close()
        if self._info is not None:
            self._loop.add_reader(self._info[0], self._learn)

    async def ended(self) -> None:
        """Return once the program has ended. What it started may still run."""
        assert self._process is not None
        await self._process.wait()

    async def finish(self) -> None:
        """End whatever still runs, and wait until it has: gracefully where the program itself runs."""
        process = self._process
        try:
            if process is not None:
                if process.returncode is None:
                    self._signal(signal.SIGTERM)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(GRACE_S):
                            await process.wait()
                self._signal(signal.SIGKILL)
                try:
                    async with asyncio.timeout(REAP_S_MAX):
                        await process.wait()
                        await self._namespace_over()
                except TimeoutError:
                    self.failure = "it was killed, and is stuck in the kernel"
                with suppress(TimeoutError):
                    async with asyncio.timeout(DRAIN_S_MAX):
                        await asyncio.shield(self._drained)
        except BaseException:
            self._signal(signal.SIGKILL)  # cancelled once more: there is no time to ask
            raise
        finally:
            self._hear()
            self._loop.remove_reader(self._ours.fileno())
            for transport in self._transports:
                transport.close()
            if self._info is not None:
                self._loop.remove_reader(self._info[0])
                os.close(self._info[0])
            if self._init is not None:
                os.close(self._init)
                self._init = None
            if self._door is not None:
                self._door.close()

    def _signal(self, which: signal.Signals) -> None:
        process = self._process
        if process is None:
            return
        if which == signal.SIGTERM:
            self._signal_group(self._program or process.pid, which)
            return
        if self._init is not None:  # the first process of the namespace takes all others of it along
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._init, which)
        elif self._program is not None:
            self._signal_group(self._program, which)
        if process.returncode is None:
            self._signal_group(process.pid, which)

    def _signal_group(self, group: int, which: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, which)

    async def _namespace_over(self) -> None:
        """Behind bubblewrap: until the first process of its namespace is gone, which is after all others of it."""
        if self._init is None:
            return
        over: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(self._init, _settle, over)
        try:
            await over
        finally:
            self._loop.remove_reader(self._init)

    def _learn(self) -> None:
        """Which process is the first of the namespace, as bubblewrap says before it lets it go on."""
        assert self._info is not None
        with suppress(BlockingIOError):
            said = os.read(self._info[0], 4096)
            self._loop.remove_reader(self._info[0])
            with suppress(msgspec.DecodeError, ProcessLookupError):
                self._init = os.pidfd_open(msgspec.json.decode(said, type=_Info).child_pid)

    def _hear(self) -> None:
        """What the launcher says, and from which process: the kernel tells its number as we see it."""
        while True:
            try:
                said, ancillary, _, _ = self._ours.recvmsg(MESSAGE_BYTES_MAX, socket.CMSG_SPACE(64))
            except (BlockingIOError, ConnectionResetError):
                return
            if not said:
                self._loop.remove_reader(self._ours.fileno())
                return
            for level, kind, data in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                    self._program = int.from_bytes(data[:4], sys.byteorder)
                elif level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    self._open_door(int.from_bytes(data[:4], sys.byteorder))
            if said == b"started":
                self.started = True
            elif said.startswith(b"failed "):
                self.failure = said[7:].decode(errors="replace")

    def _open_door(self, descriptor: int) -> None:
        self._door = Door(self._scope, socket.socket(fileno=descriptor), self._group)

    def _one_drained(self) -> None:
        self._open -= 1
        if self._open == 0:
            _settle(self._drained)


class _Info(msgspec.Struct, rename="kebab"):
    child_pid: int


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _memory_file(data: bytes, held: AsyncExitStack) -> int:
    """A file without a name that holds the data, at its beginning."""
    descriptor = os.memfd_create("wardwright", os.MFD_CLOEXEC)
    held.callback(os.close, descriptor)
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _code(code: int, *, behind_bubblewrap: bool) -> int:
    """Bubblewrap tells a signal as 128 and its number, as shells do."""
    if behind_bubblewrap and 128 < code <= 128 + SIGNALS_MAX:
        return 128 - code
    return code
