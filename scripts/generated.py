"""Files that are written from the code, and the check that they agree with it.

`python -m scripts.generated write` writes them, `check` fails with the names of those that differ. A file is either
generated whole or between two marks, `<!-- generated: NAME -->` and `<!-- end: NAME -->`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.report import CHART, PAGE, published
from scripts import cli_reference, detector_table, error_codes, house, http_api, policy_pages, receipt_pages, tool_pages
from wardwright.runtime.units import units

ROOT: Final = Path(__file__).parent.parent


@dataclass(frozen=True)
class Generated:
    """One file, or one marked part of it."""

    path: str
    """From the root of the repository."""
    make: Callable[[], str]
    mark: str | None = None
    """The part's name; None where the whole file is generated."""

    def wanted(self) -> str:
        """What the file should hold."""
        made = self.make()
        if self.mark is None:
            return made
        opening, closing = f"<!-- generated: {self.mark} -->\n", f"<!-- end: {self.mark} -->"
        before, found, rest = self.held().partition(opening)
        _, found_end, after = rest.partition(closing)
        if not (found and found_end):
            raise SystemExit(
                f"error: {self.path} lacks the marks of {self.mark!r}\n\nhint: {opening.strip()} … {closing}"
            )
        return f"{before}{opening}{made}\n{closing}{after}"

    def held(self) -> str:
        """What the file holds; empty where there is none."""
        path = ROOT / self.path
        return path.read_text() if path.exists() else ""

    def agrees(self) -> bool:
        return self.held() == self.wanted()

    def write(self) -> None:
        path = ROOT / self.path
        wanted = self.wanted()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted)


PACKAGED: Final = "packaging/systemd"

DOCS: Final = ROOT / "docs"

GENERATED: Final = (
    Generated("ARCHITECTURE.md", house.picture, mark="house"),
    Generated(f"docs/{PAGE}", lambda: published(DOCS)[PAGE]),
    Generated(f"docs/{CHART}", lambda: published(DOCS)[CHART]),
    Generated("docs/cli.md", cli_reference.page),
    Generated("docs/detectors.md", detector_table.table, mark="detectors"),
    Generated("docs/errors.md", error_codes.page),
    Generated("docs/openapi.json", http_api.page),
    Generated("docs/policies.md", policy_pages.fields, mark="fields"),
    Generated("docs/policies.md", policy_pages.operators, mark="operators"),
    Generated("docs/policies.md", policy_pages.actions, mark="actions"),
    Generated("docs/policies.md", policy_pages.findings, mark="findings"),
    Generated("docs/receipt.md", receipt_pages.page),
    Generated("docs/receipt.schema.json", receipt_pages.schema),
    Generated("docs/tools.md", tool_pages.overview, mark="overview"),
    Generated("docs/tools.md", tool_pages.reference, mark="reference"),
    *(Generated(f"{PACKAGED}/{one.name}", lambda text=one.text: text) for one in units()),  # type: ignore[misc]  # bound
)


def main(arguments: Sequence[str]) -> int:
    match arguments:
        case ["write"]:
            for item in GENERATED:
                if not item.agrees():
                    item.write()
                    print(f"wrote {item.path}")
            return 0
        case ["check"]:
            stale = sorted({item.path for item in GENERATED if not item.agrees()})
            for path in stale:
                print(f"error: {path} does not agree with the code it is generated from", file=sys.stderr)
            if stale:
                print("\nhint: run `make generate`", file=sys.stderr)
            return 1 if stale else 0
        case _:
            print("usage: python -m scripts.generated write | check", file=sys.stderr)
            return 64


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
