"""Reading the contract files again, because somebody asked."""

from __future__ import annotations

from wardwright.api.operation import Ask
from wardwright.api.runtime_status import ReloadStatus, reload_status


async def reload(ask: Ask[None]) -> ReloadStatus:
    return reload_status(await ask.front.reload(by="admin"))
