"""A state directory without a gateway."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from parts.front import CODING, DOCUMENTS, world
from wardwright.gateway.core.keys import Key
from wardwright.kernel.errors import WardwrightError
from wardwright.runtime import library, offline
from wardwright.runtime.offline import Offline

Play = Callable[[Offline], Awaitable[None]]


def after_a_gateway(tmp_path: Path, *plays: tuple[str, Play]) -> None:
    """Let a gateway serve the usual documents and end; then open its state directory, once for each play."""

    async def run() -> None:
        async with world(tmp_path) as made:
            await made.call()
        for how, play in plays:
            way = offline.changing if how == "changing" else offline.reading
            async with way(tmp_path / "state") as front:
                await play(front)

    asyncio.run(run())


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_served_last_is_compiled_again(tmp_path: Path) -> None:
    async def play(front: Offline) -> None:
        assert front.gateway.catalog.names() == ("coding", "review")
        assert front.control.state.errors == ()

    after_a_gateway(tmp_path, ("reading", play))


def test_reading_leaves_journal_and_contracts_as_they_were(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path):
            pass
        before = files_of(tmp_path / "state")
        async with offline.reading(tmp_path / "state") as front:
            front.gateway.simulate({}, b'{"model":"coding","messages":[{"role":"user","content":"hi"}]}', None)
        after = files_of(tmp_path / "state")
        kept = ("journal/", "blobs/")
        assert {n: c for n, c in after.items() if n.startswith(kept)} == {
            n: c for n, c in before.items() if n.startswith(kept)
        }

    asyncio.run(run())


def test_reading_refuses_to_change(tmp_path: Path) -> None:
    async def play(front: Offline) -> None:
        with pytest.raises(WardwrightError, match="only reads") as caught:
            await front.forget("local", None, by="admin")
        assert caught.value.code == "journal_locked"

    after_a_gateway(tmp_path, ("reading", play))


def test_a_change_lasts_and_the_chains_are_closed_behind_it(tmp_path: Path) -> None:
    draft = CODING.replace("version: v1", "version: v2")

    async def change(front: Offline) -> None:
        documents = {**DOCUMENTS, "coding.yaml": draft}
        for name, text in documents.items():
            (tmp_path / name).write_text(text)
        contract = library.read([tmp_path / name for name in documents]).models["coding"].value
        await front.control.adopt(contract, source="test", by="admin")
        await front.control.activate("coding", "v2", by="admin")

    async def look(front: Offline) -> None:
        assert front.control.contract("coding", None)[1].version == "v2"
        assert [type(verdict).__name__ for verdict in front.journal.verify()] == ["Intact", "Intact"]

    after_a_gateway(tmp_path, ("changing", change), ("reading", look))


def test_two_processes_never_change_one_state_directory(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path):
            with pytest.raises(WardwrightError) as caught:
                async with offline.changing(tmp_path / "state"):
                    raise AssertionError("the lock was taken twice")
            assert caught.value.code == "journal_locked"

    asyncio.run(run())


def test_a_directory_that_no_gateway_used_is_said_to_be_none(tmp_path: Path) -> None:
    async def run() -> None:
        with pytest.raises(WardwrightError, match="no gateway has run") as caught:
            async with offline.reading(tmp_path):
                raise AssertionError("there is nothing to read")
        assert caught.value.code == "settings_invalid"
        assert os.listdir(tmp_path) == []

    asyncio.run(run())


def test_files_are_compiled_drafts_too_and_nothing_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "contracts"
    folder.mkdir()
    for name, text in DOCUMENTS.items():
        (folder / name).write_text(text.replace("name: review", "name: review\nactivate: manual"))

    async def run() -> None:
        async with offline.proposed(library.read([folder]), tmp_path / "state") as front:
            assert front.gateway.catalog.names() == ("coding", "review")
        assert not (tmp_path / "state").exists()

    asyncio.run(run())


def test_a_damaged_work_queue_stands_in_the_way_of_alerts_alone(tmp_path: Path) -> None:
    async def run() -> None:
        async with offline.changing(tmp_path) as front:
            made, _ = await front.control.create_key(Key(created_at=0, hash="", id=""), by="admin")
        (tmp_path / "work.sqlite").write_bytes(b"no database at all" * 100)
        async with offline.changing(tmp_path) as front:
            await front.control.revoke_key(made.id, by="admin")
            with pytest.raises(WardwrightError) as refused:
                await front.alerts.retry(frozenset({"alt_1"}), by="admin")
        async with offline.reading(tmp_path) as front:
            with pytest.raises(WardwrightError) as unread:
                front.alerts.jobs()
        assert {refused.value.code, unread.value.code} == {"queue_broken"}

    asyncio.run(run())
