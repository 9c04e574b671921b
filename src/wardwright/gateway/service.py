"""The gateway: takes a request in, asks the call machine what happens, and carries that out.

Rule 1: everything from the first byte in to the last byte out runs on the event loop as plain callbacks: no task, no
future, no lock, no log line on the way.
Rule 2: nothing is decided here. Who calls is decided in `core`, what a name means in `intake` and the catalog, what
rules say in `governing`, where it goes in `routing`, what happens next in `calls.machine`.
Rule 3: a call that an authenticated caller made has a receipt, also when it is refused; a call that nobody may make
has none.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

import msgspec

from wardwright.calls import receipt as rc
from wardwright.calls.alerts import Alerts
from wardwright.calls.effects import Close, Effect
from wardwright.calls.machine import Accepted, Machine
from wardwright.calls.memory import Seal
from wardwright.calls.receipt import said
from wardwright.calls.rulings import Again
from wardwright.dialects.answer import Identity
from wardwright.gateway import approving, governing
from wardwright.gateway.authentication import token_of
from wardwright.gateway.capture import Tape
from wardwright.gateway.catalog import Catalog, Version
from wardwright.gateway.client import Client
from wardwright.gateway.core.callers import Headers, unclaimed
from wardwright.gateway.core.heading import Heading
from wardwright.gateway.core.keys import Key, KeyRing, digest_of
from wardwright.gateway.health import HealthBoard
from wardwright.gateway.intake import Intake, Kind
from wardwright.gateway.learned import Learned, LearnedBoard
from wardwright.gateway.live import REFUSAL_DEADLINE_S, Live
from wardwright.gateway.meters import Meters
from wardwright.gateway.posture import Posture
from wardwright.journal.approvals import ApprovalDesk
from wardwright.journal.captures import CaptureWriter
from wardwright.journal.entry import Writer
from wardwright.kernel.errors import WardwrightError
from wardwright.kernel.ids import LUCK_BITS, Clock, Luck, mint
from wardwright.limits.budgets import Budgets
from wardwright.limits.deadlines import Wheel
from wardwright.limits.history import History
from wardwright.routing.calibration import Calibration
from wardwright.routing.draw import Keyed
from wardwright.routing.planner import plan, spoke_before

RECENT_FAILURES_MAX: Final = 4096
"""Failed calls that are remembered so that an SDK's repetition can name them in `retry_of`."""

LESSONS_SKIPPED: Final = 8
"""Of so many calls with a count from the provider, one is learned from: enough for a ratio that drifts slowly."""


class TenantKeys(Protocol):
    """Keys for the digests of bodies and conversations, one a tenant, kept outside the journal."""

    def key(self, tenant: str) -> bytes: ...


class Gateway:
    """Governed model calls. Owns no socket: it is handed requests and clients."""

    def __init__(
        self,
        *,
        clock: Clock,
        luck: Luck,
        now: Callable[[], float],
        posture: Posture,
        report: Callable[[Exception], None],
        tenant_keys: TenantKeys,
        wheel: Wheel,
        writer: Writer,
    ) -> None:
        self.alerts: Alerts | None = None
        """Who delivers what rules tell somebody; None: nobody."""
        self.approvals: ApprovalDesk | None = None
        """Where rules ask for approval; None: nobody can give it."""
        self.budgets = Budgets()
        """What callers used of the budgets of policies."""
        self.calibrations: dict[str, Calibration] = {}
        """By contract: what providers count, against what was estimated."""
        self.calibrations_ppm: dict[str, int] = {}
        """The same as a factor of the next estimate."""
        self.capture: CaptureWriter | None = None
        """Who keeps the bodies of calls; None: nobody does."""
        self.catalog = Catalog({})
        self.clock = clock
        self.health = HealthBoard()
        self.history = History()
        """What calls left behind that rules read."""
        self.keys = KeyRing()
        self.learned = LearnedBoard()
        """What calls taught of targets."""
        self.live: dict[str, Live] = {}
        """Calls under way by receipt id, oldest first."""
        self.meters = Meters()
        self.now = now
        """Monotonic seconds, of the clock that deadlines use."""
        self.posture = posture
        self.report = report
        """Where defects go: a log with their trace."""
        self.tenant_keys = tenant_keys
        self.wheel = wheel
        self.writer = writer
        self._lessons = 0
        """Calls whose estimate could be compared with the provider's count."""
        self._luck = luck
        self._recent_failures: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._secrets: dict[bytes, Keyed] = {}
        """Tenants' keys with their first block absorbed."""

    def call(self, kind: Kind, heading: Heading, body: bytes, client: Client) -> Live | None:
        """Take a request in; what becomes of it is told through `client`. None if it was answered at once."""
        try:
            key = self.authenticate(heading)
            if key is not None and "call" not in key.scopes:
                raise WardwrightError("scope_missing", "this key lacks the scope `call`")
            if self.writer.failure is not None and self.posture.on_journal_failure == "refuse":
                raise WardwrightError(
                    "journal_unavailable",
                    "the journal cannot be written, and calls without a receipt are refused",
                )
        except WardwrightError as error:
            self.meters.turned_away(error.code)
            client.refuse(error, None, None)
            return None
        intake = Intake(kind, heading, body, key, *_known(key))
        try:
            machine, version, effects = self._decide(intake)
        except Exception as defect:
            self.report(defect)
            self.meters.turned_away("internal_error")
            client.refuse(WardwrightError("internal_error", "a defect of the gateway refused this call"), None, None)
            return None
        tape: Tape | None = None
        if self.capture is not None:
            tape = Tape(self.capture, intake.tenant, machine.accepted.receipt, body, client)
        live = Live(
            self,
            machine,
            client if tape is None else tape,
            intake,
            version,
            REFUSAL_DEADLINE_S if version is None else version.contract.deadline_s,
            self.posture.durability == "before_response",
            intake.calibration_ppm,
            tape,
        )
        if intake.rulings is not None and machine.judges:
            live.keep_watch()
        self.live[machine.accepted.receipt] = live
        if intake.redemption is None:
            live.carry(effects)
        else:
            live.carry_after(intake.redemption, effects)
        return None if live.client is None else live

    def simulate(self, headers: Headers, body: bytes, key: Key | None) -> rc.Receipt:
        """The receipt that a chat request would get, up to its plan: no upstream is called, nothing is written."""
        intake = Intake("chat", Heading(headers), body, key, *_known(key), simulation=True)
        _, _, effects = self._decide(intake)
        for effect in effects:
            if isinstance(effect, Close):
                return effect.receipt
        raise AssertionError("a simulation closes when it is decided")

    def alerted(self, receipt: rc.Receipt, intake: Intake) -> rc.Receipt:
        """The receipt of a governed call, with whom its rules told by its end."""
        rulings = intake.rulings
        if rulings is None:
            return receipt
        with suppress(WardwrightError):  # the call is over: what a full sink refuses stands in the receipt
            governing.alert(self, intake)
        used = None if intake.redemption is None else intake.approval
        if not rulings.alerts and used is None:
            return receipt
        return msgspec.structs.replace(receipt, alerts=tuple(rulings.alerts), approval=used)

    def seal(self, tenant: str) -> Seal:
        """The keyed digest under which texts of a tenant are remembered."""
        secret = self._secret(tenant)
        return lambda text: secret.digest(text.encode("utf-8", "surrogatepass")).hex()

    def closed(self, receipt: rc.Receipt, calibration_ppm: int | None) -> None:
        """A call has ended: what the gateway learns from it. `calibration_ppm` is what its estimate rested on."""
        self.live.pop(receipt.receipt, None)
        self.meters.closed(receipt)
        if receipt.status == "completed":
            if calibration_ppm is not None and receipt.usage_source == "reported":
                assert receipt.contract is not None
                self._lessons += 1
                known = self.calibrations.get(receipt.contract.name)
                if known is None or not self._lessons % LESSONS_SKIPPED:
                    self._learn(receipt, receipt.contract.name, known or Calibration(), calibration_ppm)
        elif receipt.request.body:
            self._recent_failures[receipt.caller.tenant.value, receipt.request.body] = receipt.receipt
            if len(self._recent_failures) > RECENT_FAILURES_MAX:
                self._recent_failures.popitem(last=False)

    def _learn(self, receipt: rc.Receipt, contract: str, known: Calibration, calibration_ppm: int) -> None:
        assert receipt.facts is not None
        reported = receipt.attempts[-1].usage.input_total
        self.calibrations[contract] = known.learn(receipt.facts.input_tokens, reported, calibration_ppm)

    def authenticate(self, heading: Heading) -> Key | None:
        """The serving key of a request, or None for keyless access where the gateway allows it.

        Raises `missing_api_key`, `invalid_api_key`, `host_not_allowed`, `origin_not_allowed`.
        """
        if heading.token_hash is None:
            token = token_of(heading.headers, self.posture)
            if token is None:
                return None
            heading.token_hash = digest_of(token)
        return self.keys.known(heading.token_hash, self.clock.now_us())

    def _decide(self, intake: Intake) -> tuple[Machine, Version | None, tuple[Effect, ...]]:
        """Everything up to the plan, the same for a live call and for a simulation."""
        now_us, now_ns = self.clock.now_us(), self.clock.monotonic_ns()
        receipt = intake.receipt = mint("rcp", now_us, self._luck.bits(LUCK_BITS))
        failure: WardwrightError | None = None
        try:
            secret = self._secret(intake.tenant)
            intake.read(secret)
            version, contract, facts = intake.resolve(
                self.catalog,
                self.health,
                self.calibrations_ppm,
                hops_max=self.posture.hops_max,
                now=self.now(),
                secret=secret,
            )
            if version.governance is not None:
                version, contract, facts = governing.ruled_request(self, intake, version, contract, facts)
        except WardwrightError as error:
            failure = error
        head = intake.head
        machine = Machine(
            Accepted(
                caller=intake.caller,
                identity=Identity(f"chatcmpl-{receipt}", "" if head is None else head.model, now_us // 1_000_000),
                include_usage=intake.include_usage,
                now_ns=now_ns,
                receipt=receipt,
                request=intake.request(),
                retry_of=self._recent_failures.get((intake.tenant, intake.digest)) if intake.retries else None,
                simulation=intake.simulation,
                started_at=now_us,
            )
        )
        rulings = intake.rulings
        if failure is not None:
            now_ns = self.clock.monotonic_ns()
            return machine, None, machine.refused(failure, now_ns, contract=intake.contract, rulings=rulings)
        if version.route.learns:
            facts = msgspec.structs.replace(facts, learned=self._learned_of(version, intake, now_us))
        planned = plan(version.route, facts)
        refusal: WardwrightError | None = None
        retry_after_s: int | None = None
        if rulings is not None and planned.refusal is None:
            facts, planned, refusal = governing.ruled_route(self, intake, version, facts, planned)
            if refusal is None and planned.refusal is None:
                deadline_us = now_us + version.contract.deadline_s * 1_000_000
                refusal, retry_after_s = governing.reserved(self, intake, version, facts, planned, deadline_us)
        if refusal is None and intake.approving and planned.refusal is None:
            try:
                intake.redemption = approving.redeem(self.approvals, intake)
            except WardwrightError as error:
                refusal = error
        effects = machine.decided(
            contract,
            version.node_type,
            facts,
            planned,
            version.terms(planned),
            self.clock.monotonic_ns(),
            before=spoke_before(version.route, facts) if planned.draws else None,
            refusal=refusal,
            retry_after_s=retry_after_s,
            rulings=rulings,
        )
        return machine, version, effects

    def replan(self, machine: Machine, intake: Intake, version: Version, again: Again) -> tuple[Effect, ...]:
        """Another attempt, as a rule wants it: what it is told, whether that fits, and where it may go."""
        facts = governing.reminded(intake, version, self.calibrations_ppm, machine.facts, again)
        facts = msgspec.structs.replace(facts, resting=version.resting(self.health.resting(self.now())))
        planned = plan(version.route, facts)
        refusal, retry_after_s = None, None
        if planned.refusal is None:
            deadline_us = machine.accepted.started_at + version.contract.deadline_s * 1_000_000
            refusal, retry_after_s = governing.reserved(self, intake, version, facts, planned, deadline_us)
        return machine.replanned(
            again,
            facts,
            planned,
            version.terms(planned),
            self.clock.monotonic_ns(),
            refusal=refusal,
            retry_after_s=retry_after_s,
        )

    def _learned_of(self, version: Version, intake: Intake, now_us: int) -> Learned:
        house = said(intake.caller.house) or ""
        return self.learned.of(
            version, tenant=intake.tenant, house=house, kind=intake.kind, at_us=now_us, now=self.now()
        )

    def _secret(self, tenant: str) -> Keyed:
        key = self.tenant_keys.key(tenant)
        secret = self._secrets.get(key)
        if secret is None:
            secret = self._secrets[key] = Keyed(key)
        return secret


def _known(key: Key | None) -> tuple[rc.Caller, str]:
    """Who calls and in which tenant, as far as the credential says it."""
    return unclaimed(key), "local" if key is None else key.tenant
