"""The OpenAPI document, written from the table that the app answers by."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from types import NoneType
from typing import Any, Final, TypeAlias

import msgspec

from wardwright.api.access import Access
from wardwright.api.operation import AnyOperation, Document, Group
from wardwright.api.query import Parameter
from wardwright.api.refusals import PROBLEM, Problem, is_openai
from wardwright.api.schemas import schemas_of
from wardwright.kernel.errors import CODES

Json: TypeAlias = dict[str, Any]
"""OpenAPI is an open vocabulary; only this file writes it."""

GROUPS: Final[dict[Group, str]] = {
    "calls": "Calls of synthetic models, in OpenAI's dialect.",
    "models": "What may be called, and what a call would do.",
    "receipts": "What calls did, and why.",
    "versions": "What model names mean, and since when.",
    "keys": "Who may call.",
    "approvals": "Requests that wait for a person.",
    "alerts": "What rules told somebody, and whether it arrived.",
    "journal": "What was written, and whether it still stands.",
    "operation": "How the process does.",
    "tests": "For controlled local runs.",
}

_REF: Final = "#/components/schemas/{name}"
_VARIABLE: Final = re.compile(r"\{(\w+)\}")

_VARIABLES: Final = {
    "id": "An id, or for models a name with or without its prefix.",
    "name": "A model contract's name, without a prefix.",
}

_SECURITY: Final[dict[Access, list[dict[str, list[str]]]]] = {
    "open": [],
    "serving": [{"key": []}, {"admin": []}, {"adminHeader": []}, {}],
    "observer": [{"admin": []}, {"adminHeader": []}, {}],
    "admin": [{"admin": []}, {"adminHeader": []}],
}

_SCHEMES: Final[Json] = {
    "key": {"type": "http", "scheme": "bearer", "description": "A serving key, `wwk_…`. Not needed on loopback."},
    "admin": {"type": "http", "scheme": "bearer", "description": "The admin credential, `wwa_…`."},
    "adminHeader": {"type": "apiKey", "in": "header", "name": "X-Wardwright-Admin-Token"},
}

_CODES_OF_ACCESS: Final[dict[Access, tuple[str, ...]]] = {
    "open": (),
    "serving": ("missing_api_key", "invalid_api_key", "host_not_allowed", "origin_not_allowed", "admin_required"),
    "observer": ("admin_required", "host_not_allowed", "origin_not_allowed", "invalid_api_key"),
    "admin": ("admin_required",),
}


class OpenAIError(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong, in OpenAI's words."""

    message: str
    type: str
    param: str | None
    """The member of the request at fault."""
    code: str
    """A code of the error table."""
    receipt_id: str | None
    """The receipt of the call, where there was one."""


class OpenAIErrorEnvelope(msgspec.Struct, frozen=True, kw_only=True):
    """An error as OpenAI's clients expect it."""

    error: OpenAIError


def document(operations: Iterable[AnyOperation], version: str) -> Json:
    """The whole document."""
    table = list(operations)
    types = list(dict.fromkeys([Problem, OpenAIErrorEnvelope, *(type_ for row in table for type_ in _types(row))]))
    schemas, named = schemas_of(types, _REF)
    schema_by_type = dict(zip(types, schemas, strict=True))
    paths: dict[str, Json] = {}
    for row in table:
        paths.setdefault(row.template, {})[row.method.lower()] = _operation(row, schema_by_type)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Wardwright",
            "version": version,
            "description": "A governed front door for agentic systems.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": name, "description": text} for name, text in GROUPS.items()],
        "paths": paths,
        "components": {"schemas": named, "securitySchemes": _SCHEMES},
    }


def rendered(operations: Iterable[AnyOperation], version: str) -> bytes:
    return msgspec.json.encode(document(operations, version))


def _types(row: AnyOperation) -> Iterator[type]:
    """The types of a row that have a schema."""
    if row.body not in (NoneType, bytes):
        yield row.body
    if row.answer not in (NoneType, Document):
        yield row.answer


def _operation(row: AnyOperation, schemas: dict[type, Json]) -> Json:
    parameters = [*map(_variable, _VARIABLE.findall(row.template)), *map(_parameter, row.query)]
    written: Json = {
        "operationId": row.handler.__name__ + _suffix(row),
        "summary": row.summary,
        "tags": [row.group],
        "security": _SECURITY[row.access],
        "responses": {str(row.status): _answer(row, schemas), **_refusals(row, schemas)},
    }
    if row.description:
        written["description"] = row.description
    if parameters:
        written["parameters"] = parameters
    if row.body is not NoneType:
        schema = {"type": "object"} if row.body is bytes else schemas[row.body]
        content = {media: {"schema": schema} for media in row.body_media}
        written["requestBody"] = {"required": True, "content": content}
    return written


def _suffix(row: AnyOperation) -> str:
    """Handlers that stand under several paths, or have namesakes, are told apart by where they stand."""
    parts = [part for part in row.template.split("/") if part and not part.startswith("{")]
    return "_at_" + "_".join(part.strip("_").replace("-", "_") for part in parts)


def _variable(name: str) -> Json:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": _VARIABLES[name],
        "schema": {"type": "string", "minLength": 1},
    }


def _parameter(parameter: Parameter) -> Json:
    written: Json = {"name": parameter.name, "in": "query", "required": parameter.required, "schema": _form(parameter)}
    if parameter.means:
        written["description"] = parameter.means
    return written


def _form(parameter: Parameter) -> Json:
    match parameter.form:
        case "text":
            return {"type": "string", "minLength": 1}
        case "boolean":
            return {"type": "boolean"}
        case "integer":
            bounds = {"minimum": parameter.ge, "maximum": parameter.le, "default": parameter.default}
            return {"type": "integer", **{name: bound for name, bound in bounds.items() if bound is not None}}
        case "instant":
            return {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "integer"}]}
        case "instant_s":
            return {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "integer"}]}


def _answer(row: AnyOperation, schemas: dict[type, Json]) -> Json:
    written: Json = {"description": row.summary}
    if row.answer is not NoneType:
        schema = schemas.get(row.answer, {})
        written["content"] = {
            media: {"schema": schema if media.endswith("json") else {"type": "string"}} for media in row.media
        }
    return written


def _refusals(row: AnyOperation, schemas: dict[type, Json]) -> Json:
    """Every status that may be answered instead, with the codes behind it."""
    codes = [*_CODES_OF_ACCESS[row.access], *row.codes, "internal_error"]
    if row.body is not NoneType:
        codes += ["invalid_json", "invalid_request", "json_too_deep", "body_too_large"]
    if not row.foreign_query or row.query:
        codes.append("invalid_request")
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys(codes):
        by_status.setdefault(CODES[code].status, []).append(code)
    media, schema = ("application/json", OpenAIErrorEnvelope) if is_openai(row.path) else (PROBLEM, Problem)
    return {
        str(status): {
            "description": "; ".join(f"`{code}`: {CODES[code].means}" for code in listed),
            "content": {media: {"schema": schemas[schema]}},
        }
        for status, listed in sorted(by_status.items())
    }
