"""What a gateway remembers, where its store fails."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from parts.pasts import history
from wardwright.gateway.service import Gateway
from wardwright.kernel.errors import WardwrightError
from wardwright.limits.budgets import Budgets
from wardwright.runtime.remembering import Remembering
from wardwright.storage.state import SqliteStateStore
from wardwright.testing.determinism import HandClock
from wardwright.testing.journal import MemoryStore


def test_a_start_that_failed_is_closed_without_more_and_may_be_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "remembered.db"
    path.mkdir()
    gateway = cast(Gateway, SimpleNamespace(history=history()))
    remembering = Remembering(SqliteStateStore(path), MemoryStore(), gateway, HandClock(), writer="w")

    async def life() -> None:
        with pytest.raises(WardwrightError) as failed:
            await remembering.start()
        assert failed.value.code == "state_write"
        await remembering.aclose()
        path.rmdir()
        await remembering.start()
        assert isinstance(gateway.budgets, Budgets)
        await remembering.aclose()

    asyncio.run(life())
