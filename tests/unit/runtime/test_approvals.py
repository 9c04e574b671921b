"""The desk: durable, at most once, over restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from wardwright.journal.approvals import Approval
from wardwright.journal.entry import Record
from wardwright.journal.record import read
from wardwright.journal.store import ChainKey
from wardwright.kernel.errors import WardwrightError
from wardwright.kernel.units import SECOND_US
from wardwright.runtime.approvals import EXPIRES_S_MAX, ApprovalDesk
from wardwright.testing.determinism import HandClock, SeededLuck
from wardwright.testing.journal import MemoryJournal, MemoryStore


class Installation:
    """A journal that outlives the desks over it."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.store = MemoryStore()
        self._started = 0

    def desk(self) -> tuple[ApprovalDesk, MemoryJournal]:
        """A desk as a process that starts has it."""
        self._started += 1
        journal = MemoryJournal(self.store, loop=asyncio.get_running_loop(), clock=self.clock)
        journal.open()
        desk = ApprovalDesk(clock=self.clock, luck=SeededLuck(f"luck {self._started}"), writer=journal)
        desk.restore(self.control())
        return desk, journal

    def control(self) -> Iterator[Record]:
        for key in self.store.chains():
            if key.chain == "control":
                yield from (read(line.text) for line in self.store.lines(ChainKey(key.writer, "control")) if line.whole)

    def kinds(self) -> list[str]:
        return [record.kind for record in self.control() if record.kind.startswith("approval.")]


class Told:
    """Hears when a redemption is durable. Implements `journal.entry.Durable`."""

    def __init__(self) -> None:
        self.heard: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def __call__(self, failure: Exception | None, /) -> None:
        self.heard.set_result(failure)


def ask(desk: ApprovalDesk, digest: str = "hmac:1", *, tenant: str = "acme", expires_s: int = 60) -> Approval:
    return desk.ask(
        digest=digest,
        expires_s=expires_s,
        message="Spends money.",
        model="coding",
        policy="desk-rules",
        receipt="rcp_1",
        rule="costly",
        tenant=tenant,
    )


def redeem(desk: ApprovalDesk, id_: str, told: Told, *, digest: str = "hmac:1", tenant: str = "acme") -> Approval:
    return desk.redeem(
        id_, digest=digest, on_durable=told, policy="desk-rules", receipt="rcp_2", rule="costly", tenant=tenant
    )


def refusal(desk: ApprovalDesk, id_: str, **members: str) -> str:
    told = Told()
    with pytest.raises(WardwrightError) as refused:
        redeem(desk, id_, told, **members)
    assert not told.heard.done()
    return refused.value.code


def run(play: Coroutine[Any, Any, None]) -> None:
    asyncio.run(play)


def test_an_approved_request_runs_once_and_its_life_stands_in_the_control_chain() -> None:
    async def play() -> None:
        place = Installation()
        desk, journal = place.desk()
        id_ = ask(desk).id
        assert id_.startswith("apr_")
        assert (await desk.approve(id_, by="ada")).status(place.clock.now_us()) == "approved"
        told = Told()
        redeem(desk, id_, told)
        assert await told.heard is None
        assert refusal(desk, id_) == "approval_spent"
        assert place.kinds() == ["approval.asked", "approval.approved", "approval.redeemed"]
        journal.close()

    run(play())


def test_asking_for_the_same_again_asks_nobody_twice() -> None:
    async def play() -> None:
        place = Installation()
        desk, journal = place.desk()
        first = ask(desk)
        assert ask(desk).id == first.id
        assert ask(desk, "hmac:2").id != first.id
        assert ask(desk, tenant="rival").id != first.id
        await desk.approve(first.id, by="ada")
        assert ask(desk).id == first.id
        journal.close()
        assert place.kinds().count("approval.asked") == 3

    run(play())


def test_two_requests_at_once_share_no_approval() -> None:
    async def play() -> None:
        place = Installation()
        desk, journal = place.desk()
        id_ = ask(desk).id
        await desk.approve(id_, by="ada")
        told = Told()
        redeem(desk, id_, told)
        assert not told.heard.done(), "the first is not even on disk"
        assert refusal(desk, id_) == "approval_spent"
        assert await told.heard is None
        journal.close()

    run(play())


@pytest.mark.parametrize("decided", ["approve", "deny", None])
def test_what_was_decided_holds_after_a_restart(decided: str | None) -> None:
    async def play() -> None:
        place = Installation()
        desk, journal = place.desk()
        id_ = ask(desk).id
        match decided:
            case "approve":
                await desk.approve(id_, by="ada")
            case "deny":
                await desk.deny(id_, by="bob", why="Not today.")
        before = desk.find(id_)
        journal.close()
        again, journal = place.desk()
        assert again.find(id_) == before
        assert ask(again).id == id_
        journal.close()

    run(play())


def test_a_redeemed_approval_stays_redeemed_after_a_kill() -> None:
    async def play() -> None:
        place = Installation()
        desk, journal = place.desk()
        id_ = ask(desk).id
        await desk.approve(id_, by="ada")
        told = Told()
        redeem(desk, id_, told)
        assert await told.heard is None
        journal.kill()
        again, journal = place.desk()
        assert refusal(again, id_) == "approval_spent"
        journal.close()

    run(play())


def test_a_kill_before_the_redemption_is_durable_leaves_the_approval_and_the_call_never_ran() -> None:
    async def play() -> None:
        place = Installation()
        desk, journal = place.desk()
        id_ = ask(desk).id
        await desk.approve(id_, by="ada")
        told = Told()
        redeem(desk, id_, told)
        journal.kill()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not told.heard.done(), "whoever waits for it never runs the call"
        again, journal = place.desk()
        told = Told()
        redeem(again, id_, told)
        assert await told.heard is None
        journal.close()

    run(play())


def test_a_redemption_that_cannot_be_written_runs_nothing_and_is_spent() -> None:
    async def play() -> None:
        place = Installation()
        desk, journal = place.desk()
        id_ = ask(desk).id
        await desk.approve(id_, by="ada")
        journal.fail_at = 0
        told = Told()
        redeem(desk, id_, told)
        assert isinstance(await told.heard, Exception)
        assert refusal(desk, id_) == "approval_spent"
        journal.mend()
        journal.close()

    run(play())


def test_a_denial_holds_although_it_could_not_be_written() -> None:
    async def play() -> None:
        place = Installation()
        desk, journal = place.desk()
        id_ = ask(desk).id
        await desk.approve(id_, by="ada")
        journal.fail_at = 0
        with pytest.raises((OSError, WardwrightError)):
            await desk.deny(id_, by="bob", why="")
        assert refusal(desk, id_) == "approval_denied"
        journal.mend()
        journal.close()

    run(play())


def test_an_approval_that_could_not_be_written_does_not_hold() -> None:
    async def play() -> None:
        place = Installation()
        desk, journal = place.desk()
        id_ = ask(desk).id
        journal.fail_at = 0
        with pytest.raises((OSError, WardwrightError)):
            await desk.approve(id_, by="ada")
        assert refusal(desk, id_) == "approval_required"
        journal.mend()
        journal.close()

    run(play())


def test_an_expired_approval_is_over_at_once_and_its_record_follows() -> None:
    async def play() -> None:
        place = Installation()
        desk, journal = place.desk()
        id_ = ask(desk, expires_s=60).id
        await desk.approve(id_, by="ada")
        place.clock.advance(60 * SECOND_US)
        assert refusal(desk, id_) == "approval_expired"
        fresh = ask(desk)
        assert fresh.id != id_
        desk.sweep()  # asking anew wrote it down already
        journal.close()
        assert place.kinds() == ["approval.asked", "approval.approved", "approval.expired", "approval.asked"]
        again, journal = place.desk()
        assert ask(again).id == fresh.id
        journal.close()

    run(play())


def test_an_approval_is_over_once_it_is_used_or_expired_and_not_while_it_holds() -> None:
    async def play() -> None:
        place = Installation()
        desk, journal = place.desk()
        id_ = ask(desk, expires_s=60).id
        await desk.approve(id_, by="ada")
        assert not desk.is_over(id_)
        place.clock.advance(60 * SECOND_US)
        assert desk.is_over(id_)
        assert desk.is_over("apr_that_nobody_knows")
        journal.close()

    run(play())


def test_no_approval_holds_for_ever() -> None:
    async def play() -> None:
        place = Installation()
        desk, journal = place.desk()
        asked = ask(desk, expires_s=10**15).asked
        assert asked.expires_at == place.clock.now_us() + EXPIRES_S_MAX * SECOND_US
        journal.close()

    run(play())


def test_a_foreign_tenant_is_told_nothing() -> None:
    async def play() -> None:
        place = Installation()
        desk, journal = place.desk()
        id_ = ask(desk).id
        await desk.approve(id_, by="ada")
        assert refusal(desk, id_, tenant="rival") == "approval_not_found"
        assert refusal(desk, id_, digest="hmac:2") == "approval_mismatch"
        journal.close()

    run(play())
