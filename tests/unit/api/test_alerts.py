"""Alerts over HTTP: deliveries, dead letters, and the sink that is there without being asked for."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from parts.alerting import alert
from parts.front import ADMIN, World, in_world
from parts.webhook_receiver import SECRET, Receiver, Reply, receiving
from wardwright.contracts.sink import WebhookSink
from wardwright.journal.verify import Intact
from wardwright.kernel.errors import WardwrightError
from wardwright.runtime.offline import StoredJournal


async def until(world: World, state: str, count: int = 1) -> list[Any]:
    """The alerts that stand so, once there are enough."""
    async with asyncio.timeout(20):
        while True:
            data = (await world.get(f"/api/alerts?state={state}", headers=ADMIN)).json()["data"]
            if len(data) >= count:
                return list(data)
            await asyncio.sleep(0.005)


def with_receiver(tmp_path: Path, play: Any, **sink: Any) -> None:
    with receiving() as receiver:
        settings = WebhookSink(**{"name": "sec", "secret": "env:SECRET", "url": receiver.url, **sink})

        async def played(world: World) -> None:
            await play(world, receiver)

        in_world(tmp_path, played, sinks=(settings,), environment={"SECRET": SECRET})


def test_an_alert_for_the_default_sink_is_a_line_in_the_state_directory(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        assert world.runtime.alerts.raise_(alert(sink="default")) == "queued"
        (delivered,) = await until(world, "delivered")
        assert (delivered["receipt"], delivered["sink"], delivered["note"], delivered["attempts"]) == (
            "rcp_1", "default", "written", 1,
        )  # fmt: skip
        (line,) = (tmp_path / "state" / "alerts.jsonl").read_bytes().splitlines()
        assert msgspec.json.decode(line)["id"] == delivered["id"]

    in_world(tmp_path, play)


def test_a_delivery_is_found_by_the_receipt_of_its_call(tmp_path: Path) -> None:
    async def play(world: World, receiver: Receiver) -> None:
        for number in range(3):
            world.runtime.alerts.raise_(alert(f"rcp_{number}"))
        await until(world, "delivered", 3)
        (found,) = (await world.get("/api/alerts?receipt=rcp_1", headers=ADMIN)).json()["data"]
        assert (found["state"], found["note"], found["alert"]) == ("delivered", "HTTP 204", None)
        assert found["settled_at"] >= found["raised_at"]
        assert all(posted.genuine for posted in receiver.posted)

    with_receiver(tmp_path, play)


def test_a_dead_letter_says_what_it_says_and_is_tried_again(tmp_path: Path) -> None:
    async def play(world: World, receiver: Receiver) -> None:
        receiver.replies.append(Reply(status=410))
        world.runtime.alerts.raise_(alert())
        (dead,) = await until(world, "dead")
        assert (dead["note"], dead["alert"]["message"], dead["alert"]["severity"]) == ("HTTP 410", "look", "warning")
        answer = await world.post("/api/alerts/retry", headers=ADMIN, json={"ids": [dead["id"]]})
        assert answer.json() == {"ids": [dead["id"]]}
        await until(world, "delivered")
        assert [posted.id for posted in receiver.posted] == [dead["id"]] * 2

    with_receiver(tmp_path, play)


def test_all_dead_letters_of_a_sink_are_dropped_together(tmp_path: Path) -> None:
    async def play(world: World, receiver: Receiver) -> None:
        receiver.default = Reply(status=410)
        for number in range(3):
            world.runtime.alerts.raise_(alert(f"rcp_{number}"))
        await until(world, "dead", 3)
        other = await world.post("/api/alerts/drop", headers=ADMIN, json={"all": True, "sink": "default"})
        assert other.json() == {"ids": []}
        gone = await world.post("/api/alerts/drop", headers=ADMIN, json={"all": True, "sink": "sec"})
        assert len(gone.json()["ids"]) == 3
        assert (await world.get("/api/alerts", headers=ADMIN)).json()["data"] == []

    with_receiver(tmp_path, play)


@pytest.mark.parametrize("verb", ["retry", "drop"])
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "invalid_request"),
        ({"all": True, "ids": ["alt_1"]}, 400, "invalid_request"),
        ({"ids": ["alt_none"]}, 404, "alert_not_found"),
        ({"ids": [""]}, 400, "invalid_request"),
    ],
)
def test_nothing_is_done_to_what_was_not_picked(
    tmp_path: Path, verb: str, body: dict[str, Any], status: int, code: str
) -> None:
    async def play(world: World) -> None:
        response = await world.post(f"/api/alerts/{verb}", headers=ADMIN, json=body)
        assert (response.status_code, response.json()["code"]) == (status, code)

    in_world(tmp_path, play)


def test_sinks_are_told_by_name_and_in_metrics_without_their_address(tmp_path: Path) -> None:
    async def play(world: World, receiver: Receiver) -> None:
        world.runtime.alerts.raise_(alert())
        await until(world, "delivered")
        listed = await world.get("/api/alerts", headers=ADMIN)
        assert [(sink["name"], sink["well"], sink["delivered"]) for sink in listed.json()["sinks"]] == [
            ("default", True, 0),
            ("sec", True, 1),
        ]
        assert receiver.url not in listed.text
        metrics = (await world.get("/metrics", headers=ADMIN)).text
        assert 'wardwright_alerts_total{outcome="delivered",sink="sec"} 1.0' in metrics
        assert 'wardwright_sink_failing{sink="sec"} 0.0' in metrics

    with_receiver(tmp_path, play)


def test_a_secret_that_is_not_there_stops_the_start_before_anything_is_taken(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        raise AssertionError("it started")

    sink = WebhookSink(name="sec", secret="env:NOT_SET", url="http://127.0.0.1:9")
    with pytest.raises(Exception, match="the environment has no `NOT_SET`"):
        in_world(tmp_path, play, sinks=(sink,))
    assert not (tmp_path / "state").exists()


def test_a_sink_that_cannot_be_opened_stops_the_start_and_leaves_the_journal_in_good_order(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        raise AssertionError("it started")

    sink = WebhookSink(
        name="sec", secret="env:SECRET", tls_ca_file=str(tmp_path / "none.pem"), url="https://127.0.0.1:9"
    )
    with pytest.raises(WardwrightError) as refused:
        in_world(tmp_path, play, environment={"SECRET": SECRET}, sinks=(sink,))
    assert refused.value.code == "settings_invalid"
    assert {type(verdict) for verdict in StoredJournal(tmp_path / "state").verify()} <= {Intact}
