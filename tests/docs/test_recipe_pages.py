"""The pages of recipes say what happens: the code on each is run against the examples, what it prints and what the
last receipt says are compared with the page.

After a change that was meant: `WARDWRIGHT_RECIPES=write python -m pytest tests/docs/test_recipe_pages.py`.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
from pathlib import Path
from typing import Any, Final

import pytest

from parts.examples import EXAMPLES, serving, told
from parts.gateway_thread import GatewayThread

RECIPES: Final = Path(__file__).parents[2] / "docs" / "recipes"
PAGES: Final = sorted(page for page in RECIPES.glob("*.md") if page.name != "index.md")
WRITE: Final = os.environ.get("WARDWRIGHT_RECIPES") == "write"
ADDRESS: Final = "http://127.0.0.1:8787/v1"
COLUMNS: Final = 116
ARMS: Final = {"plain", "plan-first"}
"""Of the prompt experiment. Which one a conversation draws depends on the installation's own key."""


def block(page: str, language: str) -> re.Match[str]:
    """The one block of this language."""
    found = list(re.finditer(rf"^```{language}\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL))
    assert len(found) == 1
    return found[0]


def printed(code: str, gateway: GatewayThread) -> str:
    assert ADDRESS in code
    out = io.StringIO()
    names: dict[str, Any] = {}
    with contextlib.redirect_stdout(out):
        exec(code.replace(ADDRESS, gateway.base_url), names)
    names["client"].close()
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().rstrip().splitlines())


def laid_out(value: Any, indent: int = 0) -> str:
    """JSON that takes one line where one is wide enough."""
    short = json.dumps(value, ensure_ascii=False)
    if indent + len(short) <= COLUMNS or not isinstance(value, dict | list) or not value:
        return short
    pad, deeper = " " * indent, " " * (indent + 2)
    if isinstance(value, dict):
        inner = [f"{deeper}{json.dumps(name)}: {laid_out(one, indent + 2)}" for name, one in value.items()]
        return "{\n" + ",\n".join(inner) + f"\n{pad}}}"
    return "[\n" + ",\n".join(deeper + laid_out(one, indent + 2) for one in value) + f"\n{pad}]"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_recipe_plays_as_its_page_says(page: Path, tmp_path: Path) -> None:
    text = page.read_text()
    with serving(tmp_path) as gateway:
        said = printed(block(text, "python")[1], gateway)
        receipt = told(gateway.ended()[-1].receipt)
    if "variant" in receipt:
        assert receipt["variant"] in ARMS
        receipt["variant"] = "plan-first"
    played = text
    for language, content in (("json", laid_out(receipt) + "\n"), ("text", said)):
        found = block(played, language)
        played = played[: found.start(1)] + content + played[found.end(1) :]
    if WRITE:
        page.write_text(played)
    assert played == text or WRITE


def test_the_index_links_every_page_once_and_every_shipped_recipe_has_one() -> None:
    linked = re.findall(r"^\| \[.+?\]\((.+?)\.md\)", (RECIPES / "index.md").read_text(), flags=re.MULTILINE)
    assert sorted(linked) == [page.stem for page in PAGES]
    assert {file.stem for file in (EXAMPLES / "recipes").iterdir()} <= set(linked)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_tells_the_failure_before_the_cure(page: Path) -> None:
    headings = re.findall(r"^## (.+)$", page.read_text(), flags=re.MULTILINE)
    assert headings[:4] == ["The failure", "What the policy does", "Try it", "What the receipt says"]
