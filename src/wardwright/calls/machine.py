"""The call machine: what happens in one governed model call, without I/O.

Rule 1: inputs are methods (`decided`, `head`, `event`, `end`, `failed`, `tick`, `client_left`), each with the instant
it happened; each returns effects in the order in which they must be carried out.
Rule 2: it holds no socket, task or clock, and decides nothing about routes or rules: it is handed a plan and keeps to
it. Live calls, simulation and replay drive this one machine.
Rule 3: another target is tried only while no byte of an answer has reached the client, and only for failures in
FALL_THROUGH.
Rule 4: every call ends in exactly one `Close`; nothing follows it but what the client must still hear. A stream's
first `Release` comes after `Open`, its last after `Close`: whoever wants durability waits between them.
Rule 5: an answer that did not finish ends in `Break` or `Refuse`, never in a made-up end.
"""

from __future__ import annotations

from typing import Final, TypeAlias, get_args

import msgspec

from wardwright.calls import receipt as rc
from wardwright.dialects.answer import Identity, Tally
from wardwright.dialects.exchange import Failure, FailureClass, Headers
from wardwright.dialects.voice import Reader, Voice
from wardwright.kernel.errors import WardwrightError
from wardwright.kernel.usage import Rates, Usage, cost_nano_usd
from wardwright.routing.plan import Attempt, Plan, RouteFacts

FALL_THROUGH: Final[frozenset[FailureClass]] = frozenset(get_args(FailureClass)) - {"rejected"}
"""Failures after which the next target may be tried: all but the upstream's word that the request itself is wrong."""

ERROR_BODY_BYTES_MAX: Final = 65_536
"""What is read of an upstream's error answer."""

UPSTREAM_NAME_CHARS_MAX: Final = 256
"""What a receipt keeps of a name that an upstream made up."""

CHARS_PER_TOKEN: Final = 4
"""For output that the upstream did not account for."""

_BROKEN: Final[dict[str, FailureClass]] = {
    "context_length_exceeded": "context_length",
    "upstream_rate_limited": "rate_limited",
    "upstream_stream_broken": "stream_broken",
    "upstream_unavailable": "overloaded",
}
"""What an upstream's word inside its answer means for its health; any other is an answer that cannot be read."""

_TIMEOUTS: Final = frozenset({"connect_timeout", "first_byte_timeout", "between_bytes_timeout", "total_timeout"})


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What is fixed about one target while its contract version serves."""

    context_window: int
    double: bool
    drain: bool
    """Read on to the end when the client leaves."""
    mark: str
    """`<contract>/<target>=<model>`: marks what a model seals for itself, so that no other is handed it."""
    rates: Rates | None
    voice: Voice


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
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


class Start(msgspec.Struct, frozen=True):
    """Send the attempt with this index of the plan upstream."""

    attempt: int


class Cancel(msgspec.Struct, frozen=True):
    """Give up the attempt that is under way."""


class Settle(msgspec.Struct, frozen=True):
    """An attempt is over: what its target's health should learn. No failure and not `ok`: it was abandoned."""

    attempt: int
    ok: bool
    failure: Failure | None = None


class Open(msgspec.Struct, frozen=True):
    """Write that the call will act."""

    opened: rc.Opened


class Begin(msgspec.Struct, frozen=True):
    """The head of the client's stream."""


class Release(msgspec.Struct, frozen=True):
    """Bytes for the client."""

    data: bytes


class Close(msgspec.Struct, frozen=True):
    """Write the receipt."""

    receipt: rc.Receipt


class Answer(msgspec.Struct, frozen=True):
    """The whole answer for the client."""

    body: bytes


class Finish(msgspec.Struct, frozen=True):
    """The client's stream is complete."""


class Refuse(msgspec.Struct, frozen=True):
    """An error instead of an answer."""

    error: WardwrightError
    retry_after_s: int | None = None


class Break(msgspec.Struct, frozen=True):
    """An error event inside the client's stream, then its end."""

    error: WardwrightError


Effect: TypeAlias = Start | Cancel | Settle | Open | Begin | Release | Close | Answer | Finish | Refuse | Break

_CANCEL: Final = Cancel()
_BEGIN: Final = Begin()
_FINISH: Final = Finish()
_NO_USAGE: Final = Usage()
_NOTHING: Final[tuple[Effect, ...]] = ()


class Machine:
    """One call. Make it when the call is accepted; drive it until `closed`."""

    __slots__ = (
        "_answered_ns", "_attempt", "_before", "_began_ns", "_changed", "_client_bytes", "_contract", "_cost",
        "_deadline_ns", "_decided_ns", "_error_body", "_facts", "_first_byte_ns", "_headers", "_http_status",
        "_last_heard", "_left", "_left_ns", "_node_type", "_opened", "_plan", "_reader", "_released", "_terms",
        "_tried", "_usage", "_usage_source", "accepted", "closed",
    )  # fmt: skip

    def __init__(self, accepted: Accepted) -> None:
        self.accepted = accepted
        self.closed = False
        self._before: Attempt | None = None
        self._contract: rc.Contract | None = None
        self._facts: RouteFacts | None = None
        self._plan: Plan | None = None
        self._node_type: str | None = None
        self._terms: tuple[Terms, ...] = ()
        self._attempt = -1
        self._began_ns = accepted.now_ns
        self._answered_ns: int | None = None
        self._http_status: int | None = None
        self._headers: Headers = []
        self._reader: Reader | None = None
        self._error_body = b""
        self._changed: tuple[str, ...] = ()
        self._opened = False
        self._released = False
        self._left = False
        self._left_ns: int | None = None
        self._last_heard: tuple[int, int, int, int, int] | None = None
        self._decided_ns = accepted.now_ns
        self._first_byte_ns: int | None = None
        self._client_bytes = 0
        self._cost = 0
        self._usage = _NO_USAGE
        self._usage_source: rc.UsageSource = "none"
        self._tried: list[rc.Tried] = []
        self._deadline_ns: int | None = None

    # -- inputs ------------------------------------------------------------------------------------------------------

    def refused(
        self, error: WardwrightError, now_ns: int, *, contract: rc.Contract | None = None
    ) -> tuple[Effect, ...]:
        """The call ends before a route was decided."""
        self._contract = contract
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
    ) -> tuple[Effect, ...]:
        """The route is planned; `terms` stand beside `plan.attempts`. `before` is whose turn the last step was."""
        self._before = before
        self._contract, self._node_type, self._facts, self._plan, self._terms = contract, node_type, facts, plan, terms
        self._decided_ns = now_ns
        if plan.refusal is not None:
            return self._refuse("refused", WardwrightError(plan.refusal.code, plan.refusal.message), now_ns)
        if self.accepted.simulation:
            return (self._close("simulated", now_ns, status=200),)
        return self._start(0, now_ns)

    def changed(self, changed: tuple[str, ...]) -> None:
        """What was altered in the request of the attempt that starts."""
        self._changed = changed

    def head(self, status: int, headers: Headers, now_ns: int) -> tuple[Effect, ...]:
        """The upstream's head arrived."""
        if self.closed:
            return _NOTHING
        self._answered_ns = now_ns
        self._http_status = status
        self._headers = headers
        if 200 <= status < 300:
            accepted, terms = self.accepted, self._terms[self._attempt]
            self._reader = terms.voice.reader(
                accepted.identity,
                stream=accepted.request.stream,
                include_usage=accepted.include_usage,
                headers=headers,
                target=terms.mark,
            )
        return _NOTHING

    def event(self, data: bytes, now_ns: int) -> tuple[Effect, ...]:
        """Bytes of the upstream's body arrived."""
        if self.closed:
            return _NOTHING
        reader = self._reader
        if reader is None:
            if len(self._error_body) < ERROR_BODY_BYTES_MAX:
                self._error_body += data[: ERROR_BODY_BYTES_MAX - len(self._error_body)]
            return _NOTHING
        out = reader.feed(data)
        if reader.broken is not None:
            release = self._release(out, now_ns) if out and not self._left else _NOTHING
            return (*release, _CANCEL, *self._broken(reader, now_ns))
        if reader.done:
            release = self._release(out, now_ns) if out and not self._left else _NOTHING
            return (*release, *self._complete(reader, now_ns))
        if not out or self._left:
            return _NOTHING
        return self._release(out, now_ns)

    def end(self, now_ns: int) -> tuple[Effect, ...]:
        """The upstream's answer is complete, as HTTP goes."""
        if self.closed:
            return _NOTHING
        reader = self._reader
        if reader is None:
            status = self._http_status or 0
            failure = self._terms[self._attempt].voice.failure_of(status, self._headers, self._error_body)
            return self._failed(failure, now_ns)
        return self._complete(reader, now_ns)

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
        self._deadline_ns = now_ns
        self._end_attempt(now_ns, failure="total_timeout", message="the call's deadline passed")
        abandoned = Settle(self._attempt, ok=False)
        if self._left:
            return (_CANCEL, abandoned, self._close_left(now_ns, "cancelled"))
        error = WardwrightError("deadline_exceeded", "the call's deadline passed before an answer was complete")
        return (_CANCEL, abandoned, *self._give_up(error, None, now_ns))

    def client_left(self, now_ns: int) -> tuple[Effect, ...]:
        """The client closed its connection."""
        if self.closed or self._left:
            return _NOTHING
        self._left = True
        self._left_ns = now_ns
        if self._attempt < 0:
            return (self._close_left(now_ns, None),)
        if self._terms[self._attempt].drain:
            self._last_heard = self._counts()
            return _NOTHING
        self._end_attempt(now_ns)
        return (_CANCEL, Settle(self._attempt, ok=False), self._close_left(now_ns, "cancelled"))

    def abandon(self, error: WardwrightError, now_ns: int) -> tuple[Effect, ...]:
        """The gateway itself cannot go on: the journal failed, or a defect showed. The client is told elsewhere."""
        if self.closed:
            return _NOTHING
        self._end_attempt(now_ns)
        close = self._close("failed", now_ns, status=error.status, error=error.code)
        if self._attempt < 0:
            return (close,)
        return (_CANCEL, Settle(self._attempt, ok=False), close)

    def planned(self, index: int | None) -> Attempt:
        """An attempt of the plan; with None the one that runs or ran last."""
        assert self._plan is not None
        return self._plan.attempts[self._attempt if index is None else index]

    @property
    def continues(self) -> bool:
        """The conversation holds earlier answers, perhaps of another model."""
        assert self._facts is not None
        return self._facts.step > 0

    @property
    def output_tokens(self) -> int:
        """The output budget of the call, once it is decided."""
        assert self._facts is not None
        return self._facts.output_tokens

    # -- transitions -------------------------------------------------------------------------------------------------

    def _start(self, attempt: int, now_ns: int) -> tuple[Effect, ...]:
        self._attempt = attempt
        self._began_ns = now_ns
        self._answered_ns = None
        self._http_status = None
        self._reader = None
        self._error_body = b""
        self._changed = ()
        return (Start(attempt),)

    def _release(self, data: bytes, now_ns: int) -> tuple[Effect, ...]:
        self._client_bytes += len(data)
        if self._released:
            return (Release(data),)
        self._released = True
        self._first_byte_ns = now_ns
        return (*self._open(), Release(data))

    def _open(self) -> tuple[Effect, ...]:
        if self._opened:
            return _NOTHING
        self._opened = True
        assert self._plan is not None
        assert self._contract is not None
        attempt = self._plan.attempts[self._attempt]
        return (
            Open(
                rc.Opened(
                    attempt=self._attempt,
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
        released = self._counts()
        out = reader.close()
        if reader.broken is not None:
            if self._released and not self._left:
                self._last_heard = released  # what came since then was read, and is not passed on
            return self._broken(reader, now_ns)
        self._end_attempt(now_ns)
        settle = Settle(self._attempt, ok=True)
        if self._left:
            return (settle, self._close_left(now_ns, "drained"))
        self._client_bytes += len(out)
        if self._first_byte_ns is None:
            self._first_byte_ns = now_ns
        if self.accepted.request.stream:
            opening = self._open()
            return (settle, *opening, self._close("completed", now_ns, status=200), Release(out), _FINISH)
        return (settle, self._close("completed", now_ns, status=200), Answer(out))

    def _broken(self, reader: Reader, now_ns: int) -> tuple[Effect, ...]:
        broken = reader.broken
        assert broken is not None
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
        settle = Settle(self._attempt, ok=False, failure=failure)
        if self._left:
            return (settle, self._close_left(now_ns, "drained"))
        assert self._plan is not None
        following = self._attempt + 1
        may_follow = fall_through or failure.kind in FALL_THROUGH
        if not self._released and may_follow and following < len(self._plan.attempts):
            return (settle, *self._start(following, now_ns))
        error, retry_after_s = (told, None) if told is not None else self._verdict(failure)
        return (settle, *self._give_up(error, retry_after_s, now_ns))

    def _give_up(self, error: WardwrightError, retry_after_s: int | None, now_ns: int) -> tuple[Effect, ...]:
        if self._released:
            return (self._close("failed", now_ns, status=200, error=error.code), Break(error))
        return self._refuse("failed", error, now_ns, retry_after_s)

    def _refuse(
        self, status: rc.Status, error: WardwrightError, now_ns: int, retry_after_s: int | None = None
    ) -> tuple[Effect, ...]:
        return (
            self._close(status, now_ns, status=error.status, error=error.code),
            Refuse(error, retry_after_s),
        )

    def _verdict(self, last: Failure) -> tuple[WardwrightError, int | None]:
        """What the caller hears when no target is left: the most telling of all failures, without naming targets."""
        if last.kind == "rejected":
            return WardwrightError("upstream_rejected", last.message), None
        if self._released and last.kind in _TIMEOUTS:
            return WardwrightError("upstream_timeout", "the answer stopped and did not go on in time"), None
        if self._released:
            return WardwrightError("upstream_stream_broken", "the answer broke off before its end"), None
        kinds = {tried.failure for tried in self._tried}
        count = len(self._tried)
        what = "the target" if count == 1 else f"all {count} targets"
        if kinds <= {"context_length"}:
            return WardwrightError("context_length_exceeded", f"{what} refused the request as too long"), None
        if kinds <= {"rate_limited"}:
            waits = [tried.retry_after_s for tried in self._tried if tried.retry_after_s is not None]
            soonest = min(waits) if len(waits) == count else None
            return WardwrightError("upstream_rate_limited", f"{what} of this model is rate limited"), soonest
        if kinds <= _TIMEOUTS:
            return WardwrightError("upstream_timeout", f"{what} of this model gave no answer in time"), None
        if kinds <= {"credentials"}:
            return WardwrightError("upstream_credentials", "an upstream refused the gateway's own credentials"), None
        if kinds <= {"resting"}:
            return WardwrightError("upstream_unavailable", f"{what} of this model is cooling down"), None
        if kinds <= {"pool_full"}:
            return WardwrightError("overloaded", "the gateway's queue towards this model is full"), 1
        return WardwrightError("upstream_failed", f"{what} of this model failed"), None

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
        if self._attempt < 0 or len(self._tried) > self._attempt:
            return
        assert self._plan is not None
        assert self._facts is not None
        planned, terms = self._plan.attempts[self._attempt], self._terms[self._attempt]
        tally = None if self._reader is None else self._reader.tally
        usage, source = self._usage_of(tally)
        cost = 0 if terms.rates is None else cost_nano_usd(usage, terms.rates)
        self._usage = self._usage + usage if self._tried else usage
        self._cost += cost
        if source != "none" and self._usage_source != "estimated":
            self._usage_source = source
        began = self._began_ns
        self._tried.append(
            rc.Tried(
                answered_us=None if self._answered_ns is None else (self._answered_ns - began) // 1000,
                changed=self._changed,
                contract=planned.contract,
                cost_nano_usd=cost,
                double=terms.double,
                failure=failure,
                finish=() if tally is None else _reasons(tally),
                fingerprint=None if tally is None else _short(tally.system_fingerprint),
                http_status=self._http_status if http_status is None else http_status,
                message=message,
                model=planned.model,
                provider=planned.provider,
                retry_after_s=retry_after_s,
                started_us=(began - self.accepted.now_ns) // 1000,
                target=planned.target,
                took_us=(now_ns - began) // 1000,
                upstream_id=None if tally is None else _short(tally.upstream_id),
                upstream_model=None if tally is None else _short(tally.upstream_model),
                usage=usage,
                usage_source=source,
            )
        )

    def _usage_of(self, tally: Tally | None) -> tuple[Usage, rc.UsageSource]:
        if tally is None:
            return _NO_USAGE, "none"
        if tally.usage is not None and tally.usage.is_plausible:
            return tally.usage, "reported"
        if tally.events == 0:
            return _NO_USAGE, "none"
        assert self._facts is not None
        output = -(-(tally.text_chars + tally.argument_chars + tally.refusal_chars) // CHARS_PER_TOKEN)
        reasoning = -(-tally.reasoning_chars // CHARS_PER_TOKEN)
        return Usage(input=self._facts.input_tokens, output=output, reasoning=reasoning), "estimated"

    def _counts(self) -> tuple[int, int, int, int, int]:
        if self._reader is None:
            return (0, 0, 0, 0, 0)
        tally = self._reader.tally
        return tally.argument_chars, tally.events, tally.reasoning_chars, tally.text_chars, tally.tool_calls

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
        received = self._counts() if self._released or status_word == "completed" else (0, 0, 0, 0, 0)
        if self._last_heard is not None:
            received = self._last_heard if self._released else (0, 0, 0, 0, 0)
        arguments, events, reasoning, text, tools = received
        total_us = (now_ns - accepted.now_ns) // 1000
        selected = self._selected(status_word)
        return Close(
            rc.Receipt(
                attempts=tuple(self._tried),
                cache_lost_tokens=self._cache_lost(selected),
                caller=accepted.caller,
                client=rc.Client(
                    argument_chars=arguments,
                    bytes=self._client_bytes,
                    events=events if accepted.request.stream else 0,
                    left_us=None if self._left_ns is None else (self._left_ns - accepted.now_ns) // 1000,
                    reasoning_chars=reasoning,
                    status=status,
                    text_chars=text,
                    tool_calls=tools,
                    upstream=upstream,
                ),
                contract=self._contract,
                cost_nano_usd=self._cost,
                error=error,
                facts=self._facts,
                node_type=self._node_type,
                plan=self._plan,
                receipt=accepted.receipt,
                request=accepted.request,
                retry_of=accepted.retry_of,
                selected=selected,
                simulation=accepted.simulation,
                started_at=accepted.started_at,
                status=status_word,
                timings=rc.Timings(
                    deadline_us=None if self._deadline_ns is None else (self._deadline_ns - accepted.now_ns) // 1000,
                    decided_us=(self._decided_ns - accepted.now_ns) // 1000,
                    first_byte_us=None
                    if self._first_byte_ns is None
                    else (self._first_byte_ns - accepted.now_ns) // 1000,
                    total_us=total_us,
                ),
                usage=self._usage,
                usage_source=self._usage_source,
            )
        )

    def _cache_lost(self, selected: rc.Selected | None) -> int:
        before = self._before
        if before is None or selected is None:
            return 0
        if (before.contract, before.target) == (selected.contract, selected.target):
            return 0
        assert self._facts is not None
        return self._facts.input_tokens

    def _selected(self, status: rc.Status) -> rc.Selected | None:
        """The target that answered, or for a simulation the one that would be tried first."""
        plan = self._plan
        if plan is None or not plan.attempts:
            return None
        index = 0 if status == "simulated" else self._attempt
        answered = status in ("completed", "simulated") or self._released or self._left
        if index < 0 or not answered:
            return None
        planned = plan.attempts[index]
        return rc.Selected(
            context_window=self._terms[index].context_window,
            contract=planned.contract,
            fallback=index > 0,
            model=planned.model,
            provider=planned.provider,
            target=planned.target,
        )


def _reasons(tally: Tally) -> tuple[str, ...]:
    """Finish reasons by choice."""
    finish = tally.finish
    return tuple(finish.values()) if len(finish) == 1 else tuple(finish[choice] for choice in sorted(finish))


def _short(name: str | None) -> str | None:
    return name if name is None or len(name) <= UPSTREAM_NAME_CHARS_MAX else name[:UPSTREAM_NAME_CHARS_MAX]
