"""Parts of shared limits in memory. Passes `wardwright.testing.shares_kit` as those on disk do."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from wardwright.kernel.errors import WardwrightError
from wardwright.limits.shares import Key, Part, Parts


class MemoryShareStore:
    """Implements `limits.shares.ShareStore` for workers that are simulated in one thread."""

    def __init__(self) -> None:
        self.broken = False
        """While true, it answers nobody."""
        self.kept: dict[Key, dict[int, Part]] = {}
        self._joined: set[int] = set()

    def exchange(self, key: Key, worker: int, decide: Callable[[Parts], Part]) -> Parts:
        self._require_whole()
        parts = dict(self.kept.get(key, {}))
        parts[worker] = decide(parts)
        self.kept[key] = parts
        return dict(parts)

    def look(self, key: Key) -> Parts:
        self._require_whole()
        return dict(self.kept.get(key, {}))

    def put(self, worker: int, parts: Mapping[Key, Part | None]) -> None:
        self._require_whole()
        for key, part in parts.items():
            held = self.kept.setdefault(key, {})
            if part is None:
                held.pop(worker, None)
            else:
                held[worker] = part

    def join(self, worker: int, parts: Mapping[Key, Part]) -> None:
        self._require_whole()
        for held in self.kept.values():
            held.pop(worker, None)
        self.put(worker, parts)
        self._joined.add(worker)

    def joined(self) -> frozenset[int]:
        self._require_whole()
        return frozenset(self._joined)

    def _require_whole(self) -> None:
        if self.broken:
            raise WardwrightError("state_write", "the file of shared limits cannot be used: it was broken by a test")
