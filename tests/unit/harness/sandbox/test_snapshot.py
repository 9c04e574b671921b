"""The way back from a write."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from wardwright.harness.core.before import Absent, File, Snapshot
from wardwright.harness.core.hands import Scope
from wardwright.harness.sandbox import files, snapshot
from wardwright.harness.sandbox.beneath import Folders
from wardwright.harness.sandbox.snapshot import FileKeep
from wardwright.kernel.errors import WardwrightError

KEY = b"k" * 32


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


@pytest.fixture
def folders(work: Path) -> Folders:
    return Folders(Scope(write=(str(work),)))


@pytest.fixture
def keep(tmp_path: Path) -> FileKeep:
    return FileKeep(tmp_path / "kept", KEY)


def _written(folders: Folders, path: Path, data: bytes, keep: FileKeep) -> Snapshot:
    taken = snapshot.take(folders, str(path), keep)
    files.write(folders, str(path), data, "replace")
    return snapshot.sealed(folders, taken, keep)


def _refused(folders: Folders, taken: Snapshot, keep: FileKeep) -> str:
    with pytest.raises(WardwrightError) as refused:
        snapshot.restore(folders, taken, keep)
    return refused.value.code


def test_a_file_comes_back_with_its_mode(work: Path, folders: Folders, keep: FileKeep) -> None:
    path = work / "file"
    path.write_bytes(b"before")
    path.chmod(0o640)
    taken = _written(folders, path, b"after", keep)
    path.chmod(0o640)
    snapshot.restore(folders, taken, keep)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"before", 0o640)


def test_what_was_not_there_goes_away(work: Path, folders: Folders, keep: FileKeep) -> None:
    taken = _written(folders, work / "new", b"after", keep)
    assert taken.before == Absent()
    snapshot.restore(folders, taken, keep)
    assert not (work / "new").exists()


def test_what_was_removed_comes_back(work: Path, folders: Folders, keep: FileKeep) -> None:
    (work / "file").write_bytes(b"before")
    taken = snapshot.take(folders, str(work / "file"), keep)
    (work / "file").unlink()
    snapshot.restore(folders, snapshot.sealed(folders, taken, keep), keep)
    assert (work / "file").read_bytes() == b"before"


def test_a_file_that_somebody_else_wrote_since_is_left_alone_unless_forced(
    work: Path, folders: Folders, keep: FileKeep
) -> None:
    path = work / "file"
    path.write_bytes(b"before")
    taken = _written(folders, path, b"after", keep)
    path.write_bytes(b"theirs")
    assert _refused(folders, taken, keep) == "tool_failed"
    assert path.read_bytes() == b"theirs"
    snapshot.restore(folders, taken, keep, forced=True)
    assert path.read_bytes() == b"before"


def test_a_mode_that_somebody_else_changed_counts_as_a_change(work: Path, folders: Folders, keep: FileKeep) -> None:
    (work / "file").write_bytes(b"before")
    taken = _written(folders, work / "file", b"after", keep)
    (work / "file").chmod(0o600)
    assert _refused(folders, taken, keep) == "tool_failed"


def test_a_snapshot_without_what_the_call_left_is_not_restored_by_itself(
    work: Path, folders: Folders, keep: FileKeep
) -> None:
    (work / "file").write_bytes(b"before")
    assert _refused(folders, snapshot.take(folders, str(work / "file"), keep), keep) == "tool_failed"


def test_a_content_that_is_gone_or_was_touched_is_not_put_back(
    work: Path, folders: Folders, keep: FileKeep, tmp_path: Path
) -> None:
    (work / "file").write_bytes(b"before")
    taken = _written(folders, work / "file", b"after", keep)
    assert isinstance(taken.before, File)
    (kept,) = (tmp_path / "kept").iterdir()
    kept.write_bytes(b"forged")
    assert _refused(folders, taken, keep) == "tool_failed"
    keep.drop(taken.before.digest)
    assert _refused(folders, taken, keep) == "tool_failed"
    assert (work / "file").read_bytes() == b"after"


def test_a_path_outside_is_neither_kept_nor_restored(
    folders: Folders, keep: FileKeep, tmp_path: Path, work: Path
) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (work / "link").symlink_to(tmp_path / "secret")
    for path in (tmp_path / "secret", work / "link", work / ".." / "secret"):
        with pytest.raises(WardwrightError) as refused:
            snapshot.take(folders, str(path), keep)
        assert refused.value.code == "scope_denied"
    assert list((tmp_path / "kept").iterdir()) == []


def test_a_folder_has_no_snapshot(folders: Folders, keep: FileKeep, work: Path) -> None:
    (work / "folder").mkdir()
    with pytest.raises(WardwrightError) as refused:
        snapshot.take(folders, str(work / "folder"), keep)
    assert refused.value.code == "tool_failed"


def test_a_snapshot_is_a_value_that_can_be_written_down(work: Path, folders: Folders, keep: FileKeep) -> None:
    (work / "file").write_bytes(b"before")
    taken = _written(folders, work / "file", b"after", keep)
    assert msgspec.json.decode(msgspec.json.encode(taken), type=Snapshot) == taken


def test_names_of_contents_tell_nothing_without_the_key(tmp_path: Path) -> None:
    names = {FileKeep(tmp_path / "kept", key).digest(b"secret") for key in (KEY, b"l" * 32)}
    assert len(names) == 2


def test_a_name_that_is_none_is_refused(keep: FileKeep) -> None:
    for name in ("", "../../secret", "hmac-sha256:../x", f"sha256:{'0' * 64}"):
        with pytest.raises(WardwrightError):
            keep.get(name)


def test_kept_contents_are_for_the_owner_alone(keep: FileKeep, tmp_path: Path) -> None:
    keep.put(b"secret")
    (kept,) = (tmp_path / "kept").iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o700


def test_what_was_kept_longest_ago_goes_first_when_there_is_too_much(tmp_path: Path, keep: FileKeep) -> None:
    names = [keep.put(bytes([number]) * 100) for number in range(4)]
    for number, name in enumerate(names):
        os.utime(tmp_path / "kept" / name.removeprefix("hmac-sha256:"), (number, number))

    assert keep.trim(400) == 0
    assert keep.trim(250) == 2
    assert [keep.get(name) is not None for name in names] == [False, False, True, True]
