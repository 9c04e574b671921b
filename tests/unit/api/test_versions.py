"""Versions over HTTP: what serves, what changed, drafts that come and go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from parts.front import ADMIN, CODING, DOCUMENTS, World, in_world

SECOND = CODING.replace("version: v1", "version: v2").replace("8192", "4096")


async def changed(
    world: World, action: str, body: dict[str, Any] | None = None, method: str = "POST"
) -> dict[str, Any]:
    response = await world.ask(method, f"/api/models/coding/{action}", headers=ADMIN, json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def labels(world: World) -> dict[str, str]:
    """The status of each version by its label."""
    data = (await world.get("/api/models/coding/versions", headers=ADMIN)).json()["data"]
    return {version["label"]: version["status"] for version in data}


async def with_second(world: World) -> None:
    """A changed file that keeps its change as a draft."""
    world.write("coding.yaml", SECOND + "activate: manual\n")
    reloaded = (await world.post("/api/reload", headers=ADMIN)).json()
    assert reloaded["errors"] == []


def test_a_draft_is_activated_and_rolled_back(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        await with_second(world)
        assert await labels(world) == {"v1": "active", "v2": "draft"}
        first = await changed(world, "activate", {"version": "v2"})
        assert first["changed"]
        assert first["model"]["serving"]
        assert await labels(world) == {"v1": "retired", "v2": "active"}
        assert (await world.get("/v1/synthetic/models")).json()["data"][0]["active_version"] == "v2"
        assert not (await changed(world, "activate", {"version": "v2"}))["changed"]
        await changed(world, "rollback")
        assert await labels(world) == {"v1": "active", "v2": "retired"}
        await changed(world, "rollback", {"to": "v2"})
        assert await labels(world) == {"v1": "retired", "v2": "active"}
        steps = (await world.get("/api/models/coding/versions", headers=ADMIN)).json()["steps"]
        assert [step["fact"]["mode"] for step in steps] == ["active", "active", "rolled_back", "rolled_back"]
        assert {step["fact"]["by"] for step in steps[1:]} == {"admin"}

    in_world(tmp_path, play)


def test_a_version_is_named_by_its_digest_or_the_beginning_of_it(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        await with_second(world)
        versions = (await world.get("/api/models/coding/versions", headers=ADMIN)).json()["data"]
        digest = next(one["digest"] for one in versions if one["label"] == "v2")
        for name in (digest, digest.removeprefix("sha256:")[:8], "v2"):
            shown = await world.get(f"/api/models/coding/contract?version={name}", headers=ADMIN)
            assert shown.json()["digest"] == digest
            assert shown.json()["contract"]["targets"][0]["context_window"] == 4096

    in_world(tmp_path, play)


def test_a_canary_serves_beside_the_active_version_until_it_is_stopped(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        await with_second(world)
        begun = await changed(world, "canary", {"version": "v2", "rule": {"when": {"agent": ["beta"]}}})
        assert begun["model"]["rule"]["when"]["agent"] == ["beta"]
        assert (await world.get("/v1/synthetic/models")).json()["data"][0]["status"] == "canary"
        beta = await world.call(headers={"x-wardwright-agent-id": "beta"})
        await world.call()
        canaries = (await world.get("/v1/receipts?canary=true")).json()["data"]
        assert [(row["receipt"], row["version"]) for row in canaries] == [(beta.receipt, "v2")]
        records = (await world.get("/admin/synthetic-models", headers=ADMIN)).json()["data"]
        assert records[0]["canary"]["version"] == "v2"
        ended = await changed(world, "canary", method="DELETE")
        assert ended["changed"]
        assert await labels(world) == {"v1": "active", "v2": "retired"}
        assert not (await changed(world, "canary", method="DELETE"))["changed"]

    in_world(tmp_path, play)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"version": "v2", "rule": {}}, "contract_invalid"),
        ({"version": "v2", "rule": {"share_ppm": 0}}, "invalid_request"),
        ({"version": "v2", "rule": {"share_ppm": 1_000_000}}, "invalid_request"),
        ({"version": "v2", "rule": {"share": 5}}, "invalid_request"),
        ({"version": "v1", "rule": {"share_ppm": 5}}, "contract_invalid"),
        ({"version": "v9", "rule": {"share_ppm": 5}}, "contract_not_found"),
        ({"rule": {"share_ppm": 5}}, "invalid_request"),
    ],
)
def test_a_canary_that_cannot_be_is_refused(tmp_path: Path, body: dict[str, Any], code: str) -> None:
    async def play(world: World) -> None:
        await with_second(world)
        response = await world.post("/api/models/coding/canary", headers=ADMIN, json=body)
        assert response.json()["code"] == code
        assert await labels(world) == {"v1": "active", "v2": "draft"}

    in_world(tmp_path, play)


def test_a_difference_is_told_in_sentences(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        await with_second(world)
        told = (await world.get("/api/models/coding/diff?from=v1&to=v2", headers=ADMIN)).json()
        assert {change["path"] for change in told["changes"]} == {
            "activate", "targets[fast].context_window", "version",
        }  # fmt: skip
        assert (await world.get("/api/models/coding/diff", headers=ADMIN)).json()["changes"] == []
        await changed(world, "activate", {"version": "v2"})
        assert (await world.get("/api/models/coding/diff", headers=ADMIN)).json() == told

    in_world(tmp_path, play)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "versions"), ("GET", "diff"), ("GET", "contract"), ("GET", "export"), ("POST", "rollback"),
        ("DELETE", "canary"),
    ],
)  # fmt: skip
def test_a_model_that_is_not_there_is_not_found(tmp_path: Path, method: str, path: str) -> None:
    async def play(world: World) -> None:
        response = await world.ask(method, f"/api/models/codign/{path}", headers=ADMIN)
        assert (response.status_code, response.json()["code"]) == (404, "contract_not_found")

    in_world(tmp_path, play)


def test_an_export_comes_back_as_a_draft_under_a_local_provider(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        bundle = (await world.get("/api/models/coding/export", headers=ADMIN)).json()
        assert bundle["manifest"]["roles"][0]["name"] == "scripted"
        again = await world.post("/api/models/import", headers=ADMIN, json={"bundle": bundle})
        assert (again.status_code, again.json()["data"][0]["stored"]) == (201, False)
        foreign = json.loads(json.dumps(bundle).replace('"scripted"', '"elsewhere"'))
        response = await world.post("/api/models/import", headers=ADMIN, json={"bundle": foreign})
        assert response.json()["code"] == "contract_invalid"  # its digest is not that of its contract

    in_world(tmp_path, play)


def test_an_import_says_which_role_nobody_plays(tmp_path: Path) -> None:
    elsewhere = DOCUMENTS["provider.yaml"].replace("name: scripted", "name: elsewhere")
    there = {"provider.yaml": elsewhere, "coding.yaml": CODING.replace("provider: scripted", "provider: elsewhere")}
    bundle: dict[str, Any] = {}

    async def away(world: World) -> None:
        bundle.update((await world.get("/api/models/coding/export", headers=ADMIN)).json())

    async def here(world: World) -> None:
        refused = await world.post("/api/models/import", headers=ADMIN, json={"bundle": bundle})
        assert (refused.status_code, refused.json()["code"]) == (400, "contract_reference")
        assert "elsewhere" in refused.json()["detail"]
        taken = await world.post(
            "/api/models/import", headers=ADMIN, json={"bundle": bundle, "providers": {"elsewhere": "scripted"}}
        )
        draft = taken.json()["data"][0]
        assert (draft["stored"], draft["model"]["serving"], draft["model"]["active"]) == (True, False, None)
        assert (await world.get("/v1/models/coding")).status_code == 404
        await changed(world, "activate", {"version": draft["digest"]})
        assert (await world.get("/v1/models/coding")).status_code == 200

    (tmp_path / "away").mkdir()
    (tmp_path / "here").mkdir()
    in_world(tmp_path / "away", away, documents=there)
    in_world(tmp_path / "here", here, documents={"provider.yaml": DOCUMENTS["provider.yaml"]})


def test_a_reload_tells_what_it_refused_and_the_rest_serves(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        world.write("coding.yaml", CODING.replace("context_window: 8192", "context_windw: 8192"))
        answer = (await world.post("/api/reload", headers=ADMIN)).json()
        assert {error["code"] for error in answer["errors"]} >= {"contract_unknown_key"}
        assert answer["errors"][0]["place"]["line"] > 1
        assert (await world.get("/healthz")).json() == {
            "status": "degraded", "build": world.runtime.build, "journal": "ok", "reload": "refused",
        }  # fmt: skip
        assert (await world.get("/v1/models/coding")).status_code == 200

    in_world(tmp_path, play)
