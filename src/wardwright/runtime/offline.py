"""A state directory, or contract files, without a gateway: what the command line works on where none runs.

Rule 1: reading takes no lock and leaves no record; contracts and closures that it makes are kept in memory.
Rule 2: changing takes the writer's lock, so that no gateway starts meanwhile, and ends the chains in good order.
Rule 3: nobody is called: models are compiled against the providers that were stored last, behind transports that lead
nowhere.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final, NoReturn

import wardwright
from wardwright.contracts.digest import digest
from wardwright.dialects.exchange import Exchange, Gauges, HttpRequest, Receiver
from wardwright.gateway.service import Gateway, TenantKeys
from wardwright.journal.captures import Captures
from wardwright.journal.entry import Chain, Entry, Writer
from wardwright.journal.status import ChainStatus, IndexStatus, JournalStatus, Pulse
from wardwright.journal.store import Blobs, Index
from wardwright.journal.verify import Verdict
from wardwright.journal.work_queue import Job
from wardwright.kernel.errors import WardwrightError
from wardwright.limits.deadlines import Wheel
from wardwright.providers import tokenizer
from wardwright.runtime import forgetting
from wardwright.runtime.alerts import Alerts, SinkPulse, alert_jobs
from wardwright.runtime.approvals import ApprovalDesk
from wardwright.runtime.clock import SecretLuck, SystemClock, SystemLuck
from wardwright.runtime.control import Control, State
from wardwright.runtime.following import Following
from wardwright.runtime.journal import Journal, chain_status, index_of, verified
from wardwright.runtime.library import Library
from wardwright.runtime.settings import Settings
from wardwright.runtime.supervisor import Supervisor
from wardwright.runtime.upstreams import Upstreams
from wardwright.runtime.wiring import WORK_FILE, posture_of
from wardwright.runtime.worker import ALONE
from wardwright.storage.blobs import contract_blobs
from wardwright.storage.captures import CaptureFiles
from wardwright.storage.export import export
from wardwright.storage.index import SqliteIndex
from wardwright.storage.keys import TenantKeys as StoredTenantKeys
from wardwright.storage.keys import identity
from wardwright.storage.reader import SegmentReader
from wardwright.storage.work_queue import SqliteWorkQueue, stored_jobs

NODE_FILE: Final = "node.json"
"""What every state directory holds once a gateway or a change has used it."""

SETTINGS: Final = Settings(durability="before_response", index="deferred")

log = logging.getLogger("wardwright")


class Offline:
    """One gateway that serves nobody. Implements `api.front.Front`."""

    def __init__(
        self,
        *,
        alerts: StoredAlerts,
        captures: Captures,
        index: Index,
        journal: Journal | StoredJournal,
        sinks: frozenset[str] | None = None,
        store: Blobs,
        tenant_keys: TenantKeys,
        writer: Writer,
    ) -> None:
        """`sinks` are those that alerts may name; None: nobody can tell here."""
        loop = asyncio.get_running_loop()
        luck = SystemLuck()
        self.admin_token_hash: str | None = None
        """Set by whoever asks on behalf of this process's user."""
        self.alerts = alerts
        self.build = wardwright.__version__
        self.captures = captures
        self.clock = SystemClock()
        self.approvals = ApprovalDesk(clock=self.clock, luck=luck, writer=writer)
        self.connections = 0
        self.draining = False
        self.index = index
        self.journal = journal
        self.settings = SETTINGS
        self.siblings = None
        self.started_at = self.clock.now_us()
        self.store = store
        self.supervisor = Supervisor(self.report)
        self.test_config = False
        self.worker = ALONE
        self.upstreams = Upstreams(lambda _: Nowhere(), self.supervisor)
        self.gateway = Gateway(
            clock=self.clock,
            luck=luck,
            now=loop.time,
            posture=posture_of(SETTINGS),
            report=self.report,
            tenant_keys=tenant_keys,
            wheel=Wheel(loop.time()),
            writer=writer,
        )
        self.control = Control(
            build=self.build,
            clock=self.clock,
            gateway=self.gateway,
            load_tokenizer=cache(lambda path: tokenizer.load(Path(path))),
            luck=luck,
            secret_luck=SecretLuck(),
            sinks=sinks,
            store=store,
            upstreams=self.upstreams,
            writer=writer,
        )

    async def reload(self, *, by: str) -> State:
        raise WardwrightError("server_unreachable", "no gateway runs that could read its files again")

    async def forget(self, tenant: str, receipt: str | None, *, by: str) -> forgetting.Forgotten:
        raise WardwrightError("journal_locked", "this process only reads")

    def report(self, defect: BaseException) -> None:
        _told(defect)

    async def restore(self, reader: SegmentReader) -> None:
        """Serve what the control chains say, over the providers that were stored last."""
        records = Following(reader).restore()
        self.approvals.restore(records)
        self.control.restore(records)
        await self.control.resume()

    async def propose(self, library: Library) -> State:
        """Serve what files hold, drafts too."""
        state = await self.control.reload(library)
        errors = list(state.errors)
        for name, one in library.models.items():
            if self.control.history(name).active is None:
                try:
                    await self.control.activate(name, digest(one.value), by="file")
                except WardwrightError as error:
                    errors.append(error)
        self.control.state = State(at=state.at, errors=tuple(errors), warnings=state.warnings)
        return self.control.state


class Changing(Offline):
    """An offline gateway that holds the writer's lock."""

    def __init__(self, state: Path, journal: Journal, store: Blobs, tenant_keys: StoredTenantKeys) -> None:
        super().__init__(
            alerts=HeldAlerts(state / WORK_FILE, journal.writer),
            captures=CaptureFiles(state),
            index=journal.index,
            journal=journal,
            store=store,
            tenant_keys=tenant_keys,
            writer=journal.writer,
        )
        self._state = state
        self._tenant_keys = tenant_keys

    async def forget(self, tenant: str, receipt: str | None, *, by: str) -> forgetting.Forgotten:
        return await forgetting.forget(
            self._state,
            self.captures,
            self._tenant_keys,
            self.gateway.writer,
            tenant,
            receipt,
            at=self.clock.now_us(),
            by=by,
        )


@asynccontextmanager
async def reading(state: Path) -> AsyncIterator[Offline]:
    """What a state directory holds. Raises `settings_invalid` where there is none."""
    require_state(state)
    journal = StoredJournal(state)
    journal.index.open()
    try:
        offline = Offline(
            alerts=StoredAlerts(state / WORK_FILE),
            captures=CaptureFiles(state),
            index=journal.index,
            journal=journal,
            store=Overlay(contract_blobs(state)),
            tenant_keys=StoredTenantKeys(state, SecretLuck()),
            writer=NoWriter(),
        )
        await offline.restore(journal.reader)
        yield offline
    finally:
        journal.index.close()


@asynccontextmanager
async def changing(state: Path) -> AsyncIterator[Offline]:
    """A state directory that this process may change. Raises `journal_locked` where another one may."""
    clock, luck = SystemClock(), SecretLuck()
    node = identity(state, now_us=clock.now_us(), luck=luck)
    journal = Journal(state, node, SETTINGS, clock)
    journal.open(asyncio.get_running_loop(), address=None)
    try:
        offline = Changing(state, journal, contract_blobs(state), StoredTenantKeys(state, luck))
        await offline.restore(journal.reader)
        yield offline
    finally:
        await asyncio.to_thread(journal.close)


@asynccontextmanager
async def proposed(library: Library, state: Path, sinks: frozenset[str] | None = None) -> AsyncIterator[Offline]:
    """What contract files would serve, drafts too. Draws come out as in the state directory where there is one."""
    journal = StoredJournal(state)
    offline = Offline(
        alerts=StoredAlerts(state / WORK_FILE),
        captures=CaptureFiles(state),
        index=journal.index,
        journal=journal,
        sinks=sinks,
        store=Overlay(None),
        tenant_keys=StoredTenantKeys(state, SecretLuck()) if has_state(state) else FixedTenantKeys(),
        writer=TakingWriter(),
    )
    await offline.propose(library)
    yield offline


def has_state(state: Path) -> bool:
    return (state / NODE_FILE).exists()


def require_state(state: Path) -> None:
    """Raises `settings_invalid` for a directory that no gateway has used."""
    if not has_state(state):
        raise WardwrightError(
            "settings_invalid",
            f"no gateway has run with the state directory `{state}`",
            hint="`wardwright serve` makes it; `--state` or WARDWRIGHT_STATE name another",
        )


class StoredAlerts:
    """Alerts that nobody delivers now. Implements `api.front.Alerts`. The queue is read when it is asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def jobs(self) -> tuple[Job, ...]:
        return alert_jobs(stored_jobs(self._path))

    def pulse(self) -> tuple[SinkPulse, ...]:
        return ()

    async def retry(self, ids: frozenset[str], *, by: str) -> tuple[str, ...]:
        raise WardwrightError("journal_locked", "this process only reads")

    async def drop(self, ids: frozenset[str], *, by: str) -> tuple[str, ...]:
        raise WardwrightError("journal_locked", "this process only reads")


class HeldAlerts(StoredAlerts):
    """The same for whoever holds the writer's lock: dead letters can be settled."""

    def __init__(self, path: Path, writer: Writer) -> None:
        super().__init__(path)
        self._writer = writer

    async def retry(self, ids: frozenset[str], *, by: str) -> tuple[str, ...]:
        async with self._queue() as alerts:
            return await alerts.retry(ids, by=by)

    async def drop(self, ids: frozenset[str], *, by: str) -> tuple[str, ...]:
        async with self._queue() as alerts:
            return await alerts.drop(ids, by=by)

    @asynccontextmanager
    async def _queue(self) -> AsyncIterator[Alerts]:
        clock = SystemClock()
        work = SqliteWorkQueue(self._path, clock=clock)
        work.open(asyncio.get_running_loop())
        try:
            yield Alerts(
                work,
                {},
                clock=clock,
                luck=SystemLuck(),
                report=_told,
                spawn=_nobody_delivers,
                writer=self._writer,
            )
            await work.drain()
        finally:
            await asyncio.to_thread(work.close)


def _told(defect: BaseException) -> None:
    log.error("defect: %s: %s", type(defect).__name__, defect, exc_info=defect)


def _nobody_delivers(work: Coroutine[Any, Any, None]) -> None:
    """No worker is started where no gateway runs."""
    work.close()


class StoredJournal:
    """A journal that someone else writes, or nobody. Implements `api.front.Journal`."""

    def __init__(self, state: Path) -> None:
        self.captures: Captures = CaptureFiles(state)
        self.contracts: Blobs = contract_blobs(state)
        """Stored contracts and closures."""
        self.state = state
        self.reader = SegmentReader(state)
        self.index: SqliteIndex = index_of(state, self.reader, deferred=True)

    def pulse(self) -> Pulse:
        return Pulse(failure=None, refused=0, waiting=0)

    def status(self) -> JournalStatus:
        return JournalStatus(
            chains=self.chains(),
            index=IndexStatus(behind=self.index.query(limit=1).behind, failure=None),
            pulse=self.pulse(),
            writer="",
        )

    def chains(self) -> tuple[ChainStatus, ...]:
        """Where each chain ends. Raises `journal_broken` for an end that cannot be read."""
        return tuple(chain_status(self.state, self.reader, key) for key in self.reader.chains())

    def verify(self) -> tuple[Verdict, ...]:
        return verified(self.state, self.reader)

    def export(
        self,
        *,
        chain: Chain | None = None,
        writer: str | None = None,
        since_us: int | None = None,
        until_us: int | None = None,
    ) -> Iterator[bytes]:
        """Records as lines, in an order that never changes. Times are µs since the epoch; `until_us` is excluded."""
        return export(self.reader, chain=chain, writer=writer, since_us=since_us, until_us=until_us)


class Overlay:
    """Blobs in memory above those that are stored. Implements `journal.store.Blobs`."""

    def __init__(self, below: Blobs | None) -> None:
        self._below = below
        self._own: dict[str, bytes] = {}

    def put(self, content: bytes) -> str:
        name = "sha256:" + hashlib.sha256(content).hexdigest()
        self._own[name] = content
        return name

    def get(self, digest: str) -> bytes | None:
        own = self._own.get(digest)
        return own if own is not None or self._below is None else self._below.get(digest)


class NoWriter:
    """Refuses every entry. Implements `journal.entry.Writer`."""

    failure: Exception | None = None

    def put(self, entry: Entry) -> NoReturn:
        raise WardwrightError("journal_locked", "this process only reads")


class TakingWriter:
    """Takes every entry and keeps none. Implements `journal.entry.Writer`."""

    failure: Exception | None = None

    def put(self, entry: Entry) -> None:
        if entry.on_durable is not None:
            entry.on_durable(None)


class FixedTenantKeys:
    """One key for all, for draws that need no secret. Implements `gateway.service.TenantKeys`."""

    def key(self, tenant: str) -> bytes:
        return bytes(32)


class Nowhere:
    """A transport that calls nobody. Implements `dialects.exchange.Transport`."""

    async def open(self) -> None:
        return

    def start(self, request: HttpRequest, receiver: Receiver) -> Exchange:
        raise WardwrightError("not_ready", "no gateway runs here")

    def gauges(self) -> Gauges:
        return Gauges(connections=0, idle=0, waiting=0)

    async def aclose(self) -> None:
        return
