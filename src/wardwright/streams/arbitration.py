"""Which edits are made where several rules want the same text.

Rule 1: edits that overlap, directly or through others, are decided together; touching is not overlapping.
Rule 2: the better rank is taken first, then the larger priority, the earlier start, the rule's id; what overlaps a
taken edit is lost to it. Never the order of rules in a file.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from wardwright.streams.rule import RANK, Action


class Edit(msgspec.Struct, frozen=True):
    """What one rule wants done to one span."""

    start: int
    end: int
    rule: int
    """The rule's index in its plan."""
    id: str
    action: Action
    priority: int


class Ruling(msgspec.Struct, frozen=True):
    """What became of one edit."""

    edit: Edit
    lost_to: str | None = None


def clusters(edits: Iterable[Edit]) -> list[list[Edit]]:
    """Edits that hang together, in the order of the text."""
    out: list[list[Edit]] = []
    reach = -1
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end, edit.id)):
        if edit.start < reach:
            out[-1].append(edit)
        else:
            out.append([edit])
        reach = max(reach, edit.end)
    return out


def arbitrate(cluster: list[Edit]) -> list[Ruling]:
    """One ruling an edit, in the order of the text."""
    taken: list[Edit] = []
    rulings: list[Ruling] = []
    for edit in sorted(cluster, key=_precedence):
        winner = next((other for other in taken if other.start < edit.end and edit.start < other.end), None)
        if winner is None:
            taken.append(edit)
        rulings.append(Ruling(edit, None if winner is None else winner.id))
    return sorted(rulings, key=lambda ruling: (ruling.edit.start, ruling.edit.end, ruling.edit.id))


def _precedence(edit: Edit) -> tuple[int, int, int, str]:
    return RANK[type(edit.action)], -edit.priority, edit.start, edit.id
