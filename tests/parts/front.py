"""A running gateway without a socket: its HTTP surface in this process, every answer held to the API document."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

import httpx2
import jsonschema_rs
import msgspec
from starlette.applications import Starlette

import wardwright
from wardwright.api import openapi
from wardwright.api.app import build_app
from wardwright.api.front import Front
from wardwright.api.table import ALL
from wardwright.gateway.core.heading import Heading
from wardwright.kernel.errors import WardwrightError
from wardwright.runtime.settings import Settings
from wardwright.runtime.wiring import Runtime

ADMIN_TOKEN: Final = "wwa_for-tests-alone"
ADMIN: Final = {"authorization": f"Bearer {ADMIN_TOKEN}"}

PROVIDER: Final = """
kind: provider
name: scripted
transport: scripted
scripts:
  - model: fast
    steps: [{text: "hello there", input_tokens: 7, output_tokens: 2}]
  - model: broken
    steps: [{status: 503}]
"""

CODING: Final = """
kind: model
name: coding
version: v1
description: For agents that write code.
targets:
  - {name: fast, provider: scripted, model: fast, context_window: 8192, price: {input: 1, output: 2}}
transforms: {preamble: "Keep to the house rules."}
"""

REVIEW: Final = """
kind: model
name: review
route: {cascade: [broken, fast]}
targets:
  - {name: broken, provider: scripted, model: broken, context_window: 8192}
  - {name: fast, provider: scripted, model: fast, context_window: 8192}
"""

DOCUMENTS: Final = {"provider.yaml": PROVIDER, "coding.yaml": CODING, "review.yaml": REVIEW}


class Answered:
    """What one caller of a model heard. Implements `gateway.client.Client`."""

    def __init__(self) -> None:
        self.body = b""
        self.error: WardwrightError | None = None
        self.receipt = ""
        self._begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def answer(self, body: bytes, headers: bytes) -> None:
        self.body = body
        self._end(headers)

    def begin(self, headers: bytes) -> None:
        self.receipt = _receipt_in(headers)
        self._begun.set_result(None)

    def send(self, data: bytes) -> None:
        self.body += data

    def finish(self) -> None:
        self._heard.set_result(None)

    def refuse(self, error: WardwrightError, receipt: str | None, retry_after_s: int | None) -> None:
        self.error = error
        self.receipt = receipt or ""
        self._heard.set_result(None)

    async def begun(self) -> Answered:
        """Once a stream has begun: its opening is on disk."""
        await asyncio.wait_for(self._begun, 30)
        return self

    async def heard(self) -> Answered:
        """Once everything has been said."""
        await asyncio.wait_for(self._heard, 30)
        return self

    def _end(self, headers: bytes) -> None:
        self.receipt = _receipt_in(headers)
        self._heard.set_result(None)


class Altered:
    """A front with some of its members put otherwise."""

    def __init__(self, front: Runtime, **members: object) -> None:
        self._front = front
        self._members = members

    def __getattr__(self, name: str) -> object:
        return self._members[name] if name in self._members else getattr(self._front, name)


class World:
    """One gateway, its app, and a client of it."""

    def __init__(self, runtime: Runtime, folder: Path) -> None:
        self.folder = folder
        self.runtime = runtime
        self.app = build_app(runtime)

    def altered(self, **members: object) -> Starlette:
        """The app over this gateway with some members of the front put otherwise."""
        return build_app(cast(Front, Altered(self.runtime, **members)))

    async def ask(
        self,
        method: str,
        path: str,
        *,
        app: Starlette | None = None,
        host: str = "localhost",
        headers: Mapping[str, str] | None = None,
        **content: Any,
    ) -> httpx2.Response:
        """One request; its answer is what the API document says it is."""
        transport = httpx2.ASGITransport(app=app or self.app)
        async with httpx2.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
            response = await client.request(method, path, headers=dict(headers or {}), **content)
        require_documented(method, path, response)
        return response

    async def get(self, path: str, **options: Any) -> httpx2.Response:
        return await self.ask("GET", path, **options)

    async def post(self, path: str, **options: Any) -> httpx2.Response:
        return await self.ask("POST", path, **options)

    def start(self, model: str, *, stream: bool, headers: Mapping[str, str] | None = None) -> Answered:
        """A chat call under way."""
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "stream": stream}
        client = Answered()
        sent = {name.encode(): value.encode() for name, value in (headers or {}).items()}
        self.runtime.gateway.call("chat", Heading({b"host": b"localhost", **sent}), msgspec.json.encode(body), client)
        return client

    async def call(
        self, model: str = "coding", *, stream: bool = False, headers: Mapping[str, str] | None = None
    ) -> Answered:
        """A chat call, answered and with its receipt on disk."""
        return await self.start(model, stream=stream, headers=headers).heard()

    async def key(self, **terms: object) -> tuple[str, dict[str, str]]:
        """A new key: its id, and the headers that carry it."""
        made = (await self.post("/api/keys", json=terms, headers=ADMIN)).json()
        return made["key"]["id"], {"authorization": f"Bearer {made['token']}"}

    def write(self, name: str, document: str) -> None:
        (self.folder / name).write_text(document)


@asynccontextmanager
async def world(
    tmp_path: Path,
    documents: Mapping[str, str] = DOCUMENTS,
    *,
    environment: Mapping[str, str] | None = None,
    **set_: Any,
) -> AsyncIterator[World]:
    """A gateway over these documents; answers come after their receipts are durable."""
    folder = tmp_path / "contracts"
    folder.mkdir()
    for name, document in documents.items():
        (folder / name).write_text(document)
    settings = Settings(**{"durability": "before_response", "index": "deferred", **set_})
    runtime = Runtime(
        [folder],
        tmp_path / "state",
        settings,
        environment={"WARDWRIGHT_ADMIN_TOKEN": ADMIN_TOKEN, **(environment or {})},
    )
    await runtime.open()
    try:
        yield World(runtime, folder)
    finally:
        await runtime.aclose()


def in_world(tmp_path: Path, play: Callable[[World], Coroutine[Any, Any, None]], **options: Any) -> None:
    """Run one test's play in a world of its own."""

    async def run() -> None:
        async with world(tmp_path, **options) as made:
            await play(made)

    asyncio.run(run())


@cache
def document() -> dict[str, Any]:
    """The API document, as whoever reads it has it."""
    whole: dict[str, Any] = msgspec.json.decode(openapi.rendered(ALL, wardwright.__version__))
    return whole


def require_documented(method: str, path: str, response: httpx2.Response) -> None:
    """Raises AssertionError or jsonschema_rs.ValidationError for an answer that the document does not describe."""
    operation = _operation("GET" if method == "HEAD" else method, path.partition("?")[0])
    if operation is None:
        assert response.status_code in (404, 405)
        return
    described = operation["responses"].get(str(response.status_code))
    assert described is not None, f"{method} {path} answered {response.status_code}, which its document does not know"
    media = response.headers.get("content-type", "").partition(";")[0]
    if method == "HEAD":
        return
    if not response.content:
        assert "content" not in described
        return
    assert media in described["content"], f"{method} {path} answered {media}"
    if media.endswith("json"):
        _validator(msgspec.json.encode(described["content"][media]["schema"])).validate(response.json())


def _operation(method: str, path: str) -> dict[str, Any] | None:
    for template, operations in document()["paths"].items():
        slashes = ".+" if template == "/v1/models/{id}" else "[^/]+"
        if re.fullmatch(re.sub(r"\{\w+\}", slashes, template), path) and method.lower() in operations:
            return cast(dict[str, Any], operations[method.lower()])
    return None


@cache
def _validator(schema: bytes) -> jsonschema_rs.Draft202012Validator:
    whole = {**msgspec.json.decode(schema), "components": document()["components"]}
    return jsonschema_rs.Draft202012Validator(whole)


def _receipt_in(headers: bytes) -> str:
    found = re.search(rb"x-wardwright-receipt-id: (\S+)", headers)
    assert found is not None
    return found[1].decode()
