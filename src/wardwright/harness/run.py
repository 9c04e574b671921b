"""One call of a tool on its way: what is known of it, and what its receipt will say.

Rule 1: nothing is decided twice: rules are asked once before and once after.
Rule 2: whatever way it ends, `closed` makes its receipt of what is known by then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Final, TypeVar

import msgspec

from wardwright.calls.memory import Memory, call_events
from wardwright.calls.receipt import Caller, Sourced, said
from wardwright.contracts.house import HouseContract, Power
from wardwright.contracts.refusal import did_you_mean
from wardwright.contracts.tool import EFFECTS, ToolContract
from wardwright.harness.call import CLAIMS_BYTES_MAX, EVIDENCE_MAX, Call, Reaching, Surroundings
from wardwright.harness.core import facts
from wardwright.harness.core import receipt as tr
from wardwright.harness.core.before import Snapshot
from wardwright.harness.core.hands import Scope
from wardwright.harness.core.houses import Obligation
from wardwright.harness.core.modes import DEMANDS, Demands, Requirement
from wardwright.harness.core.rules import Rules, Rulings
from wardwright.harness.core.scope import scope_of
from wardwright.harness.core.shelf import Served, Shelf
from wardwright.harness.core.tool import Context, decoded
from wardwright.journal.entry import Entry
from wardwright.kernel import canonical
from wardwright.kernel.detectors.table import DETECTORS_VERSION
from wardwright.kernel.errors import CODES, WardwrightError
from wardwright.kernel.ids import LUCK_BITS, mint
from wardwright.limits.history import History
from wardwright.limits.observed import Key, key_of
from wardwright.limits.patterns import Patterns
from wardwright.limits.prediction import Prediction
from wardwright.limits.shapes import shape_of
from wardwright.policy.decision import Decision

DEPTH_MAX: Final = 8
"""Tools within tools."""

INPUT_BYTES_MAX: Final = 4 * 1024 * 1024
"""Of a declared input; answers that rest on a longer one are not given again."""

T = TypeVar("T")

FORETOLD_PPM: Final = 500_000
"""Where a call with an effect may be less likely to succeed than this, the sovereign mode asks a person."""


class Installation(msgspec.Struct, frozen=True, kw_only=True):
    """What calls are judged by and learn from."""

    history: History
    houses: Mapping[str, HouseContract]
    patterns: Patterns
    rules: Callable[[str], Rules | None]
    """Those over calls in a house, by its name."""
    shelf: Shelf


class Run:
    """One call on its way."""

    def __init__(self, around: Surroundings, here: Installation, call: Call) -> None:
        self.call = call
        self.demands: Demands = DEMANDS[call.mode]
        self.started_us = around.clock.now_us()
        self.receipt = mint(tr.PREFIX, self.started_us, around.luck.bits(LUCK_BITS))
        self.tenant = call.caller.tenant.value
        self.answer_key: tuple[object, ...] | None = None
        self.approval: str | None = None
        """The one that it waits for, or that it used."""
        self.arguments: msgspec.Struct | None = None
        self.attempts: list[tr.Try] = []
        self.cached_from: str | None = None
        self.closed_already = False
        """Its receipt is written."""
        self.deadline_ns = 0
        """Of all attempts; of the monotonic clock."""
        self.amended: tuple[str, ...] = ()
        """Arguments that rules set."""
        self.captured = False
        """Arguments and result are kept."""
        self.hands: Reaching | None = None
        self.intent: Entry | None = None
        self.obligations: tuple[Obligation, ...] = ()
        self.prediction: Prediction | None = None
        self.ran = False
        """Something may have been done."""
        self.resumed: tr.ToolReceipt | None = None
        """The last attempt of the same steps, which this one takes up."""
        self.same = ""
        """The keyed digest of tool and arguments: what an approval is for."""
        self.scope: Scope | None = None
        self.served: Served | None = None
        self.shape = ""
        self.snapshots: tuple[Snapshot, ...] = ()
        self.steps: list[str] = []
        """Receipts of those that are done."""
        self.undoes: str | None = None
        self._around = around
        self._began_ns = around.clock.monotonic_ns()
        self._decided_ns = 0
        self._given: dict[str, object] = {}
        self._rules: Rules | None = None
        self._rulings = Rulings(None, None)
        self._sealed_arguments = ""
        self._here = here

    # -- what it is ----------------------------------------------------------------------------------------------------

    def identify(self) -> None:
        """Raises `tool_not_found`, `tool_arguments`."""
        self._require_sound()
        if self.call.depth > DEPTH_MAX:
            raise failure("tool_arguments", f"tools within tools stand deeper than {DEPTH_MAX}")
        self.served = self._here.shelf.get(self.call.tool)
        self.arguments = decoded(self.served.arguments, self.call.arguments)
        self._given = msgspec.to_builtins(self.arguments)
        self.scope = scope_of(self.served.contract, self.arguments)
        self._know()

    def undoing(self, receipt: tr.ToolReceipt, *, forced: bool) -> None:
        """Raises `tool_not_found`, `tool_arguments`, `tool_failed`."""
        self._require_sound()
        self.served = self._here.shelf.get(self.call.tool)
        self._given = {"forced": forced, "receipt": receipt.receipt}
        self.scope = Scope(write=tuple(one.path for one in receipt.snapshots))
        self._know()
        if not receipt.snapshots:
            message = f"`{receipt.receipt}` kept nothing that could be put back"
            raise failure("tool_failed", message, f"its reversal is {receipt.reversal}")

    def _require_sound(self) -> None:
        """What a call says of itself stands in its receipt; what cannot stand there is left out of it and refused."""
        call = self.call
        try:
            said_of_it = msgspec.json.encode((call.caller, call.evidence, call.plan, call.approval, call.tool))
            sound = len(said_of_it) <= CLAIMS_BYTES_MAX and len(call.evidence) <= EVIDENCE_MAX
        except UnicodeEncodeError:
            sound = False
        if not sound:
            self.call = msgspec.structs.replace(
                call, approval=None, caller=Caller(tenant=call.caller.tenant), evidence=(), plan=None, tool=""
            )
            message = "what the call says of itself is too long, or is no text"
            hint = f"it cites at most {EVIDENCE_MAX} receipts, and all of it has at most {CLAIMS_BYTES_MAX:,} bytes"
            raise failure("tool_arguments", message, hint)

    def _know(self) -> None:
        assert self.served is not None
        house = self.call.house
        if house and house not in self._here.houses:
            raise failure("tool_arguments", f"no house is named `{house}`", did_you_mean(house, self._here.houses))
        self._seal()
        self._rules = self._here.rules(house)
        memory = None
        if self._rules is not None and self._rules.looks_back:
            caller = self.call.caller
            events = call_events(
                self.receipt,
                caller,
                self._rules.policy,
                model=self.served.name,
                conversation=said(caller.session) or "",
                source="none" if caller.session is None else "header",
                step=0,
                turn=0,
            )
            tenant = self.tenant
            memory = Memory(
                self._here.history,
                self._rules.policy,
                events,
                lambda text: self._around.seal(tenant, text.encode()),
            )
        self._rulings = Rulings(self._rules, memory)

    def _seal(self) -> None:
        """What the receipt, patterns and approvals know the arguments by."""
        assert self.served is not None
        encoded = canonical.encode(self._given)
        self.shape = shape_of(self._given)
        self._sealed_arguments = self._around.seal(self.tenant, encoded)
        what = b"call" if self.undoes is None else b"undo"
        self.same = self._around.seal(self.tenant, b"\n".join((what, self.served.digest.encode(), encoded)))

    def amend(self, decision: Decision) -> None:
        """Take on the arguments that rules set: from here on they are those of the call, for its scope, its approval,
        the cache and the receipt. Rules are not asked about them again. Raises `tool_arguments`."""
        if not (amended := decision.arguments):
            return
        assert self.served is not None
        try:
            self.arguments = decoded(self.served.arguments, self._given | amended)
        except WardwrightError as error:
            names = ", ".join(f"`{name}`" for name in sorted(amended))
            message = f"rules set {names}, and `{self.served.name}` cannot be called so: {error.message}"
            raise failure("tool_arguments", message, error.hint) from error
        self._given = msgspec.to_builtins(self.arguments)
        self.scope = scope_of(self.served.contract, self.arguments)
        self.amended = tuple(sorted(amended))
        self._seal()

    def foretell(self) -> None:
        if self.demands.predicts or (self._rules is not None and self._rules.reads("prediction.")):
            self.prediction = self._here.patterns.predict(self.key, self.started_us)

    @property
    def looks_back(self) -> bool:
        """Rules ask what was before, or will."""
        return self._rules is not None and self._rules.looks_back

    @property
    def remembered(self) -> bool:
        """It has earned something that other calls are judged by."""
        return self._rulings.memory is not None and bool(self._rulings.memory.call.events)

    @property
    def key(self) -> Key:
        assert self.served is not None
        return key_of(
            self.tenant, kind="tool", name=self.served.name, shape=self.shape, house=self.call.house, target=self.target
        )

    @property
    def target(self) -> str:
        """What it works on, as far as its health is concerned."""
        return target_of(self.scope)

    def given(self) -> dict[str, object]:
        return self._given

    def step(self, tool: str, arguments: Mapping[str, object], *, degraded_from: str | None = None) -> Call:
        """A call within this one."""
        caller, first = self.call.caller, self.resumes or self.receipt
        if caller.run is None:
            caller = msgspec.structs.replace(caller, run=Sourced("trusted_auth", first))
        return msgspec.structs.replace(
            self.call,
            arguments=arguments,
            caller=caller,
            degraded_from=degraded_from,
            depth=self.call.depth + 1,
            parent=self.receipt,
            tool=tool,
        )

    @property
    def resumes(self) -> str | None:
        """The first attempt of the same steps."""
        return None if self.resumed is None else self.resumed.resumes or self.resumed.receipt

    def takes_up(self, earlier: tr.ToolReceipt) -> bool:
        """Whether this is the same call of the same caller under the same rules, which stopped for an approval."""
        return (
            earlier.status == "awaiting_approval"
            and earlier.caller == self.call.caller
            and earlier.tool == self._ref()
            and earlier.arguments == self._sealed_arguments
            and earlier.mode == self.call.mode.value
            and earlier.policies == self._policies
        )

    # -- whether it may ------------------------------------------------------------------------------------------------

    def decide_before(self) -> Decision:
        return self._rulings.decide(
            "tool.before", facts.before(self._asked(), self._rulings.wants("tool.before")), self.started_us
        )

    def decide_after(self, status: tr.Status, error: str | None, result: bytes) -> Decision:
        gave = facts.Gave(
            attempts=len(self.attempts),
            cached=self.cached_from is not None,
            error=error,
            result=result,
            status=status,
            took_us=self._took_us(),
        )
        return self._rulings.decide(
            "tool.after",
            facts.after(self._asked(), gave, self._rulings.wants("tool.after")),
            self._around.clock.now_us(),
        )

    def mode_wants(self) -> tuple[str, str] | None:
        """Why the mode wants a person's approval, as the name of a rule and a message; None: it does not."""
        assert self.served is not None
        contract = self.served.contract
        if not self.demands.asks_below_bound or contract.effect == "read":
            return None
        if contract.effect == "irreversible" and not self._may("decide"):
            return "four-eyes", f"`{contract.name}` cannot be taken back: a second person decides"
        if EFFECTS.index(contract.effect) >= EFFECTS.index("write-remote") and self.prediction is not None:
            if self.prediction.abstained:
                return "unforetold", f"nobody can tell yet whether `{contract.name}` succeeds"
            if self.prediction.low_ppm < FORETOLD_PPM:
                return "unforetold", f"`{contract.name}` may well fail"
        return None

    def _may(self, power: Power) -> bool:
        house = self._here.houses.get(self.call.house)
        return house is not None and power in house.powers

    def refused(self, error: WardwrightError) -> tr.Status:
        if error.code == "approval_required":
            return "awaiting_approval"
        return "denied" if CODES[error.code].fault == "policy" else "refused"

    # -- doing it ------------------------------------------------------------------------------------------------------

    def require_trust(self, trusted: frozenset[str]) -> None:
        assert self.served is not None
        name = self.served.contract.implements or self.served.name
        if self.requirement == "all" and name not in trusted:
            where = "outside of our walls" if self._is_foreign else "in this process"
            message = f"`{name}` would run {where}, and the mode `{self.call.mode.value}` does not allow that"
            raise failure("sandbox_unavailable", message, "call it in another mode")

    @property
    def requirement(self) -> Requirement:
        assert self.served is not None
        return self.demands.requirement(self.served.contract.effect)

    def reach(self) -> None:
        """Raises `scope_denied`, `sandbox_unavailable`."""
        assert self.scope is not None
        if self.hands is None:
            self.hands = self._around.hands(self.scope, self.requirement)

    def left_s(self) -> float:
        """Of the time for all attempts."""
        return max(0.0, (self.deadline_ns - self._around.clock.monotonic_ns()) / 1e9)

    async def attempt(self) -> object:
        """One attempt. Raises `tool_failed`, `tool_timeout` and what hands raise."""
        assert self.served is not None
        assert self.served.function is not None
        assert self.hands is not None
        contract = self.served.contract
        context = Context(
            hands=self.hands,
            output_bytes_max=contract.output_bytes_max,
            run=said(self.call.caller.run) or self.receipt,
            timeout_s=self.left_s(),
        )
        result = await self.tried(self.served.function.run(self.arguments, context))
        return msgspec.to_builtins(result)

    async def tried(self, work: Awaitable[T]) -> T:
        """Await an attempt and note how it went. Raises what it raises, `tool_failed` for its defects."""
        self.ran = True
        began_ns = self._around.clock.monotonic_ns()
        self._decided_ns = self._decided_ns or began_ns
        code: str | None = None
        try:
            return await work
        except WardwrightError as error:
            code = error.code
            raise
        except asyncio.CancelledError:
            code = "tool_cancelled"
            raise
        except Exception as defect:
            code = "tool_failed"
            self._around.report(defect)
            raise failure("tool_failed", f"a defect of the tool `{self.call.tool}`; the log has its trace") from defect
        finally:
            took_us = (self._around.clock.monotonic_ns() - began_ns) // 1000
            self.attempts.append(tr.Try(error=code, took_us=took_us))

    def timed_out(self) -> None:
        """The attempt under way was cut by the call's time, and not by its caller."""
        if self.attempts and self.attempts[-1].error == "tool_cancelled":
            self.attempts[-1] = msgspec.structs.replace(self.attempts[-1], error="tool_timeout")

    def encoded(self, value: object) -> bytes:
        """The result as JSON. Raises `tool_failed` for one that is larger than it may be."""
        assert self.served is not None
        data = msgspec.json.encode(value)
        most = self.served.contract.output_bytes_max
        if self.served.function is not None and len(data) > most:
            raise failure("tool_failed", f"the result has {len(data):,} bytes; it may have {most:,}")
        return data

    async def key_of_answer(self) -> tuple[object, ...] | None:
        """What must be equal for an answer to be given again; None where that cannot be told."""
        assert self.served is not None
        assert self.scope is not None
        contract = self.served.contract
        inputs: list[str] = []
        if contract.inputs:
            keep = self._around.keep(self.tenant)
            try:
                self.reach()
                assert self.hands is not None
                for path in self._inputs(contract):
                    content = await self.hands.read(path, bytes_max=INPUT_BYTES_MAX)
                    if content.truncated:
                        return None
                    inputs.append(keep.digest(content.data))
            except WardwrightError:
                return None  # the call itself says what is wrong with it
        return (self.tenant, self.served.digest, self._sealed_arguments, self.scope, tuple(inputs))

    def _inputs(self, contract: ToolContract) -> Iterator[str]:
        for name in contract.inputs:
            given = self._given.get(name)
            yield from (
                (str(one) for one in given)
                if isinstance(given, list | tuple)
                else ()
                if given is None
                else (str(given),)
            )

    def failed(self, error: WardwrightError) -> tr.Status:
        match error.code:
            case "tool_timeout":
                return "timed_out"
            case "approval_required":
                return "awaiting_approval"
            case _ if not self.ran or CODES[error.code].fault == "policy":
                return self.refused(error)
            case _:
                return "failed"

    # -- the records ---------------------------------------------------------------------------------------------------

    def opened(self) -> Entry:
        assert self.served is not None
        assert self.scope is not None
        data = tr.Opened(
            arguments=self._sealed_arguments,
            caller=self.call.caller,
            effect=self.served.contract.effect,
            house=self.call.house,
            receipt=self.receipt,
            scope=self.scope,
            snapshots=self.snapshots,
            started_at=self.started_us,
            tool=self._ref(),
        )
        return Entry(tr.OPENED, data, at=self.started_us, actor="harness", run=said(self.call.caller.run))

    def closed(self, status: tr.Status, error: WardwrightError | None, result: bytes, order: int) -> tr.ToolReceipt:
        contract = None if self.served is None else self.served.contract
        memory, now_us = self._rulings.memory, self._around.clock.now_us()
        decided = self._decided_ns or self._around.clock.monotonic_ns()
        return tr.ToolReceipt(
            amended=self.amended,
            approval=self.approval,
            arguments=self._sealed_arguments,
            attempts=tuple(self.attempts),
            cached_from=self.cached_from,
            caller=self.call.caller,
            captured=self.captured,
            degraded_from=self.call.degraded_from,
            detectors=DETECTORS_VERSION if self._rules is not None and self._rules.detects else None,
            effect="read" if contract is None else contract.effect,
            error=None if error is None else error.code,
            evidence=self.call.evidence,
            history=None if memory is None else memory.settle(now_us),
            house=self.call.house,
            mode=self.call.mode.value,
            obligations=self.obligations,
            order=order,
            parent=self.call.parent,
            plan=self.call.plan,
            policies=self._policies,
            policy=self._rulings.records(),
            prediction=self.prediction,
            receipt=self.receipt,
            result=self._around.seal(self.tenant, result) if result else "",
            result_bytes=len(result),
            resumes=self.resumes,
            reversal="T0" if contract is None else contract.reversal,
            scope=self.scope,
            shape=self.shape,
            snapshots=self.snapshots,
            started_at=self.started_us,
            status=status,
            steps=tuple(self.steps),
            timings=tr.Timings(
                decided_us=(decided - self._began_ns) // 1000,
                ran_us=sum(one.took_us for one in self.attempts),
                total_us=self._took_us(),
            ),
            tool=self._ref(),
            undoes=self.undoes,
            walls=self._walls,
        )

    @property
    def _policies(self) -> tuple[tuple[str, str], ...]:
        return () if self._rules is None else self._rules.names

    def _ref(self) -> tr.ToolRef:
        if self.served is None:
            return tr.ToolRef(digest="", name=self.call.tool[:200])
        return tr.ToolRef(digest=self.served.digest, name=self.served.name, version=self.served.contract.version)

    def _asked(self) -> facts.Asked:
        assert self.served is not None
        assert self.scope is not None
        return facts.Asked(
            arguments=self._given,
            caller=self.call.caller,
            contract=self.served.contract,
            degraded=self.call.degraded_from is not None,
            evidence=len(self.call.evidence),
            mode=self.call.mode.value,
            plan=self.call.plan,
            prediction=self.prediction,
            scope=self.scope,
            shape=self.shape,
            undoes=self.undoes,
            walls="none" if self._is_foreign else self._around.walls,
        )

    @property
    def _is_foreign(self) -> bool:
        """Another server does it."""
        return self.served is not None and self.served.function is not None and self.served.function.foreign is not None

    @property
    def _walls(self) -> str:
        return "none" if self.hands is None or self._is_foreign else self.hands.walls

    def _took_us(self) -> int:
        return (self._around.clock.monotonic_ns() - self._began_ns) // 1000


def target_of(scope: Scope | None) -> str:
    """What a call works on, as far as its health is concerned."""
    if scope is None:
        return "local"
    return next(iter((*scope.public_hosts, *scope.hosts, *scope.programs)), "local")


def failure(code: str, message: str, hint: str | None = None) -> WardwrightError:
    return WardwrightError(code, message, hint=hint)
