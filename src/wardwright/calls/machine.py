"""The call machine: what happens in one governed model call, without I/O.

Rule 1: inputs are methods (`decided`, `head`, `event`, `end`, `failed`, `tick`, `client_left`), each with the instant
it happened; each returns effects in the order in which they must be carried out.
Rule 2: it holds no socket, task or clock, and plans no route: it is handed a plan and keeps to it, and asks for another
with `Replan`. Rules are asked through `rulings`. Live calls, simulation and replay drive this one machine.
Rule 3: another attempt is made only while no byte of an answer has reached the client: on the next target for failures
in FALL_THROUGH, or because a rule gave the last one up. One exception: a rule may have the same provider go on from
what the client has seen.
Rule 4: every call ends in exactly one `Close`; nothing follows it but what the client must still hear. A stream's
first `Release` comes after `Open`, its last after `Close`: whoever wants durability waits between them.
Rule 5: an answer that did not finish ends in `Break` or `Refuse`, never in a made-up end.
"""

from __future__ import annotations

from typing import Final, get_args

import msgspec

from wardwright.calls import receipt as rc
from wardwright.calls import refusals
from wardwright.calls.attempt import NO_USAGE, AttemptUnderWay, Terms
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
from wardwright.calls.governed_answer import GovernedAnswer
from wardwright.calls.rulings import Again, Rulings
from wardwright.dialects.answer import Identity
from wardwright.dialects.exchange import Failure, FailureClass, Headers
from wardwright.dialects.openai_render import Renderer
from wardwright.dialects.voice import Reader
from wardwright.kernel.errors import WardwrightError
from wardwright.kernel.events import Broken
from wardwright.kernel.usage import Usage
from wardwright.policy.decision import NOTHING, Decision
from wardwright.routing.plan import Attempt, Plan, RouteFacts
from wardwright.streams.effects import Abort, Retry
from wardwright.streams.governor import Delivery

FALL_THROUGH: Final[frozenset[FailureClass]] = frozenset(get_args(FailureClass)) - {"rejected"}
"""Failures after which the next target may be tried: all but the upstream's word that the request itself is wrong."""

_BROKEN: Final[dict[str, FailureClass]] = {
    "context_length_exceeded": "context_length",
    "upstream_rate_limited": "rate_limited",
    "upstream_stream_broken": "stream_broken",
    "upstream_unavailable": "overloaded",
}
"""What an upstream's word inside its answer means for its health; any other is an answer that cannot be read."""


class Accepted(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A call as it came in."""

    caller: rc.Caller
    identity: Identity
    include_usage: bool
    now_ns: int
    receipt: str
    request: rc.Request
    retry_of: str | None
    simulation: bool
    started_at: int
    """µs since the epoch."""


_CANCEL: Final = Cancel()
_BEGIN: Final = Begin()
_FINISH: Final = Finish()
_UNHEARD: Final = (0, 0, 0, 0, 0)
_NOTHING: Final[tuple[Effect, ...]] = ()


class Machine(msgspec.Struct, eq=False):
    """One call. Make it when the call is accepted; drive it until `closed`."""

    accepted: Accepted
    closed: bool = False
    prefix: str = ""
    """What the client has seen of an answer that another attempt goes on with."""

    _before: Attempt | None = None
    _client_bytes: int = 0
    _contract: rc.Contract | None = None
    _cost: int = 0
    _deadline_us: int | None = None
    _decided_us: int = 0
    _facts: RouteFacts | None = None
    _first: Plan | None = None
    """The plan the call began with; `_plan` and `_facts` are those that are carried out."""
    _first_byte_us: int | None = None
    _first_facts: RouteFacts | None = None
    _heard: tuple[int, int, int, int, int] = _UNHEARD
    """What the client was told before the attempt that goes on from there."""
    _index: int = -1
    """In the plan, of the attempt that runs or ran last."""
    _last_heard: tuple[int, int, int, int, int] | None = None
    _left: bool = False
    _left_us: int | None = None
    _node_type: str | None = None
    _opened: bool = False
    _plan: Plan | None = None
    _released: bool = False
    _renderer: Renderer | None = None
    """What wrote that."""
    _replans: tuple[rc.Replanned, ...] = ()
    _rulings: Rulings | None = None
    _run: AttemptUnderWay | None = None
    """The attempt that runs."""
    _running: bool = False
    _terms: tuple[Terms, ...] = ()
    _tried: list[rc.Tried] = []
    _usage: Usage = NO_USAGE
    _usage_source: rc.UsageSource = "none"

    # -- inputs ------------------------------------------------------------------------------------------------------

    def refused(
        self,
        error: WardwrightError,
        now_ns: int,
        *,
        contract: rc.Contract | None = None,
        rulings: Rulings | None = None,
    ) -> tuple[Effect, ...]:
        """The call ends before a route was decided."""
        self._contract, self._rulings = contract, rulings
        return self._refuse("refused", error, now_ns)

    def decided(
        self,
        contract: rc.Contract,
        node_type: str,
        facts: RouteFacts,
        plan: Plan,
        terms: tuple[Terms, ...],
        now_ns: int,
        *,
        before: Attempt | None = None,
        refusal: WardwrightError | None = None,
        retry_after_s: int | None = None,
        rulings: Rulings | None = None,
    ) -> tuple[Effect, ...]:
        """The route is planned; `terms` stand beside `plan.attempts`. `before` is whose turn the last step was.
        `refusal`: the rules of the route, or a budget, do not let it be tried; `retry_after_s` goes with it."""
        self._before = before
        self._contract, self._node_type, self._facts, self._plan, self._terms = contract, node_type, facts, plan, terms
        self._first, self._first_facts = plan, facts
        self._rulings = rulings
        self._decided_us = self._since(now_ns)
        if refusal is not None:
            return self._refuse("refused", refusal, now_ns, retry_after_s)
        if plan.refusal is not None:
            return self._refuse("refused", WardwrightError(plan.refusal.code, plan.refusal.message), now_ns)
        if self.accepted.simulation:
            return (self._close("simulated", now_ns, status=200),)
        return self._start(0, now_ns)

    def replanned(
        self,
        again: Again,
        facts: RouteFacts,
        plan: Plan,
        terms: tuple[Terms, ...],
        now_ns: int,
        *,
        refusal: WardwrightError | None = None,
        retry_after_s: int | None = None,
    ) -> tuple[Effect, ...]:
        """The route is planned anew, after `Replan`. A plan without attempts, or a `refusal`, ends the call: its rule
        fails closed."""
        if self.closed:
            return _NOTHING
        replanned = rc.Replanned(
            after=len(self._tried), facts=facts, kept_chars=len(again.kept), plan=plan, reminders=again.reminders
        )
        self._replans = (*self._replans, replanned)
        if refusal is None and plan.refusal is not None:
            refusal = WardwrightError(plan.refusal.code, plan.refusal.message)
        if refusal is not None:
            return self._give_up("blocked", refusal, retry_after_s, now_ns)
        self._facts, self._plan, self._terms = facts, plan, terms
        return self._start(0, now_ns)

    def changed(self, changed: tuple[str, ...]) -> None:
        """What was altered in the request of the attempt that starts."""
        assert self._run is not None
        self._run.changed = changed

    def head(self, status: int, headers: Headers, now_ns: int) -> tuple[Effect, ...]:
        """The upstream's head arrived."""
        run = self._run
        if self.closed or run is None:
            return _NOTHING
        run.answered_ns = now_ns
        run.http_status = status
        run.headers = headers
        if 200 <= status < 300:
            accepted, terms = self.accepted, run.terms
            stream, include_usage = accepted.request.stream, accepted.include_usage
            if self._rulings is not None and self.judges:
                renderer = self._renderer or terms.voice.renderer(
                    accepted.identity, stream=stream, include_usage=include_usage, target=terms.mark
                )
                run.answer = GovernedAnswer(
                    terms.voice.decoder(headers, streamed=True),
                    run.governor,
                    renderer,
                    keeps=self._rulings.governance.keeps_answers,
                    now_ns=now_ns,
                    prefix=self.prefix,
                    waits=self._rulings.governance.waits,
                    whole=not stream,
                )
            else:
                run.reader = terms.voice.reader(
                    accepted.identity, stream=stream, include_usage=include_usage, headers=headers, target=terms.mark
                )
        return _NOTHING

    def event(self, data: bytes, now_ns: int) -> tuple[Effect, ...]:
        """Bytes of the upstream's body arrived."""
        run = self._run
        if self.closed or run is None:
            return _NOTHING
        reader = run.reader
        if reader is None:
            if run.answer is not None:
                return self._judged(run.answer, run.answer.feed(data, now_ns), now_ns)
            run.take_error(data)
            return _NOTHING
        out = reader.feed(data)
        if reader.broken is not None:
            return (*self._passed(out, now_ns), _CANCEL, *self._broken(reader.broken, now_ns))
        if reader.done:
            return (*self._passed(out, now_ns), *self._complete(reader, now_ns))
        if not out or self._left:
            return _NOTHING
        return self._release(out, now_ns)

    def end(self, now_ns: int) -> tuple[Effect, ...]:
        """The upstream's answer is complete, as HTTP goes."""
        run = self._run
        if self.closed or run is None:
            return _NOTHING
        if run.answer is not None:
            return self._judge(run.answer, now_ns)
        if run.reader is None:
            failure = run.terms.voice.failure_of(run.http_status or 0, run.headers, run.error_body)
            return self._failed(failure, now_ns)
        return self._complete(run.reader, now_ns)

    def failed(self, failure: Failure, now_ns: int) -> tuple[Effect, ...]:
        """The exchange failed: no connection, a timeout, a reset, bytes that are not HTTP."""
        return _NOTHING if self.closed else self._failed(failure, now_ns)

    def unsayable(self, error: WardwrightError, now_ns: int) -> tuple[Effect, ...]:
        """The attempt's dialect cannot express the request: the next target, else the caller learns why."""
        failure = Failure(kind="rejected", message=error.message)
        return self._failed(failure, now_ns, fall_through=True)

    def tick(self, now_ns: int) -> tuple[Effect, ...]:
        """The call's own deadline has passed."""
        if self.closed:
            return _NOTHING
        self._deadline_us = self._since(now_ns)
        self._end_attempt(now_ns, failure="total_timeout", message="the call's deadline passed")
        abandoned = Settle(self._index, ok=False)
        if self._left:
            return (_CANCEL, abandoned, self._close_left(now_ns, "cancelled"))
        error = WardwrightError("deadline_exceeded", "the call's deadline passed before an answer was complete")
        return (_CANCEL, abandoned, *self._give_up("failed", error, None, now_ns))

    def wake(self, now_ns: int) -> tuple[Effect, ...]:
        """`due_ns` has come: text waits for a rule, and the upstream says nothing."""
        answer = None if self._run is None else self._run.answer
        if self.closed or answer is None:
            return _NOTHING
        return self._judged(answer, answer.tick(now_ns), now_ns)

    def client_left(self, now_ns: int) -> tuple[Effect, ...]:
        """The client closed its connection."""
        if self.closed or self._left:
            return _NOTHING
        self._left = True
        self._left_us = self._since(now_ns)
        run = self._run
        if run is None:
            return (self._close_left(now_ns, None),)
        if run.terms.drain:
            self._last_heard = self._counts()
            return _NOTHING
        self._end_attempt(now_ns)
        return (_CANCEL, Settle(self._index, ok=False), self._close_left(now_ns, "cancelled"))

    def abandon(self, error: WardwrightError, now_ns: int) -> tuple[Effect, ...]:
        """The gateway itself cannot go on: the journal failed, or a defect showed. The client is told elsewhere."""
        if self.closed:
            return _NOTHING
        self._end_attempt(now_ns)
        close = self._close("failed", now_ns, status=error.status, error=error.code)
        if self._run is None:
            return (close,)
        return (_CANCEL, Settle(self._index, ok=False), close)

    # -- what the gateway asks -----------------------------------------------------------------------------------------

    def planned(self, index: int | None) -> Attempt:
        """An attempt of the plan; with None the one that runs or ran last."""
        assert self._plan is not None
        return self._plan.attempts[self._index if index is None else index]

    @property
    def facts(self) -> RouteFacts:
        """What the plan that is carried out rests on."""
        assert self._facts is not None
        return self._facts

    @property
    def judges(self) -> bool:
        """Rules read the answers of this call, so its upstreams are asked to stream, whatever the client wants."""
        rulings = self._rulings
        return rulings is not None and rulings.governance.reads_answers and self.accepted.request.kind == "chat"

    @property
    def due_ns(self) -> int | None:
        """When `wake` must come at the latest; None: nothing waits for a rule."""
        answer = None if self._run is None else self._run.answer
        return None if answer is None or self.closed else answer.due_ns

    # -- transitions -------------------------------------------------------------------------------------------------

    def _start(self, index: int, now_ns: int) -> tuple[Effect, ...]:
        assert self._plan is not None
        planned, terms = self._plan.attempts[index], self._terms[index]
        if self._rulings is not None and self.judges:
            waits = self._rulings.governance.waits or not self.accepted.request.stream
            delivery: Delivery = "whole" if waits else "live"
            before, governor = self._rulings.attempt(
                len(self._tried), planned, self._us(now_ns), delivery=delivery, seen=bool(self.prefix)
            )
            if before.effect == "block":
                return self._refuse("blocked" if self._tried else "refused", refusals.blocked(before), now_ns)
            self._run = AttemptUnderWay(planned, terms, now_ns)
            self._run.before, self._run.governor = before, governor
        else:
            self._run = AttemptUnderWay(planned, terms, now_ns)
        self._index = index
        self._running = True
        return (Start(index),)

    def _release(self, data: bytes, now_ns: int) -> tuple[Effect, ...]:
        self._client_bytes += len(data)
        if self._released:
            return (Release(data),)
        self._released = True
        self._first_byte_us = self._since(now_ns)
        return (*self._open(), Release(data))

    def _passed(self, data: bytes, now_ns: int) -> tuple[Effect, ...]:
        """The same for bytes that may be none, or have nobody to hear them."""
        return self._release(data, now_ns) if data and not self._left else _NOTHING

    def _open(self) -> tuple[Effect, ...]:
        if self._opened:
            return _NOTHING
        self._opened = True
        assert self._contract is not None
        attempt = self.planned(None)
        return (
            Open(
                rc.Opened(
                    attempt=len(self._tried) - (0 if self._running else 1),
                    caller=self.accepted.caller,
                    contract=self._contract.digest,
                    model=attempt.model,
                    name=self._contract.name,
                    provider=attempt.provider,
                    receipt=self.accepted.receipt,
                    started_at=self.accepted.started_at,
                    target=attempt.target,
                )
            ),
            _BEGIN,
        )

    def _complete(self, reader: Reader, now_ns: int) -> tuple[Effect, ...]:
        released = self._counts() if self._released else _UNHEARD
        out = reader.close()
        if reader.broken is not None:
            if self._released and not self._left:
                self._last_heard = released  # what came since then was read, and is not passed on
            return self._broken(reader.broken, now_ns)
        return self._completed(out, now_ns)

    def _completed(self, out: bytes, now_ns: int) -> tuple[Effect, ...]:
        self._end_attempt(now_ns)
        settle = Settle(self._index, ok=True)
        if self._left:
            return (settle, self._close_left(now_ns, "drained"))
        self._client_bytes += len(out)
        if self._first_byte_us is None:
            self._first_byte_us = self._since(now_ns)
        if self.accepted.request.stream:
            opening = self._open()
            return (settle, *opening, self._close("completed", now_ns, status=200), Release(out), _FINISH)
        return (settle, self._close("completed", now_ns, status=200), Answer(out))

    # Judged answers

    def _judged(self, answer: GovernedAnswer, out: bytes, now_ns: int) -> tuple[Effect, ...]:
        """What an answer lets go, and whether it goes on."""
        passed = self._passed(out, now_ns)
        if answer.stop is not None:
            return (*passed, *self._stopped(answer.stop, now_ns, whole=False))
        if answer.broken is not None:
            return (*passed, _CANCEL, *self._broken(answer.broken, now_ns))
        if answer.done:
            return (*passed, *self._judge(answer, now_ns))
        return passed

    def _judge(self, answer: GovernedAnswer, now_ns: int) -> tuple[Effect, ...]:
        """The upstream has said all: the rest of its answer, then the rules over all of it."""
        out = answer.close(now_ns)
        if answer.stop is not None:
            return (*self._passed(out, now_ns), *self._stopped(answer.stop, now_ns, whole=True))
        if answer.broken is not None:
            return (*self._passed(out, now_ns), *self._broken(answer.broken, now_ns))
        rulings, index = self._rulings, len(self._tried)
        assert rulings is not None
        self._rule_on_stream(now_ns)
        decision = rulings.output(index, answer, self._us(now_ns))
        match decision.effect:
            case "block":
                return self._give_up_whole(refusals.blocked(decision), now_ns)
            case "retry" | "retry_with_reminder" | "reroute" if self._released:
                return self._give_up_whole(refusals.too_late(decision), now_ns)
            case "retry" | "retry_with_reminder" | "reroute":
                again = rulings.again_after(decision, answer, self._us(now_ns))
                return (*self._end_stopped(now_ns, whole=True), *self._again(again, now_ns))
            case _:
                return self._completed(out, now_ns)

    def _stopped(self, stop: Abort | Retry, now_ns: int, *, whole: bool) -> tuple[Effect, ...]:
        """A rule gave up the attempt. `whole`: its upstream had said all."""
        decision = self._rule_on_stream(now_ns)
        ended = self._end_stopped(now_ns, whole=whole)
        assert self._rulings is not None
        if isinstance(stop, Retry):
            return (*ended, *self._again(self._rulings.again(stop, self._us(now_ns)), now_ns))
        if self._left:
            return (*ended, self._close_left(now_ns, "drained" if whole else "cancelled"))
        run = self._run
        if run is not None and run.answer is not None and run.terms.continues:
            again = self._rulings.onward(stop, run.planned, run.answer, self._us(now_ns))
            if again is not None:
                self.prefix, self._renderer, self._heard = again.prefix, run.answer.renderer, self._counts()
                return (*ended, Replan(again))
        return (*ended, *self._give_up("blocked", refusals.stopped(stop, decision), None, now_ns))

    def _give_up_whole(self, error: WardwrightError, now_ns: int) -> tuple[Effect, ...]:
        ended = self._end_stopped(now_ns, whole=True)
        if self._left:
            return (*ended, self._close_left(now_ns, "drained"))
        return (*ended, *self._give_up("blocked", error, None, now_ns))

    def _end_stopped(self, now_ns: int, *, whole: bool) -> tuple[Effect, ...]:
        self._end_attempt(now_ns, failure=rc.STOPPED, message="a rule gave the attempt up")
        return (_CANCEL, Settle(self._index, ok=whole))

    def _again(self, again: Again, now_ns: int) -> tuple[Effect, ...]:
        """Another attempt, unless nobody waits for it."""
        return (self._close_left(now_ns, "cancelled"),) if self._left else (Replan(again),)

    def _rule_on_stream(self, now_ns: int) -> Decision:
        """What the stream rules decided over the attempt that runs, answered or not; once an attempt."""
        run, rulings = self._run, self._rulings
        if run is None or rulings is None:
            return NOTHING
        if run.streamed is None:
            run.streamed = rulings.streamed(len(self._tried), run.before, run.answer, self._us(now_ns))
        return run.streamed

    # Failures

    def _broken(self, broken: Broken, now_ns: int) -> tuple[Effect, ...]:
        failure = Failure(kind=_BROKEN.get(broken.code, "malformed"), message=broken.message)
        told = WardwrightError(broken.code, broken.message) if self._released else None
        return self._failed(failure, now_ns, told=told)

    def _failed(
        self, failure: Failure, now_ns: int, *, fall_through: bool = False, told: WardwrightError | None = None
    ) -> tuple[Effect, ...]:
        """`told`: what the client hears if no target follows, where it is clearer than what the failures amount to."""
        self._end_attempt(
            now_ns, failure=failure.kind, message=failure.message, retry_after_s=failure.retry_after_s,
            http_status=failure.status,
        )  # fmt: skip
        settle = Settle(self._index, ok=False, failure=failure)
        if self._left:
            return (settle, self._close_left(now_ns, "drained"))
        assert self._plan is not None
        following = self._index + 1
        may_follow = fall_through or failure.kind in FALL_THROUGH
        if not self._released and may_follow and following < len(self._plan.attempts):
            return (settle, *self._start(following, now_ns))
        error, retry_after_s = told, None
        if error is None:
            error, retry_after_s = refusals.verdict(failure, self._tried, released=self._released)
        return (settle, *self._give_up("failed", error, retry_after_s, now_ns))

    def _give_up(
        self, status: rc.Status, error: WardwrightError, retry_after_s: int | None, now_ns: int
    ) -> tuple[Effect, ...]:
        if self._released:
            return (self._close(status, now_ns, status=200, error=error.code), Break(error))
        return self._refuse(status, error, now_ns, retry_after_s)

    def _refuse(
        self, status: rc.Status, error: WardwrightError, now_ns: int, retry_after_s: int | None = None
    ) -> tuple[Effect, ...]:
        return (
            self._close(status, now_ns, status=error.status, error=error.code),
            Refuse(error, retry_after_s),
        )

    def _us(self, now_ns: int) -> int:
        """An instant of the monotonic clock in µs since the epoch."""
        return self.accepted.started_at + self._since(now_ns)

    def _since(self, now_ns: int) -> int:
        """The same in µs since the call was accepted."""
        return (now_ns - self.accepted.now_ns) // 1000

    # -- the record --------------------------------------------------------------------------------------------------

    def _end_attempt(
        self,
        now_ns: int,
        *,
        failure: str | None = None,
        message: str | None = None,
        retry_after_s: int | None = None,
        http_status: int | None = None,
    ) -> None:
        run = self._run
        if run is None or not self._running:
            return
        if self._rulings is not None:
            self._rule_on_stream(now_ns)
        self._running = False
        assert self._facts is not None
        tried = run.ended(
            now_ns,
            accepted_ns=self.accepted.now_ns,
            failure=failure,
            http_status=http_status,
            input_tokens=self._facts.input_tokens,
            message=message,
            retry_after_s=retry_after_s,
        )
        self._usage = self._usage + tried.usage if self._tried else tried.usage
        self._cost += tried.cost_nano_usd
        if tried.usage_source != "none" and self._usage_source != "estimated":
            self._usage_source = tried.usage_source
        self._tried.append(tried)

    def _counts(self) -> tuple[int, int, int, int, int]:
        if self._run is None:
            return self._heard
        tally, heard = self._run.told(), self._heard
        if heard is _UNHEARD:
            return tally.argument_chars, tally.events, tally.reasoning_chars, tally.text_chars, tally.tool_calls
        return (
            heard[0] + tally.argument_chars,
            heard[1] + tally.events,
            heard[2] + tally.reasoning_chars,
            heard[3] + tally.text_chars,
            heard[4] + tally.tool_calls,
        )

    def _close_left(self, now_ns: int, upstream: rc.UpstreamFate | None) -> Close:
        status = 200 if self._released else WardwrightError("client_closed_request", "").status
        return self._close("client_left", now_ns, status=status, error="client_closed_request", upstream=upstream)

    def _close(
        self,
        status_word: rc.Status,
        now_ns: int,
        *,
        status: int,
        error: str | None = None,
        upstream: rc.UpstreamFate | None = None,
    ) -> Close:
        self.closed = True
        accepted = self.accepted
        received = _UNHEARD
        if self._last_heard is not None:
            received = self._last_heard if self._released else _UNHEARD
        elif self._released or status_word == "completed":
            received = self._counts()
        arguments, events, reasoning, text, tools = received
        selected = self._selected(status_word)
        receipt = rc.Receipt(
            attempts=tuple(self._tried),
            cache_lost_tokens=0 if self._before is None else self._cache_lost(self._before, selected),
            caller=accepted.caller,
            client=rc.Client(
                argument_chars=arguments,
                bytes=self._client_bytes,
                events=events if accepted.request.stream else 0,
                left_us=self._left_us,
                reasoning_chars=reasoning,
                status=status,
                text_chars=text,
                tool_calls=tools,
                upstream=upstream,
            ),
            contract=self._contract,
            cost_nano_usd=self._cost,
            error=error,
            facts=self._first_facts,
            node_type=self._node_type,
            plan=self._first,
            receipt=accepted.receipt,
            replans=self._replans,
            request=accepted.request,
            retry_of=accepted.retry_of,
            selected=selected,
            simulation=accepted.simulation,
            started_at=accepted.started_at,
            status=status_word,
            timings=rc.Timings(
                deadline_us=self._deadline_us,
                decided_us=self._decided_us,
                first_byte_us=self._first_byte_us,
                total_us=self._since(now_ns),
            ),
            usage=self._usage,
            usage_source=self._usage_source,
        )
        return Close(receipt if self._rulings is None else self._rulings.closed(receipt))

    def _cache_lost(self, before: Attempt, selected: rc.Selected | None) -> int:
        if selected is None or (before.contract, before.target) == (selected.contract, selected.target):
            return 0
        return self.facts.input_tokens

    def _selected(self, status: rc.Status) -> rc.Selected | None:
        """The target that answered, or for a simulation the one that would be tried first."""
        plan, first = self._plan, self._first
        if plan is None or first is None or not plan.attempts:
            return None
        index = 0 if status == "simulated" else self._index
        answered = status in ("completed", "simulated") or self._released or self._left
        if index < 0 or not answered:
            return None
        selected, planned, preferred = self._terms[index].selected, plan.attempts[index], first.attempts[0]
        if planned is preferred or (planned.contract, planned.target) == (preferred.contract, preferred.target):
            return selected
        return msgspec.structs.replace(selected, fallback=True)
