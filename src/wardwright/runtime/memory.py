"""How the process keeps its memory while it serves.

Both choices trade memory that is ours already for time: the collector looks less often for cycles that a call does not
make, and the C library keeps freed blocks instead of handing them back to the kernel, which would have to clear them
again page by page for the next long prompt.
"""

from __future__ import annotations

import ctypes
import gc
from typing import Final

GARBAGE_THRESHOLDS: Final = (50_000, 20, 50)
"""Allocations before each generation of the collector runs; the interpreter's default is 700."""

KEPT_BYTES_MAX: Final = 64 * 1024 * 1024
"""Blocks up to this size come from the heap, and so much of its free end is kept."""

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3


def settle() -> None:
    """Call it once everything is loaded: what is there by now stays, and is not looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # of glibc; other C libraries have nothing to tell
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, KEPT_BYTES_MAX)
        mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES_MAX)
