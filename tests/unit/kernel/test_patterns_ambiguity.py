"""Loops: those that a text can be cut among in ever more ways are refused, the others pass."""

from __future__ import annotations

import pytest

from wardwright.kernel.patterns.ambiguity import require_unambiguous
from wardwright.kernel.patterns.language import PatternProblem, parse


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a+)+",
        r"(?:a*)*b",
        r"(?:a?b?)*",
        r"(?:\w+ ?)+$",
        r"(?:(?:a+)+b)+",
        r"(?:a|aa)+",
        r"(?:a|a)*",
        r"(?:\w|a)*",
        r"(?:a|aa){70}",
        r"(?:a{1,2}){2,}",
        r"(?:[a-z,]+,)+!",
        r"x(?:.*,){65,}",
        r"(?:a?){100}a{100}",
        r"(?:\r\n|\r|\n)+x",
        r"(?:ab|a(?i:B))+",
        r"(?:b{2,}a)*(?:(?:ab|a)b?)+",
    ],
)
def test_a_loop_that_reads_a_text_in_several_ways_is_refused(pattern: str) -> None:
    with pytest.raises(PatternProblem, match="a loop can read the same text in several ways") as caught:
        require_unambiguous(parse(pattern))
    assert caught.value.fix


@pytest.mark.parametrize(
    "pattern",
    [
        r"[a-z]+@[a-z]+",
        r"(?:ab|a)+",
        r"(?:a|ab)*$",
        r"(?:\w+,)+",
        r"(?: ?[A-Z0-9]{4}){3,7}",
        r"(?:[a-z]{1,63}\.){1,8}[a-z]{2,24}",
        r"\d+\d+",
        r"(?:a+b)*(?:a|b)",
        r"(?:\w+\b ?;)+",
        r"(?:a?){40}",
        r".{0,900}x",
    ],
)
def test_a_loop_that_reads_a_text_in_one_way_passes(pattern: str) -> None:
    require_unambiguous(parse(pattern))
