"""The stream governor: what of one attempt's answer may reach the client, decided while it is written.

Rule 1: events, ticks and the end come in with their instant; effects come out, for the call machine to carry out in
their order. The governor knows no provider, no client and no clock.
Rule 2: every channel of every choice is judged by itself (`governed_text`); tool calls are held whole (`tool_call`)
and leave at the end of their choice, behind its text.
Rule 3: an attempt is given up once. When it is, what was free before is released, the rest is dropped and counted, and
nothing comes out any more. A retry is asked for only while nothing of the attempt was released; then nothing is.
Rule 4: what the upstream did not finish is not released: an answer that breaks off keeps its held text to itself.
Rule 5: every change of state is a row of TRANSITIONS.

    unseen      nothing of the attempt was released
    seen        a part of it was
    retrying    given up, to be started again with a reminder
    aborted     given up, the answer ends in an error
    over        the upstream ended, or broke off
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias, assert_never

import msgspec

from wardwright.kernel.events import (
    Broken,
    Event,
    Finish,
    ReasoningDelta,
    RefusalDelta,
    Start,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStart,
    UsageReport,
)
from wardwright.streams import rule as r
from wardwright.streams.effects import Abort, AbortCause, Effect, Kind, Release, Retry, Spot
from wardwright.streams.governed_text import GovernedText, Stop
from wardwright.streams.plan import Plan
from wardwright.streams.ruleset import RETRIES_MAX, RuleSet
from wardwright.streams.tool_call import ToolCall

CALL_CHARS_MAX: Final = 1 << 22
"""Of the arguments of all tool calls that are held."""
CALLS_MAX: Final = 1024
KEPT_CHARS_MAX: Final = 1 << 16
"""Of what a model is shown of its own attempt; more is not shown at all."""

State: TypeAlias = Literal["unseen", "seen", "retrying", "aborted", "over"]
Cause: TypeAlias = Literal["release", "retry", "abort", "end"]

TRANSITIONS: Final[dict[tuple[State, Cause], State]] = {
    ("unseen", "release"): "seen",
    ("unseen", "retry"): "retrying",
    ("unseen", "abort"): "aborted",
    ("unseen", "end"): "over",
    ("seen", "release"): "seen",
    ("seen", "abort"): "aborted",  # a retry that comes too late among them: what was seen cannot be unseen
    ("seen", "end"): "over",
}

_GOING_ON: Final = frozenset(state for state, _ in TRANSITIONS)

Delivery: TypeAlias = Literal["live", "whole"]
"""Whether the client reads along, or waits for the whole answer and has seen nothing before."""


class Governor:
    """Governs one attempt. Made when it starts, thrown away with it."""

    __slots__ = (
        "_actions", "_call_chars", "_calls", "_channels", "_delivery", "_reasoning", "_reasoning_plan", "_refusals",
        "_rules", "_speaking", "_text_plan", "_texts", "_written", "state",
    )  # fmt: skip

    def __init__(
        self,
        rules: RuleSet,
        *,
        past: Sequence[r.Past] = (),
        retries_left: int = RETRIES_MAX,
        silent: frozenset[str] = frozenset(),
        delivery: Delivery = "live",
        seen: bool = False,
    ) -> None:
        """`seen`: the attempt goes on with an answer of which a part was released.

        `past` and `retries_left` say what rules did before, `silent` which take no part (`RuleSet.actions`)."""
        self.state: State = "seen" if seen else "unseen"
        self._rules = rules
        self._actions = rules.actions(past, retries_left=retries_left, silent=silent)
        self._delivery = delivery
        self._text_plan = rules.text_plan(self._actions)
        self._reasoning_plan = rules.reasoning_plan(self._actions)
        self._texts: dict[int, GovernedText] = {}
        self._reasoning: dict[int, GovernedText] = {}
        self._refusals: dict[int, GovernedText] = {}
        self._channels: dict[int, list[tuple[Kind, GovernedText]]] = {}
        """Of each choice, in the order in which they began to speak."""
        self._speaking: dict[int, GovernedText | None] = {}
        """Of each choice, the channel that speaks now."""
        self._calls: dict[tuple[int, int], ToolCall] = {}
        self._call_chars = 0
        keeps = any(isinstance(self._actions[index], r.Retry) for index in rules.showing)
        self._written: dict[tuple[Kind, int], list[str]] | None = {} if keeps else None
        """What the model wrote, where a retry would show it again."""

    @property
    def given_up(self) -> bool:
        """The attempt is cancelled: nothing comes out any more."""
        return self.state in ("retrying", "aborted")

    @property
    def held_chars(self) -> int:
        """Characters that came and were not released."""
        held = 0
        for channels in self._channels.values():
            for _, channel in channels:
                held += channel.held
        for call in self._calls.values():
            held += call.received
        return held

    @property
    def matches(self) -> dict[str, int]:
        """How often each rule matched in text; violations past a bound are counted here alone."""
        counts: dict[str, int] = {}
        for channels in self._channels.values():
            for _, channel in channels:
                for rule, count in channel.counts.items():
                    counts[rule] = counts.get(rule, 0) + count
        return counts

    @property
    def due_ns(self) -> int | None:
        """When `tick` must come at the latest; None: no text waits under a cap on its age."""
        soonest: int | None = None
        for channels in self._channels.values():
            for _, channel in channels:
                due_ns = channel.due_ns
                if due_ns is not None and (soonest is None or due_ns < soonest):
                    soonest = due_ns
        return soonest

    def take(self, events: Sequence[Event], now_ns: int) -> list[Effect]:
        """Events of the attempt, in order."""
        out: list[Event] = []
        facts: list[Effect] = []
        for event in events:
            if self.state not in _GOING_ON:
                break
            ended = self._take(event, now_ns, out, facts)
            if ended is not None:
                return self._give_up(ended, out, facts)
        return self._effects(out, facts)

    def tick(self, now_ns: int) -> list[Effect]:
        """Time passed without an event."""
        out: list[Event] = []
        facts: list[Effect] = []
        if self.state not in _GOING_ON:
            return []
        for choice, channels in self._channels.items():
            for kind, channel in channels:
                self._leave(kind, choice, channel, channel.tick(now_ns), None, out, facts)
                if channel.stop is not None:
                    return self._give_up((channel.stop, channel.spot), out, facts)
        return self._effects(out, facts)

    def end(self) -> list[Effect]:
        """The upstream ended. What it did not finish stays held, and is lost."""
        if not self.given_up:
            self._go("end")
        return []

    def _go(self, cause: Cause) -> None:
        if self.state != "over":
            self.state = TRANSITIONS[self.state, cause]

    # -- events ------------------------------------------------------------------------------------------------------

    def _take(self, event: Event, now_ns: int, out: list[Event], facts: list[Effect]) -> tuple[Stop, Spot] | None:
        """One event. What may leave is added to `out`, what was found to `facts`; returns why the attempt ends."""
        match event:
            case TextDelta():
                return self._say("text", self._texts, self._text_plan, event, now_ns, out, facts)
            case ReasoningDelta():
                return self._say("reasoning", self._reasoning, self._reasoning_plan, event, now_ns, out, facts)
            case RefusalDelta():
                return self._say("refusal", self._refusals, self._text_plan, event, now_ns, out, facts)
            case ToolCallStart():
                return self._begin_call(event, now_ns)
            case ToolArgumentsDelta():
                return self._add_arguments(event, facts)
            case Finish():
                return self._finish(event, out, facts)
            case Broken():
                self._go("end")
                out.append(event)
            case Start() | UsageReport():
                out.append(event)
            case _:
                assert_never(event)
        return None

    def _say(
        self,
        kind: Kind,
        channels: dict[int, GovernedText],
        plan: Plan | None,
        event: TextDelta | ReasoningDelta | RefusalDelta,
        now_ns: int,
        out: list[Event],
        facts: list[Effect],
    ) -> tuple[Stop, Spot] | None:
        choice = event.choice
        if plan is None:
            if self._speaking.get(choice) is not None:
                self._speak(choice, None, now_ns)
            out.append(event)
            return None
        if self._written is not None:
            self._written.setdefault((kind, choice), []).append(event.text)
        channel = channels.get(choice)
        if channel is None:
            channel = channels[choice] = GovernedText(plan, Spot(kind, choice))
            self._channels.setdefault(choice, []).append((kind, channel))
        if self._speaking.get(choice) is not channel:
            self._speak(choice, channel, now_ns)
        text = channel.feed(event.text, now_ns)
        if kind != "reasoning" and not channel.facts and channel.stop is None:
            if text is event.text:
                out.append(event)
            elif text:
                out.append(event.__class__(choice, text))
            return None
        self._leave(kind, choice, channel, text, event, out, facts)
        return None if channel.stop is None else (channel.stop, channel.spot)

    def _speak(self, choice: int, channel: GovernedText | None, now_ns: int) -> None:
        """Another channel begins to speak: what waits in the one before does not age."""
        before = self._speaking.get(choice)
        if before is not None:
            before.pause(now_ns)
        if channel is not None:
            channel.resume(now_ns)
        self._speaking[choice] = channel

    def _leave(
        self,
        kind: Kind,
        choice: int,
        channel: GovernedText,
        text: str,
        event: Event | None,
        out: list[Event],
        facts: list[Effect],
    ) -> None:
        """Text that a channel lets go, as events; and what it found."""
        if channel.facts:
            facts += channel.facts
            channel.facts.clear()
        if isinstance(event, ReasoningDelta) and (event.signature is not None or event.cipher is not None):
            channel.composer.seal(msgspec.structs.replace(event, text=""), channel.length)
        if kind == "reasoning":
            pieces = channel.composer.split(text)
            out += [ReasoningDelta(choice, piece) if isinstance(piece, str) else piece for piece in pieces]
        elif text:
            out.append(TextDelta(choice, text) if kind == "text" else RefusalDelta(choice, text))

    def _begin_call(self, event: ToolCallStart, now_ns: int) -> tuple[Stop, Spot] | None:
        self._speak(event.choice, None, now_ns)
        self._calls[event.choice, event.index] = ToolCall(event, self._rules, self._actions)
        return self._within_bounds(event.choice, event.index)

    def _add_arguments(self, event: ToolArgumentsDelta, facts: list[Effect]) -> tuple[Stop, Spot] | None:
        call = self._calls[event.choice, event.index]
        call.feed(event.text)
        self._call_chars += len(event.text)
        facts += call.facts
        call.facts.clear()
        if call.stop is not None:
            return call.stop, call.stopped_in
        return self._within_bounds(event.choice, event.index)

    def _within_bounds(self, choice: int, index: int) -> tuple[Stop, Spot] | None:
        if len(self._calls) <= CALLS_MAX and self._call_chars <= CALL_CHARS_MAX:
            return None
        return Stop(cause="call_size", rules=(), start=0, end=self._call_chars), Spot("tool_arguments", choice, index)

    def _finish(self, event: Finish, out: list[Event], facts: list[Effect]) -> tuple[Stop, Spot] | None:
        """A choice is complete: the rest of its text, then its calls, then its end."""
        for kind, channel in self._channels.get(event.choice, ()):
            self._leave(kind, event.choice, channel, channel.close(), None, out, facts)
            if channel.stop is not None:
                return channel.stop, channel.spot
        for key in [key for key in self._calls if key[0] == event.choice]:
            call = self._calls[key]
            events = call.close()
            facts += call.facts
            if call.stop is not None:
                return call.stop, call.stopped_in
            out += events
            self._call_chars -= call.received
            del self._calls[key]
        out.append(event)
        return None

    # -- effects -----------------------------------------------------------------------------------------------------

    def _effects(self, out: list[Event], facts: list[Effect]) -> list[Effect]:
        if not out:
            return facts
        if self.state == "unseen" and self._delivery == "live" and not all(isinstance(one, _UNSEEN) for one in out):
            self._go("release")
        return [*facts, Release(tuple(out))]

    def _give_up(self, ended: tuple[Stop, Spot], out: list[Event], facts: list[Effect]) -> list[Effect]:
        stop, spot = ended
        winner = stop.rules[0] if stop.rules else None
        retry = winner is not None and stop.cause == "match" and isinstance(winner.action, r.Retry)
        if retry and self.state == "unseen":
            self._go("retry")
            unsent = sum(len(event.text) for event in out if isinstance(event, _SPOKEN))
            return [*facts, self._retry(stop, spot, self.held_chars + unsent)]
        effects = self._effects(out, facts)
        self._go("abort")
        matched: AbortCause = "retry_after_release" if retry else "block"
        cause = matched if stop.cause == "match" else stop.cause
        rule = None if winner is None else winner.rule.id
        abort = Abort(cause=cause, rule=rule, spot=spot, start=stop.start, end=stop.end, dropped_chars=self.held_chars)
        return [*effects, abort]

    def _retry(self, stop: Stop, spot: Spot, dropped: int) -> Retry:
        retries = [(one.rule.id, one.action) for one in stop.rules if isinstance(one.action, r.Retry)]
        kept = ""
        if self._written is not None and any(action.keep_partial for _, action in retries):
            kept = "".join(self._written.get((spot.kind, spot.choice), ()))[: stop.start]
        return Retry(
            rules=tuple(rule for rule, _ in retries),
            reminders=tuple(action.reminder for _, action in retries if action.reminder),
            spot=spot,
            start=stop.start,
            end=stop.end,
            dropped_chars=dropped,
            kept=kept if len(kept) <= KEPT_CHARS_MAX else "",
        )


_UNSEEN: Final = (Start, UsageReport, Broken)
"""Events of which the client sees nothing before there is something else to see."""
_SPOKEN: Final = (TextDelta, ReasoningDelta, RefusalDelta, ToolArgumentsDelta)
