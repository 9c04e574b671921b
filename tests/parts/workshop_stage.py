"""A workshop over a journal in memory and a folder of its own: what happens around one call of a tool, without time.

    async def scenario(stage: Stage) -> None:
        ended = await stage.call("echo", text="hi")

    on_stage(tmp_path, scenario, tools=[echo()])

Rule 1: nothing of the pipeline is replaced: rules, houses, the desk, the past, hands and snapshots are the real ones.
The journal is the one that passes the kit of the real one, and the clock is moved by hand.
Rule 2: whatever a scenario did, its records are audited when it is over.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from parts.policies import document
from parts.tool_audit import audited
from wardwright.calls.receipt import Caller, Sourced
from wardwright.contracts.house import HouseContract
from wardwright.contracts.tool import Effect, Reversal, ToolContract
from wardwright.harness.call import Call, Ended, Surroundings
from wardwright.harness.core.houses import BUILT_IN
from wardwright.harness.core.modes import Mode
from wardwright.harness.core.receipt import ToolReceipt
from wardwright.harness.core.rows import COLUMNS, receipt_in, row_of_tool
from wardwright.harness.core.rules import Rules, rules_of
from wardwright.harness.core.shelf import shelf
from wardwright.harness.core.tool import AnyTool, Context, Tool, Tools
from wardwright.harness.run import Installation
from wardwright.harness.sandbox.hands import hands
from wardwright.harness.sandbox.posture import Posture, here
from wardwright.harness.sandbox.snapshot import FileKeep
from wardwright.harness.workshop import Workshop
from wardwright.journal.entry import Entry
from wardwright.journal.record import read
from wardwright.limits.history import History
from wardwright.limits.patterns import Patterns
from wardwright.policy.reminders import states_of
from wardwright.runtime.approvals import ApprovalDesk
from wardwright.runtime.control import durably
from wardwright.runtime.past import ToolPast
from wardwright.storage.index import SqliteIndex
from wardwright.testing.determinism import HandClock, SeededLuck
from wardwright.testing.journal import MemoryJournal, MemoryStore

NO_WALLS: Final = Posture(
    landlock_abi=0, bubblewrap=None, problem="there is none here", processes="unbounded", layout=here("bwrap")
)


class Given(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What tools of tests take."""

    text: str = ""
    """Anything."""
    path: str = "/srv/none"
    """A file."""
    number: int = 0
    """Any."""
    more: dict[str, str] = {}
    """Anything else."""
    receipt: str = ""
    """As `undo` has one."""


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What they give."""

    text: str


Does = Callable[[Given, Context], Awaitable[Made]]


async def echoed(given: Given, context: Context) -> Made:
    """Says what it was told."""
    return Made(text=given.text)


class Gate:
    """A function that waits, and says that it does."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.open = asyncio.Event()

    async def __call__(self, given: Given, context: Context) -> Made:
        """Waits until it may go on."""
        self.entered.set()
        await self.open.wait()
        return Made(text=given.text)


def tool(name: str, does: Does = echoed, effect: Effect = "read", **contract: Any) -> AnyTool:
    """A function of a test under a contract."""
    reversal: Reversal = contract.pop("reversal", "T0" if effect == "read" else "T1")
    made = ToolContract(name=name, effect=effect, reversal=reversal, implements=name, **contract)
    return Tool(contract=made, arguments=Given, result=Made, run=does)


class Stage:
    """Construct it on a running loop."""

    def __init__(
        self,
        folder: Path,
        *,
        tools: Sequence[AnyTool],
        documents: Iterable[ToolContract] = (),
        policies: Mapping[str, str] | None = None,
        houses: Iterable[HouseContract] = BUILT_IN,
        posture: Posture = NO_WALLS,
        trusted: bool = True,
        captures_all: bool = False,
    ) -> None:
        loop = asyncio.get_running_loop()
        located = [document(text, name) for name, text in (policies or {}).items()]
        self.capture_fails = False
        self.captured: dict[str, tuple[str, bytes, bytes]] = {}
        self.clock = HandClock()
        self.folder = folder
        self.reports: list[BaseException] = []
        self.rules: Rules | None = rules_of(located)
        self.store = MemoryStore()
        self.writer = MemoryJournal(self.store, loop=loop, clock=self.clock, slot="harness-0", pending_max=4096)
        self.writer.open()
        luck = SeededLuck()
        self.history = History()
        self.history.declare({one.value.name: [(states_of(one.value), one.value.machines)] for one in located})
        self.index = SqliteIndex(folder / "tools.sqlite", COLUMNS, row_of_tool, self.store, mode="deferred")
        self.index.open()
        self.past = ToolPast(self.index)
        self.desk = ApprovalDesk(clock=self.clock, luck=luck, writer=self.writer)
        self.patterns = Patterns()
        self.heard = 0
        keeps = {name: FileKeep(folder / "kept" / name, name.encode() * 16) for name in ("local", "other")}
        self.workshop = Workshop(
            Surroundings(
                capture=self._capture,
                captures_all=captures_all,
                clock=self.clock,
                desk=self.desk,
                durably=self._durably,
                hands=lambda scope, requirement: hands(scope, posture, requirement),
                hear=self._hear,
                keep=keeps.__getitem__,
                luck=luck,
                past=self.past,
                report=self.reports.append,
                seal=seal,
                trusted=frozenset(one.name for one in tools) if trusted else frozenset(),
                walls=posture.walls,
                writer=self.writer,
                writer_name=self.writer.writer,
            ),
            Installation(
                history=self.history,
                houses={one.name: one for one in houses},
                patterns=self.patterns,
                rules=lambda house: self.rules,
                shelf=shelf(Tools(tools), {one.name: one for one in documents}),
            ),
        )

    async def call(
        self,
        tool: str,
        *,
        caller: Caller | None = None,
        house: str = "",
        mode: Mode = Mode.SIMPLE,
        evidence: Sequence[str] = (),
        plan: str | None = None,
        approval: str | None = None,
        raw: bytes | None = None,
        **arguments: object,
    ) -> Ended:
        asks = caller or Caller()
        if house:
            asks = msgspec.structs.replace(asks, house=Sourced("trusted_auth", house))
        return await self.workshop.call(
            Call(
                approval=approval,
                arguments=arguments if raw is None else raw,
                caller=asks,
                evidence=tuple(evidence),
                mode=mode,
                plan=plan,
                tool=tool,
            )
        )

    async def undo(self, receipt: ToolReceipt, *, forced: bool = False, **call: Any) -> Ended:
        asks = Call(tool=receipt.tool.name, caller=receipt.caller, **call)
        return await self.workshop.undo(receipt, asks, forced=forced)

    def receipts(self) -> tuple[ToolReceipt, ...]:
        """Of all calls that ended, in order."""
        return tuple(found for record in self.records() if (found := receipt_in(record)) is not None)

    def records(self) -> list[Any]:
        chains = [key for key in self.store.chains() if key.chain == "calls"]
        return [read(line.text) for key in chains for line in self.store.lines(key) if line.whole]

    async def written(self) -> None:
        """Until what was put is in the journal."""
        done = asyncio.Event()
        asyncio.get_running_loop().call_soon(done.set)
        await done.wait()

    def _capture(self, tenant: str, receipt: str, arguments: bytes, result: bytes) -> None:
        if self.capture_fails:
            raise OSError("the disk is full")
        self.captured[receipt] = (tenant, arguments, result)

    async def _durably(self, entry: Entry) -> None:
        await durably(self.writer, (entry,))

    async def _hear(self) -> None:
        self.heard += 1

    def end(self) -> None:
        if self.writer.failure is not None:
            self.writer.mend()
        self.writer.close()
        self.index.close()
        audited(self.records(), lambda receipt: self.rules)


def on_stage(folder: Path, scenario: Callable[[Stage], Awaitable[None]], **setting: Any) -> None:
    """Play a scenario, then audit what it left behind."""

    async def played() -> None:
        stage = Stage(folder, **setting)
        await scenario(stage)
        assert not stage.workshop.live, "calls are still held for live"
        await stage.written()
        stage.end()

    asyncio.run(played())


def seal(tenant: str, body: bytes) -> str:
    return hmac.digest(tenant.encode(), body, "sha256").hex()


def caller(
    *, run: str | None = None, session: str | None = None, agent: str | None = None, tenant: str = "local"
) -> Caller:
    said = {"run": run, "session": session, "agent": agent}
    claims = {name: None if value is None else Sourced("trusted_auth", value) for name, value in said.items()}
    return Caller(
        tenant=Sourced("trusted_auth", tenant), agent=claims["agent"], run=claims["run"], session=claims["session"]
    )
