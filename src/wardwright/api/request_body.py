"""Request bodies: bounded, then decoded into the type that the operation names."""

from __future__ import annotations

import re
from typing import Final, TypeVar

import msgspec
from starlette.requests import Request

from wardwright.contracts.refusal import did_you_mean
from wardwright.kernel.errors import Place, WardwrightError

T = TypeVar("T")

_AT: Final = re.compile(r" - at `\$\.?(.*)`$")
_UNKNOWN: Final = re.compile(r"^Object contains unknown field `(.*)`")


async def read(request: Request, type_: type[T], bytes_max: int) -> T:
    """The body as a value of the type; `bytes` takes them as they are, and no body at all reads as `{}`.

    Raises `body_too_large`, `invalid_json`, `invalid_request`, and starlette's ClientDisconnect.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > bytes_max:
        raise _too_large(bytes_max)
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > bytes_max:
            raise _too_large(bytes_max)
        pieces.append(piece)
    body = b"".join(pieces)
    if issubclass(type_, bytes):
        return type_(body)
    return decode(body or b"{}", type_)


def decode(body: bytes, type_: type[T]) -> T:
    """Raises `invalid_json` and `invalid_request`, the latter with the path of the member."""
    try:
        return msgspec.json.decode(body, type=type_)
    except msgspec.ValidationError as error:
        message = str(error)
        at = _AT.search(message)
        unknown = _UNKNOWN.search(message)
        raise WardwrightError(
            "invalid_request",
            _AT.sub("", message),
            place=Place(path=at[1]) if at is not None and at[1] else None,
            hint=did_you_mean(unknown[1], _members(type_)) if unknown is not None and at is None else None,
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WardwrightError("invalid_json", f"the body is not JSON: {error}") from error
    except RecursionError:
        raise WardwrightError("json_too_deep", "the body nests too deep") from None


def _members(type_: type[object]) -> tuple[str, ...]:
    return type_.__struct_encode_fields__ if issubclass(type_, msgspec.Struct) else ()


def _too_large(bytes_max: int) -> WardwrightError:
    return WardwrightError(
        "body_too_large", f"the body is larger than {bytes_max} bytes", hint="the limit is `body_bytes_max`"
    )
