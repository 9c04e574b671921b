"""Whatever is done to a work queue in whatever order: no job is lost, held twice, or beyond its lane's bounds."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from wardwright.journal.work_ledger import Place, WorkLedger
from wardwright.journal.work_queue import Bounds, Dead, Done, Job, Lease, Leased, Work
from wardwright.kernel.errors import WardwrightError

BOUNDS = Bounds(dead_max=3, done_max=3, waiting_max=5)
LANES = ("a", "b")

lanes = st.sampled_from(LANES)
keys = st.sampled_from([f"{number}" for number in range(12)])


class Ledgers(RuleBasedStateMachine):
    """One ledger, what is durable of it, and what must come true."""

    leases = Bundle("leases")

    @initialize()
    def begin(self) -> None:
        self.now = 1_000
        self.epoch = 1
        self.stored: dict[Place, Job] = {}
        self.ledger = WorkLedger(epoch=1, bounds=dict.fromkeys(LANES, BOUNDS))
        self.unfinished: set[Place] = set()
        self.tokens = [0]

    def settled(self) -> None:
        """What changed becomes durable."""
        for place, job in self.ledger.take_changes().items():
            if job is None:
                del self.stored[place]
            else:
                self.stored[place] = job

    @rule(lane=lanes, key=keys)
    def put(self, lane: str, key: str) -> None:
        if self.ledger.put(Work(key=key, lane=lane, payload=b"x"), self.now) == "taken":
            assert (lane, key) not in self.unfinished
            self.unfinished.add((lane, key))

    @rule(lane=lanes, key=keys)
    def bury(self, lane: str, key: str) -> None:
        self.ledger.bury(Work(key=key, lane=lane, payload=b"x"), "full", self.now)

    @rule(target=leases, lane=lanes, visible_us=st.integers(1, 50))
    def lease(self, lane: str, visible_us: int) -> Lease | None:
        due_at = self.ledger.next_due(lane)
        lease = self.ledger.lease(lane, self.now, visible_us=visible_us)
        assert (lease is not None) == (due_at is not None and due_at <= self.now)
        if lease is not None:
            assert lease.token > max(self.tokens)
            self.tokens.append(lease.token)
        return lease

    @rule(lease=leases, how=st.sampled_from(["ack", "retry", "dead", "release"]), delay=st.integers(0, 30))
    def settle(self, lease: Lease | None, how: str, delay: int) -> None:
        if lease is None:
            return
        place = (lease.job.lane, lease.job.key)
        held = {(job.lane, job.key): job.state for job in self.ledger.jobs()}.get(place)
        holds = isinstance(held, Leased) and held.token == lease.token
        try:
            match how:
                case "ack":
                    self.ledger.ack(lease, "ok", self.now)
                case "retry":
                    self.ledger.retry(lease, self.now + delay, "later")
                case "dead":
                    self.ledger.dead(lease, "no", self.now)
                case _:
                    self.ledger.release(lease, self.now)
        except WardwrightError:
            assert not holds
            return
        assert holds or how == "release"
        if holds and how in ("ack", "dead"):
            self.unfinished.discard(place)

    @rule(lane=lanes, key=keys, revives=st.booleans())
    def look_after(self, lane: str, key: str, revives: bool) -> None:
        if revives:
            if self.ledger.revive(lane, key, self.now):
                self.unfinished.add((lane, key))
        else:
            self.ledger.drop(lane, key)

    @rule(lane=lanes)
    def give_up(self, lane: str) -> None:
        count = self.ledger.give_up(lane, "gone", self.now)
        left = {(job.lane, job.key) for job in self.ledger.jobs(lane) if isinstance(job.state, Leased)}
        given_up = {place for place in self.unfinished if place[0] == lane} - left
        assert count == len(given_up)
        self.unfinished -= given_up

    @rule(us=st.integers(1, 60))
    def time_passes(self, us: int) -> None:
        self.now += us

    @rule()
    def restart(self) -> None:
        self.settled()
        self.epoch += 1
        self.ledger = WorkLedger(
            self.stored.values(), bounds=dict.fromkeys(LANES, BOUNDS), epoch=self.epoch, now=self.now
        )

    @invariant()
    def every_unfinished_job_is_there_and_none_besides(self) -> None:
        jobs = self.ledger.jobs()
        found = {(job.lane, job.key) for job in jobs if not isinstance(job.state, Done | Dead)}
        assert found == self.unfinished
        assert [job.seq for job in jobs] == sorted({job.seq for job in jobs})

    @invariant()
    def lanes_keep_their_bounds_and_count_right(self) -> None:
        for lane in LANES:
            stats = self.ledger.stats(lane)
            names = [job.state_name for job in self.ledger.jobs(lane)]
            assert (stats.waiting, stats.leased, stats.done, stats.dead) == tuple(
                names.count(name) for name in ("waiting", "leased", "done", "dead")
            )
            assert stats.waiting + stats.leased <= BOUNDS.waiting_max
            assert stats.done <= BOUNDS.done_max
            assert stats.dead <= BOUNDS.dead_max

    @invariant()
    def what_is_durable_is_what_is_there(self) -> None:
        self.settled()
        assert {(job.lane, job.key): job for job in self.ledger.jobs()} == self.stored


TestLedgers = Ledgers.TestCase
TestLedgers.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
