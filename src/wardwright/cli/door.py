"""The way from a command to a gateway: over the wire to the one that runs, else inside this process.

Rule 1: both ways ask the same operations of `api.table` and get the same answers and errors.
Rule 2: a gateway that runs is asked; where none does, reading takes no lock and changing takes the writer's.
Rule 3: whoever may read the state directory's admin token is the admin here; there is no other way to be.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

import httpx2
import msgspec

from wardwright.api.access import ADMIN_HEADER
from wardwright.api.app import build_app
from wardwright.api.refusals import PROBLEM, Problem
from wardwright.cli.state import running_in
from wardwright.contracts.refusal import ContractErrors
from wardwright.gateway.core.keys import TOKEN_LUCK_BITS, token_of
from wardwright.kernel.errors import CODES, Fault, WardwrightError
from wardwright.runtime import admin, offline
from wardwright.runtime.clock import SecretLuck
from wardwright.runtime.library import Library
from wardwright.runtime.offline import Offline

Answer = TypeVar("Answer")

CONNECT_S: Final = 5.0
ANSWER_S: Final = 60.0
"""How long an operation may take. Streams of calls are not bounded by this."""

_ADMIN_HINT: Final = "be the owner of its state directory, or set WARDWRIGHT_ADMIN_TOKEN"

_URL_HINT: Final = "write it as `http://127.0.0.1:8787`"

_Send: TypeAlias = Callable[[httpx2.Request], httpx2.Response]


class Door:
    """Operations of one gateway."""

    def __init__(self, client: httpx2.Client | httpx2.AsyncClient, send: _Send, *, url: str | None) -> None:
        self.url = url
        """Of the gateway that runs; None: none does, and this process answers itself."""
        self._client = client
        self._send = send

    def ask(
        self,
        method: str,
        path: str,
        answer: type[Answer],
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
    ) -> Answer:
        """One operation. Raises the WardwrightError that it was answered with, and `server_unreachable`."""
        content = self.read(method, path, query=query, body=body)
        return msgspec.json.decode(content or b"null", type=answer)

    def read(self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: object = None) -> bytes:
        """The answer as it came."""
        content = None if body is None else msgspec.json.encode(body)
        request = self._client.build_request(method, path, params=query, content=content)
        try:
            response = self._send(request)
        except httpx2.TransportError as error:
            raise unreachable(self.url or "this process", error) from error
        if response.is_success:
            return response.content
        refusal = refused(response.status_code, response.headers.get("content-type", ""), response.content)
        if refusal.code == "admin_required":
            raise WardwrightError(refusal.code, "the gateway does not take this user for its admin", hint=_ADMIN_HINT)
        raise refusal


@contextmanager
def open_door(state: Path, url: str | None = None, *, changes: bool = False) -> Iterator[Door]:
    """A door to the gateway at the address, else to the one that runs over the state directory, else to that itself."""
    address = url or running_in(state)
    if address is not None:
        with wire(address, state, near=url is None) as client:
            if url is not None or _answers(client):
                yield Door(client, client.send, url=address)
                return
    with inside(state, changes=changes) as door:
        yield door


def wire(url: str, state: Path, *, near: bool) -> httpx2.Client:
    """A client of a gateway that runs. One on this machine is reached past any proxy. Raises `usage`."""
    token = admin.known_token(state, os.environ)
    try:
        base_url = httpx2.URL(url.rstrip("/").removesuffix("/v1"))
    except httpx2.InvalidURL as error:
        raise WardwrightError("usage", f"`{url}` is no address: {error}", hint=_URL_HINT) from error
    if base_url.scheme not in ("http", "https") or not base_url.host:
        raise WardwrightError("usage", f"`{url}` is no address of a gateway", hint=_URL_HINT)
    return httpx2.Client(
        base_url=base_url,
        headers={} if token is None else {ADMIN_HEADER.decode(): token},
        timeout=httpx2.Timeout(ANSWER_S, connect=CONNECT_S),
        trust_env=not near,
    )


@contextmanager
def inside(state: Path, *, changes: bool = False, library: Library | None = None) -> Iterator[Door]:
    """A door to a state directory that no gateway runs over, or to what contract files would serve."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()

        async def opened() -> httpx2.AsyncClient:
            if library is not None:
                way = offline.proposed(library, state)
            else:
                way = offline.changing(state) if changes else offline.reading(state)
            return await stack.enter_async_context(_client(await stack.enter_async_context(way)))

        client = runner.run(opened())
        try:
            yield Door(client, lambda request: runner.run(client.send(request)), url=None)
        finally:
            runner.run(stack.aclose())


def _client(front: Offline) -> httpx2.AsyncClient:
    token = token_of(SecretLuck().bits(TOKEN_LUCK_BITS), admin.PREFIX)
    front.admin_token_hash = admin.hash_of(token)
    return httpx2.AsyncClient(
        base_url="http://wardwright.invalid",
        headers={ADMIN_HEADER.decode(): token},
        transport=httpx2.ASGITransport(build_app(front)),
    )


def _answers(client: httpx2.Client) -> bool:
    """Whether anyone listens: a gateway that was killed leaves its address behind."""
    try:
        client.get("/healthz")
    except httpx2.TransportError:
        return False
    return True


def unreachable(url: str, error: Exception) -> WardwrightError:
    return WardwrightError(
        "server_unreachable",
        f"no gateway answers at `{url}`: {error}",
        hint="`wardwright serve` starts one",
    )


class Told(msgspec.Struct):
    """An error as callers of `/v1` hear it."""

    message: str
    code: str | None = None
    receipt_id: str | None = None
    rule: str | None = None
    """The rule that refused; `code` is its author's then."""


class _Envelope(msgspec.Struct):
    error: Told


def error_of(told: Told) -> WardwrightError:
    """The error that a caller was told; one of a rule says where its reasons stand."""
    if told.rule is None:
        return _error(told.code or "", told.message)
    ours = told.code is not None and told.code in CODES and CODES[told.code].fault is Fault.POLICY
    own = "" if ours or told.code is None else f", {told.code}"
    return WardwrightError(
        told.code if ours and told.code is not None else "policy_blocked",
        f"{told.message} (rule {told.rule}{own})",
        hint=None if told.receipt_id is None else f"`wardwright policy trace {told.receipt_id}` says why",
    )


def refused(status: int, media_type: str, content: bytes) -> WardwrightError:
    """The error that an answer carries."""
    try:
        if media_type.startswith(PROBLEM):
            problem = msgspec.json.decode(content, type=Problem)
            if problem.errors:
                return ContractErrors(
                    [_error(one.code, one.detail, place=one.place, hint=one.hint) for one in problem.errors]
                )
            return _error(problem.code, problem.detail, place=problem.place, hint=problem.hint)
        return error_of(msgspec.json.decode(content, type=_Envelope).error)
    except msgspec.MsgspecError:
        return WardwrightError("server_unreachable", f"what answers there is no gateway: HTTP {status}")


def _error(code: str, message: str, **more: Any) -> WardwrightError:
    if code not in CODES:
        return WardwrightError("internal_error", f"{message} ({code or 'no code'})", **more)
    return WardwrightError(code, message, **more)
