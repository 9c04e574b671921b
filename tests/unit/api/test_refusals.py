"""Errors speak the dialect of their path, and a defect of ours tells nothing but that it is one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from parts.front import ADMIN, World, in_world
from wardwright.api.openapi import OpenAIErrorEnvelope
from wardwright.api.refusals import rendered
from wardwright.journal.entry import Record
from wardwright.journal.store import Asking, Page, Totals, Where
from wardwright.kernel.errors import CODES, WardwrightError
from wardwright.runtime.settings import Limits


class BrokenIndex:
    """An index with a bug."""

    def query(self, where: tuple[Where, ...] = (), *, limit: int = 50, cursor: str | None = None) -> Page:
        raise KeyError("a secret of the inside")

    def totals(self, asking: Asking, where: tuple[Where, ...] = (), *, limit: int = 50) -> Totals:
        raise KeyError("a secret of the inside")

    def get(self, receipt: str) -> tuple[Record, ...]:
        raise KeyError("a secret of the inside")

    def catch_up(self) -> int:
        raise AssertionError("nobody asks for this here")

    def rebuild(self) -> int:
        raise AssertionError("nobody asks for this here")


@pytest.mark.parametrize("path", ["/v1", "/v1/nope", "/v1/receipts/", "/v1/receipts/a/b"])
def test_an_unknown_path_under_v1_is_answered_as_openai_would(tmp_path: Path, path: str) -> None:
    async def play(world: World) -> None:
        response = await world.get(path)
        assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")
        assert response.headers["content-type"] == "application/json"

    in_world(tmp_path, play)


@pytest.mark.parametrize("path", ["/", "/v1x", "/api", "/api/nope", "/admin/", "/healthz/"])
def test_an_unknown_path_elsewhere_is_a_problem(tmp_path: Path, path: str) -> None:
    async def play(world: World) -> None:
        response = await world.get(path)
        assert (response.status_code, response.json()["code"]) == (404, "not_found")
        assert response.json()["type"] == "urn:wardwright:error:not_found"
        assert response.headers["content-type"] == "application/problem+json"

    in_world(tmp_path, play)


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/chat/completions", "POST"),
        ("DELETE", "/v1/embeddings", "POST"),
        ("POST", "/v1/models", "GET, HEAD"),
        ("OPTIONS", "/v1/receipts", "GET, HEAD"),
        ("PUT", "/api/keys", "GET, HEAD, POST"),
        ("GET", "/api/models/coding/canary", "DELETE, POST"),
        ("GET", "/api/keys/key_x", "DELETE"),
        ("PATCH", "/metrics", "GET, HEAD"),
    ],
)
def test_a_method_that_a_path_does_not_take_is_answered_with_those_it_does(
    tmp_path: Path, method: str, path: str, allow: str
) -> None:
    async def play(world: World) -> None:
        response = await world.ask(method, path, headers=ADMIN)
        assert (response.status_code, response.headers["allow"]) == (405, allow)
        body = response.json()
        assert (body["error"] if path.startswith("/v1") else body)["code"] == "method_not_allowed"

    in_world(tmp_path, play)


def test_a_model_call_spelled_otherwise_is_sent_to_the_plain_path(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        response = await world.post("/v1/chat%2Fcompletions", json={"model": "coding", "messages": []})
        assert response.status_code == 404
        assert "/v1/chat/completions" in response.json()["error"]["message"]

    in_world(tmp_path, play)


def test_a_head_is_answered_like_a_get(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        assert (await world.ask("HEAD", "/healthz")).status_code == 200

    in_world(tmp_path, play)


def test_a_defect_is_reported_with_its_trace_and_answered_without(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        reported: list[BaseException] = []
        app = world.altered(index=BrokenIndex(), report=reported.append)
        for path in ("/v1/receipts", "/v1/receipts/rcp_x"):
            response = await world.get(path, app=app)
            assert (response.status_code, response.json()["error"]["code"]) == (500, "internal_error")
            assert "secret" not in response.text
        assert [type(defect) for defect in reported] == [KeyError, KeyError]
        assert all(defect.__traceback__ is not None for defect in reported)

    in_world(tmp_path, play)


def test_a_body_past_its_bound_is_refused_declared_or_not(tmp_path: Path) -> None:
    async def trickle() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b"x" * 100

    async def play(world: World) -> None:
        for content in (b"x" * 1001, trickle()):
            response = await world.post("/v1/synthetic/simulate", content=content)
            assert (response.status_code, response.json()["error"]["code"]) == (413, "body_too_large")

    in_world(tmp_path, play, limits=Limits(body_bytes_max=1000))


def test_no_answer_is_for_caches_or_for_guessing(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        for path in ("/v1/models", "/nope", "/v1/receipts/x", "/metrics", "/openapi.json"):
            headers = (await world.get(path)).headers
            assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff"), path

    in_world(tmp_path, play)


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_has_both_coats(code: str) -> None:
    error = WardwrightError(code, "something happened")
    body, media, headers = rendered("/v1/models", error)
    assert msgspec.json.decode(body, type=OpenAIErrorEnvelope).error.code == code
    assert media == "application/json"
    assert ("x-should-retry" in headers) != error.retryable
    body, media, _ = rendered("/api/models", error)
    problem = msgspec.json.decode(body)
    assert (problem["code"], problem["status"], media) == (code, error.status, "application/problem+json")
