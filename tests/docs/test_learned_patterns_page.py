"""What the page about learned patterns computes is what the code computes, and its members are those of the values."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from wardwright.limits.adaptation import Threshold
from wardwright.limits.observed import LEVELS
from wardwright.limits.patterns import HALF_LIFE_S, KEYS_MAX
from wardwright.limits.prediction import EVIDENCE_MIN, PRIOR_STRENGTH, Prediction
from wardwright.limits.scoring import WINDOW, WINDOWS_MAX, Report
from wardwright.limits.velocity import Velocity

PAGE = (Path(__file__).parent.parent.parent / "docs" / "patterns-and-predictions.md").read_text()


def section(heading: str) -> str:
    return PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]


def members(heading: str) -> set[str]:
    rows = re.findall(r"^\| (`.+?) \|", section(heading), flags=re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


@pytest.mark.parametrize("block", re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL))
def test_an_example_comes_out_as_it_says(block: str) -> None:
    exec(block, {})


def test_the_levels_are_those_of_keys_in_their_order() -> None:
    assert tuple(re.findall(r"^\| `(\w+)` \|", section("Keys"), flags=re.MULTILINE)) == LEVELS


def test_every_member_of_a_prediction_stands_on_the_page() -> None:
    assert members("How a prediction is made") == {field.name for field in msgspec.structs.fields(Prediction)}


def test_every_score_stands_on_the_page() -> None:
    totals = {"count", "cost_nano_usd", "latency_us"}
    assert members("Scores") == {field.name for field in msgspec.structs.fields(Report)} - totals


def test_every_threshold_stands_on_the_page() -> None:
    assert members("Proposals") == set(get_args(Threshold))


def test_the_numbers_in_the_text_are_those_of_the_code() -> None:
    assert HALF_LIFE_S == 3 * 86_400
    assert f"`PRIOR_STRENGTH` ({PRIOR_STRENGTH})" in PAGE
    assert f"evidence of {EVIDENCE_MIN} tries" in PAGE
    assert f"`KEYS_MAX` ({KEYS_MAX:,})" in PAGE
    assert f"windows of {WINDOW} predictions, the last {WINDOWS_MAX} of them" in PAGE
    assert {"fall_ppm", "trend"} <= {field.name for field in msgspec.structs.fields(Velocity)}
