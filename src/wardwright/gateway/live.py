"""One live call: carries out what the call machine says, and tells it what happened.

The effects of the machine are carried out in order. Where the gateway promises durability before it answers, the ones
after `Open` and `Close` wait until the journal has them; whatever the machine says meanwhile queues up behind. The
call's deadline bounds that wait too. A call that is abandoned while it waits still ends its attempt and has its
receipt: what is dropped is only what its client would have heard.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec

from wardwright.calls import receipt as rc
from wardwright.calls.effects import (
    Answer,
    Begin,
    Break,
    Cancel,
    Close,
    Effect,
    Finish,
    Open,
    Refuse,
    Release,
    Replan,
    Settle,
    Start,
)
from wardwright.calls.machine import Machine
from wardwright.calls.rulings import Again
from wardwright.dialects.exchange import Exchange, Failure, Headers
from wardwright.dialects.openai_wire import error_event
from wardwright.dialects.voice import Ask
from wardwright.gateway.capture import Tape
from wardwright.gateway.catalog import Aim, Version
from wardwright.gateway.client import Client
from wardwright.gateway.health import HealthBoard
from wardwright.gateway.intake import Intake
from wardwright.gateway.posture import Posture
from wardwright.gateway.redemption import Redemption
from wardwright.journal.entry import Entry, Relation, Writer
from wardwright.kernel.errors import WardwrightError
from wardwright.kernel.ids import Clock
from wardwright.limits.deadlines import NEVER, Deadline, Wheel


class Surroundings(Protocol):
    """What a call needs of the gateway it runs in."""

    clock: Clock
    health: HealthBoard
    now: Callable[[], float]
    posture: Posture
    report: Callable[[Exception], None]
    wheel: Wheel
    writer: Writer

    def replan(self, machine: Machine, intake: Intake, version: Version, again: Again) -> tuple[Effect, ...]:
        """Another attempt, as a rule wants it."""
        ...

    def alerted(self, receipt: rc.Receipt, intake: Intake) -> rc.Receipt:
        """The receipt of a governed call, with whom its rules told."""
        ...

    def closed(self, receipt: rc.Receipt, calibration_ppm: int | None) -> None:
        """The call has ended with this receipt."""
        ...


REFUSAL_DEADLINE_S: Final = 30
"""How long a refusal that no contract bounds may wait for the journal."""

_OWED: Final = (Cancel, Settle, Close)
"""Effects that a call owes to others than its client."""

_RESTING: Final = Failure(kind="resting", message="the target began to rest after the route was planned")


class _Wake(Deadline):
    """Text that waits for a rule has waited long enough."""

    __slots__ = ("_live", "due_ns")

    def __init__(self, live: Live) -> None:
        super().__init__()
        self._live: Live | None = live
        self.due_ns: int | None = None
        """What it is armed for, of the monotonic clock."""

    def expired(self, now: float) -> None:
        self.due_ns = None
        if self._live is not None:
            self._live.woken()

    def forget(self) -> None:
        """The call is over: the wheel, which may still hold this, holds nothing of it, and no cycle is left."""
        self.at = NEVER
        self._live = None


class Live(msgspec.Struct, eq=False):
    """A call under way. Implements `dialects.exchange.Receiver`; its client calls `left`, `pause` and `resume`."""

    _gateway: Surroundings
    machine: Machine
    client: Client | None
    """None once it has heard everything. Where capture is on, the tape that stands before the client."""
    _intake: Intake
    version: Version | None
    deadline_s: int
    """How long the call may take, from its start."""
    _waits: bool
    """What follows `Open` and `Close` waits for the journal."""
    _calibration_ppm: int | None
    _tape: Tape | None = None
    _aim: Aim | None = None
    """Of the attempt that runs or ran last."""
    _began: float = 0.0
    """When it started, in monotonic seconds."""
    _begun: bool = False
    """The client has the head of a stream."""
    _exchange: Exchange | None = None
    _opened: Entry | None = None
    _queue: deque[Effect] | None = None
    """Effects that wait for the journal; None while nothing waits."""
    _wake: _Wake | None = None
    """Rules read the answer: what sees to it that text which waits for one does not wait too long."""

    @property
    def drains(self) -> bool:
        """The client has left, and the upstream's answer is read to its end."""
        return self.client is None and not self.machine.closed

    def keep_watch(self) -> None:
        """Rules read the answer."""
        self._wake = _Wake(self)

    # -- what the upstream does (dialects.exchange.Receiver) -----------------------------------------------------------

    def head(self, status: int, headers: Headers) -> None:
        self.machine.head(status, headers, self._gateway.clock.monotonic_ns())

    def body(self, data: bytes) -> None:
        try:
            effects = self.machine.event(data, self._gateway.clock.monotonic_ns())
        except Exception as defect:
            self._defect(defect)
            return
        if effects:
            self.carry(effects)
        if self._wake is not None:
            self._watch(self._wake)

    def end(self) -> None:
        self._exchange = None
        try:
            effects = self.machine.end(self._gateway.clock.monotonic_ns())
        except Exception as defect:
            self._defect(defect)
            return
        self.carry(effects)

    def failed(self, failure: Failure) -> None:
        self._exchange = None
        self.carry(self.machine.failed(failure, self._gateway.clock.monotonic_ns()))

    # -- what the client and the clock do ------------------------------------------------------------------------------

    def left(self) -> None:
        """The client has closed its connection."""
        self.client = None
        if self._tape is not None:
            self._tape.left()
        self.carry(self.machine.client_left(self._gateway.clock.monotonic_ns()))
        self.resume()  # nobody is slow any more

    def woken(self) -> None:
        """Text has waited for a rule for as long as it may."""
        try:
            self.carry(self.machine.wake(self._gateway.clock.monotonic_ns()))
        except Exception as defect:
            self._defect(defect)
            return
        if self._wake is not None:
            self._watch(self._wake)

    def expired(self) -> None:
        """The call's deadline has passed."""
        self.carry(self.machine.tick(self._gateway.clock.monotonic_ns()))
        if self._queue is not None:
            self._durable(WardwrightError("journal_write", "the journal did not answer in time"))

    def pause(self) -> None:
        """The client reads more slowly than the upstream writes."""
        if self._exchange is not None:
            self._exchange.pause()

    def resume(self) -> None:
        if self._exchange is not None:
            self._exchange.resume()

    # -- carrying out --------------------------------------------------------------------------------------------------

    def carry(self, effects: tuple[Effect, ...]) -> None:
        """Carry out effects, behind those that wait already. Raises nothing: a defect ends the call.

        An effect whose carrying out says so has those behind it wait for the journal.
        """
        if self._queue is not None:
            self._queue.extend(effects)
            return
        try:
            for place, effect in enumerate(effects, 1):
                if _CARRIED[type(effect)](self, effect):
                    self._queue = deque(effects[place:])
                    return
        except Exception as defect:
            self._defect(defect)

    def carry_after(self, redemption: Redemption, effects: tuple[Effect, ...]) -> None:
        """The same once the call's approval is used up for good; where it cannot be, the call does not run."""
        self._queue = deque(effects)
        redemption.listen(self._redeemed)

    def _redeemed(self, failure: Exception | None) -> None:
        if failure is None:
            queue, self._queue = self._queue, None
            self.carry(tuple(queue or ()))
        else:
            self._abandon(WardwrightError("journal_unavailable", "the use of the approval could not be written"))

    def _release(self, effect: Release) -> None:
        if self.client is not None:
            self.client.send(effect.data)

    def _answer(self, effect: Answer) -> None:
        if self.client is not None:
            self.client.answer(effect.body, self._headers())
            self.client = None

    def _begin(self, _: Begin) -> None:
        if self.client is not None:
            self._begun = True
            self.client.begin(self._headers())

    def _finish(self, _: Finish) -> None:
        if self.client is not None:
            self.client.finish()
            self.client = None

    def _cancel(self, _: Cancel) -> None:
        if self._exchange is not None:
            self._exchange.cancel()
            self._exchange = None

    def _start(self, effect: Start) -> None:
        gateway, machine, version = self._gateway, self.machine, self.version
        assert version is not None
        planned = machine.planned(effect.attempt)
        self._aim = aim = version.aims[planned.contract, planned.target]
        self._began = now = gateway.now()
        if not gateway.health.admits(aim.endpoint, now):
            self.carry(machine.failed(_RESTING, gateway.clock.monotonic_ns()))
            return
        request, facts = machine.accepted.request, machine.facts
        try:
            spoken = aim.terms.voice.request(
                Ask(
                    begun=bool(machine.prefix),
                    continues=facts.step > 0,
                    headers=self._intake.onward(),
                    kind=request.kind,
                    members=self._intake.members,
                    model=planned.model,
                    output_tokens=facts.output_tokens,
                    stream=request.stream or self._wake is not None,
                    target=aim.terms.mark,
                    unsupported=aim.target.unsupported_parameters,
                )
            )
        except WardwrightError as error:
            gateway.health.settle(aim.endpoint, None, began=now, ok=False, now=now)
            self.carry(machine.unsayable(error, gateway.clock.monotonic_ns()))
            return
        if spoken.changed:
            machine.changed(spoken.changed)
        self._exchange = aim.transport.start(spoken.request, self)

    def _replan(self, effect: Replan) -> None:
        assert self.version is not None
        self.carry(self._gateway.replan(self.machine, self._intake, self.version, effect.again))

    def _watch(self, wake: _Wake) -> None:
        """Have the wheel look when held text must be decided on."""
        due_ns = self.machine.due_ns
        if due_ns == wake.due_ns:
            return
        wake.due_ns = due_ns
        if due_ns is None:
            wake.at = NEVER
            return
        gateway = self._gateway
        wake.at = gateway.now() + max(due_ns - gateway.clock.monotonic_ns(), 0) / 1e9
        gateway.wheel.arm(wake)

    def _settle(self, effect: Settle) -> None:
        gateway = self._gateway
        if self._aim is None:
            return  # nothing was started yet
        gateway.health.settle(self._aim.endpoint, effect.failure, began=self._began, ok=effect.ok, now=gateway.now())

    def _open(self, effect: Open) -> bool:
        self._opened = self._write(rc.OPENED, effect.opened, effect.opened.started_at, ())
        return self._waits

    def _close(self, effect: Close) -> bool:
        if self._wake is not None:
            self._wake.forget()
            self._wake = None
        receipt = self._gateway.alerted(effect.receipt, self._intake)
        if self._tape is not None and self._tape.closed():
            receipt = msgspec.structs.replace(receipt, captured=True)
        ended_at = receipt.started_at + receipt.timings.total_us
        self._write(rc.CLOSED, receipt, ended_at, () if self._opened is None else (("intent", self._opened),))
        self._gateway.closed(receipt, self._calibration_ppm)
        return self._waits

    def _write(
        self, kind: str, data: rc.Opened | rc.Receipt, at: int, refs: tuple[tuple[Relation, Entry | str], ...]
    ) -> Entry:
        run = data.caller.run
        entry = Entry(
            kind,
            data,
            at=at,
            on_durable=self._durable if self._waits else None,
            refs=refs,
            run=None if run is None else run.value,
        )
        self._gateway.writer.put(entry)
        return entry

    def _durable(self, failure: Exception | None) -> None:
        """The journal has what was put last, or could not take it."""
        if failure is None or self._gateway.posture.on_journal_failure == "degrade":
            queue, self._queue = self._queue, None
            self.carry(tuple(queue or ()))
            return
        self._abandon(WardwrightError("journal_unavailable", "the receipt of this call could not be written"))

    def _defect(self, defect: Exception) -> None:
        """A bug of ours ends this call and no other: the client hears of it, the log has the trace."""
        self._gateway.report(defect)
        self._abandon(WardwrightError("internal_error", "a defect of the gateway ended this call"))

    def _abandon(self, error: WardwrightError) -> None:
        self._waits = False
        queue, self._queue = self._queue, None
        self.carry(tuple(effect for effect in queue or () if isinstance(effect, _OWED)))
        self.carry(self.machine.abandon(error, self._gateway.clock.monotonic_ns()))
        if self._begun:
            self._break(Break(error))
        else:
            self._refuse(Refuse(error))

    def _refuse(self, effect: Refuse) -> None:
        if self.client is not None:
            self.client.refuse(effect.error, self.machine.accepted.receipt, effect.retry_after_s)
            self.client = None

    def _break(self, effect: Break) -> None:
        if self.client is not None:
            self.client.send(error_event(effect.error, self.machine.accepted.receipt))
            self.client.finish()
            self.client = None

    def _headers(self) -> bytes:
        lines = b"x-wardwright-receipt-id: %b\r\n" % self.machine.accepted.receipt.encode()
        version = self.version
        if version is not None and version.contract.expose_selected_model:
            planned = self.machine.planned(None)
            lines += b"x-wardwright-selected-model: %b/%b\r\n" % (planned.provider.encode(), planned.model.encode())
        return lines


_CARRIED: Final[dict[type[Effect], Callable[[Live, Any], bool | None]]] = {
    Answer: Live._answer,
    Begin: Live._begin,
    Break: Live._break,
    Cancel: Live._cancel,
    Close: Live._close,
    Finish: Live._finish,
    Open: Live._open,
    Refuse: Live._refuse,
    Release: Live._release,
    Replan: Live._replan,
    Settle: Live._settle,
    Start: Live._start,
}
"""How each effect is carried out; a test holds the table against the union."""
