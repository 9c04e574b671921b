"""The journal kit over the store on disk and the fake in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from wardwright.journal.entry import Writer
from wardwright.storage.keys import SignatureCheck
from wardwright.storage.reader import SegmentReader
from wardwright.storage.segments import SegmentWriter
from wardwright.storage.settings import JournalSettings
from wardwright.testing import journal_kit
from wardwright.testing.determinism import HandClock
from wardwright.testing.failing_disk import FailingDisk, Trouble
from wardwright.testing.hand_loop import HandLoop
from wardwright.testing.journal import MemoryJournal, MemoryStore, signer_of

SIGNER = signer_of()
CHECK = SignatureCheck({SIGNER.key: SIGNER.public})
KEY = "node_test/gateway-0"


class OnDisk:
    """A state directory as the kit sees it."""

    def __init__(self, state: Path, setting: journal_kit.Setting, trouble: Trouble) -> None:
        self.loop = HandLoop()
        self.key = KEY
        self.check = CHECK
        self.reader = SegmentReader(state)
        self._state = state
        self._trouble = trouble
        self._disk = FailingDisk()
        self._writer: SegmentWriter | None = None
        self._settings = JournalSettings(
            durability="before_response",
            pending_max=setting.pending_max,
            segment_bytes_max=setting.segment_bytes_max,
            retry_ms=1,
            retry_max_ms=20,
        )

    def open(self) -> Writer:
        writer = SegmentWriter(
            self._state,
            node="node_test",
            slot="gateway-0",
            signer=SIGNER,
            clock=HandClock(),
            loop=self.loop,
            settings=self._settings,
            disk=self._disk,
            on_failure=lambda failure: None,
        )
        writer.open()
        self._writer = writer
        return writer

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def kill(self) -> None:
        if self._writer is not None:
            self._writer.abandon()

    def break_disk(self) -> None:
        self._disk.trouble = self._trouble

    def mend_disk(self) -> None:
        self._disk.trouble = None


class InMemory:
    """A store in memory as the kit sees it."""

    def __init__(self, setting: journal_kit.Setting) -> None:
        self.loop = HandLoop()
        self.key = KEY
        self.check = CHECK
        self.reader = MemoryStore()
        self._setting = setting
        self._writer: MemoryJournal | None = None

    def open(self) -> Writer:
        writer = MemoryJournal(
            self.reader,
            loop=self.loop,
            clock=HandClock(),
            pending_max=self._setting.pending_max,
            segment_bytes_max=self._setting.segment_bytes_max,
        )
        writer.open()
        self._writer = writer
        return writer

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def kill(self) -> None:
        if self._writer is not None:
            self._writer.kill()

    def break_disk(self) -> None:
        if self._writer is not None:
            self._writer.fail_at = 0

    def mend_disk(self) -> None:
        if self._writer is not None:
            self._writer.mend()


@pytest.mark.parametrize("case", journal_kit.CASES, ids=str)
def test_the_store_on_disk_keeps_the_promises(case: journal_kit.Case, tmp_path: Path) -> None:
    case.run(lambda setting: OnDisk(tmp_path, setting, "half"))


@pytest.mark.parametrize("trouble", ["full", "sync", "cut"])
@pytest.mark.parametrize(
    "case", [case for case in journal_kit.CASES if "write" in case.name or "full" in case.name], ids=str
)
def test_the_store_on_disk_survives_every_trouble(case: journal_kit.Case, trouble: Trouble, tmp_path: Path) -> None:
    case.run(lambda setting: OnDisk(tmp_path, setting, trouble))


@pytest.mark.parametrize("case", journal_kit.CASES, ids=str)
def test_the_fake_keeps_the_promises(case: journal_kit.Case) -> None:
    case.run(InMemory)
