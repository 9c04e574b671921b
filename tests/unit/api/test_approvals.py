"""Approvals over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from parts.front import ADMIN, World, in_world
from wardwright.journal.approvals import Approval


def ask(world: World, digest: str = "hmac:1", *, tenant: str = "acme", expires_s: int = 600) -> Approval:
    return world.runtime.approvals.ask(
        digest=digest,
        expires_s=expires_s,
        message="Spends money.",
        model="coding",
        policy="desk-rules",
        receipt="rcp_1",
        rule="costly",
        tenant=tenant,
    )


def test_a_request_that_waits_is_listed_shown_and_approved(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        id_ = ask(world).id
        (listed,) = (await world.get("/api/approvals", headers=ADMIN)).json()["data"]
        shown = (await world.get(f"/api/approvals/{id_}", headers=ADMIN)).json()
        assert listed == shown
        assert (shown["id"], shown["status"], shown["message"], shown["decided_by"]) == (
            id_, "pending", "Spends money.", None,
        )  # fmt: skip
        assert "wardwright_approvals_waiting 1.0" in (await world.get("/metrics", headers=ADMIN)).text
        done = (await world.post(f"/api/approvals/{id_}/approve", headers=ADMIN, json={"by": "ada"})).json()
        assert "wardwright_approvals_waiting 0.0" in (await world.get("/metrics", headers=ADMIN)).text
        assert (done["status"], done["decided_by"]) == ("approved", "ada")
        again = await world.post(f"/api/approvals/{id_}/approve", headers=ADMIN)
        assert (again.status_code, again.json()["code"]) == (409, "approval_settled")

    in_world(tmp_path, play)


def test_a_denial_says_why(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        id_ = ask(world).id
        done = (await world.post(f"/api/approvals/{id_}/deny", headers=ADMIN, json={"why": "Not today."})).json()
        assert (done["status"], done["decided_by"], done["why"]) == ("denied", "admin", "Not today.")

    in_world(tmp_path, play)


def test_a_list_is_narrowed_and_newest_first(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        ids = [ask(world, f"hmac:{number}").id for number in range(3)]
        foreign = ask(world, tenant="rival").id
        await world.post(f"/api/approvals/{ids[1]}/approve", headers=ADMIN)

        async def listed(query: str) -> list[str]:
            answer = await world.get(f"/api/approvals?{query}", headers=ADMIN)
            return [one["id"] for one in answer.json()["data"]]

        assert await listed("tenant=acme") == [ids[2], ids[1], ids[0]]
        assert await listed("status=approved") == [ids[1]]
        assert await listed("limit=1") == [foreign]
        refused = await world.get("/api/approvals?status=aproved", headers=ADMIN)
        assert (refused.status_code, refused.json()["hint"]) == (400, "did you mean `approved`?")

    in_world(tmp_path, play)


@pytest.mark.parametrize("path", ["", "/approve", "/deny"])
def test_an_unknown_approval_is_not_found(tmp_path: Path, path: str) -> None:
    async def play(world: World) -> None:
        response = await world.ask("POST" if path else "GET", f"/api/approvals/apr_none{path}", headers=ADMIN)
        assert (response.status_code, response.json()["code"]) == (404, "approval_not_found")

    in_world(tmp_path, play)


@pytest.mark.parametrize("body", [{"by": ""}, {"by": "a\nb"}, {"by": "x" * 257}, {"why": "\u202e"}, {"who": "ada"}])
def test_words_that_cannot_be_are_refused_and_nothing_is_decided(tmp_path: Path, body: dict[str, Any]) -> None:
    async def play(world: World) -> None:
        id_ = ask(world).id
        response = await world.post(f"/api/approvals/{id_}/deny", headers=ADMIN, json=body)
        assert (response.status_code, response.json()["code"]) == (400, "invalid_request")
        assert (await world.get(f"/api/approvals/{id_}", headers=ADMIN)).json()["status"] == "pending"

    in_world(tmp_path, play)


def test_a_serving_key_decides_nothing(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        id_ = ask(world).id
        _, key = await world.key(tenant="acme")
        for method, path in (("GET", ""), ("POST", "/approve"), ("POST", "/deny")):
            response = await world.ask(method, f"/api/approvals/{id_}{path}", headers=key)
            assert (response.status_code, response.json()["code"]) == (401, "admin_required")

    in_world(tmp_path, play)
