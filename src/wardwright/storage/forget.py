"""Forgetting: the bytes go first, then a tombstone in the control chain says that they went.

Records are never rewritten, and need not be: they hold keyed digests alone, which mean nothing once the key is gone.
Forgetting again is harmless, so a forgetting that was interrupted is finished by repeating it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from wardwright.journal.entry import Entry, Record

TENANT_FORGOTTEN: Final = "tenant.forgotten"
CAPTURE_FORGOTTEN: Final = "capture.forgotten"


class TenantForgotten(msgspec.Struct, frozen=True, kw_only=True):
    """The `data` of a `tenant.forgotten`."""

    captures: int
    """Calls whose captured bodies were dropped."""
    key: bool
    """Whether there was a key to drop."""
    tenant: str


class CaptureForgotten(msgspec.Struct, frozen=True, kw_only=True):
    """The `data` of a `capture.forgotten`."""

    found: bool
    """Whether there were bodies to drop."""
    receipt: str
    tenant: str


def tombstone(data: TenantForgotten | CaptureForgotten, *, at: int, actor: str) -> Entry:
    """The record to put once the bytes are gone."""
    kind = TENANT_FORGOTTEN if isinstance(data, TenantForgotten) else CAPTURE_FORGOTTEN
    return Entry(kind, data, at=at, chain="control", actor=actor)


def forgotten_tenants(records: Iterable[Record]) -> tuple[str, ...]:
    """Whose keys these records say are gone."""
    return tuple(
        msgspec.json.decode(record.data, type=TenantForgotten).tenant
        for record in records
        if record.kind == TENANT_FORGOTTEN
    )
