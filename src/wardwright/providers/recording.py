"""Recorded exchanges: a line of JSON each, in `*.jsonl` files of one directory.

A line holds what it takes to play an answer again and to know for which request, and nothing else: no request
header, no request body, and of the answer's headers those in KEPT_HEADERS alone. A credential cannot get in.

    {"v":1,"method":"POST","path":"/chat/completions","model":"m","request":"sha256:…","status":200,
     "headers":[["content-type","application/json"]],"pieces":[{"at_ms":12,"text":"{…}"}],"ended_ms":12}

`at_ms` counts from the start of the exchange. A piece that is not UTF-8 stands under `base64`. An exchange that failed
ends in `"failure":{"kind":…,"message":…}`; one that failed before its head has no `status`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import msgspec

from wardwright.dialects.exchange import Failure, Headers, HttpRequest
from wardwright.kernel.errors import Place, WardwrightError

KEPT_HEADERS: Final = frozenset(
    {b"content-type", b"content-encoding", b"retry-after", b"retry-after-ms", b"x-should-retry"}
)
"""Headers of an answer that dialects read."""

RECORDED_BYTES_MAX: Final = 16_777_216
"""Of one answer; a larger one is not recorded."""


class Piece(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Bytes that came together."""

    at_ms: int
    text: str | None = None
    base64: str | None = None

    @classmethod
    def of(cls, at_ms: int, data: bytes) -> Piece:
        try:
            return cls(at_ms=at_ms, text=data.decode())
        except UnicodeDecodeError:
            return cls(at_ms=at_ms, base64=base64.b64encode(data).decode())

    @property
    def data(self) -> bytes:
        """Raises `ValueError` for what is not base64."""
        if self.text is not None:
            return self.text.encode()
        return base64.b64decode(self.base64 or "", validate=True)


class Recording(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One exchange."""

    v: Literal[1]
    method: str
    path: str
    request: str
    """The digest of the request's body."""
    model: str = ""
    status: int | None = None
    head_ms: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    pieces: tuple[Piece, ...] = ()
    ended_ms: int = 0
    failure: Failure | None = None


class _Named(msgspec.Struct):
    model: str = ""


_named = msgspec.json.Decoder(_Named)
_line = msgspec.json.Decoder(Recording)


def body_digest(request: HttpRequest) -> str:
    return "sha256:" + hashlib.sha256(request.body).hexdigest()


def model_of(request: HttpRequest) -> str:
    """The model that a request names, empty where it names none."""
    try:
        return _named.decode(request.body).model
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def kept(headers: Headers) -> tuple[tuple[str, str], ...]:
    """The headers worth keeping."""
    return tuple((name.decode(), value.decode("latin-1")) for name, value in headers if name in KEPT_HEADERS)


def read_directory(directory: Path) -> Iterator[Recording]:
    """Every recording, by file name and line. Raises `settings_invalid` with file and line."""
    if not directory.is_dir():
        raise WardwrightError("settings_invalid", "there is no such directory", place=Place(file=str(directory)))
    for file in sorted(directory.glob("*.jsonl")):
        for number, line in enumerate(file.read_bytes().splitlines(), 1):
            if not line.strip():
                continue
            try:
                recording = _line.decode(line)
                for piece in recording.pieces:
                    _ = piece.data
            except (msgspec.DecodeError, ValueError) as error:
                raise WardwrightError(
                    "settings_invalid",
                    f"the line is not a recorded exchange: {error}",
                    place=Place(file=str(file), line=number, column=1),
                ) from error
            yield recording
