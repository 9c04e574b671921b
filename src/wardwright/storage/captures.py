"""Captured bodies on disk: one file a call, named by its receipt, whole or not at all.

Rule 1: a tenant is one directory and some minutes of calls are one directory below it, so that forgetting a tenant and
dropping what is old never look at single files.
Rule 2: putting and dropping exclude each other one directory at a time: nothing appears in a directory that goes.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

from wardwright.journal.captures import Capture, CapturePulse
from wardwright.kernel.errors import Place, WardwrightError
from wardwright.storage import layout
from wardwright.storage.files import create, sync_dir

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Capture).decode


class CaptureFiles:
    """The captures of a state directory, for any thread. Implements `journal.captures.Captures`."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self._changing = threading.Lock()

    def put(self, tenant: str, receipt: str, capture: Capture) -> None:
        """Durable when it returns. Raises OSError, `invalid_request`."""
        path = layout.capture_path(self.state, tenant, receipt)
        with self._changing:
            create(path, _encode(capture))

    def get(self, tenant: str, receipt: str) -> Capture | None:
        path = layout.capture_path(self.state, tenant, receipt)
        try:
            return _decode(path.read_bytes())
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError as error:
            raise WardwrightError(
                "journal_broken", f"the capture cannot be read: {error}", place=Place(file=str(path))
            ) from error

    def forget(self, tenant: str, receipt: str) -> bool:
        path = layout.capture_path(self.state, tenant, receipt)
        with self._changing, _dropping(path):
            for draft in path.parent.glob(f".{path.name}.*"):  # of a process that was killed while it wrote
                draft.unlink()
            try:
                path.unlink()
            except FileNotFoundError:
                return False
            sync_dir(path.parent)
        return True

    def forget_tenant(self, tenant: str) -> int:
        directory = layout.captures_dir(self.state) / layout.tenant_name(tenant)
        with _dropping(directory):
            count = sum(self._drop(bucket) for bucket in directory.glob(layout.CAPTURE_BUCKETS))
        with self._changing, contextlib.suppress(OSError):
            directory.rmdir()  # unless a call of the tenant has ended meanwhile
        return count

    def drop_before(self, at_us: int) -> int:
        """Drop the captures of calls that were accepted before an instant, by whole directories: what lies in one with
        a later call stays. How many there were. Raises OSError."""
        return sum(
            self._drop(bucket)
            for bucket in layout.captures_dir(self.state).glob(f"*/{layout.CAPTURE_BUCKETS}")
            if layout.capture_bucket_end_us(bucket.name) <= at_us
        )

    def pulse(self) -> CapturePulse:
        return CapturePulse()

    def _drop(self, bucket: Path) -> int:
        with self._changing:
            if not bucket.exists():
                return 0  # someone else dropped it
            count = sum(1 for path in bucket.iterdir() if not path.name.startswith("."))
            shutil.rmtree(bucket)
            sync_dir(bucket.parent)
        return count


@contextlib.contextmanager
def _dropping(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WardwrightError(
            "journal_write", f"the capture cannot be dropped: {error.strerror}", place=Place(file=str(path))
        ) from error
