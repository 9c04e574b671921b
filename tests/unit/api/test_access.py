"""Who may ask what: the admin, holders of keys, programs on this machine, web pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from parts.front import ADMIN, ADMIN_TOKEN, World, in_world
from wardwright.api.table import OPERATIONS

ADMINS = sorted(
    (row.method, row.template.replace("{name}", "coding").replace("{id}", "key_x"))
    for row in OPERATIONS
    if row.access == "admin"
)


def test_everything_under_api_and_admin_takes_the_admin_credential() -> None:
    assert {row.path for row in OPERATIONS if row.path.startswith(("/api/", "/admin/"))} == {
        row.path for row in OPERATIONS if row.access == "admin"
    }


def test_nothing_but_the_admin_credential_opens_an_admin_path(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        _, key = await world.key(scopes=["call", "receipts:own", "receipts:tenant", "simulate"])
        closed: tuple[dict[str, str], ...] = (
            {},
            key,
            {"authorization": f"Bearer {ADMIN_TOKEN}x"},
            {"authorization": f"Basic {ADMIN_TOKEN}"},
            {"x-wardwright-admin-token": ADMIN_TOKEN.upper()},
            {"x-wardwright-admin-token": "", **ADMIN},
        )
        for method, path in ADMINS:
            for headers in closed:
                response = await world.ask(method, path, headers=headers)
                assert (response.status_code, response.json()["code"]) == (401, "admin_required"), (path, headers)
                assert response.headers["www-authenticate"] == "Bearer"
        assert (await world.get("/api/models/coding/versions", headers=ADMIN)).json()["model"]["canary"] is None

    in_world(tmp_path, play)


@pytest.mark.parametrize("headers", [ADMIN, {"x-wardwright-admin-token": ADMIN_TOKEN}])
def test_the_admin_credential_comes_in_either_header(tmp_path: Path, headers: dict[str, str]) -> None:
    async def play(world: World) -> None:
        assert (await world.get("/admin/runtime", headers=headers)).status_code == 200

    in_world(tmp_path, play)


def test_without_an_admin_credential_nobody_is_the_admin(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        app = world.altered(admin_token_hash=None)
        for headers in (ADMIN, {"authorization": "Bearer "}, {"x-wardwright-admin-token": ""}):
            response = await world.get("/admin/runtime", app=app, headers=headers)
            assert response.status_code == 401

    in_world(tmp_path, play)


def test_where_keys_are_required_a_caller_needs_one(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        _, key = await world.key()
        for sent, code in ((None, "missing_api_key"), ("Bearer wwk_no", "invalid_api_key")):
            response = await world.get("/v1/models", headers={"authorization": sent} if sent else {})
            assert (response.status_code, response.json()["error"]["code"]) == (401, code)
        for headers in (key, {"x-api-key": key["authorization"].split()[1]}, ADMIN):
            assert (await world.get("/v1/models", headers=headers)).status_code == 200

    in_world(tmp_path, play, keys="required")


def test_a_wrong_key_is_refused_where_none_is_needed(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        response = await world.get("/v1/models", headers={"authorization": "Bearer wwk_unknown"})
        assert response.json()["error"]["code"] == "invalid_api_key"
        sdk_word = await world.get("/v1/models", headers={"authorization": "Bearer sk-none"})
        assert sdk_word.status_code == 200

    in_world(tmp_path, play)


def test_keyless_callers_come_by_the_hosts_own_names_and_not_from_web_pages(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        rebound = await world.get("/v1/models", host="evil.example")
        assert (rebound.status_code, rebound.json()["error"]["code"]) == (403, "host_not_allowed")
        page = await world.get("/v1/receipts", headers={"origin": "https://evil.example"})
        assert (page.status_code, page.json()["error"]["code"]) == (403, "origin_not_allowed")
        assert "access-control-allow-origin" not in page.headers
        friend = await world.get("/v1/models", headers={"origin": "https://friend.example"})
        assert friend.status_code == 200
        _, key = await world.key()
        assert (await world.get("/v1/models", host="evil.example", headers=key)).status_code == 200

    in_world(tmp_path, play, origins=("https://friend.example",))


def test_metrics_are_for_this_machine_and_the_admin(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        assert (await world.get("/metrics")).status_code == 200
        assert (await world.get("/metrics", host="evil.example")).status_code == 403

    in_world(tmp_path, play)


def test_metrics_take_the_admin_credential_where_keys_are_required(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        _, key = await world.key()
        assert (await world.get("/metrics")).status_code == 401
        assert (await world.get("/metrics", headers=key)).status_code == 401
        assert (await world.get("/metrics", headers=ADMIN)).status_code == 200

    in_world(tmp_path, play, keys="required")


def test_health_is_told_to_anyone_and_says_nothing_of_the_inside(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        world.write("bad.yaml", "kind: model\nname: BAD")
        await world.post("/api/reload", headers=ADMIN)
        for path in ("/healthz", "/readyz"):
            response = await world.get(path, host="load-balancer.example", headers={"origin": "https://x.example"})
            assert response.status_code == 200
            assert "yaml" not in response.text

    in_world(tmp_path, play, keys="required")
