"""A governed call's life in the journal: opened, then closed; or lost.

`….opened` is written before anything that cannot be taken back, `….closed` is the receipt, and on start the writer
records `….lost` for every opened call that was never closed. A call that does nothing irrevocable before it closes
needs no `….opened`.

Calls of models and calls of tools live alike: `call.…` and `tool.…`. How the id of a receipt begins tells which of the
two it is of.
"""

from __future__ import annotations

from typing import Final

import msgspec

from wardwright.journal.checkpoint import OpenCall, checkpoint_of
from wardwright.journal.entry import Entry, Record
from wardwright.kernel.errors import WardwrightError

OPENED: Final = "call.opened"
CLOSED: Final = "call.closed"
LOST: Final = "call.lost"

TOOL_OPENED: Final = "tool.opened"
TOOL_CLOSED: Final = "tool.closed"
TOOL_LOST: Final = "tool.lost"

RECEIPT_PREFIX: Final = "rcp"
"""How ids of receipts begin."""
TOOL_RECEIPT_PREFIX: Final = "rct"
"""The same for calls of tools."""

OPENINGS: Final = frozenset((OPENED, TOOL_OPENED))
LOSSES: Final = frozenset((LOST, TOOL_LOST))
ENDS: Final = frozenset((CLOSED, TOOL_CLOSED)) | LOSSES
KINDS: Final = OPENINGS | ENDS


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """The `data` of a `….lost`: the writer ended while the call was under way."""

    opened: str
    """The id of its `….opened` record."""
    receipt: str


class _Mention(msgspec.Struct):
    receipt: str


_mention = msgspec.json.Decoder(_Mention)


def receipt_of(record: Record) -> str | None:
    """The receipt id that a record of a call's life is about; None for any other record."""
    if record.kind not in KINDS:
        return None
    return mentioned(record.data)


def mentioned(data: bytes | msgspec.Raw) -> str:
    """The `receipt` member of encoded data. Raises `journal_broken` where there is none."""
    try:
        return _mention.decode(data).receipt
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise WardwrightError("journal_broken", f"a record of a call names no receipt: {error}") from error


class OpenCalls:
    """A fold over a chain: the calls that are opened and not closed, in the order in which they were opened."""

    def __init__(self, calls: tuple[OpenCall, ...] = ()) -> None:
        self._opened = {call.receipt: call.opened for call in calls}

    def __len__(self) -> int:
        return len(self._opened)

    def saw(self, kind: str, receipt: str, id: str) -> None:
        """One record of a call's life."""
        if kind in OPENINGS:
            self._opened[receipt] = id
        else:
            self._opened.pop(receipt, None)

    def step(self, record: Record) -> None:
        """One record of any kind. A checkpoint says what is open, so a fold may begin at one."""
        receipt = receipt_of(record)
        if receipt is not None:
            self.saw(record.kind, receipt, record.id)
        elif (checkpoint := checkpoint_of(record)) is not None:
            self._opened = {call.receipt: call.opened for call in checkpoint.seal.open}

    def calls(self) -> tuple[OpenCall, ...]:
        return tuple(OpenCall(opened=opened, receipt=receipt) for receipt, opened in self._opened.items())


def lost(call: OpenCall, at: int) -> Entry:
    """The entry that ends a call whose writer ended first."""
    return Entry(
        TOOL_LOST if call.receipt.startswith(TOOL_RECEIPT_PREFIX) else LOST,
        Lost(opened=call.opened, receipt=call.receipt),
        at=at,
        actor="journal",
        refs=(("intent", call.opened),),
    )
