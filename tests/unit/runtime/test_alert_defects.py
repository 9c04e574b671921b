"""Defects that gateways of this kind have had, each held down by name."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec

from parts.alerting import alert, alerting, settings
from parts.front import World, in_world
from parts.webhook_receiver import SECRET, Reply, receiving
from wardwright.contracts.sink import WebhookSink
from wardwright.testing.sinks import MemorySink


def test_defect_23_an_identical_alert_of_another_call_is_delivered_since_the_key_holds_the_receipt_id() -> None:
    async def play() -> None:
        sink = MemorySink()
        async with alerting((settings(), sink)) as world:
            assert [world.alerts.raise_(alert(receipt)) for receipt in ("rcp_1", "rcp_2")] == ["queued"] * 2
            await world.until(lambda: len(sink.delivered) == 2)
            assert [msgspec.json.decode(one.body)["alert"]["receipt"] for one in sink.delivered] == ["rcp_1", "rcp_2"]

    asyncio.run(play())


def test_defect_24_the_queue_drains_so_that_a_closed_sink_opens_again_however_many_alerts_went_before() -> None:
    async def play() -> None:
        sink = MemorySink()
        async with alerting((settings(on_full="fail_closed", waiting_max=5), sink)) as world:
            for round_ in range(20):
                answers = [world.alerts.raise_(alert(f"rcp_{round_}_{number}")) for number in range(5)]
                assert answers == ["queued"] * 5
                await world.until(
                    lambda: world.alerts.pulse()[0].jobs.waiting + world.alerts.pulse()[0].jobs.leased == 0
                )
            assert len(sink.delivered) == 100
            assert world.alerts.pulse()[0].refused == 0

    asyncio.run(play())


def test_defect_25_a_slow_webhook_never_blocks_the_gateway(tmp_path: Path) -> None:
    with receiving() as receiver:
        receiver.default = Reply(wait_s=20)

        async def play(world: World) -> None:
            await world.call("coding")
            for number in range(50):
                world.runtime.alerts.raise_(alert(f"rcp_{number}"))
            await asyncio.to_thread(receiver.wait_until_busy, 2)
            began = time.perf_counter()
            for _ in range(20):
                assert (await world.call("coding")).error is None
            assert time.perf_counter() - began < 10
            assert receiver.posted == [], "not one delivery has ended meanwhile"
            receiver.default = Reply()
            receiver.let_go.set()

        sink = WebhookSink(name="sec", parallel_max=2, secret="env:SECRET", url=receiver.url)
        in_world(tmp_path, play, durability="batch", environment={"SECRET": SECRET}, sinks=(sink,))
        assert len({posted.id for posted in receiver.taken}) == 50, "and ending the gateway delivered them"


def test_defect_26_a_simulation_delivers_nothing(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        request = {"model": "coding", "messages": [{"role": "user", "content": "hi"}]}
        answer = await world.post("/v1/wardwright/simulate", json={"request": request})
        assert answer.status_code == 200
        assert world.runtime.alerts.jobs() == ()
        assert list(world.runtime.approvals.all()) == []

    in_world(tmp_path, play)
    assert not (tmp_path / "state" / "alerts.jsonl").exists()
