"""What policies do, in words: held against files that a person reads in review.

After a change that was meant: `WARDWRIGHT_GOLDEN=write python -m pytest tests/unit/policy/test_explain.py`.
"""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Final

import pytest

from wardwright.calls.phases import PHASES
from wardwright.contracts.decode import Located, decode
from wardwright.contracts.policy import PolicyContract
from wardwright.policy import graph
from wardwright.policy.budget_words import budgets_explained
from wardwright.policy.compiler import Policy
from wardwright.policy.explain import explained
from wardwright.policy.loading import load

ROOT: Final = Path(__file__).parents[3]
GOLDEN: Final = ROOT / "tests" / "golden" / "policies"
SHIPPED: Final = sorted((ROOT / "examples" / "policies").glob("*.yaml"))
EVERY: Final = [*SHIPPED, GOLDEN / "every-word.yaml"]


def loaded(*files: Path) -> Policy:
    documents: list[Located[PolicyContract]] = []
    for file in files:
        for found in decode(file.read_bytes(), file.name):
            assert isinstance(found.value, PolicyContract)
            documents.append(Located(found.value, found.file, found.places))
    return load(documents, PHASES)


def told(policy: Policy) -> str:
    lines: list[str] = []
    for budget in budgets_explained(policy):
        lines += [
            f"{budget.budget}  (budget)",
            f"  {budget.sentence}",
            f"  unclaimed: {budget.otherwise}",
            f"  why: {budget.why}",
            "",
        ]
    for rule in explained(policy):
        lines += [
            f"{rule.rule}  ({rule.phase}, {rule.enforce}, priority {rule.priority})",
            f"  {rule.sentence}",
            *(f"  past: {sentence}" for sentence in rule.past),
            f"  otherwise: {rule.otherwise}",
            f"  why: {rule.why}  ({rule.owner})",
            f"  reads: {', '.join(rule.reads)}",
            f"  effects: {', '.join(rule.effects)}",
            "",
        ]
    return "\n".join([*lines, *graph.text(policy), ""])


@pytest.mark.parametrize("file", EVERY, ids=lambda file: file.stem)
def test_a_policy_is_explained_as_written_down(file: Path) -> None:
    golden = GOLDEN / f"{file.stem}.txt"
    explanation = told(loaded(file))
    if os.environ.get("WARDWRIGHT_GOLDEN") == "write":
        golden.write_text(explanation)
    assert explanation == golden.read_text()


def test_the_picture_names_every_rule_and_effect_once() -> None:
    policy = loaded(*EVERY)
    picture = ET.fromstring(graph.svg(policy))
    words = [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")]

    assert len(words) == len(set(words))
    assert {rule.name for rule in policy.every()} <= set(words)
    assert {"request", "stream"} <= set(words)


def test_the_same_policy_is_drawn_by_the_same_bytes() -> None:
    assert graph.svg(loaded(*SHIPPED)) == graph.svg(loaded(*reversed(SHIPPED)))
