"""Whole segments go, behind a signed statement that stays."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from wardwright.journal.entry import Entry
from wardwright.journal.store import ChainKey
from wardwright.journal.verify import Broken, Incomplete, Intact, Verdict, verify
from wardwright.kernel.units import SECOND_US
from wardwright.storage import layout
from wardwright.storage.keys import SignatureCheck
from wardwright.storage.reader import SegmentReader
from wardwright.storage.retention import Candidate, RetentionPolicy, candidates, due, finish, retire_segments
from wardwright.storage.segments import SegmentWriter
from wardwright.storage.settings import JournalSettings
from wardwright.testing.determinism import EPOCH_US, HandClock
from wardwright.testing.hand_loop import HandLoop
from wardwright.testing.journal import signer_of

SIGNER = signer_of()
CHECK = SignatureCheck({SIGNER.key: SIGNER.public})
WRITER = "node_test/gateway-0"
CALLS = ChainKey(WRITER, "calls")


class Note(msgspec.Struct, frozen=True):
    receipt: str


class World:
    """A writer whose every record fills a segment, one a second."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.loop = HandLoop()
        self.clock = HandClock()
        self.gone: list[tuple[int, Exception | None]] = []
        self.writer = self.open()

    def open(self) -> SegmentWriter:
        settings = JournalSettings(durability="before_response", segment_bytes_max=1)
        writer = SegmentWriter(
            self.state,
            node="node_test",
            slot="gateway-0",
            signer=SIGNER,
            clock=self.clock,
            loop=self.loop,
            settings=settings,
        )
        writer.open()
        return writer

    def put(self, count: int) -> None:
        for _ in range(count):
            told: list[Exception | None] = []
            self.clock.advance(SECOND_US)
            self.writer.put(Entry("test", Note("x"), at=self.clock.at_us, on_durable=told.append))
            self.loop.turn_until(lambda told=told: bool(told))  # type: ignore[misc]

    def retire(self, policy: RetentionPolicy) -> list[int]:
        before = len(self.gone)
        count = retire_segments(
            self.state,
            WRITER,
            self.writer,
            SIGNER,
            policy,
            self.clock.at_us,
            lambda segment, failure: self.gone.append((segment, failure)),
        )
        self.loop.turn_until(lambda: len(self.gone) == before + count)
        assert all(failure is None for _, failure in self.gone)
        return [segment for segment, _ in self.gone[before:]]

    def verdicts(self) -> dict[str, Verdict]:
        return {verdict.chain.chain: verdict for verdict in verify(SegmentReader(self.state), CHECK)}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_old_segments_go_and_the_rest_is_intact(world: World) -> None:
    world.put(6)
    assert world.retire(RetentionPolicy(age_max_s=2)) == [1, 2, 3]
    assert layout.segments(world.state, CALLS)[0] == 4
    world.put(1)
    world.writer.close()
    assert {chain: type(verdict) for chain, verdict in world.verdicts().items()} == {
        "calls": Intact,
        "control": Intact,
    }


def test_a_writer_starts_again_after_retirement(world: World) -> None:
    world.put(5)
    world.retire(RetentionPolicy(age_max_s=0))
    world.writer.abandon()
    world.writer = world.open()
    world.put(1)
    world.writer.close()
    assert isinstance(world.verdicts()["calls"], Intact)


def test_what_a_start_reads_stays(world: World) -> None:
    world.put(4)
    world.clock.advance(3600 * SECOND_US)
    world.retire(RetentionPolicy(age_max_s=1))
    assert layout.segments(world.state, CALLS) == (3, 4)
    assert world.retire(RetentionPolicy(age_max_s=1)) == []


def test_segments_go_until_the_bytes_fit(world: World) -> None:
    world.put(6)
    size = candidates(world.state, WRITER)[0].bytes
    world.retire(RetentionPolicy(bytes_max=3 * size))
    assert len(candidates(world.state, WRITER)) <= 3


def test_without_bounds_nothing_goes(world: World) -> None:
    world.put(3)
    world.clock.advance(10**15)
    assert world.retire(RetentionPolicy()) == []


def test_a_stop_between_statement_and_deletion_is_finished_later(world: World) -> None:
    world.put(4)
    kept = layout.segment_path(world.state, CALLS, 1).read_bytes()
    world.retire(RetentionPolicy(age_max_s=2))
    layout.segment_path(world.state, CALLS, 1).write_bytes(kept)
    world.writer.close()
    assert isinstance(world.verdicts()["calls"], Intact)
    assert finish(world.state, WRITER) == (1,)
    assert isinstance(world.verdicts()["calls"], Intact)


def test_deleting_without_a_statement_is_seen(world: World) -> None:
    world.put(4)
    world.retire(RetentionPolicy(age_max_s=2))
    world.writer.close()
    layout.segment_path(world.state, CALLS, layout.segments(world.state, CALLS)[0]).unlink()
    verdict = world.verdicts()["calls"]
    assert isinstance(verdict, Broken)
    assert "no signed retirement" in verdict.reason


def test_deleting_every_segment_is_seen(world: World) -> None:
    world.put(4)
    world.retire(RetentionPolicy(age_max_s=2))
    world.writer.close()
    for segment in layout.segments(world.state, CALLS):
        layout.segment_path(world.state, CALLS, segment).unlink()
    assert isinstance(world.verdicts()["calls"], Incomplete)


def test_segments_go_oldest_first_without_gaps() -> None:
    found = tuple(
        Candidate(at=EPOCH_US + at, bytes=10, head="", segment=number, seq=number)
        for number, at in enumerate((0, 900, 0, 0), 1)
    )
    gone = due(found, RetentionPolicy(age_max_s=0), EPOCH_US + 500)
    assert [candidate.segment for candidate in gone] == [1]
