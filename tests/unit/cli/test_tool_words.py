"""Tools, and what they gave, as text."""

from __future__ import annotations

from wardwright.cli import tool_words
from wardwright.cli.tools import opened_shop
from wardwright.limits.prediction import Prediction


def test_a_value_is_names_and_values_and_lists_are_told_item_by_item() -> None:
    given = {"clean": False, "none": None, "names": ["a", "b"], "rows": [{"n": 1, "of": "x"}], "empty": []}
    assert tool_words.value(given) == [
        "clean  no",
        "none   -",
        "names  a, b",
        "rows",
        "  - n   1",
        "    of  x",
        "empty  none",
    ]


def test_text_of_a_tool_cannot_move_the_cursor() -> None:
    assert tool_words.value({"text": "a\x1b[2Jb\nc\x07"}) == ["text", "  a\\x1b[2Jb", "  c\\x07"]


def test_a_long_value_is_cut_and_says_so() -> None:
    lines = tool_words.value([{"a": 1}] * (tool_words.VALUE_LINES_MAX + 1))
    assert len(lines) == tool_words.VALUE_LINES_MAX + 1
    assert "--json" in lines[-1]


def test_every_built_in_tool_can_be_told() -> None:
    shop = opened_shop(())
    for name in shop.shelf.names:
        lines = list(tool_words.tool(shop.shelf.get(name), shop.houses.values()))
        assert any(line.startswith("effect ") for line in lines)
        assert "any value" not in "\n".join(lines)


def test_a_prediction_that_abstained_says_that_it_says_little() -> None:
    nothing = Prediction(
        abstained=True,
        cost_nano_usd=None,
        evidence_milli=0,
        high_ppm=950_000,
        latency=None,
        level="tenant",
        low_ppm=50_000,
        success_ppm=500_000,
    )
    assert tool_words.foretold(nothing) == "50 % (5 to 95 %), which says little: too few calls were made to tell"
