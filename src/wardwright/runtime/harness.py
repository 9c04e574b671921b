"""Governed tools from Python: `Harness(house=…, mode=…).execute("git_status", repo_path="/srv/app")`.

Rule 1: a call never raises for what the tool, a rule or the house said: that stands in the result. What is raised is
what keeps the harness itself from working: a journal that is broken, contracts that cannot be kept.
Rule 2: calls from any thread and from any event loop are carried out on one loop of the harness's own.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Final, TypeAlias, TypeVar

import msgspec

from wardwright.calls.receipt import Caller, Sourced
from wardwright.contracts.refusal import ContractErrors
from wardwright.harness.call import Call, Ended
from wardwright.harness.core import receipt as tr
from wardwright.harness.core.houses import House
from wardwright.harness.core.modes import Mode
from wardwright.kernel.errors import WardwrightError
from wardwright.limits.prediction import PPM
from wardwright.runtime import settings
from wardwright.runtime.state_directory import state_of
from wardwright.runtime.tool_runtime import Shop, ToolRuntime, shop_of

PARALLEL_MAX: Final = 8
"""Calls of one batch that run at the same time, unless said otherwise."""

FOLDER_ARGUMENT: Final = "repo_path"
"""An argument that is the harness's own folder where a call leaves it out."""

T = TypeVar("T")

CallOf: TypeAlias = tuple[str, Mapping[str, object]]
"""A tool's name and its arguments."""


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """Where a result comes from, and what was said of the call before it was made."""

    receipt: str
    """The id of the receipt."""
    tool: str
    """The digest of the tool's contract."""
    arguments: str
    """Their keyed digest."""
    result: str
    """The keyed digest of the result; empty where there is none."""
    house: str
    mode: str
    prediction: float
    """How likely the call was to succeed, from 0 to 1. Always a number: see `abstained`."""
    low: float
    """The lower end of the central 90 % of what that may be."""
    high: float
    """The upper end."""
    abstained: bool
    """There was too little to rest on: the number is what is usual, and says little of this call."""
    cached_from: str | None
    """The receipt whose result was given again."""
    degraded_from: str | None
    """The tool that failed, and for which another one stood in."""
    evidence: tuple[str, ...]
    """Receipts that the call cites."""
    obligations: tuple[str, ...]
    """What the house demanded and was shown."""


class ToolResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one call."""

    status: tr.Status
    value: object
    """The result as plain values; None where there is none."""
    error: WardwrightError | None
    """Why there is none."""
    provenance: Provenance
    receipt: tr.ToolReceipt
    """All that is written down about it."""

    @property
    def ok(self) -> bool:
        return self.error is None

    @property
    def approval(self) -> str | None:
        """The approval that the call waits for: `execute` it again with this once somebody has given it."""
        return self.receipt.approval if self.status == "awaiting_approval" else None

    def unwrap(self) -> object:
        """The value. Raises `error` where there is none."""
        if self.error is not None:
            raise self.error
        return self.value


class Harness:
    """Governed tools for one caller. Opens at the first call; close it, or use it in a `with` block. What is left open
    closes when the interpreter ends."""

    def __init__(
        self,
        *,
        house: House | str | None = None,
        mode: Mode = Mode.SIMPLE,
        agent: str | None = None,
        user: str | None = None,
        run: str | None = None,
        session: str | None = None,
        state: Path | str | None = None,
        config: Path | str | Sequence[Path | str] = (),
        folder: Path | str | None = None,
    ) -> None:
        """`state`: the state directory, as the command line finds it where unset. `config`: files and folders of
        contracts: tools, houses, policies. `folder`: where the caller works; the current one where unset."""
        self.mode = mode
        self.house = house.name if isinstance(house, House) else (house or "")
        self.folder = Path(folder or Path.cwd()).resolve()
        self.state = state_of(None if state is None else Path(state))
        paths = [config] if isinstance(config, str | Path) else list(config)
        self._paths = tuple(Path(path) for path in paths)
        self.caller = Caller(
            agent=_said(agent), house=_said(self.house), run=_said(run), session=_said(session), user=_said(user)
        )
        self._thread: _Thread | None = None
        self._opening = threading.Lock()

    def execute(
        self,
        tool: str,
        /,
        *,
        evidence: Sequence[str] = (),
        plan: str | None = None,
        approval: str | None = None,
        **arguments: object,
    ) -> ToolResult:
        """Call a tool and wait. `evidence` are receipts that the call rests on; `approval` is the one that it uses."""
        call = self._call(tool, arguments, evidence, plan, approval)
        return _result(_awaited(self._running().submit(call)))

    async def aexecute(
        self,
        tool: str,
        /,
        *,
        evidence: Sequence[str] = (),
        plan: str | None = None,
        approval: str | None = None,
        **arguments: object,
    ) -> ToolResult:
        """The same from an event loop. Cancelling it cancels the call."""
        running = await asyncio.to_thread(self._running)
        call = self._call(tool, arguments, evidence, plan, approval)
        return _result(await asyncio.wrap_future(running.submit(call)))

    def batch(self, calls: Iterable[CallOf], *, parallel_max: int = PARALLEL_MAX) -> list[ToolResult]:
        """Make many calls, at most `parallel_max` at the same time; their results, in order. Raises ValueError for a
        bound below one."""
        if parallel_max < 1:
            raise ValueError("at least one call at a time")
        return self._running().gather([self._call(tool, given, (), None, None) for tool, given in calls], parallel_max)

    async def abatch(self, calls: Iterable[CallOf], *, parallel_max: int = PARALLEL_MAX) -> list[ToolResult]:
        """The same from an event loop."""
        return await asyncio.to_thread(self.batch, list(calls), parallel_max=parallel_max)

    def undo(self, receipt: str, *, forced: bool = False, approval: str | None = None) -> ToolResult:
        """Put back what a call changed. Raises `receipt_not_found`."""
        call = self._call("", {}, (), None, approval)
        return _result(self._running().undo(receipt, call, forced=forced))

    def tools(self) -> tuple[str, ...]:
        """Names of the tools that may be called."""
        return self._running().runtime.shop.shelf.names

    def close(self) -> None:
        """End in good order. Harmless when it is closed."""
        with self._opening:
            if self._thread is not None:
                self._thread.close()
                self._thread = None

    def __enter__(self) -> Harness:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _call(
        self,
        tool: str,
        arguments: Mapping[str, object],
        evidence: Sequence[str],
        plan: str | None,
        approval: str | None,
    ) -> Call:
        given = dict(arguments)
        if FOLDER_ARGUMENT not in given and tool:
            served = self._running().runtime.shop.shelf.find(tool)
            if served is not None and FOLDER_ARGUMENT in served.arguments.__struct_fields__:
                given[FOLDER_ARGUMENT] = str(self.folder)
        return Call(
            approval=approval,
            arguments={name: _plain(value) for name, value in given.items()},
            caller=self.caller,
            evidence=tuple(evidence),
            mode=self.mode,
            plan=plan,
            tool=tool,
        )

    def _running(self) -> _Thread:
        with self._opening:
            if self._thread is None:
                shop = shop_of(self._paths)
                if shop.errors:
                    raise ContractErrors(list(shop.errors))
                self._thread = _Thread(self.state, shop, self._paths)
            return self._thread


_OPEN: Final[set[_Thread]] = set()
"""Those that nobody closed yet, also where nobody holds their harness any more."""


class _Thread:
    """An event loop in a thread of its own, with a runtime on it."""

    def __init__(self, state: Path, shop: Shop, paths: tuple[Path, ...]) -> None:
        """Returns when the runtime is open. Raises what opening it raises."""
        folder = next((path for path in paths if path.is_dir()), None)
        self.runtime = ToolRuntime(state, shop, settings.load(folder, os.environ))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wardwright harness", daemon=True)
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self.runtime.open(), self._loop).result()
        except BaseException:
            self._end()
            raise
        _OPEN.add(self)

    def submit(self, call: Call) -> Future[Ended]:
        return asyncio.run_coroutine_threadsafe(self.runtime.call(call), self._loop)

    def gather(self, calls: Sequence[Call], parallel_max: int) -> list[ToolResult]:
        async def all_of_them() -> list[Ended]:
            free = asyncio.Semaphore(parallel_max)

            async def one(call: Call) -> Ended:
                async with free:
                    return await self.runtime.call(call)

            return await asyncio.gather(*(one(call) for call in calls))

        return [_result(ended) for ended in _awaited(asyncio.run_coroutine_threadsafe(all_of_them(), self._loop))]

    def undo(self, receipt: str, call: Call, *, forced: bool) -> Ended:
        work = self.runtime.undo(receipt, call, forced=forced)
        return _awaited(asyncio.run_coroutine_threadsafe(work, self._loop))

    def close(self, *, save: bool = True) -> None:
        if not self._thread.is_alive():
            return
        _OPEN.discard(self)
        try:
            asyncio.run_coroutine_threadsafe(self._ended(save=save), self._loop).result()
        finally:
            self._end()

    async def _ended(self, *, save: bool) -> None:
        """Calls under way are cancelled: whoever waits for them is told, and their receipts say so."""
        under_way = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await self.runtime.aclose(save=save)

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _close_all() -> None:
    for one in list(_OPEN):
        one.close(save=False)


atexit.register(_close_all)


def _awaited(future: Future[T]) -> T:
    """Its result. Whoever stops waiting, such as by Ctrl-C, has given up."""
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def _result(ended: Ended) -> ToolResult:
    receipt, foretold = ended.receipt, ended.receipt.prediction
    return ToolResult(
        error=ended.error,
        provenance=Provenance(
            abstained=True if foretold is None else foretold.abstained,
            arguments=receipt.arguments,
            cached_from=receipt.cached_from,
            degraded_from=receipt.degraded_from,
            evidence=receipt.evidence,
            high=1.0 if foretold is None else foretold.high_ppm / PPM,
            house=receipt.house,
            low=0.0 if foretold is None else foretold.low_ppm / PPM,
            mode=receipt.mode,
            obligations=tuple(one.check for one in receipt.obligations if one.met),
            prediction=0.5 if foretold is None else foretold.success_ppm / PPM,
            receipt=receipt.receipt,
            result=receipt.result,
            tool=receipt.tool.digest,
        ),
        receipt=receipt,
        status=receipt.status,
        value=ended.value,
    )


def _said(value: str | None) -> Sourced | None:
    return Sourced("trusted_auth", value) if value else None


def _plain(value: object) -> object:
    return str(value) if isinstance(value, os.PathLike) else value
