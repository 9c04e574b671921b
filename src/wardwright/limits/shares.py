"""A limit that several workers keep together: each holds a part of it, and fills its part alone.

Rule 1: the parts of one limit never pass it together, but for what calls used beyond what they had reserved, and for
what was lent before the limit was lowered.
Rule 2: a part covers what its worker used within the window and what it has reserved. Until it is full the worker
decides alone; then it asks for more of what is free.
Rule 3: more is lent than was asked for, so that workers seldom ask; the less is free, the less beyond the need.
Rule 4: what a worker holds and has not needed for IDLE_US goes back. Until then another worker may be refused what is
lent and not used.
Rule 5: what the others used is known as of at most LOOK_US ago, and counts as long as it is in the window.
Rule 6: nobody lends before all workers have told their parts, nor where the store fails.

Instants are µs since the epoch. Implemented by `wardwright.storage.shares`, and in memory by
`wardwright.testing.shares`; the kit that both pass is `wardwright.testing.shares_kit`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple, Protocol, TypeAlias

import msgspec

from wardwright.kernel.errors import WardwrightError
from wardwright.kernel.units import SECOND_US
from wardwright.limits.series import NEVER_US, Series
from wardwright.limits.windows import Window, leaves_us

IDLE_US: Final = SECOND_US
"""How long a worker keeps what it holds and does not need."""

LOOK_US: Final = SECOND_US
"""How old what is known of the others may be."""

PUBLISHED_MAX: Final = 2_048
"""Parts that are told in one go; more wait for the next."""


class Key(NamedTuple):
    """One claimant of one budget."""

    tenant: str
    meter: str
    claim: str


class Part(msgspec.Struct, frozen=True):
    """One worker's part, as the others see it: what its ended calls used within the window, and what was lent to it
    beyond that."""

    lent: int
    """For calls under way and calls to come."""
    slices: tuple[tuple[int, int], ...] = ()
    """What ended calls used, by slice of the window."""

    def used(self, window: Window, now_us: int) -> int:
        """What of it is in the window."""
        return sum(amount for index, amount in self.slices if leaves_us(window, index) > now_us)


Parts: TypeAlias = Mapping[int, Part]
"""Of one key, by worker."""


class ShareStore(Protocol):
    """Where the workers of one machine tell each other their parts. Called on the event loop: it must answer within
    microseconds. Every method raises `state_write` where it cannot."""

    def exchange(self, key: Key, worker: int, decide: Callable[[Parts], Part]) -> Parts:
        """Put what `decide` makes of all parts, the worker's own among them, before anybody else does; all parts."""
        ...

    def look(self, key: Key) -> Parts:
        """All parts of a key."""
        ...

    def put(self, worker: int, parts: Mapping[Key, Part | None]) -> None:
        """Put or drop (None) parts of a worker."""
        ...

    def join(self, worker: int, parts: Mapping[Key, Part]) -> None:
        """Replace all parts of a worker: from now on it lends with the others."""
        ...

    def joined(self) -> frozenset[int]:
        """The workers that ever joined."""
        ...


class Others(msgspec.Struct, frozen=True):
    """What the other workers hold of one key."""

    used: int
    """By calls that ended, within the window."""
    lent: int
    """Beyond that: reserved, or ready to be."""
    slices: tuple[tuple[int, int], ...]
    """As each told them."""


NOBODY: Final = Others(0, 0, ())


class NotLent(Exception):
    """What the others hold cannot be told now."""


class _Mine:
    """What this worker holds of one key, as it told the others."""

    __slots__ = ("_fresh_until_us", "_used", "limit", "needed_us", "part", "window")

    def __init__(self, limit: int, window: Window, part: Part, now_us: int) -> None:
        self.limit = limit
        """Of which it is a part."""
        self.needed_us = now_us
        """When it was last needed."""
        self.window = window
        self.tell(part)

    def tell(self, part: Part) -> None:
        self.part = part
        self._fresh_until_us = 0

    def room(self, now_us: int) -> int:
        """What it may fill: what it told of its usage, as far as that is in the window, and what was lent."""
        if now_us >= self._fresh_until_us:
            leaves = [leaves_us(self.window, index) for index, _ in self.part.slices]
            self._used = self.part.used(self.window, now_us)
            self._fresh_until_us = min((at for at in leaves if at > now_us), default=NEVER_US)
        return self._used + self.part.lent


class _Seen(msgspec.Struct, frozen=True):
    at_us: int
    others: Others


class Shares:
    """The parts of one worker. Belongs to the event loop's thread."""

    def __init__(self, store: ShareStore, worker: int, workers: int) -> None:
        """`worker` is from 0 to `workers` - 1."""
        self._store = store
        self._worker = worker
        self._workers = workers
        self._complete = False
        """All workers have joined."""
        self._mine: dict[Key, _Mine] = {}
        """Those whose part may have changed since it was told, or may go back."""
        self._seen: dict[Key, _Seen] = {}

    def join(self, held: Mapping[Key, Series]) -> None:
        """Tell what this worker used before it serves. Raises `state_write`."""
        self._store.join(self._worker, {key: Part(0, series.slices()) for key, series in held.items()})

    def borrow(self, key: Key, window: Window, limit: int, series: Series | None, amount: int, now_us: int) -> bool:
        """Whether this worker may reserve so much more. Raises NotLent."""
        used, reserved = (0, 0) if series is None else (series.used, series.reserved)
        mine = self._mine.get(key)
        if mine is not None and mine.limit == limit and used + reserved + amount <= mine.room(now_us):
            mine.needed_us = now_us
            return True
        self._require_all()

        def decide(parts: Parts) -> Part:
            others = self._of(parts, window, now_us)
            free = limit - others.used - others.lent - used - reserved
            return _part(reserved + lent(free, amount, self._workers), series)

        try:
            parts = self._store.exchange(key, self._worker, decide)
        except WardwrightError as failure:
            raise NotLent from failure
        self._note(key, parts, window, now_us)
        mine = self._mine[key] = _Mine(limit, window, parts[self._worker], now_us)
        return used + reserved + amount <= mine.room(now_us)

    def touch(self, key: Key, window: Window, limit: int, now_us: int) -> None:
        """What this worker used of a key changes: the others shall hear of it."""
        mine = self._mine.get(key)
        if mine is None:
            self._mine[key] = _Mine(limit, window, Part(0), now_us)
        else:
            mine.needed_us = now_us

    def others(self, key: Key, window: Window, now_us: int) -> Others:
        """What the other workers hold, as of at most LOOK_US ago. Raises NotLent."""
        seen = self._seen.get(key)
        if seen is None or now_us - seen.at_us >= LOOK_US:
            self._require_all()
            try:
                parts = self._store.look(key)
            except WardwrightError as failure:
                raise NotLent from failure
            seen = self._note(key, parts, window, now_us)
        return seen.others

    def publish(self, series_of: Callable[[Key], Series | None], now_us: int) -> None:
        """Tell the others what changed, and give back what was not needed. Raises `state_write`; all comes again."""
        told: dict[Key, Part | None] = {}
        done: list[Key] = []
        for key, mine in self._mine.items():
            if len(told) == PUBLISHED_MAX:
                break
            series = series_of(key)
            used, reserved = (0, 0) if series is None else (series.used, series.reserved)
            idle = now_us - mine.needed_us >= IDLE_US
            # What was used since it last told moves from what was lent to what was used: the sum stays.
            part = told[key] = _part(reserved if idle else max(mine.room(now_us) - used, reserved), series)
            if idle and not reserved:
                done.append(key)
                if not part.slices:
                    told[key] = None
        if told:
            self._store.put(self._worker, told)
        for key, told_part in told.items():
            if told_part is not None:
                self._mine[key].tell(told_part)
        for key in done:
            del self._mine[key]
        for key in [key for key, seen in self._seen.items() if now_us - seen.at_us >= LOOK_US]:
            del self._seen[key]

    def _require_all(self) -> None:
        if self._complete:
            return
        try:
            joined = self._store.joined()
        except WardwrightError as failure:
            raise NotLent from failure
        if not joined.issuperset(range(self._workers)):
            raise NotLent
        self._complete = True

    def _note(self, key: Key, parts: Parts, window: Window, now_us: int) -> _Seen:
        seen = self._seen[key] = _Seen(now_us, self._of(parts, window, now_us))
        return seen

    def _of(self, parts: Parts, window: Window, now_us: int) -> Others:
        used, more = 0, 0
        slices: list[tuple[int, int]] = []
        for worker, part in parts.items():
            if worker != self._worker:
                used += part.used(window, now_us)
                slices += part.slices
                if worker < self._workers:  # of one that is no longer there only what it used counts
                    more += part.lent
        return Others(used, more, tuple(slices))


def lent(free: int, amount: int, workers: int) -> int:
    """How much of what is free a worker gets that wants `amount`; nothing where that is more than there is.

    >>> lent(100, 1, workers=2), lent(1, 1, workers=2), lent(1, 2, workers=2)
    (25, 1, 0)
    """
    return amount + (free - amount) // (2 * workers) if amount <= free else 0


def frees_us(others: Others, window: Window, series: Series | None, amount: int, now_us: int) -> int | None:
    """When at least this much of what all workers hold will be gone, if nothing else happens; None: never. What others
    hold and have not used may come back once it is idle."""
    ends: Iterable[tuple[int, int]] = () if series is None else series.ends()
    ends = [*ends, *((leaves_us(window, index), used) for index, used in others.slices)]
    if others.lent:
        ends.append((now_us + IDLE_US, others.lent))
    for at_us, held in sorted(ends):
        if at_us > now_us:
            amount -= held
            if amount <= 0:
                return at_us
    return None


def _part(lent: int, series: Series | None) -> Part:
    return Part(lent, () if series is None else series.slices())
