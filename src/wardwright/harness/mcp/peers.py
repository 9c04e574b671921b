"""The servers of one runtime, each started when one of its tools is called first, and compared with its pin.

Rule 1: a tool is called while the list that its server gives is the pinned one. It is asked for at the start, when the
server says that it changed, and every RELIST_S of use, since not every server says so. Callers are shown the pinned
definitions whatever it says meanwhile.
Rule 2: a server whose list is another one is refused from then on, for as long as this runtime lives.
Rule 3: a connection that broke is made anew by the next call; the breakers of its tools say when that is enough.
Rule 4: connections live in one task, `run`; calls come from any task of its loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from wardwright.harness.core.mcp.definitions import Definitions, changes, shown
from wardwright.harness.core.mcp.entries import Entry
from wardwright.harness.core.mcp.served import Returned
from wardwright.harness.core.tool import Context
from wardwright.harness.mcp.extra import require_sdk
from wardwright.kernel.errors import WardwrightError
from wardwright.kernel.ids import Clock

if TYPE_CHECKING:
    from wardwright.harness.mcp.connection import Session

RELIST_S: Final = 30.0

log = logging.getLogger("wardwright.mcp")


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """A server and what was pinned of it."""

    name: str
    entry: Callable[[], Entry]
    """With its references resolved. Raises `credential_unreadable`."""
    folder: Path
    """Where it is started."""
    pinned: Definitions


class Peers:
    """Implements `harness.core.mcp.served.Peers`. Construct, have `run` run, call."""

    def __init__(self, clock: Clock, environment: Mapping[str, str]) -> None:
        self._clock = clock
        self._environment = environment
        self._group: asyncio.TaskGroup | None = None
        self._opened = asyncio.Event()
        self._peers: dict[str, _Peer] = {}

    def add(self, server: Server) -> None:
        """Before `run`."""
        self._peers[server.name] = _Peer(server, self)

    @property
    def known(self) -> bool:
        """There are servers."""
        return bool(self._peers)

    async def run(self) -> None:
        """Hold the connections until cancelled; then end them all."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._opened.set()
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                self._group = None

    async def call(self, server: str, tool: str, arguments: Mapping[str, Any], context: Context) -> Returned:
        peer = self._peers[server]
        try:
            session = await peer.ready()
            return await session.call(tool, arguments, bytes_max=context.output_bytes_max)
        except WardwrightError as error:
            if error.code != "tool_failed":
                raise
            raise WardwrightError("tool_failed", f"the server `{server}`: {error.message}", hint=error.hint) from error

    def started(self, server: str) -> bool:
        """Whether it runs now."""
        return self._peers[server].session is not None


class _Peer:
    def __init__(self, server: Server, peers: Peers) -> None:
        self.server = server
        self.session: Session | None = None
        self._changed: WardwrightError | None = None
        self._listed_ns = 0
        self._lock = asyncio.Lock()
        self._peers = peers

    async def ready(self) -> Session:
        """A session whose tools are the pinned ones. Raises `tool_failed`, `tool_server_changed`, `extra_missing`."""
        require_sdk()
        async with self._lock:
            if self._changed is not None:
                raise self._changed
            if self.session is None or self.session.wire.over.is_set():
                self.session = await self._started()
                self._compare(await self._listed(self.session))
            elif self.session.wire.relist or self._now_ns() - self._listed_ns > RELIST_S * 1e9:
                self._compare(await self._listed(self.session))
            return self.session

    async def _listed(self, session: Session) -> Definitions:
        self._listed_ns = self._now_ns()
        try:
            return await session.listed()
        except WardwrightError:
            session.wire.over.set()
            raise

    def _compare(self, found: Definitions) -> None:
        different = changes(self.server.pinned, found)
        if not different:
            return
        name = self.server.name
        first = different[0]
        self._changed = WardwrightError(
            "tool_server_changed",
            f"the server `{name}` changed its tools: `{shown(first.tool)}` is {first.what}"
            + (f", and {len(different) - 1} more" if len(different) > 1 else ""),
            hint=f"`wardwright mcp verify {name}` shows what changed; with `--pin` it is taken, then start again",
        )
        log.error("%s", self._changed.message)
        assert self.session is not None
        self.session.wire.over.set()
        raise self._changed

    async def _started(self) -> Session:
        await self._peers._opened.wait()
        group = self._peers._group
        if group is None:
            raise WardwrightError("tool_failed", "the runtime is closed")
        started: asyncio.Future[Session] = asyncio.get_running_loop().create_future()
        group.create_task(self._live(started))
        return await asyncio.shield(started)

    async def _live(self, started: asyncio.Future[Session]) -> None:
        """One connection, from its start to its end."""
        from wardwright.harness.mcp.connection import CONNECT_S, with_session

        server, environment = self.server, self._peers._environment
        try:
            async with asyncio.timeout(CONNECT_S) as deadline:

                async def hold(session: Session) -> None:
                    deadline.reschedule(None)
                    started.set_result(session)
                    async with asyncio.TaskGroup() as group:
                        hearing = group.create_task(session.hear())
                        await session.wire.over.wait()
                        hearing.cancel()

                await with_session(server.entry(), hold, folder=server.folder, environment=environment)
        except TimeoutError:
            self._fail(started, WardwrightError("tool_failed", f"it did not answer within {CONNECT_S:g} s"))
        except WardwrightError as error:
            self._fail(started, error)
        except asyncio.CancelledError:
            self._fail(started, WardwrightError("tool_failed", "the runtime is closed"))
            raise
        except Exception as defect:  # whatever a server makes the SDK raise ends its connection and nothing else
            log.error("the connection to `%s` broke: %r", self.server.name, defect)
            self._fail(started, WardwrightError("tool_failed", f"the connection broke: {type(defect).__name__}"))

    def _fail(self, started: asyncio.Future[Session], error: WardwrightError) -> None:
        if not started.done():
            started.set_exception(error)
            started.exception()  # whoever asked may be gone

    def _now_ns(self) -> int:
        return self._peers._clock.monotonic_ns()
