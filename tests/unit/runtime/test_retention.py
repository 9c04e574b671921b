"""Captures go when their receipts do."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from parts.front import World, in_world
from wardwright.journal.captures import Body, Capture
from wardwright.kernel.ids import mint
from wardwright.runtime.settings import Retention

HOUR_US: Final = 3600 * 1_000_000
CAPTURE: Final = Capture(answer=Body(content=b"told", size=4), request=Body(content=b"asked", size=5))


def kept(world: World, *hours_ago: int) -> list[int]:
    """Put a capture of a call so many hours ago, for each; those that are left after retention has been seen to."""
    captures, now_us = world.runtime.captures, world.runtime.clock.now_us()
    receipts = {hours: mint("rcp", now_us - hours * HOUR_US, hours) for hours in hours_ago}
    for receipt in receipts.values():
        captures.files.put("local", receipt, CAPTURE)
    world.runtime.retire_captures()
    return [hours for hours, receipt in receipts.items() if captures.get("local", receipt) is not None]


@pytest.mark.parametrize("retention", [Retention(calls_bytes_max=1), Retention(calls_days=100)], ids=["bytes", "days"])
def test_captures_older_than_every_receipt_go(tmp_path: Path, retention: Retention) -> None:
    async def play(world: World) -> None:
        await world.call()
        assert kept(world, 48, 3, 0) == [0]

    in_world(tmp_path, play, retention=retention)


def test_while_no_receipt_is_held_only_age_counts(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        assert kept(world, 48, 3, 0) == [3, 0]

    in_world(tmp_path, play, retention=Retention(calls_days=1))


def test_size_alone_takes_no_capture_before_a_receipt(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        assert kept(world, 48, 3, 0) == [48, 3, 0]

    in_world(tmp_path, play, retention=Retention(calls_bytes_max=1))
