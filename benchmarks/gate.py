"""The correctness gate: one answer of a gateway compared with what the upstream meant to say.

Rule 1: pure. The load hands over what arrived and when; the verdict is `Answer` or `Wrong`.
Rule 2: text is compared byte for byte, the finish must be `stop`, a stream must end with `[DONE]`.
Rule 3: a trickled stream must arrive as a trickle: its events at distinct instants, spread over the time that the
upstream took. A relay that buffers returns the right text and is still wrong.
"""

from __future__ import annotations

import functools
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias, assert_never

import msgspec

from benchmarks import behaviour
from benchmarks.behaviour import Behaviour, Burst, Delayed, Hold, Trickle, Whole

Arrival: TypeAlias = tuple[int, int]
"""An instant in nanoseconds and how many bytes of the body had arrived by then."""


class Pace(msgspec.Struct, frozen=True):
    """How much of the upstream's trickle must survive."""

    distinct_share: float
    """Of the events, how many must arrive at instants of their own."""
    spread_share: float
    """Of the time between the first and the last event."""


STRICT: Final = Pace(distinct_share=0.9, spread_share=0.9)
"""For a single stream through an idle gateway: whoever fails this does not stream."""

UNDER_LOAD: Final = Pace(distinct_share=0.25, spread_share=0.02)
"""For streams among many: a saturated gateway may fall behind and catch up. How late it is shows in the hops."""


class Exchange(msgspec.Struct, frozen=True, gc=False):
    """What arrived for one call."""

    status: int
    body: bytes
    arrivals: Sequence[Arrival]
    started_ns: int
    """Just before the request was written."""
    ended_ns: int
    """When the last byte of the answer had been read."""


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A right answer and its times, in nanoseconds."""

    total_ns: int
    first_byte_ns: int
    """To the first byte of the body."""
    own_ns: int
    """The total without the time that the upstream states it took; the total where it states none."""
    hops_ns: tuple[int, ...] = ()
    """Per trickled event, from leaving the upstream to arriving here."""


class Wrong(msgspec.Struct, frozen=True):
    """Why an answer does not count."""

    why: str


class _Message(msgspec.Struct, frozen=True, gc=False):
    content: str | None = None


class _Choice(msgspec.Struct, gc=False):
    message: _Message
    finish_reason: str | None = None


class _Whole(msgspec.Struct, gc=False):
    choices: list[_Choice]


class _ChunkChoice(msgspec.Struct, gc=False):
    delta: _Message = _Message()
    finish_reason: str | None = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_ChunkChoice] = []


class _Told(msgspec.Struct):
    """What a stream said: its text and, per event that carries text, where in the body the event ends."""

    text: str
    ends: list[int]


_whole: Final = msgspec.json.Decoder(_Whole)
_chunk: Final = msgspec.json.Decoder(_Chunk)
_BLANK_LINE: Final = re.compile(rb"\r?\n\r?\n")


def check(meant: Behaviour, exchange: Exchange, pace: Pace) -> Answer | Wrong:
    """Judge one answer."""
    if exchange.status != 200:
        return Wrong(f"status {exchange.status}: {exchange.body[:200].decode('utf-8', 'replace')}")
    try:
        match meant:
            case Whole():
                return _same(_whole_text(exchange.body), behaviour.WHOLE_TEXT, exchange)
            case Delayed():
                return _answer(exchange, upstream_ns=behaviour.read_waited(_whole_text(exchange.body)))
            case Burst(events):
                return _same(_told(exchange.body).text, _burst_text(events), exchange)
            case Trickle():
                return _trickled(meant, exchange, pace)
            case Hold():
                return Wrong("a held stream ended")
            case _:
                assert_never(meant)
    except (msgspec.DecodeError, ValueError) as problem:
        return Wrong(str(problem))


@functools.lru_cache(maxsize=16)
def _burst_text(events: int) -> str:
    return behaviour.burst_text(events)


def _same(text: str, expected: str, exchange: Exchange) -> Answer | Wrong:
    if text != expected:
        place = next((at for at, pair in enumerate(zip(text, expected, strict=False)) if pair[0] != pair[1]), None)
        where = f"at character {place}" if place is not None else f"after {min(len(text), len(expected))} characters"
        return Wrong(f"the text differs {where} ({len(text)} characters, {len(expected)} meant)")
    return _answer(exchange)


def _answer(exchange: Exchange, upstream_ns: int = 0, hops_ns: tuple[int, ...] = ()) -> Answer:
    total_ns = exchange.ended_ns - exchange.started_ns
    return Answer(
        total_ns=total_ns,
        first_byte_ns=exchange.arrivals[0][0] - exchange.started_ns,
        own_ns=total_ns - upstream_ns,
        hops_ns=hops_ns,
    )


def _whole_text(body: bytes) -> str:
    answer = _whole.decode(body)
    if len(answer.choices) != 1:
        raise ValueError(f"{len(answer.choices)} choices instead of one")
    choice = answer.choices[0]
    if choice.finish_reason != "stop":
        raise ValueError(f"finish_reason is {choice.finish_reason!r}")
    return choice.message.content or ""


def _trickled(meant: Trickle, exchange: Exchange, pace: Pace) -> Answer | Wrong:
    told = _told(exchange.body)
    stamps = behaviour.read_stamps(told.text)
    if [place for place, _ in stamps] != list(range(meant.events)):
        return Wrong(f"{len(stamps)} events came, {meant.events} were meant, or their order changed")
    if len(told.ends) != meant.events:
        return Wrong(f"{meant.events} events were merged into {len(told.ends)}")
    sizes = [size for _, size in exchange.arrivals]
    instants = [exchange.arrivals[bisect_left(sizes, end)][0] for end in told.ends]
    distinct, spread_ns = len(set(instants)), instants[-1] - instants[0]
    if distinct < meant.events * pace.distinct_share or spread_ns < meant.spread_ms * 1_000_000 * pace.spread_share:
        return Wrong(
            f"not streamed: {meant.events} events sent over {meant.spread_ms} ms arrived at {distinct} instants over "
            f"{spread_ns // 1_000_000} ms"
        )
    hops_ns = tuple(instant - left for instant, (_, left) in zip(instants, stamps, strict=True))
    if min(hops_ns) < 0:
        return Wrong("an event arrived before it was sent")
    return _answer(exchange, hops_ns=hops_ns)


def _told(body: bytes) -> _Told:
    """Read a whole event stream; ValueError where it is not one that ended well."""
    pieces: list[str] = []
    ends: list[int] = []
    finish: str | None = None
    done = False
    for data, end in _events(body):
        if done:
            raise ValueError("an event after [DONE]")
        if data == b"[DONE]":
            done = True
            continue
        for choice in _chunk.decode(data).choices:
            if choice.delta.content:
                pieces.append(choice.delta.content)
                ends.append(end)
            finish = choice.finish_reason or finish
    if not done:
        raise ValueError("the stream ended without [DONE]")
    if finish != "stop":
        raise ValueError(f"finish_reason is {finish!r}")
    return _Told("".join(pieces), ends)


def _events(body: bytes) -> Iterator[tuple[bytes, int]]:
    """The data of each event and where in the body the event ends; comments are passed over."""
    end = 0
    for event, size in _blocks(body):
        end += size
        if event.startswith(b"data: ") and b"\n" not in event:
            yield event[6:], end
            continue
        lines = [line[5:].strip() for line in event.splitlines() if line.startswith(b"data:")]
        if lines:
            yield b"\n".join(lines), end


def _blocks(body: bytes) -> Iterator[tuple[bytes, int]]:
    """Each block that a blank line ends, with its size including that line; what follows the last is cut short."""
    if b"\r" not in body:
        *blocks, rest = body.split(b"\n\n")
        for block in blocks:
            yield block, len(block) + 2
    else:
        start = 0
        for blank in _BLANK_LINE.finditer(body):
            yield body[start : blank.start()], blank.end() - start
            start = blank.end()
        rest = body[start:]
    if rest.strip():
        raise ValueError("the stream was cut inside an event")
