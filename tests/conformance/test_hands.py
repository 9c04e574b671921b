"""The kit of hands over the fake."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest

from wardwright.harness.core.hands import Answer, Ended, Request, Scope
from wardwright.testing import hands_kit
from wardwright.testing.hands import Run, ScriptedHands, World, ended


class Memory:
    """The fake as the kit sees it."""

    inside = "/kit/inside"
    outside = "/kit/inside-not"

    def __init__(self) -> None:
        self.world = World()
        self.world.folder(self.inside)
        self.world.folder(self.outside)
        self.world.programs.update(
            copy=self._copy, fail=self._fail, flood=self._flood, environment=self._environment,
            folder=self._folder, endless=self._endless,
        )  # fmt: skip
        self._runs = asyncio.Event()
        self._left = 0

    def hands(self, scope: Scope) -> ScriptedHands:
        return ScriptedHands(self.world, scope)

    def put(self, path: str, data: bytes) -> None:
        self.world.write(path, data)

    def get(self, path: str) -> bytes | None:
        return self.world.files.get(path)

    def folder(self, path: str) -> None:
        self.world.folder(path)

    def link(self, path: str, to: str) -> None:
        self.world.link(path, to)

    def pipe(self, path: str) -> None:
        self.world.pipes.add(path)

    def set_environment(self, name: str, value: str) -> None:
        self.world.environment[name] = value

    def argv(self, behaviour: hands_kit.Behaviour) -> tuple[str, ...]:
        return (behaviour,)

    async def until_endless_runs(self) -> None:
        await self._runs.wait()

    async def endless_is_gone(self) -> bool:
        return self._left == 0

    async def site(self) -> hands_kit.Site:
        self.world.serve("localhost", 8080, _respond, address="127.0.0.1")
        return hands_kit.Site(host="localhost", port=8080, closed_port=8081)

    async def aclose(self) -> None:
        """Nothing was opened."""

    async def _copy(self, run: Run) -> Ended:
        return ended(0, run.command.stdin)

    async def _fail(self, run: Run) -> Ended:
        return ended(3, stderr=b"oops\n")

    async def _flood(self, run: Run) -> Ended:
        return ended(0, b"x" * hands_kit.FLOOD_BYTES)

    async def _environment(self, run: Run) -> Ended:
        return ended(0, "".join(f"{name}={value}\n" for name, value in run.environment.items()).encode())

    async def _folder(self, run: Run) -> Ended:
        return ended(0, f"{run.folder}\n".encode())

    async def _endless(self, run: Run) -> Ended:
        self._left += 1
        self._runs.set()
        try:
            await asyncio.Event().wait()
        finally:
            self._left -= 1
        return ended(0)


def _respond(request: Request) -> Answer | None:
    return hands_kit.respond(request.method, urlsplit(request.url).path, request.body)


@pytest.mark.parametrize("case", hands_kit.CASES, ids=str)
def test_the_fake_keeps_the_promise(case: hands_kit.Case) -> None:
    case.run(Memory())
