"""The table of detectors for `docs/detectors.md`, from the rows themselves."""

from __future__ import annotations

from wardwright.kernel.detectors.table import FAMILIES, rows_of


def table() -> str:
    """A table of names for each family."""
    return "\n\n".join(_family(family) for family in FAMILIES)


def _family(family: str) -> str:
    lines = [f"### {family}", "", "| Name | Finds | Proved by |", "|---|---|---|"]
    lines += [f"| `{row.name}` | {row.says} | {row.proves or 'its shape'} |" for row in rows_of(family)]
    return "\n".join(lines)
