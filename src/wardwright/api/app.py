"""Everything that the edge does not answer itself, as a Starlette app.

Rule 1: an operation is a row of `api.table`; what happens around it is the same for all: who asks, what the query and
the body say, the answer, and errors in the dialect of the path.
Rule 2: no handler's exception reaches the server: a WardwrightError is an answer, any other is reported with its trace
and answered without it.
Rule 3: there are no cross-origin headers: no web page but our own has business here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from wardwright.api import query
from wardwright.api.access import caller_of
from wardwright.api.front import Front
from wardwright.api.operation import JSON, AnyOperation, Ask, Document
from wardwright.api.refusals import GUARDS, refusal
from wardwright.api.request_body import read
from wardwright.api.table import ALL
from wardwright.api.workers import together
from wardwright.kernel.errors import WardwrightError

_encode = msgspec.json.Encoder().encode


def build_app(front: Front) -> Starlette:
    """The app over one running gateway."""
    paths: dict[str, dict[str, AnyOperation]] = {}
    for operation in ALL:
        paths.setdefault(operation.path, {})[operation.method] = operation
    app = Starlette(
        routes=[Route(path, Resource(front, operations)) for path, operations in paths.items()],
        exception_handlers={HTTPException: _no_such_path},
    )
    app.router.redirect_slashes = False
    return app


class Resource:
    """All methods of one path, as an ASGI app."""

    def __init__(self, front: Front, operations: Mapping[str, AnyOperation]) -> None:
        self._front = front
        self._operations = operations
        methods = sorted({*operations, *(("HEAD",) if "GET" in operations else ())})
        self._allow = ", ".join(methods)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ClientDisconnect:
            return
        except WardwrightError as error:
            response = refusal(request.url.path, error)
            if error.code == "method_not_allowed":
                response.headers["allow"] = self._allow
        except Exception as defect:
            self._front.report(defect)
            response = refusal(
                request.url.path, WardwrightError("internal_error", "a defect of the gateway; see its log")
            )
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        operation = self._operations.get(method)
        if operation is None:
            raise WardwrightError("method_not_allowed", f"this path takes {self._allow}")
        headers = dict(request.scope["headers"])
        ask = Ask(
            caller=caller_of(self._front, operation.access, headers),
            headers=headers,
            front=self._front,
            path=request.path_params,
            query=query.NOTHING
            if operation.foreign_query
            else query.read(request.scope["query_string"], operation.query),
            body=None
            if operation.body is NoneType
            else await read(request, operation.body, self._front.settings.limits.body_bytes_max),
        )
        answer = await operation.handler(ask)
        if operation.merge is not None:
            answer = await together(self._front, operation, request.scope, ask, answer)
        return _response(operation.status, answer)


def _response(status: int, answer: object) -> Response:
    if answer is None:
        return Response(status_code=204, headers=GUARDS)
    if isinstance(answer, Document):
        return Response(answer.content, status_code=status, headers=GUARDS | {"content-type": answer.media_type})
    return Response(_encode(answer), status_code=status, media_type=JSON, headers=GUARDS)


async def _no_such_path(request: Request, _: Exception) -> Response:
    return refusal(request.url.path, WardwrightError("not_found", "nothing lives at this path"))
