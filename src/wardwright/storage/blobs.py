"""Bytes by the digest of their content: one file each, whole or not at all. Kept for ever.

Bodies of calls never lie here: whoever knows a digest can test a guess. Those are `storage.captures`.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Final

from wardwright.kernel.errors import Place, WardwrightError
from wardwright.storage.files import create

_DIGEST: Final = re.compile(r"sha256:([0-9a-f]{64})")
BLOB_BYTES_MAX: Final = 64 * 1024 * 1024


class FileBlobs:
    """A directory of blobs. Implements `journal.store.Blobs`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def put(self, content: bytes) -> str:
        """Raises `body_too_large` past BLOB_BYTES_MAX."""
        if len(content) > BLOB_BYTES_MAX:
            raise WardwrightError("body_too_large", f"a blob of {len(content)} bytes, more than {BLOB_BYTES_MAX}")
        name = hashlib.sha256(content).hexdigest()
        path = self._path(name)
        if not path.exists():
            create(path, content)
        return f"sha256:{name}"

    def get(self, digest: str) -> bytes | None:
        path = self._path(_name(digest))
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        if f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
            raise WardwrightError(
                "journal_broken", "the blob is not what its digest names", place=Place(file=str(path))
            )
        return content

    def _path(self, name: str) -> Path:
        return self.directory / name[:2] / name


def contract_blobs(state: Path) -> FileBlobs:
    """Where contracts are kept."""
    return FileBlobs(state / "blobs" / "contracts")


def _name(digest: str) -> str:
    found = _DIGEST.fullmatch(digest)
    if found is None:
        raise WardwrightError("invalid_request", f"{digest!r} is not a digest: sha256: and 64 hex digits")
    return found[1]
