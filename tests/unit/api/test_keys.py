"""Serving keys over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from parts.front import ADMIN, World, in_world
from wardwright.gateway.core.keys import hash_of


def test_a_token_is_shown_once_and_nothing_that_stands_for_it_ever_again(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        terms = {"label": "ci", "tenant": "acme", "models": ["cod*"], "agent": "builder"}
        made = (await world.post("/api/keys", headers=ADMIN, json=terms)).json()
        token = made["token"]
        assert token.startswith("wwk_")
        listed = await world.get("/api/keys", headers=ADMIN)
        assert listed.json()["data"] == [made["key"]]
        assert {name: made["key"][name] for name in terms} == terms
        assert token not in listed.text
        assert hash_of(token.encode()) not in listed.text

    in_world(tmp_path, play)


def test_a_revoked_key_opens_nothing_and_stays_in_the_list(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        id_, headers = await world.key()
        assert (await world.get("/v1/models", headers=headers)).status_code == 200
        gone = await world.ask("DELETE", f"/api/keys/{id_}", headers=ADMIN)
        assert (gone.status_code, gone.content) == (204, b"")
        assert (await world.get("/v1/models", headers=headers)).status_code == 401
        key = (await world.get("/api/keys", headers=ADMIN)).json()["data"][0]
        assert (key["status"], key["revoked_at"] is None) == ("revoked", False)

    in_world(tmp_path, play)


def test_a_key_that_is_not_there_cannot_be_revoked(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        response = await world.ask("DELETE", "/api/keys/key_none", headers=ADMIN)
        assert (response.status_code, response.json()["code"]) == (404, "key_not_found")

    in_world(tmp_path, play)


@pytest.mark.parametrize(
    ("terms", "place"),
    [
        ({"tenant": ""}, "tenant"),
        ({"models": []}, "models"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["admin"]}, "scopes[0]"),
        ({"expires_at": 1}, "expires_at"),
        ({"label": "a\nb"}, "label"),
        ({"label": "x" * 257}, "label"),
        ({"agent": "\u202e"}, "agent"),
    ],
)
def test_terms_that_cannot_be_are_refused_with_their_place(tmp_path: Path, terms: dict[str, Any], place: str) -> None:
    async def play(world: World) -> None:
        response = await world.post("/api/keys", headers=ADMIN, json=terms)
        assert (response.status_code, response.json()["code"]) == (400, "invalid_request")
        assert response.json()["place"]["path"] == place
        assert (await world.get("/api/keys", headers=ADMIN)).json()["data"] == []

    in_world(tmp_path, play)
