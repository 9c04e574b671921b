"""Bytes by their digest."""

from __future__ import annotations

from pathlib import Path

import pytest

from wardwright.kernel.errors import WardwrightError
from wardwright.storage.blobs import FileBlobs


def test_bytes_come_back_by_their_digest(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    digest = blobs.put(b"contract")
    assert blobs.put(b"contract") == digest
    assert blobs.get(digest) == b"contract"
    assert [path.name for path in tmp_path.glob("*/*")] == [digest.removeprefix("sha256:")]


def test_what_is_not_there_is_none(tmp_path: Path) -> None:
    assert FileBlobs(tmp_path).get("sha256:" + "0" * 64) is None


def test_changed_bytes_are_never_handed_out(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    digest = blobs.put(b"contract")
    next(tmp_path.glob("*/*")).write_bytes(b"contrast")
    with pytest.raises(WardwrightError, match="not what its digest names"):
        blobs.get(digest)


@pytest.mark.parametrize("digest", ["", "sha256:", "sha256:../../etc/passwd", "md5:" + "0" * 64, "sha256:" + "G" * 64])
def test_what_is_no_digest_names_no_file(tmp_path: Path, digest: str) -> None:
    with pytest.raises(WardwrightError, match="is not a digest"):
        FileBlobs(tmp_path).get(digest)
