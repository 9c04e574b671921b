"""What sets the project up agrees with itself."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent.parent
REQUIREMENTS = ["requirements.txt", "requirements-demo.txt", "requirements-test.txt", "requirements-check.txt"]


def versions_of(name: str) -> dict[str, set[str]]:
    """Package to its versions; more than one where Python versions need different ones."""
    found: dict[str, set[str]] = {}
    for package, version in re.findall(r"^([a-z0-9._-]+)==(\S+)", (ROOT / name).read_text(), flags=re.MULTILINE):
        found.setdefault(package, set()).add(version)
    return found


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def package_of(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match is not None
    return re.sub(r"[._]", "-", match[0].lower())


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_every_requirement_is_exact_and_hashed_and_has_no_address(name: str) -> None:
    text = (ROOT / name).read_text()
    blocks = re.split(r"\n(?=[a-z0-9])", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).strip())
    assert [block for block in blocks if "==" not in block.split()[0] or "--hash=sha256:" not in block] == []
    assert "://" not in text


@pytest.mark.parametrize(("smaller", "larger"), list(itertools.pairwise(REQUIREMENTS)))
def test_a_package_has_one_version_in_every_set(smaller: str, larger: str) -> None:
    assert versions_of(smaller).items() <= versions_of(larger).items()


def test_every_dependency_is_locked() -> None:
    direct = {package_of(requirement) for requirement in project()["project"]["dependencies"]}
    assert direct <= set(versions_of("requirements.txt"))


def test_every_dependency_has_a_reason() -> None:
    reasons = (ROOT / "docs" / "decisions" / "0008-dependencies.md").read_text()
    direct = {re.split(r"[>=<\[]", requirement)[0] for requirement in project()["project"]["dependencies"]}
    assert {name for name in direct if name not in reasons} == set()


def test_the_lock_file_for_node_has_hashes_and_no_address() -> None:
    text = (ROOT / "tests" / "node" / "package-lock.json").read_text()
    packages = {path: entry for path, entry in json.loads(text)["packages"].items() if path}
    assert packages
    assert [path for path, entry in packages.items() if not entry.get("integrity")] == []
    assert "://" not in text


def test_the_commit_hooks_run_the_steps_of_make_check() -> None:
    hooks = YAML(typ="safe").load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repo["repo"] for repo in hooks] == ["local"]
    steps = re.search(r"set -- (.+)$", (ROOT / "scripts" / "check").read_text(), flags=re.MULTILINE)
    assert steps is not None
    assert [hook["entry"] for hook in hooks[0]["hooks"]] == [f"scripts/check {step}" for step in steps[1].split()]


def test_make_help_shows_every_target_a_user_may_call() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.+)$", makefile, flags=re.MULTILINE)
    assert phony is not None
    shown = subprocess.run(
        [ROOT / "scripts" / "make-help", ROOT / "Makefile"], capture_output=True, text=True, check=True
    ).stdout
    targets = set(re.findall(r"^  ([a-z-]+) ", shown, flags=re.MULTILINE))
    assert targets | {"help"} == set(phony[1].split())
