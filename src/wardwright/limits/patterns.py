"""Learned patterns: how often, how fast and how dearly tries succeed, from the tenant down to one model at one target.

    patterns = Patterns()
    patterns.learn(observation)                 # when a try has ended, from its record or just now
    patterns.predict(key, now_us).success_ppm   # before a try

Rule 1: one observation counts at every level of its key, with a weight that halves each `half_life_s`.
Rule 2: sums are integers and commute: the same observations give the same bytes, whoever told them in which order, as
long as nothing was dropped for room.
Rule 3: of one writer, an observation whose order is not above the last one's was learned before and changes nothing.
Rule 4: a tenant has at most `keys_max` keys. Past that, a sixteenth of them goes at once, those with the least evidence
first, so that newcomers have a while to gather some; what a dropped key taught stays in the levels above it.
Rule 5: rows hold what was learned, and up to which order of whom. They belong together: store all of one `changes` at
once, or learn the journal again from its start.

Patterns of text, which rules look for, are something else: `kernel.patterns`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from wardwright.kernel.units import SECOND_US
from wardwright.limits.decay import STEPS, WEIGHTS, Instant, instant, unit
from wardwright.limits.history import Row
from wardwright.limits.learned import Learned, LearnedRow, cost_of, counted, latency_of
from wardwright.limits.observed import LEVELS, Key, Observation
from wardwright.limits.prediction import EVIDENCE_MIN, PRIOR_STRENGTH, Prediction, posterior, told_ppm
from wardwright.limits.sketch import CUT, bucket_of

HALF_LIFE_S: Final = 3 * 86_400
"""After this long an observation weighs half."""

KEYS_MAX: Final = 4096
"""Keys of one tenant, over all levels."""

DROPPED: Final = 16
"""Of `keys_max`, 1/DROPPED goes when room is needed."""

WRITERS_MAX: Final = 4096
"""Nothing of further writers is learned: what cannot be told from a repetition is not counted."""

COST_NANO_USD_MAX: Final = 10**12
"""A dearer try counts as this: a thousand US dollars."""

FORMAT: Final = 1
"""The version of rows."""


class Patterns:
    """What tries of every tenant taught. Belongs to one thread."""

    def __init__(
        self, *, half_life_s: int = HALF_LIFE_S, keys_max: int = KEYS_MAX, prior_strength: int = PRIOR_STRENGTH
    ) -> None:
        """`half_life_s` is at least 1, `keys_max` at least one key of all levels. The strength of the prior has no part
        in what is learned, only in what is told."""
        if half_life_s < 1 or keys_max < len(LEVELS):
            raise ValueError(f"a half-life is at least 1 second, and there is room for {len(LEVELS)} keys or more")
        self._half_life_s = half_life_s
        self._keys_max = keys_max
        self._prior_strength = prior_strength
        self._step_us = half_life_s * SECOND_US // STEPS
        self._tenants: dict[str, dict[Key, Learned]] = {}
        self._reached: dict[str, int] = {}
        """The order of the last observation, by writer."""
        self._changed: dict[Key, None] = {}
        self._reached_changed = False

    @property
    def name(self) -> str:
        """What a store calls it. Rows of another half-life are another projection: it is learned from the start."""
        return f"patterns-{FORMAT}-{self._half_life_s}"

    def __len__(self) -> int:
        """Keys that are kept."""
        return sum(len(nodes) for nodes in self._tenants.values())

    def learn(self, seen: Observation) -> bool:
        """A try has ended; False where it was learned before, or too many write."""
        reached, changed = self._reached, self._changed
        last = reached.get(seen.writer)
        if last is None:
            if len(reached) >= WRITERS_MAX:
                return False
        elif seen.order <= last:
            return False
        reached[seen.writer] = seen.order
        self._reached_changed = True
        step = seen.at_us // self._step_us
        weight = WEIGHTS[step % STEPS]
        half_life = step // STEPS
        good = weight if seen.outcome == "succeeded" else 0
        cost = seen.cost_nano_usd
        spent = 0 if cost is None else weight * min(max(cost, 0), COST_NANO_USD_MAX)
        bucket = -1
        if seen.outcome == "cut":
            bucket = CUT
        elif good and seen.latency_us is not None:
            bucket = bucket_of(seen.latency_us)
        crowded = False
        key = seen.key
        nodes = self._tenants.get(key[0])
        node = None if nodes is None else nodes.get(key)
        if node is None:
            node = self._place(key)
            crowded = len(self._tenants[key[0]]) > self._keys_max
        above: Learned | None = node
        while above is not None:
            node = above
            if step > node.step:
                node.step = step
                if half_life != node.half_life:
                    node.advance(half_life)
            sums = node.sums
            if half_life != node.half_life:
                older = node.older(half_life)
                if older is None:
                    above = node.above
                    continue
                sums = older
            sums.tries += weight
            sums.good += good
            if bucket >= 0:
                sums.timed += weight
                sums.latencies[bucket] = sums.latencies.get(bucket, 0) + weight
            if cost is not None:
                sums.priced += weight
                sums.spent += spent
            changed[node.key] = None
            above = node.above
        if crowded:
            self._make_room(key[0])
        return True

    def predict(self, key: Key, at_us: int) -> Prediction:
        """What is expected of a try at an instant; one before the tenant's last observation counts as that one."""
        path: list[Learned] = []
        nodes = self._tenants.get(key[0], {})
        for length in range(1, len(key) + 1):
            node = nodes.get(key[:length])
            if node is None:
                break
            path.append(node)
        at = instant(max(at_us // self._step_us, path[0].step if path else 0))
        one = unit(at)
        counts: list[tuple[float, float]] = []
        levels = [node.within(at) for node in path]
        level = evidence = 0
        for place, sums in enumerate(levels):
            tries, good = counted(sums)
            counts.append((tries / one, good / one))
            if place == 1:
                evidence = tries * 1000 // one
            if place and tries >= EVIDENCE_MIN * one:
                level, evidence = place, tries * 1000 // one
        success_ppm, low_ppm, high_ppm = told_ppm(*posterior(counts, len(key), self._prior_strength))
        return Prediction(
            abstained=level == 0,
            cost_nano_usd=cost_of(levels, one),
            evidence_milli=evidence,
            high_ppm=high_ppm,
            latency=latency_of(levels, one),
            level=LEVELS[level],
            low_ppm=low_ppm,
            success_ppm=success_ppm,
        )

    def known(self) -> tuple[Key, ...]:
        """Every key that is kept, sorted."""
        return tuple(sorted(key for nodes in self._tenants.values() for key in nodes))

    # Storing

    def rows(self) -> tuple[Row, ...]:
        """All there is, sorted: equal learning, equal bytes."""
        every = [node for tenant in sorted(self._tenants) for _, node in sorted(self._tenants[tenant].items())]
        return (self._reached_row(), *(_row(node.key, node) for node in every))

    def changes(self) -> tuple[Row, ...]:
        """What changed since it was last asked for. Store it in one step."""
        keys = sorted(self._changed)
        self._changed.clear()
        if not self._reached_changed:
            return ()
        self._reached_changed = False
        return (self._reached_row(), *(_row(key, self._tenants[key[0]].get(key)) for key in keys))

    def unsaved(self, rows: Iterable[Row]) -> None:
        """Changes that could not be stored: they come again."""
        for row in rows:
            self._reached_changed = True
            key = _key(row.key)
            if key is not None:
                self._changed[key] = None

    def restore(self, rows: Iterable[tuple[str, bytes]]) -> None:
        """Take up what a store holds under `name`. For patterns that have learned nothing yet."""
        found: dict[Key, bytes] = {}
        for name, value in rows:
            key = _key(name)
            if key is None:
                self._reached = dict(msgspec.json.decode(value, type=tuple[tuple[str, int], ...]))
            else:
                found[key] = value
        for key in sorted(found):
            self._place(key).restore(msgspec.json.decode(found[key], type=LearnedRow))

    # Inside

    def _reached_row(self) -> Row:
        return Row(_REACHED, _encode(tuple(sorted(self._reached.items()))))

    def _place(self, key: Key) -> Learned:
        if not 0 < len(key) <= len(LEVELS):
            raise ValueError(f"a key has 1 to {len(LEVELS)} parts, this one {len(key)}")
        nodes = self._tenants.setdefault(key[0], {})
        above: Learned | None = None
        for length in range(1, len(key) + 1):
            part = key[:length]
            node = nodes.get(part)
            if node is None:
                node = nodes[part] = Learned(part, above)
            above = node
        assert above is not None
        return above

    def _make_room(self, tenant: str) -> None:
        """Evidence keeps its order while it decays, and no key has more than the one above it: so what is dropped is
        always a whole branch, from its tips."""
        nodes = self._tenants[tenant]
        newest = Instant(nodes[tenant,].half_life, 1)
        by_evidence = sorted(
            nodes.values(), key=lambda node: (counted(node.within(newest))[0], -len(node.key), node.key)
        )
        for node in by_evidence[: len(nodes) - self._keys_max + self._keys_max // DROPPED]:
            del nodes[node.key]
            self._changed[node.key] = None


_encode: Final = msgspec.json.encode
_REACHED: Final = '["reached"]'


def _row(key: Key, node: Learned | None) -> Row:
    return Row(_encode(("key", *key)).decode(), None if node is None else _encode(node.row()))


def _key(name: str) -> Key | None:
    """The key that a row is of; None: it is the one of the orders."""
    kind, *parts = msgspec.json.decode(name, type=tuple[str, ...])
    if kind not in ("key", "reached"):
        raise ValueError(f"{name} is no row of patterns")
    return tuple(parts) if kind == "key" else None
