"""One workshop over one state directory, put together: its journal writer, what it remembers and has learned, its
rules, houses and tools.

Rule 1: any number of them work over one state directory, beside a gateway too: each takes a writer of its own, and
hears from the journal what the others wrote.
Rule 2: what is asked of it before it is open, and after it is closed, is a defect of the caller.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from wardwright.calls.remembered import events_of
from wardwright.contracts.decode import Located
from wardwright.contracts.digest import canonical
from wardwright.contracts.house import HouseContract
from wardwright.contracts.policy import PolicyContract
from wardwright.contracts.tool import ToolContract
from wardwright.gateway.core import keys
from wardwright.gateway.core.keys import KeyRing
from wardwright.harness.call import Call, Ended, Surroundings
from wardwright.harness.core.houses import BUILT_IN as HOUSES
from wardwright.harness.core.judged import judged
from wardwright.harness.core.rows import COLUMNS, row_of_tool
from wardwright.harness.core.rules import Rules, rules_of
from wardwright.harness.core.shelf import Shelf, shelf
from wardwright.harness.mcp.peers import Peers
from wardwright.harness.run import Installation
from wardwright.harness.sandbox.hands import hands
from wardwright.harness.sandbox.posture import posture
from wardwright.harness.sandbox.snapshot import KEPT_ALL_BYTES_MAX, FileKeep
from wardwright.harness.tools.built_in import BUILT_IN
from wardwright.harness.workshop import Workshop
from wardwright.journal.captures import Capture, body_of
from wardwright.journal.entry import Entry, Record
from wardwright.journal.state import Stale
from wardwright.kernel.errors import WardwrightError
from wardwright.limits.history import History
from wardwright.limits.patterns import Patterns
from wardwright.policy.reminders import states_of
from wardwright.runtime import library, tools
from wardwright.runtime.approvals import ApprovalDesk
from wardwright.runtime.clock import SecretLuck, SystemClock, SystemLuck
from wardwright.runtime.control import durably
from wardwright.runtime.following import FOLLOW_S, Following
from wardwright.runtime.history import SAVE_S, HistoryKeeper
from wardwright.runtime.learning import PatternKeeper
from wardwright.runtime.past import ToolPast
from wardwright.runtime.settings import Settings
from wardwright.storage.blobs import contract_blobs
from wardwright.storage.captures import CaptureFiles
from wardwright.storage.files import create
from wardwright.storage.forget import forgotten_tenants
from wardwright.storage.index import SqliteIndex
from wardwright.storage.keys import TenantKeys, identity
from wardwright.storage.layout import kept_dir, writer_dir
from wardwright.storage.reader import SegmentReader
from wardwright.storage.segments import SegmentWriter
from wardwright.storage.settings import JournalSettings
from wardwright.storage.slots import open_writer
from wardwright.storage.state import SqliteStateStore

SLOTS_MAX: Final = 64
"""Harnesses that may work over one state directory at the same time."""

SLOT_PREFIX: Final = "harness-"
"""How the slots of their writers begin."""

INDEX_FILE: Final = "tools.sqlite"
CLAIMS_DIRECTORY: Final = "claims"

log = logging.getLogger("wardwright.harness")


class Shop(msgspec.Struct, frozen=True, kw_only=True):
    """What contract files make of tools, houses and rules."""

    errors: tuple[WardwrightError, ...]
    """What was left out, and why."""
    houses: Mapping[str, HouseContract]
    peers: Peers
    """The MCP servers whose tools are on the shelf: the runtime starts and ends them."""
    policies: Mapping[str, Located[PolicyContract]]
    shelf: Shelf


def shop_of(paths: Iterable[Path]) -> Shop:
    """Read contract files; a document that is wrong is left out and told. Blocks."""
    chosen = tuple(paths)
    read = library.read(chosen)
    peers = Peers(SystemClock(), os.environ)
    functions, missing = tools.available(chosen, peers, os.environ)
    wrong = judged(read.tools, functions)
    refused = {error.place.file for error in wrong if error.place is not None}
    documents: dict[str, ToolContract] = {
        name: one.value for name, one in read.tools.items() if one.file not in refused
    }
    houses = {one.name: one for one in HOUSES} | {name: one.value for name, one in read.houses.items()}
    told = read.errors if read.tools else (*read.errors, *missing)  # with tools, both stand among them already
    unknown = [
        WardwrightError("contract_reference", f"no policy is named `{policy}`", place=one.place("policies"))
        for one in read.houses.values()
        for policy in one.value.policies
        if policy not in read.policies
    ]
    return Shop(
        errors=(*told, *unknown),
        houses=houses,
        peers=peers,
        policies=read.policies,
        shelf=shelf(functions, documents),
    )


class ToolRuntime:
    """Construct, `open` on the loop it will live on, `aclose`."""

    def __init__(self, state: Path, shop: Shop, settings: Settings, *, watching: bool = True) -> None:
        """`watching`: it lives on, so it listens to other processes and stores now and then; else it does both as it
        opens and closes."""
        self.approvals: ApprovalDesk
        self.keys = KeyRing()
        """Serving keys, as other processes make and revoke them."""
        self.past: ToolPast
        self.patterns = Patterns()
        self.reader = SegmentReader(state)
        self.shop = shop
        self.state = state
        self.workshop: Workshop
        self.writer: SegmentWriter
        self._captures = CaptureFiles(state)
        self._clock = SystemClock()
        self._following: Following
        self._hearing = asyncio.Lock()
        self._heard_up_to = 0
        self._hearings = 0
        self._history: HistoryKeeper
        self._index = SqliteIndex(state / INDEX_FILE, COLUMNS, row_of_tool, self.reader, mode="deferred")
        self._keeps: dict[str, FileKeep] = {}
        self._learning: PatternKeeper
        self._rules: dict[str, Rules | None] = {}
        self._settings = settings
        self._store: SqliteStateStore
        self._tasks: list[asyncio.Task[None]] = []
        self._tenant_keys: TenantKeys
        self._watching = watching

    @property
    def index(self) -> SqliteIndex:
        """Receipts of tool calls. Blocks: ask it off the event loop."""
        return self._index

    async def open(self) -> None:
        """Take a writer, restore what is remembered and learned. Raises what `storage.segments` raises,
        `journal_locked` where SLOTS_MAX others work here, `state_write`, and ContractErrors for rules that cannot be
        kept."""
        loop = asyncio.get_running_loop()
        found = await posture()
        self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        for house in ("", *self.shop.houses):
            self._rules[house] = rules_of(self._policies_of(house))
        await asyncio.to_thread(self._store_policies)
        async with contextlib.AsyncExitStack() as undo:
            slot = await asyncio.to_thread(self._take_writer, loop)
            undo.push_async_callback(asyncio.to_thread, self.writer.close)
            secret_luck, luck = SecretLuck(), SystemLuck()
            self._tenant_keys = TenantKeys(self.state, secret_luck)
            self._following = Following(self.reader, own=self.writer.writer)
            self.approvals = ApprovalDesk(
                claim=lambda id_: create(self.state / CLAIMS_DIRECTORY / id_, b""),
                clock=self._clock,
                look=self._look,
                luck=luck,
                writer=self.writer,
            )
            self._take_in(await asyncio.to_thread(self._following.restore))
            history = History()
            history.declare({name: [(states_of(one.value), one.value.machines)] for name, one in self._remembering()})
            self._store = SqliteStateStore(self.state / f"remembered-{slot}.sqlite")
            await asyncio.to_thread(self._store.open)
            undo.push_async_callback(asyncio.to_thread, self._store.close)
            writer = self.writer.writer
            self._history = HistoryKeeper(history, self._store, self.reader, events_of, writer=writer)
            self._learning = PatternKeeper(self.patterns, self._store, self.reader, writer=writer)
            if self._remembers:
                await asyncio.to_thread(self._history.start)
            await asyncio.to_thread(self._learning.start)
            await asyncio.to_thread(self._index.open)
            undo.push_async_callback(asyncio.to_thread, self._index.close)
            self.past = ToolPast(self._index)
            self.workshop = Workshop(
                Surroundings(
                    capture=self._capture,
                    captures_all=self._settings.capture == "bodies",
                    clock=self._clock,
                    desk=self.approvals,
                    durably=self._durably,
                    hands=lambda scope, requirement: hands(scope, found, requirement),
                    hear=self._heard,
                    keep=self._keep,
                    luck=luck,
                    past=self.past,
                    report=self._report,
                    seal=self._tenant_keys.digest,
                    trusted=frozenset(tool.name for tool in BUILT_IN),
                    walls=found.walls,
                    writer=self.writer,
                    writer_name=writer,
                ),
                Installation(
                    history=history,
                    houses=self.shop.houses,
                    patterns=self.patterns,
                    rules=self.rules_of,
                    shelf=self.shop.shelf,
                ),
            )
            undo.pop_all()
        if self.shop.peers.known:
            self._tasks.append(loop.create_task(self.shop.peers.run()))
        if self._watching:
            self._tasks.append(loop.create_task(self._keep_listening()))

    def now_us(self) -> int:
        """µs since the epoch."""
        return self._clock.now_us()

    def key_of(self, token: bytes) -> keys.Key | None:
        """The serving key behind a token that may call; None without a token. Raises `invalid_api_key`,
        `scope_missing`."""
        if not token:
            return None
        key = self.keys.find(token, self.now_us())
        if "call" not in key.scopes:
            raise WardwrightError("scope_missing", "this key lacks the scope `call`")
        return key

    def rules_of(self, house: str) -> Rules | None:
        """Those over calls in a house, by its name."""
        return self._rules.get(house, self._rules[""])

    async def call(self, call: Call) -> Ended:
        return await self.workshop.call(call)

    async def undo(self, receipt: str, call: Call, *, forced: bool) -> Ended:
        """Put back what a call changed. Raises `receipt_not_found`, also for another tenant's."""
        found = await self.past.receipt(receipt)
        if found is None or found.caller.tenant.value != call.caller.tenant.value:
            raise WardwrightError("receipt_not_found", f"no tool call has the receipt `{receipt[:64]}`")
        return await self.workshop.undo(found, msgspec.structs.replace(call, tool=found.tool.name), forced=forced)

    async def aclose(self, *, save: bool = True) -> None:
        """Store what was learned, and end the chains in good order. Blocks the loop while it does.

        Without `save` what was learned since the last time is left to the journal: at the interpreter's end there is
        no thread any more that could store it.
        """
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            if save:
                await self._tried(self._save())
            self._store.close()
            self._index.close()
        finally:
            self.writer.close()

    # -- inside --------------------------------------------------------------------------------------------------------

    @property
    def _remembers(self) -> bool:
        return any(rules is not None and rules.looks_back for rules in self._rules.values())

    def _remembering(self) -> Iterable[tuple[str, Located[PolicyContract]]]:
        return self.shop.policies.items()

    def _policies_of(self, house: str) -> Sequence[Located[PolicyContract]]:
        """Those that speak of tools and belong to no house, and those of this house."""
        owned = {policy for one in self.shop.houses.values() for policy in one.policies}
        mine = self.shop.houses[house].policies if house else ()
        return [
            one
            for name, one in sorted(self.shop.policies.items())
            if name in mine or (name not in owned and any(rule.phase.startswith("tool.") for rule in one.value.rules))
        ]

    def _store_policies(self) -> None:
        """Keep the policies whose rules are asked, so that the decisions of receipts can be made again."""
        blobs = contract_blobs(self.state)
        asked = {name for rules in self._rules.values() if rules is not None for name, _ in rules.names}
        for name in sorted(asked):
            blobs.put(canonical(self.shop.policies[name].value))

    def _take_writer(self, loop: asyncio.AbstractEventLoop) -> str:
        """Open the writer of the first slot that is free; the slot's name."""
        node = identity(self.state, now_us=self._clock.now_us(), luck=SecretLuck())
        settings = JournalSettings(
            commit_delay_ms=self._settings.commit_delay_ms,
            durability="batch",
            segment_age_s=self._settings.segment_age_s,
            segment_bytes_max=self._settings.segment_bytes_max,
        )

        def make(slot: str) -> SegmentWriter:
            return SegmentWriter(
                self.state,
                node=node.node,
                slot=slot,
                signer=node.signer,
                clock=self._clock,
                loop=loop,
                settings=settings,
                on_failure=_changed,
            )

        for number in range(SLOTS_MAX):
            slot = f"{SLOT_PREFIX}{number}"
            try:
                self.writer, started = open_writer(
                    make, self.state, node=node.node, slot=slot, now_us=self._clock.now_us()
                )
            except WardwrightError as error:
                if error.code != "journal_locked" or number == SLOTS_MAX - 1:
                    raise
                continue
            _tell_lost(started.lost)
            self._end_others(make, node.node, number)
            return slot
        raise AssertionError("the last slot raises")

    def _end_others(self, make: Callable[[str], SegmentWriter], node: str, own: int) -> None:
        """Record what was lost in slots that were not ended in good order, and that nobody took again."""
        for number in range(SLOTS_MAX):
            slot = f"harness-{number}"
            if number == own or not writer_dir(self.state, f"{node}/{slot}").exists():
                continue
            try:
                writer, started = open_writer(make, self.state, node=node, slot=slot, now_us=self._clock.now_us())
                writer.close()
            except WardwrightError as error:
                if error.code != "journal_locked":
                    log.error("the journal of an earlier harness cannot be ended: %s", error)
                continue
            _tell_lost(started.lost)

    def _keep(self, tenant: str) -> FileKeep:
        keep = self._keeps.get(tenant)
        if keep is None:
            keep = self._keeps[tenant] = FileKeep(kept_dir(self.state, tenant), self._tenant_keys.key(tenant))
            if count := keep.trim(KEPT_ALL_BYTES_MAX):
                log.info("dropped %d contents of files that were kept longest ago", count)
        return keep

    def _capture(self, tenant: str, receipt: str, arguments: bytes, result: bytes) -> None:
        bytes_max = self._settings.capture_bytes_max
        kept = Capture(answer=body_of(result, bytes_max), request=body_of(arguments, bytes_max))
        self._captures.put(tenant, receipt, kept)

    async def _durably(self, entry: Entry) -> None:
        await durably(self.writer, (entry,))

    def _look(self) -> None:
        records = self._following.look()
        if records:
            self._take_in(records)
            gone = forgotten_tenants(records)
            self._tenant_keys.forgotten(gone)
            for tenant in gone:
                self._keeps.pop(tenant, None)

    def _take_in(self, records: Iterable[Record]) -> None:
        """What other writers' control chains say: approvals, and who may call."""
        found = tuple(records)
        self.approvals.restore(found)
        for record in found:
            if record.kind == keys.CREATED:
                self.keys.add(msgspec.json.decode(record.data, type=keys.Key))
            elif record.kind == keys.REVOKED:
                self.keys.revoke(msgspec.json.decode(record.data, type=keys.Revocation).id, record.at)

    async def _keep_listening(self) -> None:
        since_s = 0.0
        while True:
            await asyncio.sleep(FOLLOW_S)
            if not threading.main_thread().is_alive():
                return  # the interpreter ends: no thread can be had any more that would read or store
            self._look()
            await self._tried(self._hear())
            since_s += FOLLOW_S
            if since_s >= SAVE_S:
                since_s = 0.0
                await self._tried(self._save())

    async def _heard(self) -> None:
        """Be up to date with what other processes told anybody before now. Those who ask at once look once."""
        self._hearings += 1
        asked = self._hearings
        async with self._hearing:
            if self._heard_up_to >= asked:
                return
            up_to = self._hearings
            try:
                await self._history.hear()
            except (OSError, Stale, WardwrightError) as cause:
                message = "a rule looks back, and what other processes wrote cannot be read"
                raise WardwrightError("journal_unavailable", message) from cause
            self._heard_up_to = up_to

    async def _hear(self) -> None:
        if self._remembers:
            async with self._hearing:
                await self._history.hear()
        await self._learning.hear()

    async def _save(self) -> None:
        if self._remembers:
            async with self._hearing:
                await self._history.save(self._clock.now_us())
        await self._learning.save()

    async def _tried(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except (OSError, Stale, WardwrightError) as failure:
            log.error("what calls taught cannot be kept: %s", failure)

    def _report(self, defect: BaseException) -> None:
        log.error("defect: %s: %s", type(defect).__name__, defect, exc_info=defect)


def _tell_lost(count: int) -> None:
    if count:
        log.warning("%d calls were under way when a harness last ended: recorded as lost", count)


def _changed(failure: Exception | None) -> None:
    if failure is None:
        log.warning("the journal can be written again")
    else:
        log.error("the journal cannot be written: %s", failure)
