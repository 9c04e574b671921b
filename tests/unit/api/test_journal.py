"""The journal over HTTP."""

from __future__ import annotations

from pathlib import Path

from parts.front import ADMIN, World, in_world


def test_a_tenant_is_forgotten_once_and_the_chain_says_so(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        await world.call()
        before = world.runtime.tenant_keys.key("local")
        ask = {"tenant": "local"}
        gone = await world.post("/api/journal/forget", headers=ADMIN, json=ask)
        assert gone.json() == {"captures": 0, "key": True, "tenant": "local"}
        again = await world.post("/api/journal/forget", headers=ADMIN, json=ask)
        assert again.json()["key"] is False
        assert world.runtime.tenant_keys.key("local") != before
        exported = (tmp_path / "state" / "journal").rglob("control/*.jsonl")
        assert sum(path.read_text().count('"tenant.forgotten"') for path in exported) == 2

    in_world(tmp_path, play)


def test_only_a_receipt_names_the_bodies_of_a_call(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        refused = await world.post("/api/journal/forget", headers=ADMIN, json={"tenant": "t", "receipt": "../etc"})
        assert (refused.status_code, refused.json()["place"]["path"]) == (400, "receipt")
        receipt = "rcp_" + "0" * 28
        gone = await world.post("/api/journal/forget", headers=ADMIN, json={"tenant": "t", "receipt": receipt})
        assert gone.json() == {"captures": 0, "key": False, "tenant": "t"}

    in_world(tmp_path, play)


def test_nobody_but_the_admin_forgets(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        refused = await world.post("/api/journal/forget", json={"tenant": "local"})
        assert (refused.status_code, refused.json()["code"]) == (401, "admin_required")

    in_world(tmp_path, play)
