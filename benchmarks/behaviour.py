"""What the mock upstream does, written in the model's name; the load reads the same name to know what to expect.

    json             a small whole answer at once
    delay-20ms       the same after 15 to 25 ms; the answer states how long the upstream really took
    sse-50           a stream of 50 events, handed to the kernel in one go
    slow-20x50ms     a stream of 20 events, one each 50 ms; each event states when it left
    hold             a stream that says one thing and then stays open until the client leaves

Rule 1: pure. A name means the same text on both sides, so an answer is checked without asking the upstream.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias, assert_never

import msgspec

EVENTS_MAX: Final = 100_000
PAUSE_MS_MAX: Final = 60_000

WHOLE_TEXT: Final = (
    "The route was chosen because the request fits its window, the target is healthy and the price is the lowest of "
    "those that remain. Nothing else took part in the decision."
)
"""What `json` answers."""

HOLD_WORD: Final = "open"
HOLD_TEXT: Final = f"{HOLD_WORD} §§"
"""The only thing `hold` says. The word leaves at once; what follows is the beginning of what one rule of the governed
gateway waits for."""


class Whole(msgspec.Struct, frozen=True):
    """One answer at once."""


class Delayed(msgspec.Struct, frozen=True):
    """One answer after a pause."""

    pause_ms: int


class Burst(msgspec.Struct, frozen=True):
    """All events of a stream in one go."""

    events: int


class Trickle(msgspec.Struct, frozen=True):
    """One event of a stream per pause."""

    events: int
    pause_ms: int

    @property
    def spread_ms(self) -> int:
        """Between the first event and the last, as the upstream sends them."""
        return (self.events - 1) * self.pause_ms


class Hold(msgspec.Struct, frozen=True):
    """One event, then silence until the client leaves."""


Behaviour: TypeAlias = Whole | Delayed | Burst | Trickle | Hold

_NAME: Final = re.compile(
    r"(?P<json>json)|(?P<hold>hold)|delay-(?P<delay>\d{1,5})ms|sse-(?P<burst>\d{1,6})|"
    r"slow-(?P<trickle>\d{1,6})x(?P<pause>\d{1,5})ms"
)


def behaviour_of(model: str) -> Behaviour:
    """Read a model's name. A provider prefix (`openai/json`) is ignored; ValueError if the name means nothing.

    >>> behaviour_of("slow-20x50ms")
    Trickle(events=20, pause_ms=50)
    """
    match = _NAME.fullmatch(model.rpartition("/")[2])
    if match is None:
        raise ValueError(f"no behaviour is called {model!r}")
    found: Behaviour
    if match["json"]:
        return Whole()
    if match["hold"]:
        return Hold()
    if match["delay"]:
        found = Delayed(pause_ms=int(match["delay"]))
    elif match["burst"]:
        found = Burst(events=int(match["burst"]))
    else:
        found = Trickle(events=int(match["trickle"]), pause_ms=int(match["pause"]))
    _within_bounds(found, model)
    return found


def _within_bounds(behaviour: Behaviour, model: str) -> None:
    events = behaviour.events if isinstance(behaviour, Burst | Trickle) else 1
    pause_ms = behaviour.pause_ms if isinstance(behaviour, Delayed | Trickle) else 1
    if not 1 <= events <= EVENTS_MAX or not 1 <= pause_ms <= PAUSE_MS_MAX:
        raise ValueError(f"{model!r} is out of bounds: 1..{EVENTS_MAX} events, 1..{PAUSE_MS_MAX} ms")


def streams(behaviour: Behaviour) -> bool:
    """Whether a call for this behaviour asks for a stream."""
    match behaviour:
        case Whole() | Delayed():
            return False
        case Burst() | Trickle() | Hold():
            return True
        case _:
            assert_never(behaviour)


def burst_delta(index: int) -> str:
    """The text of one burst event: it differs from its neighbours, so a lost, doubled or swapped event shows."""
    return f" w{index:03x}"


def burst_text(events: int) -> str:
    return "".join(map(burst_delta, range(events)))


STAMP_CHARS: Final = 28


def stamped(index: int, instant_ns: int) -> str:
    """The text of one trickled event: its place and the instant it left, on the clock that all processes share.

    >>> read_stamps(stamped(0, 17) + stamped(1, 40))
    [(0, 17), (1, 40)]
    """
    return f"[{index:06d} {instant_ns:019d}]"


def read_stamps(text: str) -> list[tuple[int, int]]:
    """The places and instants of a trickled text; ValueError if it is anything else."""
    if len(text) % STAMP_CHARS:
        raise ValueError("the text is not made of whole stamps")
    stamps = []
    for start in range(0, len(text), STAMP_CHARS):
        stamp = text[start : start + STAMP_CHARS]
        if stamp[0] != "[" or stamp[-1] != "]":
            raise ValueError(f"{stamp!r} is not a stamp")
        stamps.append((int(stamp[1:7]), int(stamp[8:-1])))
    return stamps


def uneven_pause_s(pause_ms: int, call: int) -> float:
    """Seconds to wait before the answer to the given call: evenly spread over three to five quarters of `pause_ms`.

    Equal pauses would march all callers of a closed loop in step, and every figure would show the queue they make.
    """
    golden_share = call * 0.6180339887498949 % 1
    return pause_ms / 1000 * (0.75 + 0.5 * golden_share)


def waited(duration_ns: int) -> str:
    """What `delay-…` answers: the time the upstream itself took, from the last byte of the request to its answer."""
    return f"waited {duration_ns:019d} ns"


def read_waited(text: str) -> int:
    """Nanoseconds the upstream took; ValueError if the text is anything else."""
    match = re.fullmatch(r"waited (\d{19}) ns", text)
    if match is None:
        raise ValueError(f"{text[:60]!r} does not state a wait")
    return int(match[1])
