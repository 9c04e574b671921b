"""Receipts of tool calls for `wardwright receipt list --tools` and `receipt show`: read where they lie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from wardwright.api.bodies import Bodies, bodies_of
from wardwright.api.receipts import Position, position_of
from wardwright.cli import tool_receipt_words
from wardwright.cli.output import Output
from wardwright.cli.receipt_words import lines_of_bodies
from wardwright.cli.recorded import Recorded
from wardwright.cli.why import reasons_of
from wardwright.contracts.refusal import did_you_mean
from wardwright.harness.core.receipt import PREFIX, ToolReceipt
from wardwright.harness.core.rows import COLUMNS
from wardwright.journal.store import Where
from wardwright.kernel.errors import WardwrightError
from wardwright.runtime.offline import require_state
from wardwright.runtime.tool_records import Standing, ToolRecords, receipt_among, standing_of

_TYPES: Final = {column.name: column.type for column in COLUMNS}


class FullTool(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the journal holds about one call of a tool."""

    id: str
    """The receipt's id."""
    state: Standing
    """`open`: the call is under way; `lost`: the process ended before the call did."""
    receipt: ToolReceipt
    """Of a call that was not closed: what is known of it."""
    records: tuple[Position, ...]
    """Oldest first."""


class FullToolWithBodies(FullTool, frozen=True, kw_only=True):
    """The same, with what was asked and given."""

    bodies: Bodies


def is_tool(id_: str) -> bool:
    """Whether a receipt's id is that of a tool call."""
    return id_.startswith(f"{PREFIX}_")


def listed(where: Mapping[str, str], *, limit: int, cursor: str | None, state: Path, out: Output) -> None:
    """Find calls of tools, newest first. Raises `usage` for a filter that there is not."""
    require_state(state)
    with ToolRecords(state) as records:
        page = records.page(tuple(_condition(name, value) for name, value in where.items()), limit=limit, cursor=cursor)
    if not page.data and not out.as_json:
        out.note("no receipt is like that")
        return
    out.table(page, tool_receipt_words.HEADERS, map(tool_receipt_words.row, page.data))
    if page.next is not None and not out.as_json:
        out.note(f"next page: --cursor {page.next}")


def shown(id_: str, bodies: bool, state: Path, out: Output) -> None:
    """Show one receipt. Raises `receipt_not_found`, `capture_not_found`."""
    with ToolRecords(state) as tools, Recorded(state) as recorded:
        records = tools.records(id_)
        receipt = receipt_among(records) or tools.receipt(id_)
        reasons = reasons_of(receipt.policies, recorded.load)
        kept = bodies_of(id_, recorded.capture(receipt)) if bodies else None
    state_now = standing_of(records)
    full = FullTool(id=id_, receipt=receipt, records=tuple(map(position_of, records)), state=state_now)
    last = full.records[-1]
    place = f"record    {last.writer}/{last.chain} seq {last.seq}, {last.id[:12]}"
    told = (*tool_receipt_words.lines(receipt, reasons, state_now), place)
    if kept is None:
        out.answer(full, lambda: told)
    else:
        whole = FullToolWithBodies(**msgspec.structs.asdict(full), bodies=kept)
        out.answer(whole, lambda: (*told, *lines_of_bodies(kept)))


def _condition(name: str, value: str) -> Where:
    column, _, bound = name.rpartition("_")
    if bound in ("min", "max") and _TYPES.get(column) == "integer":
        if not value.removeprefix("-").isdecimal():
            raise WardwrightError("usage", f"`{name}` is a number, and `{value}` is none")
        return Where(column, "min" if bound == "min" else "max", int(value))
    if name not in _TYPES:
        message = f"receipts of tools cannot be found by `{name}`"
        raise WardwrightError("usage", message, hint=did_you_mean(name, _TYPES))
    return Where(name, "eq", int(value) if _TYPES[name] == "integer" and value.isdecimal() else value)
