"""A state store in memory. Passes `wardwright.testing.state_kit` as the one on disk does."""

from __future__ import annotations

from collections.abc import Mapping

from wardwright.journal.state import Reached, Snapshot
from wardwright.kernel.errors import WardwrightError


class MemoryStateStore:
    """Implements `journal.state.StateStore`."""

    def __init__(self) -> None:
        self.kept: dict[str, Snapshot] = {}
        """By projection."""
        self.broken = False
        """While true, nothing can be written."""

    def load(self, projection: str) -> Snapshot:
        return self.kept.get(projection, Snapshot())

    def save(self, projection: str, changes: Mapping[str, bytes | None], reached: tuple[Reached, ...]) -> None:
        self._require_whole()
        changed = {**self.load(projection).rows, **changes}
        rows = {key: value for key, value in changed.items() if value is not None}
        self.kept[projection] = Snapshot(rows=rows, reached=tuple(sorted(reached)))

    def clear(self, projection: str) -> None:
        self._require_whole()
        self.kept.pop(projection, None)

    def _require_whole(self) -> None:
        if self.broken:
            raise WardwrightError("state_write", "the state store cannot be used: it was broken by a test")
