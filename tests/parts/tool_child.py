"""A harness in a process of its own over a state directory, told what to call and killed at any point.

`python -m parts.tool_child STATE [POLICY…]` reads a request a line and writes an answer a line, until its standard
input closes. What a tool that waits has to say, it says on a line of its own before its answer.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from parts import children
from parts.children import Child
from parts.workshop_stage import Given, Made, caller, echoed, tool
from wardwright.contracts.tool import ToolScope
from wardwright.harness.call import Call
from wardwright.harness.core.houses import BUILT_IN
from wardwright.harness.core.receipt import ToolReceipt
from wardwright.harness.core.shelf import shelf
from wardwright.harness.core.tool import AnyTool, Context, Tools
from wardwright.kernel.errors import WardwrightError
from wardwright.runtime.settings import Settings
from wardwright.runtime.tool_runtime import Shop, ToolRuntime, shop_of

TESTS: Final = Path(__file__).parent.parent
STUCK: Final = "stuck"
"""What a tool says that waits for ever."""


class Ask(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call, or an undo of `undo`."""

    tool: str = ""
    arguments: dict[str, Any] = {}
    agent: str | None = None
    approval: str | None = None
    forced: bool = False
    run: str | None = None
    session: str | None = None
    tenant: str = "local"
    undo: str | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    receipt: ToolReceipt | None
    error: str | None
    hint: str | None
    value: Any


async def appends(given: Given, context: Context) -> Made:
    """Adds a line to a file."""
    await context.hands.write(given.path, f"{given.text}\n".encode(), "append")
    return Made(text=given.text)


async def begins(given: Given, context: Context) -> Made:
    """Writes half of what it should, and waits."""
    await context.hands.write(given.path, b"half", "replace")
    print(STUCK, flush=True)
    await asyncio.Event().wait()
    return Made(text="")


TOOLS: Final[tuple[AnyTool, ...]] = (
    tool("append", appends, "write-local", scope=ToolScope(write=("{path}",))),
    tool("begin", begins, "write-local", scope=ToolScope(write=("{path}",))),
    tool("look", echoed, scope=ToolScope(read=("{path}",))),
    tool("send", echoed, scope=ToolScope(hosts=("{text}:443",))),
)


def runtime_of(state: Path, policies: Sequence[Path], tools: Sequence[AnyTool] = TOOLS) -> ToolRuntime:
    """One over tools of tests, not opened."""
    read = shop_of(policies)
    assert not read.errors, read.errors
    shop = Shop(
        errors=(),
        houses={one.name: one for one in BUILT_IN},
        peers=read.peers,
        policies=read.policies,
        shelf=shelf(Tools(tools), {}),
    )
    return ToolRuntime(state, shop, Settings())


def call_of(ask: Ask) -> Call:
    who = caller(agent=ask.agent, run=ask.run, session=ask.session, tenant=ask.tenant)
    return Call(tool=ask.tool, arguments=ask.arguments, approval=ask.approval, caller=who)


async def answered(runtime: ToolRuntime, ask: Ask) -> Answer:
    try:
        call = call_of(ask)
        ended = await (runtime.call(call) if ask.undo is None else runtime.undo(ask.undo, call, forced=ask.forced))
    except WardwrightError as refused:
        return Answer(receipt=None, error=refused.code, hint=refused.hint, value=None)
    why = ended.error
    return Answer(
        receipt=ended.receipt,
        error=None if why is None else why.code,
        hint=None if why is None else why.hint,
        value=ended.value,
    )


class Harnessed:
    """The process, from outside."""

    def __init__(self, child: Child) -> None:
        self.child = child

    def tell(self, **ask: Any) -> None:
        """Ask, and do not wait."""
        stdin = self.child.stdin()
        stdin.write(msgspec.json.encode(Ask(**ask)).decode() + "\n")
        stdin.flush()

    def heard(self) -> Answer:
        line = self.child.first_line()
        assert line, self.child.said()
        return msgspec.json.decode(line, type=Answer)

    def ask(self, **ask: Any) -> Answer:
        self.tell(**ask)
        return self.heard()

    def kill(self) -> None:
        """As a power cut would."""
        self.child.process.kill()
        self.child.process.wait()

    def end(self) -> None:
        """In good order."""
        self.child.stdin().close()
        assert self.child.process.wait(children.END_TIMEOUT_S) == 0, self.child.said()


@contextmanager
def harnessed(state: Path, *policies: Path) -> Iterator[Harnessed]:
    """A child that is ready."""
    command = [sys.executable, "-m", "parts.tool_child", str(state), *map(str, policies)]
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    with children.running(command, env={**os.environ, "PYTHONPATH": path}) as child:
        assert child.first_line() == "ready", child.said()
        yield Harnessed(child)


async def main(state: Path, policies: Sequence[Path]) -> None:
    runtime = runtime_of(state, policies)
    await runtime.open()
    try:
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            answer = await answered(runtime, msgspec.json.decode(line, type=Ask))
            print(msgspec.json.encode(answer).decode(), flush=True)
    finally:
        await runtime.aclose()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), [Path(word) for word in sys.argv[2:]]))
