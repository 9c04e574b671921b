"""Names that calls may use, and calls that are planned and not made."""

from __future__ import annotations

from pathlib import Path

import pytest

from parts.front import ADMIN, World, in_world

CHAT = {"model": "coding", "messages": [{"role": "user", "content": "hi"}]}


def test_each_model_is_listed_flat_and_with_its_prefix(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        listed = (await world.get("/v1/models")).json()
        assert listed["object"] == "list"
        names = [model["id"] for model in listed["data"]]
        assert names == ["coding", "wardwright/coding", "review", "wardwright/review"]
        assert {model["owned_by"] for model in listed["data"]} == {"wardwright"}

    in_world(tmp_path, play)


def test_created_is_when_the_version_that_serves_was_activated(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        active = world.runtime.control.activations.models["coding"].steps[-1]
        assert (await world.get("/v1/models/coding")).json()["created"] == active.at // 1_000_000

    in_world(tmp_path, play)


def test_query_parameters_of_other_apis_do_no_harm_to_the_list_of_models(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        assert (await world.get("/v1/models?api-version=2024-10-21")).status_code == 200

    in_world(tmp_path, play)


@pytest.mark.parametrize("name", ["coding", "wardwright/coding", "wardwright%2Fcoding"])
def test_a_model_is_shown_under_the_name_that_was_asked_for(tmp_path: Path, name: str) -> None:
    async def play(world: World) -> None:
        assert (await world.get(f"/v1/models/{name}")).json()["id"] == name.replace("%2F", "/")

    in_world(tmp_path, play)


def test_an_unknown_model_is_answered_with_the_nearest_name(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        response = await world.get("/v1/models/codign")
        assert response.status_code == 404
        error = response.json()["error"]
        assert error["code"] == "model_not_found"
        assert "did you mean `coding`?" in error["message"]
        assert response.headers["x-should-retry"] == "false"

    in_world(tmp_path, play)


def test_a_key_sees_its_models_alone_and_learns_no_other_name(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        _, headers = await world.key(models=["rev*"])
        names = [model["id"] for model in (await world.get("/v1/models", headers=headers)).json()["data"]]
        assert names == ["review", "wardwright/review"]
        summaries = (await world.get("/v1/synthetic/models", headers=headers)).json()["data"]
        assert [one["id"] for one in summaries] == ["review"]
        hidden = await world.get("/v1/models/coding", headers=headers)
        absent = await world.get("/v1/models/codxng", headers=headers)
        assert hidden.status_code == absent.status_code == 404
        assert hidden.json()["error"]["message"].replace("coding", "codxng") == absent.json()["error"]["message"]

    in_world(tmp_path, play)


@pytest.mark.parametrize("prefix", ["synthetic", "wardwright"])
def test_a_summary_says_what_a_caller_needs_and_nothing_of_the_inside(tmp_path: Path, prefix: str) -> None:
    async def play(world: World) -> None:
        response = await world.get(f"/v1/{prefix}/models")
        coding = response.json()["data"][0]
        assert coding["public_model_id"] == "wardwright/coding"
        assert coding["active_version"] == "v1"
        assert coding["route_type"] == "dispatcher"
        assert not coding["requires_api_key"]
        for inside in ("house rules", "scripted", "fast"):
            assert inside not in response.text

    in_world(tmp_path, play)


@pytest.mark.parametrize("prefix", ["synthetic", "wardwright"])
def test_a_simulation_plans_like_a_call_and_leaves_no_trace(tmp_path: Path, prefix: str) -> None:
    async def play(world: World) -> None:
        planned = (await world.post(f"/v1/{prefix}/simulate", json={"request": CHAT})).json()["receipt"]
        assert planned["status"] == "simulated"
        assert planned["simulation"] is True
        called = await world.call("coding")
        record = (await world.get(f"/v1/receipts/{called.receipt}")).json()["receipt"]
        assert planned["plan"] == record["plan"]
        assert planned["contract"] == record["contract"]
        assert (await world.get(f"/v1/receipts/{planned['receipt']}")).status_code == 404
        assert len((await world.get("/v1/receipts")).json()["data"]) == 1

    in_world(tmp_path, play)


def test_a_simulation_can_ask_for_another_model_than_its_request(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        response = await world.post("/v1/synthetic/simulate", json={"request": CHAT, "model": "wardwright/review"})
        receipt = response.json()["receipt"]
        assert receipt["contract"]["name"] == "review"
        assert [attempt["target"] for attempt in receipt["plan"]["attempts"]] == ["broken", "fast"]

    in_world(tmp_path, play)


def test_a_simulation_of_what_would_be_refused_is_a_refused_receipt(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        for request, code in (({**CHAT, "model": "codign"}, "model_not_found"), ([], "invalid_request")):
            response = await world.post("/v1/synthetic/simulate", json={"request": request, "model": None})
            assert response.status_code == 200
            assert (response.json()["receipt"]["status"], response.json()["receipt"]["error"]) == ("refused", code)

    in_world(tmp_path, play)


def test_simulating_takes_its_scope(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        _, headers = await world.key(scopes=["call"])
        refused = await world.post("/v1/synthetic/simulate", json={"request": CHAT}, headers=headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "scope_missing")
        allowed = await world.post("/v1/synthetic/simulate", json={"request": CHAT}, headers=ADMIN)
        assert allowed.status_code == 200

    in_world(tmp_path, play)


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"{", "invalid_json", None),
        (b"{}", "invalid_request", None),
        (b"", "invalid_request", None),
        (b'{"request":{},"modle":"x"}', "invalid_request", None),
        (b'{"request":{},"model":7}', "invalid_request", "model"),
        (b"\xff", "invalid_json", None),
        (b'{"request":' + b"[" * 100_000, "json_too_deep", None),
    ],
)
def test_a_simulation_that_cannot_be_read_is_refused_with_its_place(
    tmp_path: Path, body: bytes, code: str, param: str | None
) -> None:
    async def play(world: World) -> None:
        response = await world.post("/v1/synthetic/simulate", content=body)
        assert response.status_code == 400
        error = response.json()["error"]
        assert (error["code"], error["param"]) == (code, param)

    in_world(tmp_path, play)


def test_an_unknown_member_is_answered_with_the_nearest(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        response = await world.post("/v1/synthetic/simulate", json={"request": {}, "modle": "x"})
        assert "did you mean `model`?" in response.json()["error"]["message"]

    in_world(tmp_path, play)
