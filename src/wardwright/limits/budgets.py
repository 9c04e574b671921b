"""What was used of which budget, by whom: reserved before a call, settled after it, told as facts between.

    match budgets.reserve(limits, claims, estimate, now_us, deadline_us):
        case Granted(reservation=reservation): …        # later: budgets.settle(reservation, amounts, now_us)
        case Exceeded() | Unclaimed() | Crowded() | Unshared() as refusal: …   # nothing was reserved

Rule 1: what calls used and what calls in flight have reserved stays within the limit whenever a call is granted. A
call that uses more than it reserved is counted whole; the next ones wait for it.
Rule 2: all or nothing: a call that one of its budgets refuses has reserved nothing of the others.
Rule 3: a reservation lapses at the first whole second from its deadline, RESERVATION_S_MAX after it was made at the
latest. Settled after that, its amounts count all the same.
Rule 4: everything is kept under the tenant first. A tenant may have `claimants_max` claimants with usage in one
budget. Those with none are dropped first; where all have some, newcomers are refused, and never counted with others.
Rule 5: usage that finds no room marks its ledger until it would have left the window: who comes anew until then may
have used more than is kept, and is refused until it is told apart from that.
Rule 6: an instant before the last one counts as the last one.
Rule 7: where several workers serve, each counts its own calls here, and `limits.shares` says how much of a limit is its
to fill; what is told of a budget is what all of them hold.

Usage of ended calls is a fold of `Entry` values in any order; `snapshot` and `restored` keep it between runs.
Reservations are not in it: they end with the process that made them. Instants are µs since the epoch, UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

import msgspec

from wardwright.kernel.units import SECOND_US
from wardwright.limits.allowance import Amounts, Claims, Limit
from wardwright.limits.budget_record import FORMAT, Charge, Entry, Kept, Missed, Snapshot
from wardwright.limits.ledger import Ledger
from wardwright.limits.series import Series
from wardwright.limits.shares import NOBODY, Key, NotLent, Others, Shares, frees_us
from wardwright.limits.windows import Window, leaves_us, read

CLAIMANTS_MAX: Final = 4096
"""Claimants of one tenant with usage in one budget."""

RESERVATION_S_MAX: Final = 3600
"""The longest life of a reservation."""

RETRY_AFTER_S_MAX: Final = 31 * 86_400
"""The longest wait that a refused caller is told; also where waiting will never help."""

LEDGERS_MIN: Final = 64
"""Fewer ledgers than this are not searched for idle ones."""

# What asking leads to


class Reservation:
    """What one call holds of its budgets until it is settled or released, once."""

    __slots__ = ("lapse_s", "open", "parts", "tenant")

    def __init__(self, tenant: str, lapse_s: int, parts: list[_Part]) -> None:
        self.tenant = tenant
        self.lapse_s = lapse_s
        self.parts = parts
        self.open = True


class Granted(msgspec.Struct, frozen=True):
    """The call may go."""

    reservation: Reservation


class Exceeded(msgspec.Struct, frozen=True, kw_only=True):
    """The call could pass a limit. Of several, the one that it would wait for the longest."""

    asked: int
    """What the call would have reserved."""
    limit: Limit
    frees_at_us: int | None
    """The first instant at which this call would be granted if nothing else happened; None: it asks for more than the
    whole limit."""
    reserved: int
    """By calls in flight; by other workers, also what they hold ready."""
    retry_after_s: int
    """Whole seconds until then, from 1 to RETRY_AFTER_S_MAX."""
    used: int
    """By calls that ended, within the window."""


class Unclaimed(msgspec.Struct, frozen=True):
    """The call does not say whose it is."""

    limit: Limit


class Crowded(msgspec.Struct, frozen=True):
    """A newcomer, where no more claimants can be told apart."""

    limit: Limit


class Unshared(msgspec.Struct, frozen=True):
    """What other workers hold of the limit cannot be told."""

    limit: Limit


Refusal: TypeAlias = Exceeded | Unclaimed | Crowded | Unshared
Outcome: TypeAlias = Granted | Refusal


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What one claimant holds of one budget."""

    reserved: int
    """By calls in flight; by other workers, also what they hold ready."""
    used: int
    """By calls that ended, within the window."""


Standing: TypeAlias = Held | Unclaimed | Crowded | Unshared


class Budgets:
    """The ledgers of all tenants. Not shared between threads."""

    def __init__(self, claimants_max: int = CLAIMANTS_MAX, *, writer: str = "") -> None:
        """`writer` is who writes the receipts of the calls that are settled here."""
        self.shares: Shares | None = None
        """What of each limit this worker may fill; None: it serves alone."""
        self._claimants_max = claimants_max
        """At least 1."""
        self._ledgers: dict[tuple[str, str], Ledger] = {}
        """By tenant and meter."""
        self._now_us = 0
        self._sweep_at = LEDGERS_MIN
        self._orders: dict[str, int] = {}
        """By writer, of the call that was counted last."""
        self.writer = writer

    @property
    def order(self) -> int:
        """Of the call that was settled here last: rising, over restarts too."""
        return self._orders.get(self.writer, 0)

    def reserve(
        self, limits: Sequence[Limit], claims: Claims, estimate: Amounts, now_us: int, deadline_us: int
    ) -> Outcome:
        """Hold the estimate in every budget that counts this call, or refuse."""
        now = self._at(now_us)
        if len(self._ledgers) >= self._sweep_at:
            self._sweep()
        parts: list[_Part] = []
        worst: Exceeded | None = None
        for limit in limits:
            claim = claims.of(limit)
            if claim is None:
                if limit.blocks and limit.denies:
                    return Unclaimed(limit)
                continue
            ledger = self._ledger(claims.tenant, limit.meter, limit.window)
            amount = estimate.of(limit.of)
            series = ledger.find(claim, now)
            if limit.blocks:
                if (series is None or series.whole_from_us) and ledger.crowded(series, now):
                    return Crowded(limit)
                try:
                    if not self._has_room(claims.tenant, limit, claim, series, amount, now):
                        others = self._others(claims.tenant, limit, claim, now)
                        worst = _longer(worst, _exceeded(limit, series, others, amount, now))
                except NotLent:
                    return Unshared(limit)
            parts.append(_Part(ledger, limit, claim, amount, series))
        if worst is not None:
            return worst
        lapse_s = _lapse_s(now, deadline_us)
        for part in parts:
            series = part.series or part.ledger.place(part.claim, now)
            part.series = series
            if series is not None:
                series.reserve(lapse_s, part.amount)
            self._touch(claims.tenant, part.limit, part.claim, now)
        return Granted(Reservation(claims.tenant, lapse_s, parts))

    def settle(self, reservation: Reservation, actual: Amounts, now_us: int) -> tuple[Charge, ...]:
        """What the call used takes the place of what it reserved; its charges, for the receipt.

        A reservation that was settled or released before has none.
        """
        if not reservation.open:
            return ()
        self._orders[self.writer] = self.order + 1
        now = self._at(now_us)
        self._unreserve(reservation, now)
        charges: list[Charge] = []
        for part in reservation.parts:
            limit = part.limit
            amount = actual.of(limit.of)
            ledger = part.ledger if part.ledger.kept else self._ledger(reservation.tenant, limit.meter, limit.window)
            total = ledger.count(part.claim, now, amount, now, part.series)
            if self.shares is not None:
                self._touch(reservation.tenant, limit, part.claim, now)
                total = self._with_others(reservation.tenant, limit, part.claim, total, now)
            charges.append(Charge(amount=amount, claim=part.claim, meter=limit.meter, used=total))
        return tuple(charges)

    def release(self, reservation: Reservation, now_us: int) -> None:
        """The call was not made: nothing is counted."""
        if reservation.open:
            self._unreserve(reservation, self._at(now_us))

    def standing(self, limit: Limit, claims: Claims, now_us: int) -> Standing:
        """What rules may know of one budget before a call."""
        claim = claims.of(limit)
        if claim is None:
            return Unclaimed(limit)
        now = self._at(now_us)
        try:
            others = self._others(claims.tenant, limit, claim, now)
        except NotLent:
            return Unshared(limit)
        ledger = self._ledgers.get((claims.tenant, limit.meter))
        series = None if ledger is None else ledger.find(claim, now)
        if ledger is not None and ledger.crowded(series, now):
            return Crowded(limit)
        used, reserved = (0, 0) if series is None else (series.used, series.reserved)
        return Held(reserved=reserved + others.lent, used=used + others.used)

    # With other workers

    def join(self) -> None:
        """Tell the other workers what this one used, before it serves. Raises `state_write`."""
        if self.shares is not None:
            for ledger in self._ledgers.values():
                ledger.drop_idle(self._now_us)
            self.shares.join(
                {
                    Key(tenant, meter, claim): series
                    for (tenant, meter), ledger in self._ledgers.items()
                    for claim, series in ledger.series.items()
                }
            )

    def share(self, now_us: int) -> None:
        """Tell the other workers what changed, and give back what is not needed. Raises `state_write`."""
        if self.shares is not None:
            now = self._at(now_us)
            self.shares.publish(lambda key: self._series(key, now), now)

    def _series(self, key: Key, now: int) -> Series | None:
        ledger = self._ledgers.get((key.tenant, key.meter))
        return None if ledger is None else ledger.find(key.claim, now)

    def _has_room(self, tenant: str, limit: Limit, claim: str, series: Series | None, amount: int, now: int) -> bool:
        held = 0 if series is None else series.used + series.reserved
        if self.shares is None or held + amount > limit.amount:
            return held + amount <= limit.amount
        return self.shares.borrow(Key(tenant, limit.meter, claim), limit.window, limit.amount, series, amount, now)

    def _others(self, tenant: str, limit: Limit, claim: str, now: int) -> Others:
        if self.shares is None:
            return NOBODY
        return self.shares.others(Key(tenant, limit.meter, claim), limit.window, now)

    def _with_others(self, tenant: str, limit: Limit, claim: str, used: int | None, now: int) -> int | None:
        try:
            return None if used is None else used + self._others(tenant, limit, claim, now).used
        except NotLent:
            return None

    def _touch(self, tenant: str, limit: Limit, claim: str, now: int) -> None:
        if self.shares is not None:
            self.shares.touch(Key(tenant, limit.meter, claim), limit.window, limit.amount, now)

    # Between runs

    def apply(self, entry: Entry) -> None:
        """Count an ended call again, from its receipt, unless it is counted already. A meter that this build cannot
        read is left out."""
        if entry.order <= self._orders.get(entry.writer, 0):
            return
        self._orders[entry.writer] = entry.order
        now = self._at(entry.at_us)
        if len(self._ledgers) >= self._sweep_at:
            self._sweep()
        for charge in entry.charges:
            window = read(charge.meter.rpartition(":")[2])
            if window is not None:
                self._ledger(entry.tenant, charge.meter, window).count(charge.claim, entry.at_us, charge.amount, now)

    def snapshot(self) -> Snapshot:
        """The usage of ended calls now."""
        now, kept, missed = self._now_us, [], []
        for (tenant, meter), ledger in sorted(self._ledgers.items()):
            if ledger.missed_until_us > now:
                missed.append(Missed(meter=meter, tenant=tenant, until_us=ledger.missed_until_us))
            for claim, series in sorted(ledger.series.items()):
                series.advance(now)
                if slices := series.slices():
                    whole = series.whole_from_us if series.whole_from_us > now else 0
                    kept.append(Kept(claim=claim, meter=meter, slices=slices, tenant=tenant, whole_from_us=whole))
        return Snapshot(at_us=now, kept=tuple(kept), missed=tuple(missed), orders=tuple(sorted(self._orders.items())))

    @classmethod
    def restored(cls, snapshot: Snapshot, claimants_max: int = CLAIMANTS_MAX, *, writer: str = "") -> Budgets:
        """Budgets as a snapshot left them. A snapshot of another format, or a meter that cannot be read, is left out;
        then the journal is replayed from its start."""
        budgets = cls(claimants_max, writer=writer)
        if snapshot.format != FORMAT:
            return budgets
        budgets._now_us = snapshot.at_us
        budgets._orders = dict(snapshot.orders)
        for one in snapshot.missed:
            if (window := read(one.meter.rpartition(":")[2])) is not None:
                budgets._ledger(one.tenant, one.meter, window).missed_until_us = one.until_us
        for kept in snapshot.kept:
            if (window := read(kept.meter.rpartition(":")[2])) is not None:
                series = Series(window, kept.whole_from_us)
                budgets._ledger(kept.tenant, kept.meter, window).series[kept.claim] = series
                for index, amount in kept.slices:
                    series.add(index, leaves_us(window, index), amount)
        return budgets

    # Within

    def _at(self, now_us: int) -> int:
        if now_us > self._now_us:
            self._now_us = now_us
        return self._now_us

    def _ledger(self, tenant: str, meter: str, window: Window) -> Ledger:
        ledger = self._ledgers.get((tenant, meter))
        if ledger is None:
            ledger = self._ledgers[tenant, meter] = Ledger(window, self._claimants_max)
        return ledger

    def _sweep(self) -> None:
        """Drop ledgers without usage, such as those of budgets that were taken back. Looks again at twice as many."""
        for ledger in self._ledgers.values():
            ledger.drop_idle(self._now_us)
        idle = [
            key for key, ledger in self._ledgers.items() if not ledger.series and ledger.missed_until_us <= self._now_us
        ]
        for key in idle:
            self._ledgers.pop(key).kept = False
        self._sweep_at = max(2 * len(self._ledgers), LEDGERS_MIN)

    def _unreserve(self, reservation: Reservation, now: int) -> None:
        reservation.open = False
        for part in reservation.parts:
            if part.series is not None:
                part.ledger.unreserve(part.series, reservation.lapse_s, part.amount, now)


class _Part(msgspec.Struct):
    """One budget of a reservation."""

    ledger: Ledger
    limit: Limit
    claim: str
    amount: int
    series: Series | None


def _lapse_s(now: int, deadline_us: int) -> int:
    """The first whole second from the deadline, in the future and not past the longest life."""
    first = now // SECOND_US + 1
    return min(max(-(-deadline_us // SECOND_US), first), first + RESERVATION_S_MAX)


def _exceeded(limit: Limit, series: Series | None, others: Others, amount: int, now: int) -> Exceeded:
    used, reserved = (0, 0) if series is None else (series.used, series.reserved)
    used, reserved = used + others.used, reserved + others.lent
    frees = None
    if amount <= limit.amount:
        frees = frees_us(others, limit.window, series, used + reserved + amount - limit.amount, now)
    wait = RETRY_AFTER_S_MAX if frees is None else min(-(-(frees - now) // SECOND_US), RETRY_AFTER_S_MAX)
    return Exceeded(asked=amount, limit=limit, frees_at_us=frees, reserved=reserved, retry_after_s=wait, used=used)


def _longer(one: Exceeded | None, other: Exceeded) -> Exceeded:
    if one is None:
        return other
    if one.frees_at_us is None or (other.frees_at_us is not None and other.frees_at_us <= one.frees_at_us):
        return one
    return other
