"""Everything a running gateway is made of, put together: the one place that picks adapters."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

import wardwright
from wardwright.contracts.provider import Provider
from wardwright.dialects.exchange import Transport
from wardwright.gateway.posture import Posture
from wardwright.gateway.service import Gateway
from wardwright.journal.entry import Record
from wardwright.journal.record import read as read_record
from wardwright.kernel.errors import WardwrightError
from wardwright.limits.deadlines import Wheel
from wardwright.providers.registry import Registry
from wardwright.providers.tokenizer import FileTokenizers
from wardwright.runtime import library
from wardwright.runtime.clock import SecretLuck, SystemClock, SystemLuck
from wardwright.runtime.control import Control, State
from wardwright.runtime.credentials import credential_of
from wardwright.runtime.settings import Settings, address_of
from wardwright.runtime.supervisor import Supervisor
from wardwright.runtime.upstreams import Upstreams
from wardwright.storage.blobs import contract_blobs
from wardwright.storage.index import ReceiptIndex
from wardwright.storage.keys import TenantKeys, identity
from wardwright.storage.reader import SegmentReader
from wardwright.storage.segments import SegmentWriter, Started
from wardwright.storage.settings import JournalSettings

SLOT: Final = "gateway-0"
LOOPBACK_NAMES: Final = frozenset({"127.0.0.1", "localhost", "::1"})

log = logging.getLogger("wardwright")


class Runtime:
    """One gateway over one state directory. Construct, `open` on the loop it will live on, `aclose`."""

    def __init__(
        self, paths: Sequence[Path], state: Path, settings: Settings, *, environment: Mapping[str, str]
    ) -> None:
        self.build = wardwright.__version__
        self.clock = SystemClock()
        self.draining = False
        """No new work is taken: load balancers should look elsewhere."""
        self.paths = tuple(paths)
        self.settings = settings
        self.state = state
        self.control: Control
        self.gateway: Gateway
        self.index: ReceiptIndex
        self.reader = SegmentReader(state)
        self.started: Started
        self.started_at = 0
        """µs since the epoch."""
        self.supervisor = Supervisor(self.report)
        self.tenant_keys: TenantKeys
        self.upstreams: Upstreams
        self.wheel: Wheel
        self.writer: SegmentWriter
        self._environment = environment
        self._seen: tuple[tuple[str, int, int], ...] = ()

    def report(self, defect: BaseException) -> None:
        """A defect of ours, with its trace, to the log."""
        log.error("defect: %s: %s", type(defect).__name__, defect, exc_info=defect)

    async def open(self, *, address: str | None = None) -> None:
        """Take the state directory, restore what served, read the contract files.

        Raises `journal_locked`, `journal_broken`, `journal_write`, `credential_unreadable`.
        """
        loop = asyncio.get_running_loop()
        self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.started_at = self.clock.now_us()
        node = identity(self.state, now_us=self.started_at, luck=SecretLuck())
        self.wheel = Wheel(loop.time())
        settings = self.settings
        self.writer = SegmentWriter(
            self.state,
            node=node.node,
            slot=SLOT,
            signer=node.signer,
            clock=self.clock,
            loop=loop,
            settings=JournalSettings(
                durability=settings.durability,
                commit_delay_ms=settings.commit_delay_ms,
                segment_bytes_max=settings.segment_bytes_max,
                segment_age_s=settings.segment_age_s,
            ),
            on_failure=self._journal_changed,
        )
        self.started = self.writer.open(address=address or settings.bind)
        self.tenant_keys = TenantKeys(self.state, SecretLuck())
        luck = SystemLuck()
        self.gateway = Gateway(
            clock=self.clock,
            luck=luck,
            now=loop.time,
            posture=posture_of(settings),
            report=self.report,
            tenant_keys=self.tenant_keys,
            writer=self.writer,
        )
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

        self.upstreams = Upstreams(build, self.supervisor)
        self.control = Control(
            build=self.build,
            clock=self.clock,
            gateway=self.gateway,
            luck=luck,
            secret_luck=SecretLuck(),
            store=contract_blobs(self.state),
            tokenizers=FileTokenizers(),
            upstreams=self.upstreams,
            writer=self.writer,
        )
        self.control.restore(control_records(self.reader))
        self.index = ReceiptIndex(self.state, self.reader, deferred=settings.index == "deferred")
        self.index.open()
        self.supervisor.tick(self.wheel)
        await self.reload()

    async def reload(self, *, by: str = "file") -> State:
        """Read the contract files again and serve what they propose; what was refused stays as it was."""
        read = await asyncio.to_thread(library.read, self.paths)
        self._seen = library.fingerprint(read.files)
        state = await self.control.reload(read, by=by)
        for error in state.errors:
            log.error("refused: %s [%s] %s", error.place or "", error.code, error.message)
        return state

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
        """Stop tasks, close upstreams, write what is left and the closing checkpoint."""
        self.draining = True
        await self.upstreams.aclose()
        await self.supervisor.aclose()
        await asyncio.to_thread(self.index.close)
        await asyncio.to_thread(self.writer.close)

    def _journal_changed(self, failure: Exception | None) -> None:
        if failure is None:
            log.warning("the journal can be written again")
        else:
            log.error("the journal cannot be written: %s (%s)", failure, self.settings.on_journal_failure)


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


def control_records(reader: SegmentReader) -> Iterator[Record]:
    """The records of every control chain, in the order of folds."""
    records = [
        read_record(line.text)
        for key in reader.chains()
        if key.chain == "control"
        for line in reader.lines(key)
        if line.whole
    ]
    records.sort(key=lambda record: (record.lam, record.writer, record.seq))
    return iter(records)
