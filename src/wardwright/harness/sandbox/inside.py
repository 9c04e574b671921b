"""Somebody else's Python function as a tool: called in a child behind the walls, with JSON in and JSON out.

Nothing of it is imported here. It sees the libraries that it is given, read-only, and the folders and hosts of its
scope; a program that it starts is behind the same walls.
"""

from __future__ import annotations

import os
import re
import sys
from functools import cache
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec

from wardwright.harness.core.hands import Command, Scope
from wardwright.harness.sandbox import guest
from wardwright.harness.sandbox.hands import LIMITS, hands
from wardwright.harness.sandbox.posture import Posture, Requirement
from wardwright.harness.sandbox.programs import Limits
from wardwright.kernel.errors import WardwrightError

ENVELOPE_BYTES: Final = 1024
"""What the child's answer may have beside the result."""

_TARGET: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", re.ASCII)


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a function."""

    target: str
    """`module:function`; the function may be an attribute of an attribute."""
    arguments: bytes
    """A JSON object: keyword arguments."""
    folder: str
    """Where it runs; within the scope."""
    libraries: tuple[str, ...] = ()
    """Folders that it imports from. Empty: those that we import from."""
    result_bytes_max: int
    timeout_s: float


class _Result(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    result: msgspec.Raw


_Kind: TypeAlias = Literal["load", "arguments", "raised", "result"]


class _Failed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    failed: _Kind
    why: str


class _Told(msgspec.Struct, frozen=True):
    target: str
    paths: tuple[str, ...]
    arguments: msgspec.Raw


async def call(
    call: Call, scope: Scope, posture: Posture, requirement: Requirement, *, limits: Limits = LIMITS
) -> bytes:
    """Call a function, and return its result as JSON.

    Raises `tool_arguments` where the arguments are no object or do not fit the function, `tool_failed` where it cannot
    be imported, raises, or returns what is no JSON or too much of it, `tool_timeout`; and what `Hands.run` raises.
    """
    if _TARGET.fullmatch(call.target) is None:
        raise WardwrightError(
            "tool_failed", f"`{call.target}` does not name a function", hint="write `module:function`"
        )
    libraries = call.libraries or _our_libraries()
    python = posture.layout.python
    widened = msgspec.structs.replace(scope, programs=(*scope.programs, python), read=(*scope.read, *libraries))
    command = Command(
        argv=(python, "-I", "-X", "utf8", "-c", _guest()),
        cwd=call.folder,
        stdin=_instruction(call, libraries),
        output_bytes_max=call.result_bytes_max + ENVELOPE_BYTES,
        timeout_s=call.timeout_s,
    )
    ended = await hands(widened, posture, requirement, limits=limits).run(command)
    return _answer(call, ended.code, ended.stdout, ended.truncated and len(ended.stdout) == command.output_bytes_max)


def _our_libraries() -> tuple[str, ...]:
    return tuple(dict.fromkeys(path for path in map(os.path.realpath, sys.path) if os.path.isdir(path)))


def _instruction(call: Call, libraries: tuple[str, ...]) -> bytes:
    try:
        msgspec.json.decode(call.arguments, type=dict[str, object])
    except (msgspec.DecodeError, RecursionError) as error:
        raise WardwrightError("tool_arguments", f"the arguments of `{call.target}` are no JSON object") from error
    return msgspec.json.encode(_Told(call.target, libraries, msgspec.Raw(call.arguments)))


def _answer(call: Call, code: int, said: bytes, cut: bool) -> bytes:
    if cut:
        raise _too_much(call)
    try:
        result = bytes(msgspec.json.decode(said, type=_Result).result)
    except msgspec.DecodeError:
        raise _failure(call, code, said) from None
    if len(result) > call.result_bytes_max:
        raise _too_much(call)
    return result


def _failure(call: Call, code: int, said: bytes) -> WardwrightError:
    try:
        failed = msgspec.json.decode(said, type=_Failed)
    except msgspec.DecodeError:
        how = f"signal {-code}" if code < 0 else f"exit {code}"
        return WardwrightError("tool_failed", f"`{call.target}` ended without an answer ({how})")
    match failed.failed:
        case "arguments":
            return WardwrightError("tool_arguments", f"`{call.target}`: {failed.why}")
        case "load":
            return WardwrightError("tool_failed", f"`{call.target}` cannot be imported: {failed.why}")
        case "raised":
            return WardwrightError("tool_failed", f"`{call.target}` raised {failed.why}")
        case "result":
            return WardwrightError("tool_failed", f"`{call.target}` returned what is no JSON: {failed.why}")


def _too_much(call: Call) -> WardwrightError:
    return WardwrightError("tool_failed", f"`{call.target}` returned more than {call.result_bytes_max} bytes")


@cache
def _guest() -> str:
    """The child's program as text: so nothing of ours has to be bound in for it."""
    return Path(guest.__file__).read_text(encoding="utf-8")
