"""The tables of the index. A change of a word here makes every existing index be built anew."""

from __future__ import annotations

from typing import Final

from wardwright.journal.rows import Column

SCHEMA: Final = (
    """CREATE TABLE sources (
        id INTEGER PRIMARY KEY, writer TEXT NOT NULL, chain TEXT NOT NULL,
        segment INTEGER NOT NULL, offset INTEGER NOT NULL, bytes INTEGER NOT NULL, record TEXT NOT NULL,
        first INTEGER NOT NULL, UNIQUE (writer, chain))""",
    """CREATE TABLE places (
        receipt TEXT NOT NULL, source INTEGER NOT NULL, segment INTEGER NOT NULL, offset INTEGER NOT NULL,
        bytes INTEGER NOT NULL, PRIMARY KEY (receipt, source, segment, offset)) WITHOUT ROWID""",
)
"""How far each chain was taken in, and where the records of a call lie."""


def create_calls(columns: tuple[Column, ...]) -> tuple[str, ...]:
    """The table of ended calls and its ways in: by receipt, by time, and by each sought column and time.

    A row without a value in a sought column costs nothing there. Every way in names a row by its number: by its
    receipt, each of them would be half as large again.
    """
    members = ", ".join(
        f'"{column.name}" {column.type.upper()}{" PRIMARY KEY NOT NULL" if column.name == "receipt" else ""}'
        for column in columns
    )
    sought = [column.name for column in columns if column.sought]
    return (
        f"CREATE TABLE calls ({members}, source_ INTEGER NOT NULL, segment_ INTEGER NOT NULL)",
        "CREATE INDEX calls_by_time ON calls (started_at)",
        *(
            f'CREATE INDEX "calls_by_{name}" ON calls ("{name}", started_at) WHERE "{name}" IS NOT NULL'
            for name in sought
        ),
    )
