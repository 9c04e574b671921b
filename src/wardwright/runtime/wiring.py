"""Everything a running gateway is made of, put together: the one place that picks adapters."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

import wardwright
from wardwright.contracts.provider import Provider
from wardwright.dialects.exchange import Transport
from wardwright.gateway.posture import Posture
from wardwright.gateway.service import Gateway
from wardwright.journal.store import Index
from wardwright.kernel.errors import Place, WardwrightError
from wardwright.kernel.units import SECOND_US
from wardwright.limits.deadlines import Wheel
from wardwright.providers import tokenizer
from wardwright.providers.outbox import Outbox
from wardwright.providers.registry import Registry
from wardwright.runtime import admin, forgetting, library
from wardwright.runtime.alerts import Alerts, bounds_of
from wardwright.runtime.approvals import ApprovalDesk
from wardwright.runtime.clock import SecretLuck, SystemClock, SystemLuck
from wardwright.runtime.control import Control, State
from wardwright.runtime.credentials import credential_of
from wardwright.runtime.following import FOLLOW_S, Following
from wardwright.runtime.journal import Journal
from wardwright.runtime.learning import Learning
from wardwright.runtime.remembering import Remembering
from wardwright.runtime.settings import Settings, address_of
from wardwright.runtime.siblings import Siblings
from wardwright.runtime.sinks import sinks_of
from wardwright.runtime.supervisor import Supervisor
from wardwright.runtime.upstreams import Build, Upstreams
from wardwright.runtime.worker import ALONE, Worker
from wardwright.storage.blobs import contract_blobs
from wardwright.storage.capture_writer import CaptureFileWriter
from wardwright.storage.captures import CaptureFiles
from wardwright.storage.files import create
from wardwright.storage.forget import forgotten_tenants
from wardwright.storage.keys import TenantKeys, identity
from wardwright.storage.shares import SqliteShareStore
from wardwright.storage.state import SqliteStateStore
from wardwright.storage.work_queue import SqliteWorkQueue, stored_jobs

LOOPBACK_NAMES: Final = frozenset({"127.0.0.1", "localhost", "::1"})
TEST_CONFIG_VARIABLE: Final = "WARDWRIGHT_ALLOW_TEST_CONFIG"
STATE_FILE: Final = "remembered.sqlite"
"""What rules remember, beside the journal: made anew from it when it is gone."""
RETENTION_S: Final = 60.0
"""How often the journal is looked at for segments to retire."""
LEARNED_FILE: Final = "learned.sqlite"
"""What calls taught of targets: the same."""
SHARES_FILE: Final = "shares.sqlite"
"""What workers hold of shared limits."""
CLAIMS_DIRECTORY: Final = "claims"
"""Where workers agree on who uses an approval."""
WORK_DRAIN_S: Final = 10.0
"""How long an ending gateway waits for the work queue's disk before it closes it."""
WORK_FILE: Final = "work.sqlite"
ALERTS_DRAIN_S: Final = 10.0
"""How long an ending gateway goes on delivering alerts; what is left waits on disk for the next start."""
CALL_S: Final = 3600
"""How long a call may take, as far as retention is concerned: captures that began so long before the oldest record that
is left belong to calls that were retired."""

log = logging.getLogger("wardwright")


class Runtime:
    """One gateway over one state directory. Construct, `open` on the loop it will live on, `aclose`.

    Implements `api.front.Front`.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        state: Path,
        settings: Settings,
        *,
        environment: Mapping[str, str],
        worker: Worker = ALONE,
    ) -> None:
        self.admin_token_hash: str | None = None
        self.alerts: Alerts
        self.approvals: ApprovalDesk
        self.build = wardwright.__version__
        self.captures = CaptureFileWriter(
            CaptureFiles(state), bytes_max=settings.capture_bytes_max, on_loss=_captures_lost
        )
        self.clock = SystemClock()
        self.connection_count: Callable[[], int] = lambda: 0
        """Set by whoever listens."""
        self.control: Control
        self.draining = False
        self.gateway: Gateway
        self.journal: Journal
        self.learning: Learning
        self.outbox: Outbox
        self.remembering: Remembering
        self.paths = tuple(paths)
        self.settings = settings
        self.siblings = None if worker.alone else Siblings(state, worker)
        self.started_at = 0
        """µs since the epoch."""
        self.state = state
        self.supervisor = Supervisor(self.report)
        self.tenant_keys: TenantKeys
        self.test_config = environment.get(TEST_CONFIG_VARIABLE) == "1"
        self.upstreams: Upstreams
        self.wheel: Wheel
        self.work: SqliteWorkQueue
        self.worker = worker
        self._environment = environment
        self._following: Following
        self._foreign = False
        """Another worker changed what serves, and this one does not serve it yet."""
        self._seen: tuple[tuple[str, int, int], ...] = ()

    @property
    def connections(self) -> int:
        return self.connection_count()

    @property
    def index(self) -> Index:
        return self.journal.index

    def report(self, defect: BaseException) -> None:
        """A defect of ours, with its trace, to the log."""
        log.error("defect: %s: %s", type(defect).__name__, defect, exc_info=defect)

    async def open(self, *, address: str | None = None) -> None:
        """Take the state directory, restore what served, read the contract files.

        Raises `journal_locked`, `journal_broken`, `journal_write`, `credential_unreadable`, `queue_broken`,
        `settings_invalid`.
        """
        async with contextlib.AsyncExitStack() as undo:
            await self._open(address or self.settings.bind, undo)
            undo.pop_all()

    async def _open(self, address: str, undo: contextlib.AsyncExitStack) -> None:
        """`undo` closes what is open by then where a later step fails."""
        loop = asyncio.get_running_loop()
        sinks = sinks_of(self.settings, self.state, self._environment, self.clock, build=self.build)
        self.started_at = self.clock.now_us()
        secret_luck, luck = SecretLuck(), SystemLuck()
        undo.push_async_callback(self.supervisor.aclose)
        try:
            self._take_state(loop, secret_luck, address, undo)
        except OSError as error:
            raise WardwrightError(
                "journal_write",
                f"the state directory cannot be written: {error.strerror or error}",
                place=Place(file=str(self.state)),
            ) from error
        self.outbox = Outbox(loop)
        self.wheel = Wheel(loop.time())
        self.gateway = Gateway(
            clock=self.clock,
            luck=luck,
            now=loop.time,
            posture=posture_of(self.settings),
            report=self.report,
            tenant_keys=self.tenant_keys,
            wheel=self.wheel,
            writer=self.journal.writer,
        )
        if self.settings.capture == "bodies":
            log.warning("capture is on: the bodies of calls are kept under %s", self.state)
            self.captures.open()
            undo.push_async_callback(asyncio.to_thread, self.captures.close)
            self.gateway.capture = self.captures
        self.upstreams = Upstreams(self._transports(loop), self.supervisor)
        undo.push_async_callback(self.upstreams.aclose)
        self.remembering = self._remembering()
        undo.push_async_callback(self.remembering.aclose)
        store = SqliteStateStore(self.state / self.worker.own(LEARNED_FILE))
        self.learning = Learning(self.gateway.learned.patterns, store, self.journal.reader)
        undo.push_async_callback(self.learning.aclose)
        self.control = Control(
            build=self.build,
            clock=self.clock,
            gateway=self.gateway,
            luck=luck,
            secret_luck=secret_luck,
            sinks=self.settings.sink_names,
            store=contract_blobs(self.state),
            load_tokenizer=cache(lambda path: tokenizer.load(Path(path))),
            remember=self._remember,
            upstreams=self.upstreams,
            writer=self.journal.writer,
        )
        self._following = Following(self.journal.reader, own=self.journal.writer.writer)
        self.approvals = ApprovalDesk(
            claim=None if self.worker.alone else self._claim,
            clock=self.clock,
            look=self._look,  # also where this gateway serves alone: harnesses ask for approvals beside it
            luck=luck,
            writer=self.journal.writer,
        )
        self.alerts = Alerts(
            self.work,
            sinks,
            clock=self.clock,
            luck=luck,
            report=self.report,
            spawn=self.supervisor.spawn,
            writer=self.journal.writer,
        )
        self.gateway.alerts, self.gateway.approvals = self.alerts, self.approvals
        claims = self._claims()
        records = self._following.restore()
        self.approvals.restore(records)
        self.control.restore(records)
        if self.worker.keeper:
            self._drop_claims(claims)
            await self._inherit()
        await self.alerts.open()
        undo.push_async_callback(self.alerts.aclose)
        self.supervisor.tick(self.wheel)
        self.supervisor.spawn(self._retire())
        if self.worker.keeper:
            self.supervisor.spawn(self.approvals.keep_sweeping())
            await self.reload()
        else:
            await self.control.resume()
        self.supervisor.spawn(self.remembering.keep(lambda: self.control.remembers))
        self.supervisor.spawn(self.learning.keep())
        if not self.worker.alone:
            self.supervisor.spawn(self._follow())

    def _take_state(
        self, loop: asyncio.AbstractEventLoop, luck: SecretLuck, address: str, undo: contextlib.AsyncExitStack
    ) -> None:
        self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        node = identity(self.state, now_us=self.started_at, luck=luck)
        self.admin_token_hash = admin.hash_of(admin.admin_token(self.state, self._environment, luck))
        self.journal = Journal(self.state, node, self.settings, self.clock, worker=self.worker)
        self.journal.open(loop, address=address)
        undo.push_async_callback(asyncio.to_thread, self.journal.close)
        self.work = SqliteWorkQueue(
            self.state / self.worker.own(WORK_FILE),
            bounds=bounds_of(self.settings.every_sink),
            clock=self.clock,
            on_failure=_queue_changed,
        )
        self.work.open(loop)
        undo.push_async_callback(asyncio.to_thread, self.work.close)
        self.tenant_keys = TenantKeys(self.state, luck)

    async def _remember(self) -> None:
        if self.control.remembers:
            await self.remembering.start()
        if self.control.learns:
            await self.learning.start()

    def _remembering(self) -> Remembering:
        return Remembering(
            SqliteStateStore(self.state / self.worker.own(STATE_FILE)),
            self.journal.reader,
            self.gateway,
            self.clock,
            shared=None if self.worker.alone else SqliteShareStore(self.state / SHARES_FILE),
            worker=self.worker,
            writer=self.journal.writer.writer,
        )

    # -- other workers -------------------------------------------------------------------------------------------------

    async def _inherit(self) -> None:
        """Take over the alerts of workers that there were, and are not any more. Raises `queue_broken`."""
        for path in self.worker.left_behind(self.state, WORK_FILE):
            self.alerts.inherit(await asyncio.to_thread(stored_jobs, path))
            await self.work.drain()
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)

    async def _follow(self) -> None:
        """Take in what other workers wrote to their control chains. Runs until it is cancelled."""
        while True:
            await asyncio.sleep(FOLLOW_S)
            self._look()
            if self._foreign:
                self._foreign = False
                await self.control.resume()

    def _look(self) -> None:
        """Take in what other workers wrote; what it says of the models that serve is served within FOLLOW_S."""
        records = self._following.look()
        if records:
            self.approvals.restore(records)
            self.tenant_keys.forgotten(forgotten_tenants(records))
            self._foreign |= self.control.restore(records)

    def _claim(self, approval: str) -> bool:
        return create(self.state / CLAIMS_DIRECTORY / approval, b"")

    def _claims(self) -> tuple[Path, ...]:
        claims = self.state / CLAIMS_DIRECTORY
        return tuple(path for path in claims.iterdir() if not path.name.startswith(".")) if claims.is_dir() else ()

    def _drop_claims(self, claims: Iterable[Path]) -> None:
        """Drop those of approvals that are over. `claims` were looked up before the records were read: an approval is
        claimed after it was given, so each of them is known."""
        for claim in claims:
            if self.approvals.is_over(claim.name):
                claim.unlink(missing_ok=True)

    async def reload(self, *, by: str = "file") -> State:
        """Read the contract files again and serve what they propose; what was refused stays as it was."""
        read = await asyncio.to_thread(library.read, self.paths)
        self._seen = library.fingerprint(read.files)
        state = await self.control.reload(read, by=by)
        for error in state.errors:
            log.error("refused: %s [%s] %s", error.place or "", error.code, error.message)
        return state

    async def forget(self, tenant: str, receipt: str | None, *, by: str) -> forgetting.Forgotten:
        """Drop a tenant's key and captured bodies, or the bodies of one call, and record that they went."""
        return await forgetting.forget(
            self.state,
            self.captures,
            self.tenant_keys,
            self.journal.writer,
            tenant,
            receipt,
            at=self.clock.now_us(),
            by=by,
        )

    async def watch(self) -> None:
        """Reload whenever a contract file changes. Runs until it is cancelled."""
        while True:
            await asyncio.sleep(self.settings.watch_s)
            try:
                seen = await asyncio.to_thread(lambda: library.fingerprint(library.files_of(self.paths)))
                if seen != self._seen:
                    await self.reload()
            except (OSError, WardwrightError) as error:
                log.error("contract files cannot be read: %s", error)

    async def aclose(self) -> None:
        """Deliver alerts that are due, stop tasks, close upstreams, write what is left and the closing checkpoint."""
        self.draining = True
        if left := await self.alerts.drain(ALERTS_DRAIN_S):
            log.warning("%d alerts are not delivered yet; they wait for the next start", left)
        await self.upstreams.aclose()
        await self.supervisor.aclose()
        await self.alerts.aclose()
        if self.siblings is not None:
            await self.siblings.aclose()
        with contextlib.suppress(TimeoutError):  # a disk that hangs: closing says so, in its own time
            await asyncio.wait_for(self.work.drain(), WORK_DRAIN_S)
        try:
            await asyncio.to_thread(self.work.close)
        finally:
            try:
                await asyncio.to_thread(self.journal.close)
            finally:
                try:
                    await asyncio.to_thread(self.captures.close)
                finally:
                    await self.remembering.aclose()
                    await self.learning.aclose()

    def retire_captures(self) -> None:
        """Drop the captures whose receipts were retired, and those that are too old themselves. Blocks."""
        now_us, days = self.clock.now_us(), self.settings.retention.calls_days
        oldest_us = self.journal.oldest_us()
        before_us = 0 if oldest_us is None else oldest_us - CALL_S * SECOND_US
        if days is not None:
            before_us = max(before_us, now_us - days * 86_400 * SECOND_US)
        if count := self.captures.files.drop_before(before_us):
            log.info("retired the captured bodies of %d calls", count)

    def _transports(self, loop: asyncio.AbstractEventLoop) -> Build:
        registry = Registry()
        for point in entry_points(group="wardwright.transports"):
            registry.add(point.name, point.load())

        def build(provider: Provider) -> Transport:
            return registry.build(
                provider,
                credential=lambda reference: credential_of(reference, self._environment),
                wheel=self.wheel,
                loop=loop,
                spawn=self.supervisor.spawn,
            )

        return build

    async def _retire(self) -> None:
        """Keep the journal within its retention. Runs until it is cancelled."""
        retention = self.settings.retention
        if retention.calls_days is None and retention.calls_bytes_max is None:
            return
        await asyncio.to_thread(self.journal.finish_retirements)
        while True:
            self.journal.retire()
            if self.worker.keeper:
                try:
                    await asyncio.to_thread(self.retire_captures)
                except OSError as error:
                    log.error("captured bodies could not be retired: %s", error)
            await asyncio.sleep(RETENTION_S)


def _captures_lost(count: int, failure: Exception | None) -> None:
    why = "too many wait for the disk" if failure is None else failure
    log.error("the bodies of %d calls could not be captured: %s", count, why)


def _queue_changed(failure: Exception | None) -> None:
    if failure is None:
        log.warning("the work queue can be written again")
    else:
        log.error(
            "the work queue cannot be written: %s; alerts are delivered, and a crash would lose or repeat some", failure
        )


def posture_of(settings: Settings) -> Posture:
    host, _ = address_of(settings.bind)
    return Posture(
        durability=settings.durability,
        hops_max=settings.hops_max,
        hosts=LOOPBACK_NAMES | {host} | set(settings.hosts),
        keys=settings.keys,
        on_journal_failure=settings.on_journal_failure,
        origins=frozenset(settings.origins),
    )
