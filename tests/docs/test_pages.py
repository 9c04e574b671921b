"""The pages say what the code does, and lead where they say they lead."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts import generated, hygiene
from wardwright.kernel.errors import CODES

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted(path for path in hygiene.tracked() if path.suffix == ".md")
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
FOUR_PARTS = ["Context", "Decision", "Consequences", "What would change our mind"]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def text_outside_code(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors_of(page: Path) -> set[str]:
    """The fragments that the headings of a page answer to."""
    headings = re.findall(r"^#+ (.+)$", text_outside_code(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def links_of(page: Path) -> list[str]:
    """Links into this repository."""
    targets = re.findall(r"\]\(([^)\s]+)\)", text_outside_code(page))
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


@pytest.mark.parametrize("page", DECISIONS, ids=name_of)
def test_a_decision_says_why_what_follows_and_what_would_change_our_mind(page: Path) -> None:
    assert re.findall(r"^## (.+)$", page.read_text(), flags=re.MULTILINE) == FOUR_PARTS


def test_decisions_are_numbered_without_gaps_and_carry_their_number() -> None:
    numbers = [page.name[:4] for page in DECISIONS]
    assert numbers == [f"{number:04}" for number in range(1, len(DECISIONS) + 1)]
    assert [page.read_text()[2:6] for page in DECISIONS] == numbers


def test_every_error_code_is_documented() -> None:
    page = (ROOT / "docs" / "errors.md").read_text()
    assert [code for code in CODES if f"| `{code}` |" not in page] == []


@pytest.mark.parametrize("item", generated.GENERATED, ids=lambda item: item.path)
def test_a_generated_file_agrees_with_the_code(item: generated.Generated) -> None:
    assert item.held() == item.wanted()


def test_the_glossary_is_sorted_and_explains_each_term_once() -> None:
    page = (ROOT / "docs" / "glossary.md").read_text()
    terms = re.findall(r"^\*\*(.+?)\*\*: ", page, flags=re.MULTILINE)
    assert len(terms) > 50
    assert terms == sorted(set(terms), key=str.casefold)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    broken = []
    for link in links_of(page):
        path, _, fragment = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (fragment and fragment not in anchors_of(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_make_targets_that_a_page_names_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    known = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    named = set(re.findall(r"(?:^|`|&& )make ([a-z-]+)", page.read_text(), flags=re.MULTILINE))
    assert named <= known


def test_tracked_files_name_no_machine_and_no_package_index() -> None:
    assert hygiene.all_complaints() == []


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("see https://" + "py" + "pi.org/simple\n", "page.md:1: the host of a package index"),
        ("first\ncd " + "/".join(["", "home", "someone", "project"]) + "\n", "page.md:2: a path of one machine"),
        ("a line \n", "page.md:1: trailing whitespace"),
        ("a line\r\n", "page.md:1: a carriage return"),
        ("no end", "page.md:1: not exactly one newline at the end"),
        ("two ends\n\n", "page.md:1: not exactly one newline at the end"),
        ("\N{BROKEN BAR}", "page.md: not UTF-8"),
    ],
)
def test_hygiene_names_the_place(content: str, what: str) -> None:
    encoding = "latin-1" if what.endswith("UTF-8") else "utf-8"
    assert list(hygiene.complaints("page.md", content.encode(encoding))) == [what]


def test_hygiene_leaves_golden_files_as_they_came() -> None:
    assert list(hygiene.complaints("tests/golden/case.txt", b"kept \r\n as it came")) == []
