"""The desk where requests wait for a person: asks and redemptions of calls, decisions of people, all in the control
chain.

Rule 1: everything here belongs to the event loop's thread. What a call does (`ask`, `redeem`) never waits; what a
person does waits until it is durable.
Rule 2: an approval is spent in memory the moment it is redeemed, so that two requests at once cannot both have it, and
the call runs once the record is durable. Where it cannot be written the call does not run, and the approval stays
spent: losing one is safe, using it twice is not.
Rule 3: expiry follows from the clock alone; its record is for readers of the journal.
Rule 4: where several workers serve, each hears what the others wrote before it refuses for want of it, and they agree
on who uses an approval by a claim that one of them alone can make.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from wardwright.journal import approvals
from wardwright.journal.approvals import Approval, Approvals, Asked, Fact
from wardwright.journal.entry import Durable, Entry, Record, Writer
from wardwright.kernel.ids import LUCK_BITS, Clock, Luck, mint
from wardwright.kernel.units import SECOND_US
from wardwright.runtime.control import durably

PREFIX: Final = "apr"
EXPIRES_S_MAX: Final = 366 * 86_400
"""No approval holds longer, whatever its rule says."""
SWEEP_S: Final = 60.0
"""How often expired approvals are looked for, to write down that they are over."""


class ApprovalDesk:
    """Every approval of one installation. Construct, `restore`, then use.

    Implements `journal.approvals.ApprovalDesk`.
    """

    def __init__(
        self,
        *,
        claim: Callable[[str], bool] | None = None,
        clock: Clock,
        look: Callable[[], None] | None = None,
        luck: Luck,
        writer: Writer,
    ) -> None:
        """`claim` says whether this process is the first that uses an approval, `look` restores what others wrote.
        None: there are no others."""
        self._approvals = Approvals()
        self._claim = claim
        self._clock = clock
        self._look = look
        self._luck = luck
        self._writer = writer

    def restore(self, records: Iterable[Record]) -> None:
        """Take up where the control chain ends."""
        for record in records:
            fact_type = approvals.KINDS.get(record.kind)
            if fact_type is not None:
                self._approvals.fold(msgspec.json.decode(record.data, type=fact_type), record.at)

    # -- calls -----------------------------------------------------------------------------------------------------

    def ask(
        self,
        *,
        tenant: str,
        digest: str,
        policy: str,
        rule: str,
        message: str,
        model: str,
        expires_s: int,
        receipt: str,
    ) -> Approval:
        """The approval that a request needs: the one that was asked for before and still holds, else a new one.

        Its `asked` record is put before this returns, so it precedes the receipt that names it. It may be approved
        or denied already: `journal.approvals.refusal_of` says what the caller is told. Raises `approvals_full`.
        """
        self._hear()
        now = self._clock.now_us()
        known = self._approvals.holding(tenant, digest, policy, rule, now)
        if known is not None:
            return known
        self.sweep()
        approvals.require_room(self._approvals, tenant)
        asked = Asked(
            digest=digest,
            expires_at=now + min(expires_s, EXPIRES_S_MAX) * SECOND_US,
            id=mint(PREFIX, now, self._luck.bits(LUCK_BITS)),
            message=message,
            model=model,
            policy=policy,
            receipt=receipt,
            rule=rule,
            tenant=tenant,
        )
        self._write(asked, by="gateway")
        return self._approvals.find(asked.id)

    def redeem(
        self, id_: str, *, tenant: str, digest: str, policy: str, rule: str, receipt: str, on_durable: Durable
    ) -> Approval:
        """Use an approval for the call that is about to run: run it when `on_durable` hears None, and not otherwise.

        Raises, and calls nothing, where it cannot be used: what `journal.approvals.redeem` raises.
        """
        self._hear()
        fact = approvals.redeem(
            self._approvals,
            id_,
            tenant=tenant,
            digest=digest,
            policy=policy,
            rule=rule,
            receipt=receipt,
            now=self._clock.now_us(),
        )
        if self._claim is not None and not self._claim(id_):
            raise approvals.spent(self._approvals.find(id_))
        self._write(fact, by="gateway", on_durable=on_durable)
        return self._approvals.find(id_)

    # -- people ----------------------------------------------------------------------------------------------------

    async def approve(self, id_: str, *, by: str) -> Approval:
        """Holds once it is written down. Raises `approval_not_found`, `approval_settled` and `journal_write`."""
        self._hear()
        now = self._clock.now_us()
        fact = approvals.approve(self._approvals, id_, by=by, now=now)
        await self._last(fact, by, now)
        self._approvals.fold(fact, now)
        return self._approvals.find(id_)

    async def deny(self, id_: str, *, by: str, why: str) -> Approval:
        """Holds at once, also while it is written down. Raises as `approve`."""
        self._hear()
        now = self._clock.now_us()
        fact = approvals.deny(self._approvals, id_, by=by, why=why, now=now)
        self._approvals.fold(fact, now)
        await self._last(fact, by, now)
        return self._approvals.find(id_)

    def find(self, id_: str) -> Approval:
        """Raises `approval_not_found`."""
        self._hear()
        return self._approvals.find(id_)

    def all(self) -> Iterable[Approval]:
        """Those that hold and the latest that are over, oldest first."""
        self._hear()
        return self._approvals.all()

    def is_over(self, id_: str) -> bool:
        """Whether nobody can use it any more, by what was heard so far."""
        return self._approvals.is_over(id_, self._clock.now_us())

    @property
    def waiting(self) -> int:
        """How many requests wait for a person, those that expired within the last sweep among them."""
        return self._approvals.waiting_in_all

    # -- time --------------------------------------------------------------------------------------------------------

    def sweep(self) -> None:
        """Write down which approvals have expired."""
        for fact in self._approvals.overdue(self._clock.now_us()):
            self._write(fact, by="gateway")

    async def keep_sweeping(self) -> None:
        """Sweep now and then. Runs until it is cancelled."""
        while True:
            self.sweep()
            await asyncio.sleep(SWEEP_S)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _hear(self) -> None:
        if self._look is not None:
            self._look()

    async def _last(self, fact: Fact, by: str, now: int) -> None:
        await durably(self._writer, (Entry(approvals.kind_of(fact), fact, at=now, chain="control", actor=by),))

    def _write(self, fact: Fact, *, by: str, on_durable: Durable | None = None) -> None:
        now = self._clock.now_us()
        self._writer.put(Entry(approvals.kind_of(fact), fact, at=now, chain="control", actor=by, on_durable=on_durable))
        self._approvals.fold(fact, now)
