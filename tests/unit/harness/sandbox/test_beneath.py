"""Paths of a scope that could be made to lead elsewhere."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from wardwright.harness.core.hands import Scope
from wardwright.harness.sandbox import files
from wardwright.harness.sandbox.beneath import Folders
from wardwright.kernel.errors import WardwrightError


def _code(folders: Folders, path: Path) -> str | None:
    try:
        files.read(folders, str(path), offset=0, bytes_max=100)
    except WardwrightError as error:
        return error.code
    return None


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    (tmp_path / "inside").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"secret")
    return tmp_path / "inside"


def test_an_absolute_link_that_stays_within_is_followed(inside: Path) -> None:
    (inside / "file").write_bytes(b"data")
    (inside / "link").symlink_to(inside / "file")
    assert files.read(Folders(Scope(read=(str(inside),))), str(inside / "link"), offset=0, bytes_max=9).data == b"data"


def test_a_link_from_one_folder_of_the_scope_into_another_is_followed(inside: Path, tmp_path: Path) -> None:
    (inside / "link").symlink_to(tmp_path / "outside" / "secret")
    assert _code(Folders(Scope(read=(str(inside), str(tmp_path / "outside")))), inside / "link") is None


def test_a_folder_of_the_scope_that_became_a_link_is_denied(inside: Path, tmp_path: Path) -> None:
    folders = Folders(Scope(read=(str(inside),)))
    inside.rmdir()
    inside.symlink_to(tmp_path / "outside")
    assert _code(folders, inside / "secret") == "scope_denied"


def test_a_folder_of_the_scope_that_was_replaced_is_denied(inside: Path, tmp_path: Path) -> None:
    folders = Folders(Scope(read=(str(inside),)))
    inside.rename(tmp_path / "gone")
    (tmp_path / "outside").rename(inside)
    assert _code(folders, inside / "secret") == "scope_denied"


def test_a_link_that_was_planted_in_a_writable_folder_is_no_scope(inside: Path, tmp_path: Path) -> None:
    (inside / "docs").symlink_to(tmp_path / "outside")
    with pytest.raises(WardwrightError) as refused:
        Folders(Scope(write=(str(inside),), read=(str(inside / "docs"),)))
    assert refused.value.code == "scope_denied"


def test_a_scope_is_spelled_by_a_link_or_by_where_it_leads(inside: Path, tmp_path: Path) -> None:
    (inside / "file").write_bytes(b"data")
    (tmp_path / "link").symlink_to(inside)
    folders = Folders(Scope(read=(str(tmp_path / "link"),)))
    assert _code(folders, tmp_path / "link" / "file") is None
    assert _code(folders, inside / "file") is None


def test_links_of_proc_are_not_followed(inside: Path) -> None:
    (inside / "link").symlink_to("/proc/self/root/etc/passwd")
    (inside / "fd").symlink_to("/proc/self/fd/0")
    folders = Folders(Scope(read=(str(inside),)))
    assert _code(folders, inside / "link") == "scope_denied"
    assert _code(folders, inside / "fd") == "scope_denied"
    assert _code(Folders(Scope(read=("/proc",))), Path("/proc/self/root/etc/passwd")) in ("scope_denied", "tool_failed")


def test_a_scope_of_one_file_that_became_a_link_is_denied(inside: Path, tmp_path: Path) -> None:
    (inside / "file").write_bytes(b"data")
    folders = Folders(Scope(read=(str(inside / "file"),)))
    (inside / "file").unlink()
    (inside / "file").symlink_to(tmp_path / "outside" / "secret")
    assert _code(folders, inside / "file") == "scope_denied"


def test_a_file_that_is_not_there_yet_may_be_a_scope(inside: Path) -> None:
    folders = Folders(Scope(write=(str(inside / "new"),)))
    assert files.write(folders, str(inside / "new"), b"data", "create") == 4
    assert _code(folders, inside / "new") is None


def test_a_socket_is_no_file(inside: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(inside / "socket"))
        assert _code(Folders(Scope(read=(str(inside),))), inside / "socket") == "tool_failed"


def test_a_file_with_a_second_name_is_replaced_and_not_appended_to(inside: Path, tmp_path: Path) -> None:
    secret = tmp_path / "outside" / "secret"
    os.link(secret, inside / "file")
    folders = Folders(Scope(write=(str(inside),)))
    with pytest.raises(WardwrightError) as refused:
        files.write(folders, str(inside / "file"), b"!", "append")
    assert refused.value.code == "tool_failed"
    files.write(folders, str(inside / "file"), b"!", "replace")
    assert secret.read_bytes() == b"secret"


def test_replacing_keeps_the_mode_but_for_setuid(inside: Path) -> None:
    (inside / "file").write_bytes(b"old")
    (inside / "file").chmod(0o4750)
    files.write(Folders(Scope(write=(str(inside),))), str(inside / "file"), b"new", "replace")
    assert (inside / "file").stat().st_mode & 0o7777 == 0o750


def test_a_link_within_is_written_through(inside: Path) -> None:
    (inside / "file").write_bytes(b"old")
    (inside / "link").symlink_to("file")
    files.write(Folders(Scope(write=(str(inside),))), str(inside / "link"), b"new", "replace")
    assert (inside / "file").read_bytes() == b"new"
    assert (inside / "link").is_symlink()


def test_no_descriptor_stays_open(inside: Path) -> None:
    (inside / "file").write_bytes(b"data")
    folders = Folders(Scope(write=(str(inside),)))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        files.read(folders, str(inside / "file"), offset=0, bytes_max=9)
        files.write(folders, str(inside / "file"), b"new", "replace")
        files.listed(folders, str(inside), items_max=9)
        assert _code(folders, inside / ".." / "outside" / "secret") == "scope_denied"
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_of_proc_that_goes_on_says_so_though_it_has_no_size() -> None:
    folders = Folders(Scope(read=("/proc",)))
    part = files.read(folders, "/proc/self/status", offset=0, bytes_max=10)
    assert (len(part.data), part.truncated) == (10, True)
    whole = files.read(folders, "/proc/self/status", offset=0, bytes_max=100_000)
    assert len(whole.data) == whole.size > 10
    assert not whole.truncated
