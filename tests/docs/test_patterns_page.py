"""The page of the pattern language admits and refuses what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from wardwright.kernel.patterns.admission import Regex, admit
from wardwright.kernel.patterns.language import PatternProblem

PAGE = (Path(__file__).parent.parent.parent / "docs" / "patterns.md").read_text()


def rows(heading: str) -> list[tuple[str, str]]:
    """Each pattern of the table under a heading, with the second column."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    cells = [re.split(r"(?<!\\)\|", line) for line in section.splitlines() if line.startswith("| `")]
    return [(one.replace(r"\|", "|"), row[2].strip()) for row in cells for one in re.findall(r"`([^`]+)`", row[1])]


@pytest.mark.parametrize("pattern", [pattern for pattern, _ in rows("What is in")])
def test_what_the_page_says_is_in_is_admitted(pattern: str) -> None:
    assert admit(Regex(f"a{pattern}" if pattern in ("$", r"\z") else f"{pattern}a")).chars_min > 0


@pytest.mark.parametrize(("pattern", "reason"), rows("What is refused, and why"))
def test_what_the_page_says_is_refused_is_refused_for_that_reason(pattern: str, reason: str) -> None:
    with pytest.raises(PatternProblem) as caught:
        admit(Regex(pattern))
    assert reason.replace("`", "") in caught.value.reason.replace("`", "")
