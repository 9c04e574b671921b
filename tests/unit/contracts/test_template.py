"""Texts with holes."""

from __future__ import annotations

import pytest

from wardwright.contracts.template import Hole, Malformed, filled, holes, only_hole, pieces


def test_a_template_is_texts_and_holes_in_order() -> None:
    assert pieces("{a}/b{{c}}{d}") == (Hole("a"), "/b{c}", Hole("d"))
    assert holes("{a}/b{{c}}{d}") == ("a", "d")


@pytest.mark.parametrize("text", ["{", "}", "{a", "a}", "{A}", "{ a }", "{a.b}", "{}", "{{{a", "{a!r}"])
def test_a_brace_that_is_part_of_no_hole_is_malformed(text: str) -> None:
    with pytest.raises(Malformed, match="is not part of"):
        pieces(text)


def test_one_hole_alone_is_told_from_a_text_that_holds_one() -> None:
    assert only_hole("{a}") == "a"
    assert only_hole("{a} ") is None
    assert only_hole("{{a}}") is None
    assert only_hole("") is None


def test_what_fills_a_hole_is_not_read_as_a_template() -> None:
    assert filled("<{a}>", {"a": "{b}{{"}) == "<{b}{{>"
