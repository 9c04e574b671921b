"""The answer of one governed attempt: upstream bytes in, client bytes out, judged on the way.

Rule 1: bytes become events, events pass the governor, and what it lets go is written anew. Nothing else reaches the
client.
Rule 2: two counts are kept: `tally` of what the upstream sent, which is paid for, and `told` of what the client gets.
Rule 3: where a rule over the whole answer may still end it, what is let go is kept here until the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, assert_never

import msgspec

from wardwright.calls.ruling import Caught
from wardwright.dialects.answer import ANSWER_BYTES_MAX
from wardwright.dialects.event_reader import Count, Decoder
from wardwright.dialects.openai_render import Renderer
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
from wardwright.policy.answers import Answer, ToolArguments
from wardwright.streams.effects import Abort, Effect, Flag, Release, Retry, Violation
from wardwright.streams.governor import Governor

CAUGHT_MAX: Final = 64
"""Findings of one attempt that its receipt describes; the rest are counted."""


_ENDING: Final = frozenset({"block", "retry", "ended"})
_CHANGED: Final = Broken(
    "upstream_failed", "rules now change what the client has seen: the answer cannot go on from it"
)


class Called(msgspec.Struct):
    """One tool call of an answer."""

    name: str
    arguments: list[str]


class Choice:
    """One choice of an answer."""

    __slots__ = ("calls", "reasoning", "text")

    def __init__(self) -> None:
        self.calls: dict[int, Called] = {}
        self.reasoning: list[str] = []
        self.text: list[str] = []


class Written:
    """What an answer says, for rules over all of it."""

    __slots__ = ("choices",)

    def __init__(self) -> None:
        self.choices: dict[int, Choice] = {}

    def add(self, event: Event) -> None:
        if isinstance(event, Start | UsageReport | Broken):
            return
        choice = self.choices.get(event.choice)
        if choice is None:
            choice = self.choices[event.choice] = Choice()
        match event:
            case TextDelta() | RefusalDelta():
                choice.text.append(event.text)
            case ReasoningDelta():
                choice.reasoning.append(event.text)
            case ToolCallStart():
                choice.calls[event.index] = Called(event.name, [])
            case ToolArgumentsDelta():
                choice.calls[event.index].arguments.append(event.text)
            case Finish():
                pass
            case _:
                assert_never(event)

    @property
    def text(self) -> str:
        """Of all choices, one under the other."""
        return "\n".join("".join(self.choices[index].text) for index in sorted(self.choices))

    @property
    def reasoning(self) -> str:
        return "\n".join("".join(self.choices[index].reasoning) for index in sorted(self.choices))

    @property
    def tools(self) -> tuple[str, ...]:
        """Names of the tools it calls."""
        return tuple(call.name for index in sorted(self.choices) for call in self.choices[index].calls.values())

    @property
    def answers(self) -> tuple[Answer, ...]:
        """Each choice whole."""
        return tuple(
            Answer(
                "".join(choice.text),
                tuple(ToolArguments(call.name, "".join(call.arguments)) for call in choice.calls.values()),
            )
            for _, choice in sorted(self.choices.items())
        )


class GovernedAnswer:
    """One attempt's answer. `stop` says that it must end, and why; nothing comes out any more then."""

    __slots__ = (
        "_decoder", "_governor", "_heard", "_held_since_ns", "_keeps", "_kept", "_renderer", "_room", "_seen", "_told",
        "broken", "caught", "caught_more", "held_chars_max", "held_ns_max", "stop", "tally", "told", "written",
    )  # fmt: skip

    def __init__(
        self,
        decoder: Decoder,
        governor: Governor | None,
        renderer: Renderer,
        *,
        keeps: bool = True,
        now_ns: int = 0,
        prefix: str = "",
        waits: bool,
        whole: bool,
    ) -> None:
        """`governor` None: no rule searches the stream. `keeps`: what is written is asked for later. `prefix`: what
        an attempt before this one released, with which the answer goes on. `waits`: see rule 3. `whole`: the client
        wants no stream."""
        self._decoder = decoder
        self._governor = governor
        self._renderer = renderer
        self._kept: list[bytes] | None = [] if waits else None
        self._room = ANSWER_BYTES_MAX if waits or whole else None
        self._heard, self._told = Count(), Count()
        self._held_since_ns: int | None = None
        self.tally, self.told = self._heard.tally, self._told.tally
        self.broken: Broken | None = None
        self.caught: list[Caught] = []
        self.caught_more = 0
        self.held_chars_max = 0
        self.held_ns_max = 0
        self.stop: Abort | Retry | None = None
        self.written = Written()
        self._keeps = keeps
        self._seen = "" if governor is None else prefix
        """What the client has seen already, as far as it has not come out of the governor again."""
        if prefix and governor is not None:
            self._carry(governor.take([TextDelta(0, prefix)], now_ns), now_ns)

    @property
    def renderer(self) -> Renderer:
        """What wrote the answer so far, for an attempt that goes on with it."""
        return self._renderer

    @property
    def only_text(self) -> str | None:
        """What was let go, where that is text of one choice alone."""
        told, choices = self.told, self.written.choices
        if len(choices) != 1 or 0 not in choices or told.tool_calls or told.reasoning_chars or told.refusal_chars:
            return None
        return "".join(choices[0].text) or None

    @property
    def edited(self) -> bool:
        """A rule changed the text, or it found so much that this is not known."""
        edits = (one for one in self.caught if one.action in ("rewrite", "drop") and not one.shadow)
        return bool(self.caught_more) or any(one.lost_to is None for one in edits)

    @property
    def done(self) -> bool:
        """The upstream sent its own terminator."""
        return self._decoder.done

    @property
    def ended(self) -> bool:
        """It broke, or must not go on."""
        return self.broken is not None or self.stop is not None

    @property
    def due_ns(self) -> int | None:
        """When `tick` must come at the latest."""
        return None if self._governor is None or self.stop is not None else self._governor.due_ns

    def feed(self, data: bytes, now_ns: int) -> bytes:
        """The client bytes that may leave now."""
        if self.ended:
            return b""
        if self._room is not None:
            self._room -= len(data)
            if self._room < 0:
                self.broken = Broken("upstream_failed", "the upstream's answer is larger than the gateway holds")
                return b""
        return self._leave(self._take(self._decoder.feed(data), now_ns))

    def tick(self, now_ns: int) -> bytes:
        """Time passed: text that was held for too long."""
        if self._governor is None or self.ended:
            return b""
        return self._leave(self._carry(self._governor.tick(now_ns), now_ns))

    def close(self, now_ns: int) -> bytes:
        """The upstream has ended: the rest, with the client's terminator; the whole body for a whole answer.

        An answer that did not finish sets `broken`, one that must not pass `stop`, and both give nothing more.
        """
        if self.ended:
            return b""
        out = self._take(self._decoder.close(), now_ns)
        if self._governor is not None:
            self._governor.end()
        if self.stop is None and not self._heard.finished:
            self.broken = self.broken or Broken("upstream_stream_broken", "the stream ended before its answer did")
        if isinstance(self.stop or self.broken, msgspec.Struct):
            return self._leave(out)
        kept = b"".join(self._kept or ())
        self._kept = None
        return kept + out + self._renderer.close()

    def _leave(self, out: bytes) -> bytes:
        if self._kept is None:
            return out
        if out:
            self._kept.append(out)
        return b""

    def _take(self, events: Sequence[Event], now_ns: int) -> bytes:
        for event in events:
            self._heard.add(event)
            if isinstance(event, Start):
                self._heard.identify(self._decoder)
        if self._governor is None:
            return self._write(events)
        return self._carry(self._governor.take(events, now_ns), now_ns) if events else b""

    def _carry(self, effects: Sequence[Effect], now_ns: int) -> bytes:
        out = b""
        for effect in effects:
            match effect:
                case Release():
                    out += self._write(effect.events)
                case Violation() | Flag():
                    self._note(_caught(effect))
                case Abort():
                    self.stop = effect
                    self._note(_caught(effect))
                case Retry():
                    self.stop = effect
        assert self._governor is not None
        self._gauge(self._governor.held_chars, now_ns)
        return out

    def _write(self, events: Sequence[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            if isinstance(event, Broken):
                self.broken = event
                break
            if self._keeps:
                self.written.add(event)
            if self._seen and isinstance(event, TextDelta):
                shared = min(len(self._seen), len(event.text))
                if event.text[:shared] != self._seen[:shared]:
                    self.broken = _CHANGED
                    break
                self._seen = self._seen[shared:]
                if shared == len(event.text):
                    continue
                event = TextDelta(event.choice, event.text[shared:])
            self._told.add(event)
            if written := self._renderer.write(event):
                out.append(written)
        return b"".join(out)

    def _note(self, caught: Caught) -> None:
        # What ends the attempt is found once, with the rules that match there: it is told whatever came before it.
        if len(self.caught) < CAUGHT_MAX or (caught.action in _ENDING and not caught.shadow):
            self.caught.append(caught)
        else:
            self.caught_more += 1

    def _gauge(self, held_chars: int, now_ns: int) -> None:
        """How much waits, and for how long something has waited without a break."""
        if held_chars > self.held_chars_max:
            self.held_chars_max = held_chars
        since = self._held_since_ns
        if since is not None:
            self.held_ns_max = max(self.held_ns_max, now_ns - since)
            if not held_chars:
                self._held_since_ns = None
        elif held_chars:
            self._held_since_ns = now_ns


def _caught(found: Violation | Flag | Abort) -> Caught:
    """What a receipt keeps of it."""
    spot = found.spot
    caught = Caught(
        action="ended",
        call=spot.call,
        channel=spot.kind,
        choice=spot.choice,
        end=found.end,
        field=spot.field,
        rule=found.rule,
        start=found.start,
    )
    match found:
        case Violation():
            return msgspec.structs.replace(
                caught,
                action=found.action,
                composed=found.composed,
                lost_to=found.lost_to,
                released_chars=found.released_chars,
                shadow=found.shadow,
            )
        case Flag():
            return msgspec.structs.replace(caught, action="released", cause=found.cause)
        case Abort():
            return msgspec.structs.replace(caught, cause=found.cause, dropped_chars=found.dropped_chars)
        case _:
            assert_never(found)
