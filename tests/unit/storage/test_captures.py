"""Captured bodies on disk, and the thread that writes them."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from typing import Final

import pytest

from wardwright.journal.captures import Body, Capture
from wardwright.kernel.errors import WardwrightError
from wardwright.kernel.ids import mint
from wardwright.storage import layout
from wardwright.storage.capture_writer import CaptureFileWriter
from wardwright.storage.captures import CaptureFiles
from wardwright.testing.determinism import EPOCH_US

CAPTURE: Final = Capture(answer=Body(content=b"\xff answer", size=8), request=Body(content=b"{}", size=900))
MINUTE_US: Final = 60_000_000


def receipt(minute: int = 0, luck: int = 1) -> str:
    """Of a call that was accepted so many minutes after the epoch of tests."""
    return mint("rcp", EPOCH_US + minute * MINUTE_US, luck)


class Losses:
    """What a writer told about dropped captures."""

    def __init__(self) -> None:
        self.told: list[tuple[int, str]] = []

    def __call__(self, count: int, failure: Exception | None) -> None:
        self.told.append((count, "" if failure is None else str(failure)))


def writer_of(files: CaptureFiles, losses: Losses, **bounds: int) -> CaptureFileWriter:
    return CaptureFileWriter(files, bytes_max=1000, on_loss=losses, **bounds)


# Files


def test_a_capture_comes_back_by_tenant_and_receipt(tmp_path: Path) -> None:
    files = CaptureFiles(tmp_path)
    files.put("a", receipt(), CAPTURE)
    assert files.get("a", receipt()) == CAPTURE
    assert files.get("b", receipt()) is None
    assert files.get("a", receipt(luck=2)) is None


def test_a_capture_is_one_file_for_its_owner_alone_and_named_by_no_content(tmp_path: Path) -> None:
    CaptureFiles(tmp_path).put("acme", receipt(), CAPTURE)
    (path,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert path.name == receipt()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert all(stat.S_IMODE(one.stat().st_mode) == 0o700 for one in tmp_path.rglob("*") if one.is_dir())


@pytest.mark.parametrize("name", ["", "rcp_", "rcp_" + "0" * 27, "../../keys/signing.pem", "rcp_" + "G" * 28])
def test_what_is_no_receipt_names_no_file(tmp_path: Path, name: str) -> None:
    files = CaptureFiles(tmp_path)
    for way in (files.get, files.forget):
        with pytest.raises(WardwrightError, match="is no receipt id"):
            way("a", name)


def test_a_file_that_is_none_of_ours_is_told(tmp_path: Path) -> None:
    files = CaptureFiles(tmp_path)
    files.put("a", receipt(), CAPTURE)
    layout.capture_path(tmp_path, "a", receipt()).write_bytes(b"\x81")
    with pytest.raises(WardwrightError, match="cannot be read") as caught:
        files.get("a", receipt())
    assert caught.value.code == "journal_broken"


def test_what_the_disk_will_not_drop_is_told(tmp_path: Path) -> None:
    files = CaptureFiles(tmp_path)
    layout.capture_path(tmp_path, "a", receipt()).mkdir(parents=True)
    with pytest.raises(WardwrightError, match="cannot be dropped") as one:
        files.forget("a", receipt())
    bucket = layout.capture_path(tmp_path, "b", receipt()).parent
    bucket.parent.mkdir()
    bucket.write_bytes(b"no directory")
    with pytest.raises(WardwrightError, match="cannot be dropped") as all_of_them:
        files.forget_tenant("b")
    assert one.value.code == all_of_them.value.code == "journal_write"


def test_forgetting_one_call_leaves_the_others(tmp_path: Path) -> None:
    files = CaptureFiles(tmp_path)
    for luck in (1, 2):
        files.put("a", receipt(luck=luck), CAPTURE)
    assert (files.forget("a", receipt()), files.forget("a", receipt())) == (True, False)
    assert files.get("a", receipt()) is None
    assert files.get("a", receipt(luck=2)) == CAPTURE


def test_forgetting_one_call_takes_what_a_killed_process_left_of_it(tmp_path: Path) -> None:
    files = CaptureFiles(tmp_path)
    files.put("a", receipt(), CAPTURE)
    path = layout.capture_path(tmp_path, "a", receipt())
    path.rename(path.with_name(f".{path.name}.77.draft"))
    assert not files.forget("a", receipt())
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_forgetting_a_tenant_takes_every_call_of_it_and_of_no_other(tmp_path: Path) -> None:
    files = CaptureFiles(tmp_path)
    for minute in (0, 5, 600):
        files.put("a", receipt(minute), CAPTURE)
        files.put("b", receipt(minute), CAPTURE)
    assert (files.forget_tenant("a"), files.forget_tenant("a")) == (3, 0)
    assert len(list((tmp_path / "captures").iterdir())) == 1
    assert all(files.get("b", receipt(minute)) == CAPTURE for minute in (0, 5, 600))


def test_what_is_old_goes_and_what_may_not_be_stays(tmp_path: Path) -> None:
    files = CaptureFiles(tmp_path)
    for minute in range(0, 100, 10):
        files.put("a", receipt(minute), CAPTURE)
    dropped = files.drop_before(EPOCH_US + 60 * MINUTE_US)
    left = [minute for minute in range(0, 100, 10) if files.get("a", receipt(minute)) is not None]
    assert dropped == 10 - len(left)
    assert left[-4:] == [60, 70, 80, 90]
    assert left[0] >= 60 - 18  # a directory holds less than 18 minutes


# The writer


def test_what_was_put_is_found_at_once(tmp_path: Path) -> None:
    losses = Losses()
    writer = writer_of(CaptureFiles(tmp_path), losses)
    writer.open()
    for luck in range(20):
        assert writer.admit()
        writer.put("a", receipt(luck=luck), CAPTURE)
        assert writer.get("a", receipt(luck=luck)) == CAPTURE
    assert writer.pulse().waiting == 0
    writer.close()
    assert (losses.told, writer.pulse().dropped) == ([], 0)


def test_closing_writes_what_waits_and_admits_nothing_more(tmp_path: Path) -> None:
    files = CaptureFiles(tmp_path)
    writer = writer_of(files, Losses())
    for luck in range(20):
        assert writer.admit()
        writer.put("a", receipt(luck=luck), CAPTURE)
    writer.open()
    writer.close()
    writer.close()
    assert all(files.get("a", receipt(luck=luck)) == CAPTURE for luck in range(20))
    assert not writer.admit()


@pytest.mark.parametrize("bounds", [{"waiting_max": 3}, {"waiting_bytes_max": 25}], ids=["captures", "bytes"])
def test_a_full_queue_drops_captures_counts_them_and_tells(tmp_path: Path, bounds: dict[str, int]) -> None:
    losses = Losses()
    writer = writer_of(CaptureFiles(tmp_path), losses, **bounds)
    admitted = 0
    for luck in range(10):
        if writer.admit():
            admitted += 1
            writer.put("a", receipt(luck=luck), CAPTURE)
    assert admitted == 3
    assert (writer.pulse().dropped, writer.pulse().waiting) == (7, 3)
    writer.open()
    assert writer.get("a", receipt(luck=0)) == CAPTURE
    assert writer.get("a", receipt(luck=9)) is None
    assert writer.admit()
    writer.put("a", receipt(luck=9), CAPTURE)
    assert writer.get("a", receipt(luck=9)) == CAPTURE
    writer.close()
    assert losses.told == [(7, "")]


def test_a_promised_place_is_kept(tmp_path: Path) -> None:
    writer = writer_of(CaptureFiles(tmp_path), Losses(), waiting_max=1)
    assert (writer.admit(), writer.admit()) == (True, False)
    writer.open()
    writer.put("a", receipt(), CAPTURE)
    assert writer.get("a", receipt()) == CAPTURE
    writer.close()


class FailingFiles(CaptureFiles):
    """A disk that is full until it is not."""

    def __init__(self, state: Path) -> None:
        super().__init__(state)
        self.full = True

    def put(self, tenant: str, receipt: str, capture: Capture) -> None:
        if self.full:
            raise OSError(28, os.strerror(28))
        super().put(tenant, receipt, capture)


def test_a_disk_that_fails_loses_captures_aloud_and_the_next_one_is_tried(tmp_path: Path) -> None:
    losses = Losses()
    files = FailingFiles(tmp_path)
    writer = writer_of(files, losses)
    writer.open()
    assert writer.admit()
    writer.put("a", receipt(), CAPTURE)
    assert writer.get("a", receipt()) is None
    pulse = writer.pulse()
    assert (pulse.dropped, pulse.waiting) == (1, 0)
    assert "No space left" in (pulse.failure or "")
    files.full = False
    assert writer.admit()
    writer.put("a", receipt(luck=2), CAPTURE)
    assert writer.get("a", receipt(luck=2)) == CAPTURE
    assert writer.pulse().failure is None
    writer.close()
    assert [count for count, _ in losses.told] == [1]
    assert "No space left" in losses.told[0][1]


class SlowFiles(CaptureFiles):
    """A disk that waits for leave."""

    def __init__(self, state: Path) -> None:
        super().__init__(state)
        self.leave = threading.Event()

    def put(self, tenant: str, receipt: str, capture: Capture) -> None:
        assert self.leave.wait(10)
        super().put(tenant, receipt, capture)


def test_forgetting_takes_what_still_waits_for_the_disk(tmp_path: Path) -> None:
    files = SlowFiles(tmp_path)
    writer = writer_of(files, Losses())
    writer.open()
    for luck in range(3):
        assert writer.admit()
        writer.put("a", receipt(luck=luck), CAPTURE)
    counts: list[int] = []
    forgetting = threading.Thread(target=lambda: counts.append(writer.forget_tenant("a")))
    forgetting.start()
    files.leave.set()
    forgetting.join(10)
    writer.close()
    assert counts == [3]
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_what_cannot_be_forgotten_in_time_is_refused(tmp_path: Path) -> None:
    writer = CaptureFileWriter(CaptureFiles(tmp_path), bytes_max=1000, on_loss=Losses(), flush_timeout_s=0.01)
    assert writer.admit()
    writer.put("a", receipt(), CAPTURE)  # and nobody writes it
    with pytest.raises(WardwrightError, match="nothing was forgotten"):
        writer.forget("a", receipt())
    with pytest.raises(WardwrightError, match="nothing was forgotten"):
        writer.forget_tenant("a")
