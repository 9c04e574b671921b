"""Forgetting on behalf of a tenant, by whoever holds the journal."""

from __future__ import annotations

from pathlib import Path

import msgspec

from wardwright.journal.entry import Writer
from wardwright.runtime.control import durably
from wardwright.storage.forget import BodyForgotten, TenantForgotten, forget_body, forget_tenant
from wardwright.storage.keys import TenantKeys


class Forgotten(msgspec.Struct, frozen=True, kw_only=True):
    """What is gone."""

    bodies: int
    """Captured bodies that were dropped."""
    key: bool
    """Whether a tenant's key was dropped: the digests of its bodies mean nothing from now on."""
    tenant: str


async def forget(
    state: Path, keys: TenantKeys, writer: Writer, tenant: str, body: str | None, *, at: int, by: str
) -> Forgotten:
    """Drop a tenant's key and bodies, or the one body with this digest; then write the tombstone, durably.

    Repeating it is harmless. Raises `invalid_request` for what is no digest, `journal_write`.
    """
    if body is None:
        entry = forget_tenant(state, keys, tenant, at=at, actor=by)
    else:
        entry = forget_body(state, tenant, body, at=at, actor=by)
    await durably(writer, (entry,))
    match entry.data:
        case TenantForgotten() as gone:
            return Forgotten(bodies=gone.bodies, key=gone.key, tenant=tenant)
        case BodyForgotten() as gone:
            return Forgotten(bodies=int(gone.found), key=False, tenant=tenant)
        case _:
            raise AssertionError("forgetting writes a tombstone")
