"""What other workers write to their control chains, taken in here: contracts, keys, approvals, what was forgotten.

Rule 1: whoever writes a record of a control chain has folded it in already; everybody else hears of it within FOLLOW_S,
or at once where somebody looks.
Rule 2: a record is told once, in the order of its chain.
"""

from __future__ import annotations

import logging
from typing import Final

from wardwright.journal.entry import Record
from wardwright.journal.state import Reached, Stale, follow
from wardwright.journal.store import ChainKey, Reader
from wardwright.kernel.errors import WardwrightError

FOLLOW_S: Final = 0.1
"""How often the others' chains are looked at."""

log = logging.getLogger("wardwright")


class Following:
    """The control chains of one state directory. Construct, `restore` once, then `look` and `keep`. Belongs to the
    event loop's thread."""

    def __init__(self, reader: Reader, *, own: str = "") -> None:
        """`own` is the writer whose records are heard of otherwise."""
        self._failing = False
        self._own = own
        self._reached: tuple[Reached, ...] = ()
        self._reader = reader

    def restore(self) -> tuple[Record, ...]:
        """Every record so far, in the order of folds. Raises `journal_broken`."""
        records: list[Record] = []
        self._reached = follow(self._reader, (), records.append, only=_control)
        return tuple(records)

    def look(self) -> tuple[Record, ...]:
        """What others wrote since it was last asked for."""
        records: list[Record] = []
        try:
            self._reached = follow(self._reader, self._reached, records.append, only=self._of_others)
        except (Stale, WardwrightError, OSError) as failure:
            if not self._failing:
                log.error("what other workers wrote cannot be read: %s", failure)
            self._failing = True
            return ()
        self._failing = False
        return tuple(records)

    def _of_others(self, key: ChainKey) -> bool:
        return key.chain == "control" and key.writer != self._own


def _control(key: ChainKey) -> bool:
    return key.chain == "control"
