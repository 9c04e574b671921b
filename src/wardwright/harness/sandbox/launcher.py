"""What becomes of a process before it is somebody else's program: it walls itself in, then becomes the program.

It runs as `python -I -S launcher.py FD`, beneath bubblewrap or alone, so it stands alone: the standard library, and of
that as little as starts quickly. The instruction lies in the memory file FD, marshalled, and never on a command line:
it holds the program's environment, which other users of the machine could read there, and which must not reach any
process that is not walled in yet.

Rule 1: what cannot be put up ends the process before the program begins. No wall is left out in silence.
Rule 2: every descriptor of ours is closed when the program begins.
Rule 3: on the status socket it says `door` with a listening socket, then `started`, or `failed` and why.
"""

from __future__ import annotations

import _socket
import ctypes
import marshal
import os
import resource
import sys

TYPE_CHECKING = False  # importing `typing` would take longer than all that is done here
if TYPE_CHECKING:
    from typing import Any, Final

LANDLOCK_CREATE_RULESET: Final = 444
LANDLOCK_ADD_RULE: Final = 445
LANDLOCK_RESTRICT_SELF: Final = 446
"""The same numbers on every architecture."""

RULE_PATH_BENEATH: Final = 1
RULE_NET_PORT: Final = 2

FILE_RIGHTS: Final = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15
"""Those that the kernel takes for what is no folder: execute, write, read, truncate, ioctl."""

_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_CAPBSET_DROP: Final = 24
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
_CAPABILITY_VERSION_3: Final = 0x20080522
_CAPABILITIES_MAX: Final = 64
_DESCRIPTORS_MAX: Final = 1 << 20
_MS_BIND: Final = 4096
_MS_LOCKED_DOWN: Final = 32 | 1 | 2 | 4 | 8
"""Remount; read-only, no setuid, no devices, no programs."""

_libc: Final = ctypes.CDLL(None, use_errno=True)


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


class _NetPort(ctypes.Structure):
    _fields_ = (("allowed", ctypes.c_uint64), ("port", ctypes.c_uint64))


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


def restrict(walls: dict[str, Any]) -> None:
    """Put this thread, and all that it will start, behind Landlock. It cannot be undone.

    `walls` is what `landlock.Plan` comes down to. Paths that do not exist are left out: there is nothing to allow.
    """
    ruleset = _Ruleset(walls["fs"], walls["net"], walls["scoped"])
    rules = _called(LANDLOCK_CREATE_RULESET, ctypes.byref(ruleset), walls["size"], 0)
    try:
        for path, rights in walls["paths"]:
            _allow_path(rules, path, rights)
        for port, rights in walls["ports"]:
            _called(LANDLOCK_ADD_RULE, rules, RULE_NET_PORT, ctypes.byref(_NetPort(rights, port)), 0)
        forgo_privileges()
        _called(LANDLOCK_RESTRICT_SELF, rules, 0)
    finally:
        os.close(rules)


def forgo_privileges() -> None:
    """From here on no program gains any by being started: setuid and file capabilities mean nothing."""
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise _failed("no_new_privs")


def _allow_path(rules: int, path: str, rights: int) -> None:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        if not os.path.isdir(path):
            rights &= FILE_RIGHTS
        if rights:
            beneath = _PathBeneath(rights, parent)
            _called(LANDLOCK_ADD_RULE, rules, RULE_PATH_BENEATH, ctypes.byref(beneath), 0)
    finally:
        os.close(parent)


def _bound_namespace(processes_max: int) -> None:
    """Hold the number of processes in this PID namespace, and forbid user namespaces beneath this one.

    Both are settings of the namespaces that bubblewrap made, so they bind nobody else. Afterwards /proc/sys is
    read-only, as bubblewrap leaves it to whoever may not write there anyhow.
    """
    with open("/proc/self/uid_map", "rb") as file:
        if file.read().split()[2:] == [b"4294967295"]:
            raise OSError("this is the machine's own user namespace")
    if processes_max:
        _set("/proc/sys/kernel/pid_max", processes_max)
    _set("/proc/sys/user/max_user_namespaces", 0)
    sys_ = b"/proc/sys"
    if _libc.mount(sys_, sys_, None, ctypes.c_ulong(_MS_BIND), None) != 0:
        raise _failed("binding /proc/sys")
    if _libc.mount(None, sys_, None, ctypes.c_ulong(_MS_BIND | _MS_LOCKED_DOWN), None) != 0:
        raise _failed("locking /proc/sys")


def _drop_capabilities() -> None:
    """Of those that bubblewrap was asked to leave us for `_bound_namespace`, none stays."""
    _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    for capability in range(_CAPABILITIES_MAX):
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # refused past the last one that the kernel knows
    header = _CapHeader(_CAPABILITY_VERSION_3, 0)
    if _libc.capset(ctypes.byref(header), ctypes.create_string_buffer(24)) != 0:
        raise _failed("dropping capabilities")


def _open_door(status: _socket.socket) -> int:
    """A listening socket in this network namespace, handed to whoever started us: they accept, outside of the walls.

    Nothing else leads out, and no file has to be bound in for it. The port it listens on.
    """
    door = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    door.bind(("127.0.0.1", 0))
    door.listen(64)
    port: int = door.getsockname()[1]
    given = door.fileno().to_bytes(4, sys.byteorder)
    status.sendmsg([b"door"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, given)])
    door.close()
    return port


def _close_all_but(*kept: object) -> None:
    """Whatever was passed down on the way here: an open folder would be a hole in the wall."""
    first = 3
    for descriptor in sorted(one for one in kept if isinstance(one, int)):
        os.closerange(first, descriptor)
        first = descriptor + 1
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    os.closerange(first, most if most > 0 else _DESCRIPTORS_MAX)


def _set(path: str, value: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, b"%d" % value)
    finally:
        os.close(descriptor)


def _called(number: int, *arguments: Any) -> int:
    result: int = _libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        raise _failed(f"syscall {number}")
    return result


def _failed(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {os.strerror(number)}")


def main(descriptor: int) -> None:
    with os.fdopen(descriptor, "rb") as file:
        told: dict[str, Any] = marshal.load(file)  # written by whoever started us, for this process alone
    status = _socket.socket(fileno=told["status"])
    os.set_inheritable(status.fileno(), False)
    try:
        _close_all_but(status.fileno(), told["folder"])
        if os.getpgid(0) != os.getpid():
            os.setsid()  # a process group of its own, so that whoever started us can end it
        environment: dict[str, str] = told["environment"]
        walls: dict[str, Any] | None = told["walls"]
        if told["namespace"]:
            _bound_namespace(told["processes_max"])
            _drop_capabilities()
        if told["door"]:
            port = _open_door(status)
            for name in told["door"]:
                environment[name] = f"http://127.0.0.1:{port}"
            if walls is not None:
                walls["ports"] = [*walls["ports"], (port, told["connect"])]
        for which, most in told["limits"]:
            hard = resource.getrlimit(which)[1]
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(which, (most, most))
        if walls is None:
            forgo_privileges()
        else:
            restrict(walls)
        folder = told["folder"]
        if isinstance(folder, int):
            os.fchdir(folder)
            os.close(folder)
        else:
            os.chdir(folder)
        status.send(b"started")
        os.execve(told["program"], told["argv"], environment)
    except OSError as error:
        status.send(b"failed " + str(error).encode("utf-8", "backslashreplace")[:500])
        os._exit(127)


if __name__ == "__main__":
    main(int(sys.argv[1]))
