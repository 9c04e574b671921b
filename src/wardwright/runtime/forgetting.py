"""Forgetting on behalf of a tenant, by whoever holds the journal."""

from __future__ import annotations

import asyncio

import msgspec

from wardwright.journal.captures import Captures
from wardwright.journal.entry import Writer
from wardwright.runtime.control import durably
from wardwright.storage.forget import CaptureForgotten, TenantForgotten, tombstone
from wardwright.storage.keys import TenantKeys


class Forgotten(msgspec.Struct, frozen=True, kw_only=True):
    """What is gone."""

    captures: int
    """Calls whose captured bodies were dropped."""
    key: bool
    """Whether a tenant's key was dropped: the digests of its bodies mean nothing from now on."""
    tenant: str


async def forget(
    captures: Captures, keys: TenantKeys, writer: Writer, tenant: str, receipt: str | None, *, at: int, by: str
) -> Forgotten:
    """Drop a tenant's key and captured bodies, or the bodies of the one call; then write the tombstone, durably.

    Calls that are under way are not part of it. Repeating it is harmless. Raises `invalid_request` for what is no
    receipt id, `journal_write`.
    """
    if receipt is None:
        count = await asyncio.to_thread(captures.forget_tenant, tenant)
        gone = Forgotten(captures=count, key=keys.forget(tenant), tenant=tenant)
        entry = tombstone(TenantForgotten(captures=count, key=gone.key, tenant=tenant), at=at, actor=by)
    else:
        found = await asyncio.to_thread(captures.forget, tenant, receipt)
        gone = Forgotten(captures=int(found), key=False, tenant=tenant)
        entry = tombstone(CaptureForgotten(found=found, receipt=receipt, tenant=tenant), at=at, actor=by)
    await durably(writer, (entry,))
    return gone
