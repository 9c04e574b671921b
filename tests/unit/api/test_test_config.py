"""`POST /__test/config`: there only where it is allowed, and then all or nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from parts.front import ADMIN, CODING, PROVIDER, World, in_world

ALLOWED = {"WARDWRIGHT_ALLOW_TEST_CONFIG": "1"}
JSON = [
    {"kind": "provider", "name": "p", "transport": "scripted", "scripts": [{"model": "m", "steps": [{"text": "ok"}]}]},
    {"kind": "model", "name": "m", "targets": [{"name": "t", "provider": "p", "model": "m", "context_window": 9000}]},
]


def test_it_is_not_there_unless_it_is_allowed(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        for headers in ({}, ADMIN):
            response = await world.post("/__test/config", content=PROVIDER, headers=headers)
            absent = await world.post("/__test/other", content=PROVIDER, headers=headers)
            assert response.status_code == absent.status_code == 404
            assert response.json() == absent.json()

    in_world(tmp_path, play)


@pytest.mark.parametrize("content", [f"{PROVIDER}---{CODING}", json.dumps(JSON)])
def test_what_is_posted_takes_the_place_of_the_files(tmp_path: Path, content: str) -> None:
    async def play(world: World) -> None:
        answer = (await world.post("/__test/config", content=content)).json()
        assert (answer["status"], answer["targets"]) == ("ok", 1)
        name = answer["models"][0]
        assert [model["id"] for model in (await world.get("/v1/models")).json()["data"]] == [name, f"wardwright/{name}"]
        assert (await world.call(name)).error is None
        await world.post("/api/reload", headers=ADMIN)
        assert (await world.get("/v1/models/review")).status_code == 200

    in_world(tmp_path, play, environment=ALLOWED)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("kind: model\nname: x\nbogus: 1\n", "contract_unknown_key"),
        ("{", "contract_syntax"),
        ("[", "contract_syntax"),
        ("[" + ",".join(["{}"] * 257) + "]", "contract_syntax"),
        ("", "contract_syntax"),
        (CODING, "contract_reference"),
    ],
)
def test_what_cannot_serve_changes_nothing(tmp_path: Path, content: str, code: str) -> None:
    async def play(world: World) -> None:
        response = await world.post("/__test/config", content=content)
        assert response.status_code == 400
        assert code in {response.json()["code"], *(error["code"] for error in response.json().get("errors", ()))}
        assert (await world.get("/v1/models/review")).status_code == 200

    in_world(tmp_path, play, environment=ALLOWED)


def test_a_web_page_cannot_post_it(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        response = await world.post("/__test/config", content=PROVIDER, headers={"origin": "https://evil.example"})
        assert (response.status_code, response.json()["code"]) == (403, "origin_not_allowed")

    in_world(tmp_path, play, environment=ALLOWED)
