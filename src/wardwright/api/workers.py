"""What several workers do about requests that are no calls: the keeper answers, and asks the others for their part.

Rule 1: calls never come here: the edge carries them in whichever worker they reach.
Rule 2: a request that reaches another worker than the keeper goes to the keeper, but for those about this very process.
Rule 3: what each worker knows of itself alone is put together by the keeper, as the operation's `merge` says.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from wardwright.api.front import Front
from wardwright.api.operation import Ask, Document, Operation
from wardwright.api.refusals import refusal
from wardwright.kernel.errors import WardwrightError
from wardwright.runtime.siblings import Heard, Siblings, end_to_end

OF_THIS_PROCESS: Final = frozenset({"/healthz", "/readyz"})

Answer = TypeVar("Answer")


class Forwarding:
    """The app of a worker that is not the keeper."""

    def __init__(self, app: ASGIApp, siblings: Siblings) -> None:
        """`app` answers what the keeper asks, and what is about this process."""
        self._app = app
        self._siblings = siblings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or came_through_door(scope) or scope["path"] in OF_THIS_PROCESS:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            await self._forward(request, send)
        except ClientDisconnect:
            return
        except WardwrightError as error:
            await refusal(request.url.path, error)(scope, receive, send)

    async def _forward(self, request: Request, send: Send) -> None:
        async def body() -> AsyncIterator[bytes]:
            async for piece in request.stream():
                yield piece

        async with self._siblings.keeper(
            request.method, target_of(request.scope), request.scope["headers"], body()
        ) as response:
            headers = end_to_end((name.lower(), value) for name, value in response.headers.raw)
            await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
            async for piece in response.aiter_raw():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})


def came_through_door(scope: Scope) -> bool:
    """Another worker asks: the server's side of the connection is no address with a port."""
    server = scope.get("server")
    return server is None or server[1] is None


def target_of(scope: Scope) -> str:
    path: str = scope["raw_path"].decode("ascii")
    query: str = scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


async def together(front: Front, operation: Operation[Any, Answer], scope: Scope, ask: Ask[Any], own: Answer) -> Answer:
    """The keeper's own answer with those of the other workers. Raises `not_ready` where something was to be done and
    not all could be asked."""
    siblings = front.siblings
    if operation.merge is None or siblings is None or not front.worker.keeper:
        return own
    content = b"" if ask.body is None else msgspec.json.encode(ask.body)
    heard = await siblings.all(operation.method, target_of(scope), scope["headers"], content)
    answers: dict[int, Answer] = {front.worker.number: own}
    for number, one in heard.items():
        if one.status == operation.status:
            answers[number] = _read(operation, one)
    if operation.method != "GET" and len(answers) < front.worker.count:
        raise WardwrightError("not_ready", "some workers could not be asked; repeat it once they serve again")
    return operation.merge(ask, answers)


def _read(operation: Operation[Any, Answer], heard: Heard) -> Answer:
    if operation.answer is Document:
        return Document(heard.content, heard.media_type)  # type: ignore[return-value]  # it is the answer's type
    return msgspec.json.decode(heard.content, type=operation.answer)
