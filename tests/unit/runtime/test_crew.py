"""The process above several workers, with workers that are no gateways: what it does about how they begin and end."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wardwright.runtime.crew import RESTARTS_MAX, Crew

SERVES = "import sys; print('serving 1', flush=True); sys.stdin.read()"
"""Until the crew lets go of it."""


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as made:
        yield made


def crew(listener: socket.socket, code: Callable[[int], str], count: int = 2) -> Crew:
    return Crew(lambda number: [sys.executable, "-c", code(number)], count, listener=listener.fileno(), rest_s=0)


def test_all_serve_before_anybody_is_told_and_all_end_on_a_signal(listener: socket.socket) -> None:
    heard: list[bytes] = []

    def ready(served: bytes) -> None:
        heard.append(served)
        os.kill(os.getpid(), signal.SIGTERM)

    assert asyncio.run(crew(listener, lambda _: SERVES, 3).run(ready)) == 0
    assert heard == [b"1\n"]


def test_a_keeper_that_cannot_serve_ends_the_crew_with_its_code_and_its_words(
    listener: socket.socket, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    heard: list[bytes] = []
    code = "import sys; print('{'); print('}'); sys.exit(5)"

    assert asyncio.run(crew(listener, lambda _: code).run(heard.append)) == 5
    assert heard == []
    assert capfdbinary.readouterr().out == b"{\n}\n"


def test_another_worker_that_cannot_serve_ends_the_crew(listener: socket.socket) -> None:
    heard: list[bytes] = []

    def code(number: int) -> str:
        return SERVES if number == 0 else "import sys; sys.exit(7)"

    assert asyncio.run(crew(listener, code).run(heard.append)) == 7
    assert heard == []


def test_a_worker_that_ends_again_and_again_ends_the_crew(listener: socket.socket, tmp_path: Path) -> None:
    count = tmp_path / "count"

    def code(number: int) -> str:
        if number == 0:
            return SERVES
        return f"open({str(count)!r}, 'a').write('.'); print('serving 1', flush=True)"

    assert asyncio.run(crew(listener, code).run(lambda _: None)) == 1
    assert len(count.read_text()) == 1 + RESTARTS_MAX


def test_a_hangup_reaches_the_keeper_alone(listener: socket.socket, tmp_path: Path) -> None:
    told = tmp_path / "told"

    def code(number: int) -> str:
        return (
            "import os, signal, sys\n"
            "def hang_up(*_):\n"
            f"    open({str(told)!r}, 'a').write('{number}')\n"
            "    os.kill(os.getppid(), signal.SIGTERM)\n"
            "signal.signal(signal.SIGHUP, hang_up)\n"
            "print('serving 1', flush=True)\n"
            "sys.stdin.read()"
        )

    def ready(_: bytes) -> None:
        os.kill(os.getpid(), signal.SIGHUP)

    assert asyncio.run(crew(listener, code).run(ready)) == 0
    assert told.read_text() == "0"
