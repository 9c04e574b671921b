"""What no tracked file may hold: whatever would be noise in a review, or means something on one machine alone.

`python -m scripts.hygiene` looks at every file that git tracks or would track, and names each place.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
FILE_BYTES_MAX: Final = 512 * 1024

VERBATIM: Final = ("LICENSE", "tests/golden/", "tests/transcripts/")
"""Where bytes are kept as they came: whitespace is part of the case."""

# Spelled in pieces, so that this file does not hold what it looks for.
_INDEXES: Final = (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"), ("crates", "io"))
_HOMES: Final = ("work", "root", "home", "Users", "opt", "tmp/lab")

FORBIDDEN: Final = (
    (re.compile("|".join(re.escape(".".join(labels)) for labels in _INDEXES)), "the host of a package index"),
    (re.compile(rf"(?<![\w.\-}}])/(?:{'|'.join(_HOMES)})/"), "a path of one machine"),
    (re.compile(r"^(?:<{7}|>{7}) ", re.MULTILINE), "a merge conflict"),
)
UNTIDY: Final = (
    (re.compile(r"[ \t]+$", re.MULTILINE), "trailing whitespace"),
    (re.compile(r"\r"), "a carriage return"),
    (re.compile(r"(?<!\n)\Z|\n\n\Z"), "not exactly one newline at the end"),
)


def complaints(name: str, content: bytes) -> Iterator[str]:
    """One line a place that must change, in a file with this name from the root and this content."""
    if len(content) > FILE_BYTES_MAX:
        yield f"{name}: larger than {FILE_BYTES_MAX // 1024} KB"
    if b"\0" in content:
        return
    try:
        text = content.decode()
    except UnicodeDecodeError:
        yield f"{name}: not UTF-8"
        return
    rules = FORBIDDEN if name.startswith(VERBATIM) or not text else FORBIDDEN + UNTIDY
    for pattern, what in rules:
        for match in pattern.finditer(text):
            yield f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {what}"


def tracked() -> list[Path]:
    """Every file that git tracks, or would with the next `git add`, and that still exists."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = (ROOT / name for name in listed.stdout.decode().split("\0") if name)
    return sorted(path for path in set(paths) if path.is_file() and not path.is_symlink())


def all_complaints() -> list[str]:
    return [line for path in tracked() for line in complaints(path.relative_to(ROOT).as_posix(), path.read_bytes())]


def main() -> int:
    found = all_complaints()
    print(*found, sep="\n", end="\n" if found else "", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
