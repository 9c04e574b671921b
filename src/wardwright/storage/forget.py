"""Forgetting: the bytes go first, then a tombstone in the control chain says that they went.

Records are never rewritten, and need not be: they hold keyed digests alone, which mean nothing once the key is gone.
Forgetting again is harmless, so a forgetting that was interrupted is finished by repeating it.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from wardwright.journal.entry import Entry
from wardwright.storage.blobs import body_blobs, forget_bodies
from wardwright.storage.keys import TenantKeys


class TenantForgotten(msgspec.Struct, frozen=True, kw_only=True):
    """The `data` of a `tenant.forgotten`."""

    bodies: int
    """Captured bodies that were dropped."""
    key: bool
    """Whether there was a key to drop."""
    tenant: str


class BodyForgotten(msgspec.Struct, frozen=True, kw_only=True):
    """The `data` of a `body.forgotten`."""

    digest: str
    found: bool
    tenant: str


def forget_tenant(state: Path, keys: TenantKeys, tenant: str, *, at: int, actor: str) -> Entry:
    """Drop a tenant's key and captured bodies; the tombstone to put."""
    data = TenantForgotten(bodies=forget_bodies(state, tenant), key=keys.forget(tenant), tenant=tenant)
    return Entry("tenant.forgotten", data, at=at, chain="control", actor=actor)


def forget_body(state: Path, tenant: str, digest: str, *, at: int, actor: str) -> Entry:
    """Drop one captured body; the tombstone to put."""
    data = BodyForgotten(digest=digest, found=body_blobs(state, tenant).forget(digest), tenant=tenant)
    return Entry("body.forgotten", data, at=at, chain="control", actor=actor)
