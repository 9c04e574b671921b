"""Attempts to leave a sandbox: what a hostile program would try, and what each set of walls makes of it.

Each attempt is a piece of Python that runs as the sandboxed program, in a world with something to steal and something
to break. It ends with `STOPPED` and a reason, or with `DONE` where it got through.

What stands in the columns is part of the corpus: the reason for which an attempt is stopped, OPEN where that wall does
not stop it (and the test sees it get through, so that this table cannot flatter), UNTRIED where getting through would
be worse than not knowing.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

SECRET: Final = "the-secret-of-the-world-outside"
VARIABLE: Final = "WARDWRIGHT_TEST_SECRET"
OPEN: Final = "open"
UNTRIED: Final = "untried"

PRELUDE: Final = """
import ctypes, errno, os, signal, socket, subprocess, sys, time
inside, docs, outside, host, victim, tcp, udp, mark = sys.argv[1:9]
libc = ctypes.CDLL(None, use_errno=True)
def called(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return result
def absent():
    raise OSError("absent")
def attempt():
{code}
try:
    print("DONE", attempt())
except OSError as error:
    print("STOPPED", errno.errorcode.get(error.errno, error))
except MemoryError:
    print("STOPPED memory")
"""


class Attempt(NamedTuple):
    """One way out, and the reason for which it is none: names of errors, or one of OPEN and UNTRIED."""

    name: str
    code: str
    both: str
    bubblewrap: str
    landlock: str
    harmless: bool = True
    """Whether it gets through where there are no walls, and may: then the test knows that it is an attempt at all."""

    @property
    def program(self) -> str:
        lines = self.code.strip().splitlines()
        return PRELUDE.replace("{code}", "\n".join(f"    {line}" for line in lines))

    def __str__(self) -> str:
        return self.name


_ABSENT, _READ_ONLY = "ENOENT", "EROFS|EACCES"

ATTEMPTS: Final = (
    # files
    Attempt("an absolute path", "return open(outside + '/secret').read()", _ABSENT, _ABSENT, "EACCES"),
    Attempt("dots", "return open(inside + '/../outside/secret').read()", _ABSENT, _ABSENT, "EACCES"),
    Attempt("a link that leads out", "return open(inside + '/link').read()", _ABSENT, _ABSENT, "EACCES"),
    Attempt(
        "a link made there and then",
        "os.symlink(outside, inside + '/made'); return open(inside + '/made/secret').read()",
        _ABSENT, _ABSENT, "EACCES",
    ),
    Attempt(
        "the shadow file",
        "return open('/etc/shadow').read()",
        _ABSENT, _ABSENT, "EACCES", harmless=os.getuid() == 0,
    ),
    Attempt(
        "the root of the process",
        "return open('/proc/self/root' + outside + '/secret').read()",
        "ENOENT|EACCES", _ABSENT, "EACCES",
    ),
    Attempt(
        "the folder of the first process",
        "return os.listdir('/proc/1/root' + outside)",
        "ENOENT|EACCES", "ENOENT|EACCES", "EACCES", harmless=False,
    ),
    Attempt("a file made outside", "open(outside + '/made', 'w').close()", _ABSENT, _ABSENT, "EACCES"),
    Attempt(
        "a hard link to what is outside",
        "os.link(outside + '/secret', inside + '/hard')",
        _ABSENT, _ABSENT, "EACCES|EXDEV",
    ),
    Attempt(
        "a hard link to what may only be read",
        "os.link(docs + '/page', inside + '/hard'); open(inside + '/hard', 'w').write('changed')",
        "EXDEV|EACCES", "EXDEV", "EACCES|EXDEV",
    ),
    Attempt(
        "writing what may only be read",
        "open(docs + '/page', 'w').write('changed')",
        _READ_ONLY, "EROFS", "EACCES",
    ),
    Attempt("cutting what may only be read", "os.truncate(docs + '/page', 0)", _READ_ONLY, "EROFS", "EACCES"),
    Attempt("removing what may only be read", "os.unlink(docs + '/page')", _READ_ONLY, "EROFS", "EACCES"),
    Attempt("the mode of what may only be read", "os.chmod(docs + '/page', 0o777)", "EROFS", "EROFS", OPEN),
    Attempt("the date of what may only be read", "os.utime(docs + '/page', (1, 1))", "EROFS", "EROFS", OPEN),
    Attempt(
        "moving a file out",
        "os.rename(inside + '/file', outside + '/file')",
        "ENOENT|EXDEV|EACCES", _ABSENT, "EACCES|EXDEV",
    ),
    Attempt(
        "the system's programs",
        "open('/usr/bin/wardwright-was-here', 'w').close()",
        _READ_ONLY, "EROFS", "EACCES", harmless=False,
    ),
    Attempt("the top folder", "os.mkdir('/wardwright-was-here')", _READ_ONLY, "EROFS", "EACCES", harmless=False),
    Attempt(
        "the walls' own launcher",
        "paths = ('/dev/wardwright/launcher.py', '/dev/wardwright/launcher.pyc', '/etc/passwd')\n"
        "open(next(path for path in paths if os.path.exists(path)), 'a').close()",
        _READ_ONLY, _READ_ONLY, "EACCES", harmless=False,
    ),
    # what belongs to other processes
    Attempt(
        "a variable of ours",
        f"return os.environ['{VARIABLE}'] if '{VARIABLE}' in os.environ else absent()",
        "absent", "absent", "absent", harmless=False,
    ),
    Attempt(
        "the variables of a process outside",
        "return open(f'/proc/{victim}/environ').read()",
        _ABSENT, _ABSENT, "EACCES",
    ),
    Attempt(
        "the variables of the process that started it",
        "found = open(f'/proc/{os.getppid()}/environ').read()\n"
        f"return found if '{SECRET}' in found else absent()",
        "absent|EACCES", "absent|EACCES", "EACCES", harmless=False,
    ),
    Attempt("tracing us", "called(libc.ptrace(16, int(host), None, None))", "ESRCH", "ESRCH", "EPERM", harmless=False),
    Attempt(
        "tracing a process beside us",
        "called(libc.ptrace(16, int(victim), None, None))",
        "ESRCH", "ESRCH", "EPERM",
    ),
    Attempt("ending a process outside", "os.kill(int(victim), signal.SIGKILL)", "ESRCH|EPERM", "ESRCH", "EPERM"),
    Attempt("slowing a process outside", "os.setpriority(os.PRIO_PROCESS, int(victim), 19)", "ESRCH", "ESRCH", OPEN),
    Attempt(
        "a descriptor that was left open",
        "return [fd for fd in range(3, 1024) if libc.fcntl(fd, 1) >= 0] or absent()",
        "absent", "absent", "absent", harmless=False,
    ),
    Attempt("the terminal", "return os.open('/dev/tty', os.O_RDWR)", _ABSENT, _ABSENT, "EACCES|ENXIO", harmless=False),
    # the network
    Attempt(
        "a service on the machine's loopback",
        "socket.create_connection(('127.0.0.1', int(tcp)), timeout=5)",
        "EACCES", "ECONNREFUSED", "EACCES",
    ),
    Attempt(
        "a name",
        "return socket.getaddrinfo('example.com', 80)",
        "Temporary|Name", "Temporary|Name", UNTRIED, harmless=False,
    ),
    Attempt(
        "a datagram to the machine's loopback",
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1)\n"
        "s.connect(('127.0.0.1', int(udp))); s.send(b'escaped'); return s.recv(10)",
        "ECONNREFUSED", "ECONNREFUSED", OPEN,
    ),
    Attempt(
        "a socket without a file",
        "s = socket.socket(socket.AF_UNIX); s.connect('\\0' + mark)",
        "ECONNREFUSED|EPERM", "ECONNREFUSED", "EPERM",
    ),
    Attempt(
        "a socket with a file",
        "os.chdir(outside); s = socket.socket(socket.AF_UNIX); s.connect('socket')",
        _ABSENT, _ABSENT, OPEN,
    ),
    Attempt(
        "raw packets", "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)", "EPERM", "EPERM", UNTRIED, harmless=False
    ),
    # the machine
    Attempt(
        "a device of its own",
        "os.mknod(inside + '/disk', 0o060600, os.makedev(254, 0))",
        "EPERM|EACCES", "EPERM", "EACCES|EPERM", harmless=False,
    ),
    Attempt(
        "a file in /dev",
        "open('/dev/wardwright-was-here', 'w').close()",
        _READ_ONLY, "EROFS", "EACCES", harmless=False,
    ),
    Attempt(
        "the kernel's log",
        "open('/dev/kmsg', 'r+').close()",
        "ENOENT|EROFS|EACCES", "ENOENT|EROFS", "EACCES", harmless=False,
    ),
    Attempt(
        "a setting of the kernel",
        "open('/proc/sys/kernel/hostname', 'r+').close()",
        _READ_ONLY, _READ_ONLY, "EACCES", harmless=False,
    ),
    Attempt(
        "mounting",
        "called(libc.mount(b'none', inside.encode(), b'tmpfs', 0, None))",
        "EPERM", "EPERM", "EPERM", harmless=False,
    ),
    Attempt(
        "binding the machine's root",
        "called(libc.mount(b'/', inside.encode(), None, 4096, None))",
        "EPERM", "EPERM", "EPERM", harmless=False,
    ),
    Attempt("a new root", "os.chroot(inside)", "EPERM", "EPERM", UNTRIED, harmless=False),
    Attempt(
        "a namespace of its own",
        "called(libc.unshare(0x10000000))",
        "ENOSPC|EPERM", "ENOSPC|EPERM", UNTRIED, harmless=False,
    ),
    Attempt(
        "a program that is setuid",
        "mount = next(path for path in ('/usr/bin/mount', '/bin/mount') if os.path.exists(path))\n"
        "done = subprocess.run([mount, '-t', 'tmpfs', 'none', inside], capture_output=True)\n"
        "return 'mounted' if done.returncode == 0 else absent()",
        "absent", "absent", "absent", harmless=False,
    ),
    Attempt(
        "privileges that a program brings",
        "return 'may gain' if libc.prctl(39, 0, 0, 0, 0) == 0 else absent()",
        "absent", "absent", "absent", harmless=False,
    ),
    # what it takes
    Attempt(
        "processes without end",
        "for _ in range(2000):\n"
        "    if os.fork() == 0:\n"
        "        signal.pause()\n"
        "return 'forked'",
        "EAGAIN|ENOMEM", "EAGAIN|ENOMEM", UNTRIED, harmless=False,
    ),
    Attempt("memory without end", "len(bytearray(1 << 40))", "memory", "memory", "memory", harmless=False),
    Attempt(
        "a file without end",
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); os.truncate(inside + '/file', 1 << 42)",
        "EFBIG", "EFBIG", "EFBIG", harmless=False,
    ),
    Attempt(
        "descriptors without end",
        "held = [os.dup(0) for _ in range(100000)]",
        "EMFILE", "EMFILE", "EMFILE", harmless=False,
    ),
)  # fmt: skip


class World:
    """Something to steal and something to break, and what it looks like when nobody did."""

    def __init__(self, folder: Path, held: ExitStack) -> None:
        self.inside, self.docs, self.outside = folder / "inside", folder / "docs", folder / "outside"
        for path in (self.inside, self.docs, self.outside):
            path.mkdir()
        (self.outside / "secret").write_text(SECRET)
        (self.docs / "page").write_text("a page")
        os.utime(self.docs / "page", (1_000_000_000, 1_000_000_000))
        (self.docs / "page").chmod(0o644)
        (self.inside / "file").write_text("a file")
        (self.inside / "link").symlink_to(self.outside / "secret")
        self.mark = f"wardwright-{os.getpid()}-{folder.name}"
        self._tcp = held.enter_context(socket.create_server(("127.0.0.1", 0)))
        self._udp = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self._udp.bind(("127.0.0.1", 0))
        self._abstract = held.enter_context(socket.socket(socket.AF_UNIX))
        self._abstract.bind(f"\0{self.mark}")
        self._abstract.listen()
        self._unix = held.enter_context(socket.socket(socket.AF_UNIX))
        with _folder(self.outside):  # the path of a socket is short
            self._unix.bind("socket")
        self._unix.listen()
        for listening in (self._tcp, self._udp, self._abstract, self._unix):
            listening.setblocking(False)
        self.victim = held.enter_context(_process())
        self.before = self.state()

    def words(self) -> tuple[str, ...]:
        """What a program is told of the world."""
        ports = [str(one.getsockname()[1]) for one in (self._tcp, self._udp)]
        paths = [str(one) for one in (self.inside, self.docs, self.outside)]
        return (*paths, str(os.getpid()), str(self.victim.pid), *ports, self.mark)

    def state(self) -> dict[str, object]:
        """Everything that an attempt could have changed."""
        here: dict[str, object] = {}
        for folder in (self.docs, self.outside):
            for path in sorted(folder.iterdir()):
                status = path.lstat()
                content = path.read_bytes() if path.is_file() else b""
                here[str(path)] = (status.st_mode, status.st_nlink, status.st_mtime_ns, content)
        here["devices"] = sorted(os.listdir("/dev"))
        here["top"] = sorted(os.listdir("/"))
        here["mounts"] = Path("/proc/self/mounts").read_bytes()
        here["host name"] = socket.gethostname()
        here["victim"] = (self.victim.poll(), os.getpriority(os.PRIO_PROCESS, self.victim.pid))
        here["traced"] = [_tracer("self"), _tracer(str(self.victim.pid))]
        here["connections"] = [_accepted(one) for one in (self._tcp, self._abstract, self._unix)]
        here["datagrams"] = _received(self._udp)
        here["processes_max"] = Path("/proc/sys/kernel/pid_max").read_text()
        here["namespaces_max"] = Path("/proc/sys/user/max_user_namespaces").read_text()
        return here


@contextmanager
def world(folder: Path) -> Iterator[World]:
    with ExitStack() as held:
        yield World(folder, held)


@contextmanager
def _process() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import signal; signal.pause()"])
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


@contextmanager
def _folder(path: Path) -> Iterator[None]:
    before = os.getcwd()
    os.chdir(path)
    try:
        yield
    finally:
        os.chdir(before)


def _tracer(process: str) -> str:
    lines = Path("/proc", process, "status").read_text().splitlines()
    return next(line for line in lines if line.startswith("TracerPid"))


def _accepted(listening: socket.socket) -> int:
    count = 0
    while True:
        try:
            connection, _ = listening.accept()
        except BlockingIOError:
            return count
        connection.close()
        count += 1


def _received(socket_: socket.socket) -> bytes:
    try:
        return socket_.recv(100)
    except BlockingIOError:
        return b""


def table() -> str:
    """The corpus as docs/sandbox.md shows it."""
    lines = ["| Attempt | Both | bubblewrap | Landlock |", "|---|---|---|---|"]
    for attempt in ATTEMPTS:
        columns = (attempt.both, attempt.bubblewrap, attempt.landlock)
        lines.append(f"| {attempt.name} | {' | '.join(map(_word, columns))} |")
    return "\n".join(lines)


def _word(column: str) -> str:
    return {OPEN: "*open*", UNTRIED: "*not tried*"}.get(column, "held")
