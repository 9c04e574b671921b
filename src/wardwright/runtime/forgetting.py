"""Forgetting on behalf of a tenant, by whoever holds the journal."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import msgspec

from wardwright.journal.captures import Captures
from wardwright.journal.entry import Writer
from wardwright.kernel.errors import Place, WardwrightError
from wardwright.runtime.control import durably
from wardwright.storage.forget import CaptureForgotten, TenantForgotten, tombstone
from wardwright.storage.keys import TenantKeys
from wardwright.storage.layout import kept_dir


class Forgotten(msgspec.Struct, frozen=True, kw_only=True):
    """What is gone."""

    captures: int
    """Calls whose captured bodies were dropped."""
    key: bool
    """Whether a tenant's key was dropped: the digests of its bodies mean nothing from now on."""
    tenant: str


async def forget(
    state: Path,
    captures: Captures,
    keys: TenantKeys,
    writer: Writer,
    tenant: str,
    receipt: str | None,
    *,
    at: int,
    by: str,
) -> Forgotten:
    """Drop a tenant's key, captured bodies and kept contents of files, or the bodies of the one call; then write the
    tombstone, durably.

    Calls that are under way are not part of it. Repeating it is harmless. Raises `invalid_request` for what is no
    receipt id, `journal_write`.
    """
    if receipt is None:
        count = await asyncio.to_thread(captures.forget_tenant, tenant)
        await asyncio.to_thread(_drop, kept_dir(state, tenant))
        gone = Forgotten(captures=count, key=keys.forget(tenant), tenant=tenant)
        entry = tombstone(TenantForgotten(captures=count, key=gone.key, tenant=tenant), at=at, actor=by)
    else:
        found = await asyncio.to_thread(captures.forget, tenant, receipt)
        gone = Forgotten(captures=int(found), key=False, tenant=tenant)
        entry = tombstone(CaptureForgotten(found=found, receipt=receipt, tenant=tenant), at=at, actor=by)
    await durably(writer, (entry,))
    return gone


def _drop(directory: Path) -> None:
    """A call of a tool that is under way, and keeps something there, fails before it acts."""
    try:
        shutil.rmtree(directory)
    except FileNotFoundError:
        return
    except OSError as error:
        raise WardwrightError(
            "journal_write", f"kept contents cannot be dropped: {error.strerror}", place=Place(file=str(directory))
        ) from error
