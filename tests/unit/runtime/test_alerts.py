"""The alerts matrix: slow, failing then recovering, and full sinks; duplicates; draining; dead letters."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import msgspec
import pytest

from parts.alerting import Alerting, alert, alerting, settings
from wardwright.calls.alerts import WORDS_CHARS_MAX, Raised, alert_in, letter_of
from wardwright.calls.receipt import Caller, Sourced
from wardwright.contracts.sink import JsonlSink, OnFull
from wardwright.journal.sinks import Later, Letter, Outcome, Refused
from wardwright.kernel import canonical
from wardwright.kernel.errors import WardwrightError
from wardwright.runtime.alerts import Settled
from wardwright.testing.sinks import MemorySink
from wardwright.testing.work_queue import MemoryJobs


def run(play: Coroutine[Any, Any, None]) -> None:
    asyncio.run(play)


def ids(sink: MemorySink) -> list[str]:
    return [letter.id for letter in sink.delivered]


def raised(world: Alerting, count: int, **members: Any) -> list[Raised]:
    return [world.alerts.raise_(alert(f"rcp_{number}", **members)) for number in range(count)]


def test_an_alert_reaches_its_sink_and_no_other() -> None:
    async def play() -> None:
        sec, ops = MemorySink(), MemorySink()
        async with alerting((settings(), sec), (settings(name="ops"), ops)) as world:
            assert world.alerts.raise_(alert()) == "queued"
            await world.until(lambda: sec.delivered)
            assert sec.delivered == [letter_of(alert())]
            assert ops.delivered == []

    run(play())


def test_a_letter_says_what_when_who_and_why_in_canonical_form() -> None:
    letter = letter_of(alert())
    document = msgspec.json.decode(letter.body)
    assert canonical.encode(document) == letter.body
    canonical.require(document)
    assert document["id"] == letter.id == alert().id
    assert document["format"] == 1
    assert document["alert"] == {
        "at": 1_700_000_000_000_000,
        "caller": {
            "agent": {"source": "header", "value": "builder"},
            "tenant": {"source": "trusted_auth", "value": "acme"},
        },
        "message": "look",
        "model": "coding",
        "phase": "request",
        "policy": "desk-rules",
        "receipt": "rcp_1",
        "rule": "long-answers",
        "severity": "warning",
        "sink": "sec",
        "why": "Nobody reads so much.",
    }


def test_the_same_alert_of_one_call_is_delivered_once() -> None:
    async def play() -> None:
        sink = MemorySink()
        async with alerting((settings(), sink)) as world:
            assert [world.alerts.raise_(alert()) for _ in range(2)] == ["queued", "duplicate"]
            await world.until(lambda: sink.delivered)
            assert world.alerts.raise_(alert()) == "duplicate"
            await world.alerts.drain(5)
            assert len(sink.delivered) == 1

    run(play())


def test_other_words_of_one_call_are_another_alert() -> None:
    others = [
        alert(),
        alert("rcp_2"),
        alert(message="other"),
        alert(severity="critical"),
        alert(sink="ops"),
        msgspec.structs.replace(alert(), rule="other"),
        msgspec.structs.replace(alert(), policy="other"),
    ]
    assert len({one.id for one in others}) == len(others)
    assert msgspec.structs.replace(alert(), at=5).id == alert().id


def test_raising_costs_microseconds_and_waits_for_no_sink() -> None:
    async def play() -> None:
        sink = MemorySink()
        sink.gate.clear()
        async with alerting((settings(), sink)) as world:
            began = time.thread_time()  # it can wait for nobody: nothing else runs before it returns
            assert raised(world, 500) == ["queued"] * 500
            each_us = (time.thread_time() - began) / 500 * 1e6
            assert each_us < 500
            assert sink.delivered == []
            sink.gate.set()
            await world.until(lambda: len(sink.delivered) == 500)

    run(play())


def test_a_slow_sink_holds_up_no_other() -> None:
    async def play() -> None:
        slow, quick = MemorySink(), MemorySink()
        slow.gate.clear()
        async with alerting((settings(name="slow"), slow), (settings(name="quick"), quick)) as world:
            raised(world, 20, sink="slow")
            raised(world, 20, sink="quick")
            await world.until(lambda: len(quick.delivered) == 20)
            assert slow.delivered == []
            slow.gate.set()
            await world.until(lambda: len(slow.delivered) == 20)

    run(play())


def test_deliveries_side_by_side_are_bounded() -> None:
    async def play() -> None:
        sink = MemorySink()
        sink.gate.clear()
        async with alerting((settings(parallel_max=3), sink)) as world:
            raised(world, 30)
            await world.until(lambda: sink.under_way == 3)
            for _ in range(20):
                await asyncio.sleep(0)
            assert sink.under_way == 3
            sink.gate.set()
            await world.until(lambda: len(sink.delivered) == 30)
            assert sink.under_way_max == 3

    run(play())


def test_a_sink_that_fails_and_recovers_gets_every_alert_once() -> None:
    async def play() -> None:
        sink = MemorySink()
        sink.next.extend([Later(why="HTTP 503")] * 4)
        async with alerting((settings(), sink)) as world:
            raised(world, 30)
            await world.until(lambda: len(sink.delivered) == 30)
            assert len(set(ids(sink))) == 30
            (pulse,) = world.alerts.pulse()
            assert (pulse.delivered, pulse.failures, pulse.dead_lettered) == (30, 0, 0)

    run(play())


def test_while_a_sink_fails_one_alert_alone_probes_it() -> None:
    class Counting(MemorySink):
        attempts = 0

        async def deliver(self, letter: Letter) -> Outcome:
            self.attempts += 1
            return await super().deliver(letter)

    async def play() -> None:
        sink = Counting()
        async with alerting((settings(parallel_max=4), sink)) as world:
            sink.next.extend([Later(why="down")] * 8)
            raised(world, 4)
            await world.until(lambda: sink.attempts >= 4)
            sink.gate.clear()
            await world.until(lambda: sink.under_way == 1)
            for _ in range(50):
                await asyncio.sleep(0.001)
            assert sink.under_way == 1
            sink.next.clear()
            sink.gate.set()
            await world.until(lambda: len(sink.delivered) == 4)

    run(play())


def test_a_receiver_that_asks_for_quiet_gets_it() -> None:
    async def play() -> None:
        sink = MemorySink()
        sink.next.append(Later(after_s=60, why="HTTP 429"))
        async with alerting((settings(parallel_max=1), sink)) as world:
            raised(world, 2)
            await world.until(lambda: world.alerts.pulse()[0].failures)
            job = next(job for job in world.alerts.jobs() if job.note == "HTTP 429")
            due_at = getattr(job.state, "due_at", 0)
            assert due_at - job.put_at > 55_000_000

    run(play())


def test_an_alert_that_is_refused_is_a_dead_letter_and_others_go_on() -> None:
    async def play() -> None:
        sink = MemorySink()
        sink.next.append(Refused(why="HTTP 410"))
        async with alerting((settings(), sink)) as world:
            raised(world, 3)
            await world.until(lambda: len(sink.delivered) == 2)
            dead = [job for job in world.alerts.jobs() if job.state_name == "dead"]
            assert [(job.note, job.attempts, job.ref) for job in dead] == [("HTTP 410", 1, "rcp_0")]

    run(play())


def test_an_alert_that_failed_too_often_is_a_dead_letter() -> None:
    async def play() -> None:
        sink = MemorySink()
        sink.next.extend([Later(why="HTTP 500")] * 3)
        async with alerting((settings(attempts_max=3), sink)) as world:
            raised(world, 1)
            await world.until(lambda: world.alerts.pulse()[0].dead_lettered)
            (job,) = world.alerts.jobs()
            assert (job.state_name, job.note, job.attempts) == ("dead", "HTTP 500 (attempt 3)", 3)

    run(play())


def test_a_defect_of_a_sink_is_reported_and_the_alert_comes_again() -> None:
    class Defective(MemorySink):
        async def deliver(self, letter: Letter) -> Outcome:
            if not self.delivered and not self.under_way_max:
                self.under_way_max = 1
                raise RuntimeError("a defect")
            return await super().deliver(letter)

    async def play() -> None:
        sink = Defective()
        async with alerting((settings(), sink)) as world:
            raised(world, 1)
            await world.until(lambda: sink.delivered)
            assert [str(defect) for defect in world.defects] == ["a defect"]

    run(play())


@pytest.mark.parametrize(
    ("on_full", "answer"), [("drop", "dropped"), ("dead_letter", "dead_lettered"), ("fail_closed", "refused")]
)
def test_a_full_sink_does_what_its_settings_say_and_takes_alerts_again_once_there_is_room(
    on_full: OnFull, answer: Raised
) -> None:
    async def play() -> None:
        sink = MemorySink()
        sink.gate.clear()
        async with alerting((settings(on_full=on_full, parallel_max=1, waiting_max=2), sink)) as world:
            assert raised(world, 3) == ["queued", "queued", answer]
            (pulse,) = world.alerts.pulse()
            counts = {"dropped": pulse.dropped, "dead_lettered": pulse.dead_lettered, "refused": pulse.refused}
            assert {name for name, count in counts.items() if count} == {answer}
            assert len(world.alerts.jobs()) == (3 if on_full == "dead_letter" else 2)
            sink.gate.set()
            await world.until(lambda: len(sink.delivered) == 2)
            assert world.alerts.raise_(alert("rcp_9")) == "queued"

    run(play())


def test_draining_delivers_what_is_due() -> None:
    async def play() -> None:
        sink = MemorySink()
        async with alerting((settings(), sink)) as world:
            raised(world, 50)
            assert await world.alerts.drain(10) == 0
            assert len(sink.delivered) == 50

    run(play())


def test_draining_is_bounded_and_what_is_left_waits_for_the_next_start() -> None:
    async def play() -> None:
        stored, sink = MemoryJobs(), MemorySink()
        sink.gate.clear()
        async with alerting((settings(), sink), stored=stored) as world:
            raised(world, 6)
            await world.until(lambda: sink.under_way)
            assert await world.alerts.drain(0.05) == 6
        later = MemorySink()
        async with alerting((settings(), later), stored=stored) as world:
            await world.until(lambda: len(later.delivered) == 6)
            assert all(job.attempts == 1 for job in world.alerts.jobs()), "what shutdown cut short was no attempt"

    run(play())


def test_draining_does_not_wait_for_a_sink_that_is_down() -> None:
    async def play() -> None:
        sink = MemorySink()
        sink.next.extend([Later(after_s=100, why="down")] * 9)
        async with alerting((settings(), sink)) as world:
            raised(world, 6)
            await world.until(lambda: world.alerts.pulse()[0].failures)
            began = time.monotonic()
            assert await world.alerts.drain(30) == 6
            assert time.monotonic() - began < 10

    run(play())


def test_a_dead_letter_is_retried_by_a_person_and_the_journal_says_by_whom() -> None:
    async def play() -> None:
        sink = MemorySink()
        sink.next.append(Refused(why="HTTP 404"))
        async with alerting((settings(), sink)) as world:
            raised(world, 1)
            await world.until(lambda: world.alerts.pulse()[0].dead_lettered)
            id_ = alert("rcp_0").id
            assert await world.alerts.retry(frozenset({id_}), by="admin") == (id_,)
            await world.until(lambda: sink.delivered)
            (entry,) = world.writer.entries
            assert (entry.kind, entry.chain, entry.actor, entry.data) == (
                "alert.retried", "control", "admin", Settled(ids=(id_,)),
            )  # fmt: skip

    run(play())


def test_a_dead_letter_is_dropped_and_only_a_dead_one() -> None:
    async def play() -> None:
        sink = MemorySink()
        sink.next.append(Refused(why="HTTP 404"))
        async with alerting((settings(parallel_max=1), sink)) as world:
            raised(world, 2)
            await world.until(lambda: sink.delivered)
            with pytest.raises(WardwrightError) as refused:
                await world.alerts.drop(frozenset({alert("rcp_0").id, alert("rcp_1").id}), by="admin")
            assert refused.value.code == "alert_not_found"
            assert world.writer.entries == []
            await world.alerts.drop(frozenset({alert("rcp_0").id}), by="admin")
            assert [job.state_name for job in world.alerts.jobs()] == ["done"]

    run(play())


def test_alerts_of_a_sink_that_the_settings_no_longer_have_become_dead_letters() -> None:
    async def play() -> None:
        stored, sink = MemoryJobs(), MemorySink()
        sink.gate.clear()
        async with alerting((settings(), sink), stored=stored) as world:
            raised(world, 2)
            await world.alerts.drain(0.01)
        async with alerting((JsonlSink(name="other", path="x"), MemorySink()), stored=stored) as world:
            jobs = world.alerts.jobs()
            assert {(job.state_name, job.note) for job in jobs} == {
                ("dead", "the settings have no sink `sec` any more")
            }

    run(play())


def test_an_alert_that_rests_when_its_sink_is_removed_is_a_dead_letter_at_the_next_start() -> None:
    async def play() -> None:
        stored, sink = MemoryJobs(), MemorySink()
        sink.next.append(Later(why="HTTP 503"))
        async with alerting((settings(), sink), stored=stored) as world:
            raised(world, 1)
            await world.until(lambda: world.alerts.pulse()[0].failures)
        async with alerting((JsonlSink(name="other", path="x"), MemorySink()), stored=stored) as world:
            (job,) = world.alerts.jobs()
            assert (job.state_name, job.note) == ("dead", "the settings have no sink `sec` any more")

    run(play())


def test_an_alert_for_a_sink_that_is_not_there_is_a_dead_letter_and_no_defect() -> None:
    async def play() -> None:
        async with alerting() as world:
            lost = alert(sink="gone")
            assert [world.alerts.raise_(lost) for _ in range(2)] == ["dead_lettered", "duplicate"]
            (job,) = world.alerts.jobs()
            assert (job.state_name, job.note) == ("dead", "the settings have no sink `gone`")

    run(play())


def test_the_longest_words_and_claims_fit_into_the_queue() -> None:
    async def play() -> None:
        sink = MemorySink()
        claim = Sourced("header", "😀" * 256)
        loud = msgspec.structs.replace(
            alert(message="\0" * 65_536),
            caller=Caller(
                agent=claim, application=claim, client_request=claim, house=claim, run=claim, session=claim, user=claim,
                tags=("😀" * 64,) * 32,
            ),
            why="\0" * 65_536,
        )  # fmt: skip
        async with alerting((settings(), sink)) as world:
            assert world.alerts.raise_(loud) == "queued"
            await world.until(lambda: sink.delivered)
            assert len(alert_in(sink.delivered[0].body).message) == WORDS_CHARS_MAX

    run(play())


def test_the_sinks_that_rules_may_name_are_told() -> None:
    async def play() -> None:
        async with alerting((settings(), MemorySink()), (settings(name="ops"), MemorySink())) as world:
            assert world.alerts.names == {"sec", "ops"}

    run(play())
