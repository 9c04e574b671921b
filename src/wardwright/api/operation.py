"""One operation of the HTTP surface as a value: the app answers by it, the API document is written from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar

import msgspec

from wardwright.api.access import Access, Caller
from wardwright.api.front import Front
from wardwright.api.query import Parameter, Query
from wardwright.gateway.core.callers import Headers

Body = TypeVar("Body")
Answer = TypeVar("Answer")

Method: TypeAlias = Literal["GET", "POST", "DELETE"]
Group: TypeAlias = Literal[
    "calls", "models", "receipts", "versions", "keys", "approvals", "alerts", "journal", "operation", "tests"
]

JSON: Final = "application/json"


class Ask(msgspec.Struct, Generic[Body], frozen=True, kw_only=True):
    """One request, read and admitted."""

    body: Body
    caller: Caller
    front: Front
    headers: Headers
    path: Mapping[str, str]
    """The values of the path's variables."""
    query: Query


class Document(msgspec.Struct, frozen=True):
    """An answer that is rendered already."""

    content: bytes
    media_type: str


class Operation(msgspec.Struct, Generic[Body, Answer], frozen=True, kw_only=True):
    """One method of one path."""

    access: Access
    answer: type[Answer]
    """What the handler gives: a Struct that is sent as JSON, a Document as it is, None as 204."""
    body: type[Body]
    """A Struct that is read from JSON; `bytes`: as they came; NoneType: no body is read."""
    body_media: tuple[str, ...] = (JSON,)
    codes: tuple[str, ...] = ()
    """Error codes of its own, beside those that any operation may answer with."""
    description: str = ""
    foreign_query: bool = False
    """Clients of another API may send query parameters that mean nothing here."""
    group: Group
    handler: Callable[[Ask[Body]], Awaitable[Answer]]
    media: tuple[str, ...] = (JSON,)
    merge: Callable[[Ask[Body], Mapping[int, Answer]], Answer] | None = None
    """Where several workers serve: what each of them answers, by its number, as one. None: one answers for all."""
    method: Method
    path: str
    """With variables in braces; `{name:path}` takes slashes too."""
    query: tuple[Parameter, ...] = ()
    status: int = 200
    summary: str

    @property
    def template(self) -> str:
        """The path as API documents write it."""
        return self.path.replace(":path}", "}")


AnyOperation: TypeAlias = Operation[Any, Any]
"""In tables, where each row has types of its own; a row was checked when it was written."""
