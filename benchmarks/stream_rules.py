"""How long stream rules take: an answer of prose and code, five characters a delta, under the rules of `rules-50.yaml`.

`python -m benchmarks.stream_rules` prints the figures beside their bars: a delta under all fifty, a delta under a rule
that is never alive, what governing adds before the first token, and what an open stream keeps while text is held.
"""

from __future__ import annotations

import gc
import sys
import timeit
import tracemalloc
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.rules import SYSTEM, USER, loaded
from wardwright.kernel.events import Event, TextDelta
from wardwright.streams.governor import Governor
from wardwright.streams.lowering import lower
from wardwright.streams.rule import Block, Phrase, StreamRule
from wardwright.streams.ruleset import RuleSet

RULES: Final = Path(__file__).parent / "rules-50.yaml"
TEXT: Final = f"{SYSTEM}\n{USER}" * 4
DELTA_CHARS: Final = 5
STREAMS: Final = 500


class Timed(NamedTuple):
    """One figure and its bar."""

    what: str
    took: float
    bar: float
    unit: str


def rules() -> RuleSet:
    return RuleSet(lower(loaded(RULES.read_bytes()).of("stream")))


def deltas(text: str = TEXT) -> list[list[Event]]:
    return [[TextDelta(0, text[at : at + DELTA_CHARS])] for at in range(0, len(text), DELTA_CHARS)]


def governed(rule_set: RuleSet, pieces: list[list[Event]]) -> Governor:
    governor = Governor(rule_set)
    for index, piece in enumerate(pieces):
        governor.take(piece, index)
    return governor


def measured(rounds: int = 9) -> tuple[Timed, ...]:
    """The best of some rounds of each, without the collector."""
    fifty = rules()
    quiet = RuleSet([StreamRule(id="quiet", match=Phrase("§7"), then=Block())])
    pieces = deltas()
    for rule_set in (fifty, quiet):
        governed(rule_set, pieces)  # makes the nodes of the automaton
    gc.disable()
    try:
        return (
            Timed(f"a delta, {len(fifty.rules)} rules", _best(fifty, pieces, rounds), 10.0, "µs"),
            Timed("a delta, nothing alive", _best(quiet, pieces, rounds), 7.0, "µs"),
            Timed("before the first token", _first(fifty, pieces, rounds), 1000.0, "µs"),
            Timed("an open stream, text held", _kept(fifty), 20.0, "KiB"),
        )
    finally:
        gc.enable()


def _best(rule_set: RuleSet, pieces: list[list[Event]], rounds: int) -> float:
    took_s = min(timeit.repeat(lambda: governed(rule_set, pieces), number=1, repeat=rounds * 3))
    return took_s / len(pieces) * 1e6


def _first(rule_set: RuleSet, pieces: list[list[Event]], rounds: int) -> float:
    number = 500
    return (
        min(timeit.repeat(lambda: Governor(rule_set).take(pieces[0], 0), number=number, repeat=rounds)) / number * 1e6
    )


def _kept(rule_set: RuleSet) -> float:
    """KiB that a stream keeps between two deltas while a credential is half written, its own events among them."""
    text = TEXT[:200] + " sk-" + "a1B2" * 4
    governed(rule_set, deltas(text))  # makes the nodes of the automaton
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        streams = [governed(rule_set, deltas(text)) for _ in range(STREAMS)]
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert all(stream.held_chars for stream in streams)
    return (after - before) / STREAMS / 1024


def main() -> int:
    timed = measured()
    for one in timed:
        print(f"{one.what:<26} {one.took:7.2f} {one.unit}   (bar {one.bar:g} {one.unit})")
    return 1 if any(one.took > one.bar for one in timed) else 0


if __name__ == "__main__":
    sys.exit(main())
