"""Rows of the index taken together by the value of one column, as one statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from wardwright.journal.store import Asking, Total

Cells = tuple[str | int | None, ...]

_VALUE: Final = "value_"
_PLACE: Final = "place_"
_MANY: Final = "many_"


def statement(asking: Asking, conditions: Sequence[str]) -> str:
    """The question in SQL. Its values: those of the conditions, the rows at most, the counted value, the groups at
    most.

    Each group comes behind how many rows there are in all of them. A percentile is the nearest rank: the smallest value
    that so many of the group's rows do not exceed.
    """
    counted = f'COALESCE(SUM("{asking.counted.column}" = ?), 0)'
    needed = ", ".join(
        f'"{name}"' for name in dict.fromkeys((asking.by, asking.counted.column, asking.ranked, *asking.sums))
    )
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    sums = "".join(f', COALESCE(SUM("{name}"), 0)' for name in asking.sums)
    ranks = "".join(
        f', MIN(CASE WHEN {_PLACE} * 100 >= {_MANY} * {percent} THEN "{asking.ranked}" END)'
        for percent in asking.percents
    )
    return (
        f"WITH looked AS (SELECT {needed} FROM calls{where} ORDER BY started_at DESC, receipt DESC LIMIT ?),"
        f' placed AS (SELECT *, "{asking.by}" AS {_VALUE},'
        f' ROW_NUMBER() OVER (PARTITION BY "{asking.by}" ORDER BY "{asking.ranked}") AS {_PLACE},'
        f' COUNT(*) OVER (PARTITION BY "{asking.by}") AS {_MANY} FROM looked)'
        f" SELECT SUM(COUNT(*)) OVER (), {_VALUE}, COUNT(*), {counted}{sums}{ranks}"
        f" FROM placed GROUP BY {_VALUE} ORDER BY COUNT(*) DESC, {_VALUE} LIMIT ?"
    )


def total_of(cells: Cells, asking: Asking) -> Total:
    """One row of the answer."""
    _, value, rows, counted, *figures = cells
    sums = len(asking.sums)
    return Total(
        value=value,
        rows=int(rows or 0),
        counted=int(counted or 0),
        sums=tuple(int(one or 0) for one in figures[:sums]),
        ranks=tuple(int(one or 0) for one in figures[sums:]),
    )
