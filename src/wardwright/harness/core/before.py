"""What stood in the world before a call changed it, as a value that a receipt can hold and a later call can restore.

Rule 1: a snapshot names contents by digest; they lie in a `Keep`. Losing them loses the way back, not the record.
Rule 2: it says what the call left behind too. Where that is not what stands there now, somebody else has written since,
and going back would undo their work: it takes force.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

import msgspec


class Absent(msgspec.Struct, frozen=True, kw_only=True, tag_field="content", tag="absent"):
    """Nothing stood there."""


class File(msgspec.Struct, frozen=True, kw_only=True, tag_field="content", tag="file"):
    """A regular file stood there."""

    digest: str
    """As the `Keep` names contents."""
    mode: int
    """Permissions alone."""
    size: int


State: TypeAlias = Absent | File


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One path, before a call and after it. Members in alphabetical order: it is put into receipts."""

    after: State | None = None
    """None until the call has written: then nothing can be told of what came later."""
    before: State
    path: str


class Keep(Protocol):
    """Where contents stay until they are dropped."""

    def digest(self, content: bytes) -> str:
        """The name of a content. Equal contents have equal names; the name tells nobody else what they are."""
        ...

    def put(self, content: bytes) -> str:
        """Keep a content, whole or not at all; its name. Harmless when repeated."""
        ...

    def get(self, digest: str) -> bytes | None:
        """None where it was never kept, was dropped, or is no longer what its name says."""
        ...

    def drop(self, digest: str) -> None:
        """Harmless when repeated."""
        ...
