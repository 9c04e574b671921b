"""Somebody else's Python functions, called behind the walls."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import pytest

from parts.real_hands import machine
from wardwright.harness.core.hands import Scope
from wardwright.harness.sandbox.inside import Call, call
from wardwright.harness.sandbox.posture import Posture
from wardwright.kernel.errors import WardwrightError

LIBRARY: Final = """
import os, signal, sys

def add(a: int, b: int = 2) -> int:
    print("this is no result")
    os.write(1, b'{"result": "forged"}')
    return a + b

async def later(word: str) -> dict[str, object]:
    return {"word": word, "ä": [None, 1.5]}

def fail() -> None:
    raise RuntimeError("no " + "x" * 10_000)

def leave() -> None:
    sys.exit(3)

def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)

def hang() -> None:
    signal.pause()

def objects() -> object:
    return object()

def endless() -> list[object]:
    ring: list[object] = []
    ring.append(ring)
    return ring

def large(n: int) -> str:
    return "x" * n

def read(path: str) -> str:
    return open(path).read()

def write(path: str) -> None:
    open(path, "w").write("here")

class Group:
    @staticmethod
    def of() -> str:
        return "a group"
"""


@pytest.fixture(scope="module")
def posture() -> Posture:
    return machine()


class Tools:
    """A library, a folder to write into, a secret beside it."""

    def __init__(self, folder: Path, posture: Posture) -> None:
        self.posture = posture
        self.work, self.secret = folder / "work", folder / "secret"
        (folder / "library").mkdir()
        (folder / "library" / "theirs.py").write_text(LIBRARY)
        self.library = str(folder / "library")
        self.work.mkdir()
        self.secret.write_text("secret")

    def __call__(self, target: str, arguments: str = "{}", *, bytes_max: int = 1000, timeout_s: float = 20) -> bytes:
        made = Call(
            target=target,
            arguments=arguments.encode(),
            folder=str(self.work),
            libraries=(self.library,),
            result_bytes_max=bytes_max,
            timeout_s=timeout_s,
        )
        return asyncio.run(call(made, Scope(write=(str(self.work),)), self.posture, "all"))

    def refused(self, target: str, arguments: str = "{}", *, bytes_max: int = 1000, timeout_s: float = 20) -> str:
        with pytest.raises(WardwrightError) as refused:
            self(target, arguments, bytes_max=bytes_max, timeout_s=timeout_s)
        return f"{refused.value.code}: {refused.value.message}"


@pytest.fixture
def tools(tmp_path: Path, posture: Posture) -> Tools:
    return Tools(tmp_path, posture)


def test_a_function_returns_its_result_whatever_it_prints(tools: Tools) -> None:
    assert tools("theirs:add", '{"a": 1}') == b"3"


def test_a_function_may_be_a_coroutine_or_lie_in_a_class(tools: Tools) -> None:
    assert tools("theirs:later", '{"word": "x"}') == b'{"word": "x", "\\u00e4": [null, 1.5]}'
    assert tools("theirs:Group.of") == b'"a group"'


@pytest.mark.parametrize("arguments", ["{}", '{"a": 1, "c": 3}', "[1]", "1", "{", ""])
def test_arguments_that_do_not_fit_are_the_callers_fault(arguments: str, tools: Tools) -> None:
    assert tools.refused("theirs:add", arguments).startswith("tool_arguments: ")


@pytest.mark.parametrize("target", ["theirs:none", "none:add", "theirs:Group.none"])
def test_what_cannot_be_imported_is_a_failure(target: str, tools: Tools) -> None:
    assert "cannot be imported" in tools.refused(target)


@pytest.mark.parametrize("target", ["", "theirs", "theirs:", ":add", "os.path:join;x", "../theirs:add", "a b:c"])
def test_what_names_no_function_is_not_run(target: str, tools: Tools) -> None:
    assert "does not name a function" in tools.refused(target)


def test_what_a_function_raises_is_told_in_short(tools: Tools) -> None:
    told = tools.refused("theirs:fail")
    assert told.startswith("tool_failed: `theirs:fail` raised RuntimeError: no xxx")
    assert len(told) < 1000


def test_a_function_that_ends_its_process_is_a_failure(tools: Tools) -> None:
    assert "SystemExit" in tools.refused("theirs:leave")
    assert "signal 9" in tools.refused("theirs:die")


def test_a_function_that_never_ends_runs_out_of_time(tools: Tools) -> None:
    assert tools.refused("theirs:hang", timeout_s=1).startswith("tool_timeout: ")


def test_a_result_that_is_no_json_is_a_failure(tools: Tools) -> None:
    for target in ("theirs:objects", "theirs:endless"):
        assert "returned what is no JSON" in tools.refused(target)


def test_a_result_is_bounded(tools: Tools) -> None:
    assert len(tools("theirs:large", '{"n": 998}')) == 1000
    for number in (999, 2_000, 10_000_000):
        assert "more than 1000 bytes" in tools.refused("theirs:large", f'{{"n": {number}}}')


def test_a_function_is_held_to_its_scope(tools: Tools) -> None:
    assert "FileNotFoundError" in tools.refused("theirs:read", f'{{"path": "{tools.secret}"}}')
    assert "Error" in tools.refused("theirs:write", f'{{"path": "{tools.library}/theirs.py"}}')
    tools("theirs:write", f'{{"path": "{tools.work}/made"}}')
    assert (tools.work / "made").read_text() == "here"
