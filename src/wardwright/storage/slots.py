"""Opening a writer where the chain of its slot may be broken.

A broken chain is never continued and never touched: it is evidence. Told to go on, the writer takes a new slot, whose
control chain says which writer was left behind and why; a mark in the old one keeps later starts away from it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

import msgspec

from wardwright.journal.statements import Quarantined, quarantined
from wardwright.kernel.errors import Place, WardwrightError
from wardwright.storage import layout
from wardwright.storage.files import create
from wardwright.storage.segments import SegmentWriter, Started

SUCCESSORS_MAX: Final = 8
"""Slots that may be left behind before a person has to look."""


def open_writer(
    make: Callable[[str], SegmentWriter],
    state: Path,
    *,
    node: str,
    slot: str,
    now_us: int,
    on_broken: Literal["refuse", "new_slot"] = "refuse",
    address: str | None = None,
) -> tuple[SegmentWriter, Started]:
    """The writer of a slot, opened; of its successor `<slot>r<n>` where the slot is, or now gets, quarantined.

    `make` constructs a writer for a slot. Raises `journal_broken` for a broken chain unless told `new_slot`, and
    whatever else opening raises.
    """
    left_behind: list[Quarantined] = []
    for name in (slot, *(f"{slot}r{number}" for number in range(1, SUCCESSORS_MAX + 1))):
        mark = layout.writer_dir(state, f"{node}/{name}") / "quarantined"
        if mark.exists():
            continue
        writer = make(name)
        try:
            started = writer.open(address=address)
        except WardwrightError as error:
            if error.code != "journal_broken" or on_broken == "refuse":
                raise
            found = Quarantined(place=str(error.place), reason=error.message, writer=writer.writer)
            create(mark, msgspec.json.encode(found) + b"\n")
            left_behind.append(found)
            continue
        for found in left_behind:
            writer.put(quarantined(found, now_us))
        return writer, started
    raise WardwrightError(
        "journal_broken",
        f"slot {slot} and its {SUCCESSORS_MAX} successors are quarantined",
        place=Place(file=str(layout.writer_dir(state, node))),
    )
