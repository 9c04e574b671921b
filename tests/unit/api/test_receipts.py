"""Receipts: by what they are found, who sees them, what they hold."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlencode

import msgspec
import pytest

from parts.front import ADMIN, World, in_world
from wardwright.api.receipts import PARAMETERS
from wardwright.calls.receipt import Summary

CLAIMS = {
    "x-wardwright-agent-id": "agent-7",
    "x-wardwright-application-id": "app",
    "x-wardwright-house": "north",
    "x-wardwright-run-id": "run-1",
    "x-wardwright-session-id": "session-1",
    "x-wardwright-user-id": "ada",
}

STALLING = {
    "all.yaml": """
kind: provider
name: scripted
transport: scripted
scripts: [{model: fast, steps: [{chunks: [one, two], stall_after_chunks: 1}]}]
---
kind: model
name: coding
targets: [{name: fast, provider: scripted, model: fast, context_window: 8192}]
"""
}
"""An upstream that begins to answer and never goes on."""


async def found(world: World, query: str = "", **options: object) -> list[str]:
    response = await world.get(f"/v1/receipts?{query}", **options)
    assert response.status_code == 200, response.text
    return [row["receipt"] for row in response.json()["data"]]


def test_every_member_of_the_summary_is_a_filter(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        other = await world.call("review")
        wanted = await world.call("coding", stream=True, headers=CLAIMS)
        row = (await world.get(f"/v1/receipts?receipt={wanted.receipt}")).json()["data"][0]
        assert set(row) == set(Summary.__struct_fields__)
        for name, value in row.items():
            if value is not None:
                text = str(value).lower() if isinstance(value, bool) else str(value)
                assert wanted.receipt in await found(world, urlencode({name: text})), name
        for name, value in {"model": "coding", "stream": "true", "agent": "agent-7", "session": "session-1"}.items():
            assert await found(world, urlencode({name: value})) == [wanted.receipt]
        assert await found(world, "fallback=true") == [other.receipt]
        assert await found(world, "attempts_min=2") == [other.receipt]
        assert await found(world, "status=failed") == []

    in_world(tmp_path, play)


def test_the_names_that_the_seed_uses_work_too(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        call = await world.call("coding", headers=CLAIMS)
        await world.call("review")
        for query in (
            "model=wardwright/coding", "model_id=coding", "model_id=wardwright/coding", "model_version=v1",
            "application_id=app", "consuming_agent_id=agent-7", "consuming_user_id=ada", "session_id=session-1",
            "run_id=run-1",
        ):  # fmt: skip
            assert await found(world, query) == [call.receipt], query
        for query in (
            "tenant_id=local",
            "selected_provider=scripted",
            "selected_model=scripted/fast",
            "selected_model=fast",
        ):
            assert call.receipt in await found(world, query), query
        assert await found(world, "selected_model=other/fast") == []

    in_world(tmp_path, play)


def test_instants_are_microseconds_seconds_or_rfc_3339(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        call = await world.call()
        at = (await world.get("/v1/receipts")).json()["data"][0]["started_at"]
        for query in (
            f"started_at={at}", f"started_at_min={at}", f"started_at_max={at}", f"created_at_min={at // 1_000_000}",
            f"created_at_max={at // 1_000_000 + 1}", "created_at_min=2020-01-31T12:00:00Z",
            "started_at_min=2020-01-31T12:00:00%2B01:00", "started_at_min=2020-01-31T12:00:00+01:00",
            "started_at_min=2020-01-31",
        ):  # fmt: skip
            assert await found(world, query) == [call.receipt], query
        for query in (f"started_at_min={at + 1}", f"started_at_max={at - 1}", "created_at_max=2020-01-31T12:00:00Z"):
            assert await found(world, query) == [], query

    in_world(tmp_path, play)


def test_pages_meet_and_end(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        calls = [(await world.call()).receipt for _ in range(5)]
        seen: list[str] = []
        query: str | None = "limit=2"
        while query is not None:
            page = (await world.get(f"/v1/receipts?{query}")).json()
            seen += [row["receipt"] for row in page["data"]]
            query = None if page["next"] is None else urlencode({"limit": 2, "cursor": page["next"]})
        assert sorted(seen, reverse=True) == sorted(calls, reverse=True)
        assert len(seen) == 5

    in_world(tmp_path, play)


@pytest.mark.parametrize(
    ("query", "place", "words"),
    [
        ("modle=coding", "modle", "did you mean `model`?"),
        ("limit=0", "limit", "between 1 and 500"),
        ("limit=501", "limit", "between 1 and 500"),
        ("limit=ten", "limit", "whole number"),
        ("limit=%D9%A3", "limit", "whole number"),
        ("total_us_min=99999999999999999999", "total_us_min", "whole number"),
        ("stream=yes", "stream", "`true` or `false`"),
        ("started_at=yesterday", "started_at", "no instant"),
        ("created_at_min=9007199254740991", "created_at_min", "no instant"),
        ("model=", "model", "between 1 and"),
        ("model=" + "x" * 513, "model", "between 1 and"),
        ("model=a&model=b", "model", "twice"),
        ("cursor=nonsense", "cursor", "cursor"),
        ("model=%ff", None, "UTF-8"),
        ("&".join(f"a{number}=1" for number in range(65)), None, "more than 64"),
    ],
)
def test_a_query_that_cannot_be_read_is_refused_with_its_parameter(
    tmp_path: Path, query: str, place: str | None, words: str
) -> None:
    async def play(world: World) -> None:
        response = await world.get(f"/v1/receipts?{query}")
        assert response.status_code == 400
        error = response.json()["error"]
        assert (error["code"], error["param"]) == ("invalid_request", place)
        assert words in error["message"]

    in_world(tmp_path, play)


def test_who_sees_which_receipts(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        _, own = await world.key(tenant="acme")
        _, other = await world.key(tenant="acme")
        _, whole = await world.key(tenant="acme", scopes=["call", "receipts:tenant"])
        _, foreign = await world.key(tenant="globex", scopes=["call", "receipts:tenant"])
        _, local = await world.key(tenant="local")
        callers = {"own": own, "other": other, "whole": whole, "foreign": foreign, "local": local, "keyless": {}}
        made = {who: (await world.call(headers=headers)).receipt for who, headers in callers.items()}
        sees = {
            "own": {"own"},
            "other": {"other"},
            "whole": {"own", "other", "whole"},
            "foreign": {"foreign"},
            "local": {"local"},
            "keyless": {"keyless"},
        }
        for who, headers in {**callers, "admin": ADMIN}.items():
            visible = {made[one] for one in sees.get(who, callers)}
            assert set(await found(world, headers=headers)) == visible, who
            for receipt in made.values():
                response = await world.get(f"/v1/receipts/{receipt}", headers=headers)
                assert response.status_code == (200 if receipt in visible else 404), who

    in_world(tmp_path, play)


def test_a_filter_opens_no_foreign_tenant(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        _, acme = await world.key(tenant="acme", scopes=["call", "receipts:tenant"])
        await world.call(headers=acme)
        assert await found(world, "tenant=acme") == []
        assert len(await found(world, "tenant=acme", headers=acme)) == 1
        _, globex = await world.key(tenant="globex", scopes=["receipts:tenant"])
        assert await found(world, "tenant=acme", headers=globex) == []

    in_world(tmp_path, play)


def test_a_foreign_receipt_is_answered_like_an_unknown_one(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        _, acme = await world.key(tenant="acme")
        foreign = (await world.call(headers=acme)).receipt
        unknown = "rcp_00000000000000000000000000"
        first, second = await world.get(f"/v1/receipts/{foreign}"), await world.get(f"/v1/receipts/{unknown}")
        assert first.status_code == second.status_code == 404
        assert first.json()["error"]["code"] == "receipt_not_found"
        assert first.text.replace(foreign, unknown) == second.text

    in_world(tmp_path, play)


@pytest.mark.parametrize("stream", [False, True])
def test_a_receipt_is_found_though_its_record_is_still_on_its_way_to_the_disk(tmp_path: Path, stream: bool) -> None:
    async def play(world: World) -> None:
        for _ in range(5):
            call = await world.call(stream=stream)
            assert (await world.get(f"/v1/receipts/{call.receipt}")).json()["state"] == "closed"

    in_world(tmp_path, play, durability="batch")


def test_reading_receipts_takes_a_scope(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        _, headers = await world.key(scopes=["call"])
        receipt = (await world.call(headers=headers)).receipt
        for path in ("/v1/receipts", f"/v1/receipts/{receipt}"):
            response = await world.get(path, headers=headers)
            assert (response.status_code, response.json()["error"]["code"]) == (403, "scope_missing")

    in_world(tmp_path, play)


def test_a_receipt_is_shown_with_its_place_in_the_chain(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        call = await world.call(stream=True)
        full = (await world.get(f"/v1/receipts/{call.receipt}")).json()
        assert full["state"] == "closed"
        assert [record["kind"] for record in full["records"]] == ["call.opened", "call.closed"]
        assert full["opened"]["receipt"] == full["receipt"]["receipt"] == call.receipt
        opened, closed = full["records"]
        assert closed["refs"] == [{"id": opened["id"], "rel": "intent"}]
        assert closed["prev"] == opened["id"]
        lines = {
            msgspec.json.decode(line.text)["id"]: line.text
            for key in world.runtime.journal.reader.chains()
            for line in world.runtime.journal.reader.lines(key)
            if line.whole
        }
        for record in full["records"]:
            line = msgspec.json.decode(lines[record["id"]])
            assert {name: line[name] for name in record} == record

    in_world(tmp_path, play)


def test_a_call_that_streams_now_is_open(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        receipt = (await world.start("coding", stream=True).begun()).receipt
        full = (await world.get(f"/v1/receipts/{receipt}")).json()
        assert (full["state"], full["receipt"], full["opened"]["name"]) == ("open", None, "coding")
        shown = (await world.get("/admin/runtime", headers=ADMIN)).json()
        assert [(call["receipt"], call["target"]) for call in shown["calls"]] == [(receipt, "fast")]

    in_world(tmp_path, play, documents=STALLING)


def test_a_lost_call_is_found_and_shown_as_lost(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        runtime = world.runtime
        receipt = (await world.start("coding", stream=True).begun()).receipt
        await asyncio.to_thread(runtime.journal.writer.abandon)
        started = runtime.journal.writer.open()
        assert started.lost == 1
        full = (await world.get(f"/v1/receipts/{receipt}")).json()
        assert (full["state"], full["receipt"]) == ("lost", None)
        assert [record["kind"] for record in full["records"]] == ["call.opened", "call.lost"]
        assert await found(world, "status=lost") == [receipt]

    in_world(tmp_path, play, documents=STALLING)


def test_every_filter_has_a_line_in_the_document() -> None:
    assert [parameter.name for parameter in PARAMETERS if not parameter.means] == []
    assert len({parameter.name for parameter in PARAMETERS}) == len(PARAMETERS)
