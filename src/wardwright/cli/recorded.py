"""What a state directory keeps of calls: receipts, the contracts they name, captured bodies. Read where it lies.

A gateway may run over it meanwhile: reading takes no lock.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from wardwright.calls.receipt import CLOSED, Receipt, Summary
from wardwright.harness.core.receipt import ToolReceipt
from wardwright.journal.captures import Capture
from wardwright.journal.rows import value_of
from wardwright.journal.store import Where
from wardwright.kernel.errors import WardwrightError
from wardwright.runtime.offline import StoredJournal, require_state


class Recorded:
    """Open it with `with`. Raises `settings_invalid` for a directory that no gateway has used."""

    def __init__(self, state: Path) -> None:
        require_state(state)
        self._journal = StoredJournal(state)

    def __enter__(self) -> Self:
        self._journal.index.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._journal.index.close()

    def receipt(self, id_: str) -> Receipt:
        """The receipt of a closed call. Raises `receipt_not_found`."""
        records = self._journal.index.get(id_)
        for record in records:
            if record.kind == CLOSED:
                return msgspec.json.decode(record.data, type=Receipt)
        if records:
            raise WardwrightError("receipt_not_found", f"`{id_}` was never closed: there is no receipt to read")
        raise WardwrightError("receipt_not_found", f"no receipt `{id_}`", hint="`wardwright receipt list` shows them")

    def summaries(
        self, where: tuple[Where, ...], *, limit: int, cursor: str | None = None
    ) -> tuple[tuple[Summary, ...], str | None]:
        """Some calls, newest first, and the cursor of the next ones."""
        page = self._journal.index.query(where, limit=limit, cursor=cursor)
        return tuple(value_of(row, Summary) for row in page.rows), page.next

    def load(self, digest: str) -> bytes | None:
        """A stored contract or closure."""
        return self._journal.contracts.get(digest)

    def capture(self, receipt: Receipt | ToolReceipt) -> Capture | None:
        """The bodies of a call, where they are kept still."""
        if not receipt.captured:
            return None
        return self._journal.captures.get(receipt.caller.tenant.value, receipt.receipt)
