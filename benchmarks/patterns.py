"""How long learned patterns take: learning a try, predicting one, making room; and how well they follow a drift.

`python -m benchmarks.patterns` prints the times beside their bars, and the scores of two seeded streams under several
ways to learn. Everything that is drawn comes from a seed, so the scores are the same in every run.
"""

from __future__ import annotations

import gc
import sys
import timeit
from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Final, NamedTuple

from wardwright.kernel.units import SECOND_US
from wardwright.limits.observed import Key, Observation, Outcome, key_of
from wardwright.limits.patterns import HALF_LIFE_S, KEYS_MAX, Patterns
from wardwright.limits.prediction import PRIOR_STRENGTH, told_ppm
from wardwright.limits.scoring import Report, Scored, Scores
from wardwright.limits.shapes import shape_of

START_US: Final = 1_800_000_000 * SECOND_US
HOUR_US: Final = 3600 * SECOND_US

STREAM: Final = 4000
"""Tries of one stream; of the drifting one four an hour."""

ARGUMENTS: Final = {"path": "src/wardwright/limits/patterns.py", "lines": [1, 80], "encoding": "utf-8", "follow": True}


class Timed(NamedTuple):
    """One figure and its bar, in µs."""

    what: str
    took_us: float
    bar_us: float


def measured(rounds: int = 7) -> tuple[Timed, ...]:
    """The best of some rounds of each, without the collector."""
    aged, evidence = learned(4000), learned(200_000, apart_us=SECOND_US)
    here = some_key(Random(1))
    asked_us = START_US + 4000 * HOUR_US // 4
    gc.disable()
    try:
        return (
            Timed("learn, six levels", _each(lambda: learner(Patterns(), 2000), 2000, rounds), 5.0),
            Timed("learn, each key new, no room", _each(crowd, 2 * KEYS_MAX, rounds), 20.0),
            Timed("predict, 12 half-lives held", _each(lambda: aged.predict(here, asked_us), 1, 50 * rounds), 150.0),
            Timed("predict, much evidence", _each(lambda: evidence.predict(here, asked_us), 1, 50 * rounds), 50.0),
            Timed("shape of four arguments", _each(shapes, 1000, rounds), 20.0),
            Timed("encode a row", _each(aged.rows, len(aged), rounds), 20.0),
            Timed("interval of 100,000 tries", _each(lambda: told_ppm(90_000.0, 10_000.0), 1, 50 * rounds), 250.0),
        )
    finally:
        gc.enable()


def some_key(luck: Random) -> Key:
    """One of some 600 keys, from few subjects to many targets."""
    return key_of(
        "acme", kind="tool", name=f"tool-{luck.randrange(8)}", shape=f"shape-{luck.randrange(3)}",
        house=luck.choice(("north", "south")), target=f"host-{luck.randrange(4)}", model=luck.choice(("a", "b", "c")),
    )  # fmt: skip


def observations(count: int, apart_us: int) -> Iterator[Observation]:
    luck = Random(7)
    for number in range(count):
        outcome: Outcome = "succeeded" if luck.random() < 0.9 else "failed"
        yield Observation(
            at_us=START_US + number * apart_us, cost_nano_usd=1_000_000, key=some_key(luck), order=number + 1,
            latency_us=luck.randrange(10**7), outcome=outcome, writer="here/gateway-0",
        )  # fmt: skip


def learned(count: int, apart_us: int = HOUR_US // 4) -> Patterns:
    patterns = Patterns()
    for seen in observations(count, apart_us):
        patterns.learn(seen)
    return patterns


_READY: Final = tuple(observations(2000, 60 * SECOND_US))


def learner(patterns: Patterns, count: int) -> None:
    learn = patterns.learn
    for seen in _READY[:count]:
        learn(seen)


def crowd() -> None:
    patterns = Patterns()
    for number, seen in enumerate(_CROWD):
        assert patterns.learn(seen), number


_CROWD: Final = tuple(
    Observation(
        at_us=START_US + number * SECOND_US, key=key_of("acme", kind="tool", name=f"tool-{number}"),
        order=number + 1, outcome="succeeded", writer="here/gateway-0",
    )
    for number in range(2 * KEYS_MAX)
)  # fmt: skip


def shapes() -> None:
    for _ in range(1000):
        shape_of(ARGUMENTS)


# How well they follow


def drifting(seed: int, count: int = STREAM) -> Iterator[tuple[int, Key, bool]]:
    """Tries of six tools over two hosts each; half-way every other tool and one host change their ways."""
    luck = Random(seed)
    early = {(tool, host): min(max(luck.gauss(0.75, 0.2), 0.05), 0.98) for tool in range(6) for host in range(2)}
    late = {pair: 1.0 - share if pair[0] % 2 == 0 or pair[1] else share for pair, share in early.items()}
    for number in range(count):
        pair = (luck.randrange(6), luck.randrange(2))
        share = (early if number < count // 2 else late)[pair]
        yield (
            START_US + number * HOUR_US // 4,
            key_of("acme", kind="tool", name=f"tool-{pair[0]}", target=f"host-{pair[1]}"),
            luck.random() < share,
        )


def sparse(seed: int, count: int = STREAM) -> Iterator[tuple[int, Key, bool]]:
    """Tries of twenty tools in thirty shapes each, at one instant: most shapes are seen but a few times."""
    luck = Random(seed)
    tools = [luck.betavariate(6, 2) for _ in range(20)]
    shares: dict[tuple[int, int], float] = {}
    for _ in range(count):
        tool, shape = luck.randrange(20), luck.randrange(30)
        share = shares.setdefault((tool, shape), luck.betavariate(10 * tools[tool] + 0.1, 10.1 - 10 * tools[tool]))
        yield START_US, key_of("acme", kind="tool", name=f"tool-{tool}", shape=f"shape-{shape}"), luck.random() < share


def followed(
    tries: Iterable[tuple[int, Key, bool]], *, half_life_s: int = HALF_LIFE_S, prior_strength: int = PRIOR_STRENGTH
) -> Report:
    """The scores of a learner over a stream, each try predicted before it is learned."""
    patterns = Patterns(half_life_s=half_life_s, prior_strength=prior_strength)
    scores = Scores()
    for order, (at_us, key, succeeded) in enumerate(tries, 1):
        told = patterns.predict(key, at_us).success_ppm
        scores.add(Scored(abstained=False, at_us=at_us, key=key, predicted_ppm=told, succeeded=succeeded))
        outcome: Outcome = "succeeded" if succeeded else "failed"
        patterns.learn(Observation(at_us=at_us, key=key, order=order, outcome=outcome, writer="w"))
    return scores.report()


UNDECAYED_S: Final = 100 * 365 * 86_400


def _each(run: Callable[[], object], count: int, rounds: int) -> float:
    return min(timeit.repeat(run, number=1, repeat=rounds)) / count * 1e6


def main() -> int:
    timed = measured()
    for one in timed:
        print(f"{one.what:<32} {one.took_us:8.2f} µs   (bar {one.bar_us:g} µs)")
    print("\ndrift, by half-life")
    for days in (1, 3, 7, 14):
        _told(f"{days} days", followed(drifting(7), half_life_s=days * 86_400))
    _told("undecayed", followed(drifting(7), half_life_s=UNDECAYED_S))
    print("\nmany keys with little evidence, by strength of the prior")
    for strength in (2, 4, 8, 16, 32):
        _told(f"{strength} observations", followed(sparse(7), prior_strength=strength))
    return 1 if any(one.took_us > one.bar_us for one in timed) else 0


def _told(what: str, scores: Report) -> None:
    brier, loss, skill = scores.brier_ppm, scores.log_loss_micro, scores.skill_ppm
    print(f"{what:<18} Brier {brier} ppm   log loss {loss} micro   skill {skill} ppm")


if __name__ == "__main__":
    sys.exit(main())
