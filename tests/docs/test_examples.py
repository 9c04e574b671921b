"""Examples run where they can, and parse where they cannot."""

from __future__ import annotations

import ast
import doctest
import importlib
import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from scripts import hygiene
from wardwright.contracts.check import check, gather
from wardwright.contracts.decode import decode

ROOT = Path(__file__).parent.parent.parent
SOURCE = ROOT / "src"
WITH_DOCTESTS = sorted(path for path in SOURCE.rglob("*.py") if ">>> " in path.read_text())
LANGUAGES = ("python", "json", "yaml", "toml", "sh")


def module_of(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def blocks() -> list[tuple[str, str, str]]:
    """Every fenced block of a page: where it stands, its language, its text."""
    found = []
    for page in (path for path in hygiene.tracked() if path.suffix == ".md"):
        for match in re.finditer(r"^```(\w+)\n(.*?)^```$", page.read_text(), flags=re.MULTILINE | re.DOTALL):
            line = page.read_text().count("\n", 0, match.start()) + 1
            found.append((f"{page.relative_to(ROOT)}:{line}", match[1], match[2]))
    return [block for block in found if block[1] in LANGUAGES]


@pytest.mark.parametrize("path", WITH_DOCTESTS, ids=module_of)
def test_the_examples_in_docstrings_run(path: Path) -> None:
    outcome = doctest.testmod(importlib.import_module(module_of(path)))
    assert outcome.attempted > 0
    assert outcome.failed == 0


@pytest.mark.parametrize(("place", "language", "text"), blocks(), ids=lambda value: value if ".md:" in value else "")
def test_a_code_block_on_a_page_parses_and_contracts_check_clean(place: str, language: str, text: str) -> None:
    match language:
        case "python":
            assert ast.parse(text, filename=place).body
        case "json":
            assert json.loads(text) is not None
        case "yaml":
            assert list(YAML(typ="safe").load_all(text))
            if text.lstrip().startswith("kind:"):
                gathered = gather(decode(text.encode(), f"{Path(place.partition(':')[0]).name}.yaml"))
                verdict = check(gathered.models, gathered.providers, gathered.policies)
                assert (gathered.errors, verdict.errors, verdict.warnings) == ((), (), ())
        case "toml":
            assert tomllib.loads(text)
        case "sh":
            subprocess.run(["sh", "-n"], input=text, text=True, check=True)
        case _:
            raise AssertionError(f"{place}: no parser for {language}")
