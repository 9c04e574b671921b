"""Errors in the dialect of their path: OpenAI's envelope under `/v1`, an RFC 9457 problem everywhere else."""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.responses import Response

from wardwright.contracts.refusal import ContractErrors
from wardwright.dialects.openai_wire import error_body
from wardwright.kernel.errors import Place, WardwrightError

PROBLEM: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:wardwright:error:"

GUARDS: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
"""On every answer: none is for caches, none may be taken for a script."""

_encode = msgspec.json.Encoder().encode


class Detail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One of several things that are wrong, or that were noticed."""

    code: str
    """A code of the error table."""
    detail: str
    """What it is, in one sentence."""
    hint: str | None = None
    """What to do about it."""
    place: Place | None = None
    """Where it lies."""


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What went wrong, as RFC 9457 has it, with this project's members."""

    type: str
    """`urn:wardwright:error:` and the code."""
    title: str
    """What the code means."""
    status: int
    detail: str
    """What happened this time."""
    code: str
    """A code of the error table."""
    hint: str | None = None
    """What to do about it."""
    place: Place | None = None
    """Where it lies, in a document or in the request."""
    errors: tuple[Detail, ...] = ()
    """All reasons, where a document has several."""


def detail_of(error: WardwrightError) -> Detail:
    return Detail(code=error.code, detail=error.message, hint=error.hint, place=error.place)


def problem_of(error: WardwrightError) -> Problem:
    return Problem(
        type=TYPE_PREFIX + error.code,
        title=error.row.means,
        status=error.status,
        detail=error.message,
        code=error.code,
        hint=error.hint,
        place=error.place,
        errors=tuple(detail_of(one) for one in error.errors) if isinstance(error, ContractErrors) else (),
    )


def is_openai(path: str) -> bool:
    """Whether a path speaks OpenAI's dialect."""
    return path == "/v1" or path.startswith("/v1/")


def rendered(path: str, error: WardwrightError) -> tuple[bytes, str, dict[str, str]]:
    """Body, media type and headers of a refusal."""
    headers: dict[str, str] = {}
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    if is_openai(path):
        if not error.retryable:
            headers["x-should-retry"] = "false"
        return error_body(error, None), "application/json", headers
    return _encode(problem_of(error)), PROBLEM, headers


def refusal(path: str, error: WardwrightError) -> Response:
    """A whole answer."""
    body, media_type, headers = rendered(path, error)
    return Response(body, status_code=error.status, media_type=media_type, headers=headers | GUARDS)
