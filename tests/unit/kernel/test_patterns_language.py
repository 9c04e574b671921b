"""The pattern language: what it reads, and what it refuses with what reason."""

from __future__ import annotations

import re

import pytest
import re2

from wardwright.kernel.patterns.admission import Phrase, Regex, admit
from wardwright.kernel.patterns.language import Chars, PatternProblem, Repeat, parse, width
from wardwright.kernel.patterns.search import Finder


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        (r"\d{2}", "42", "4x"),
        (r"\w+", "a_9", "é"),
        (r"\s", "\f", "\v"),
        (r"[^a-c\d]", "d", "7"),
        (r"[]x-]", "]", "y"),
        (r"[[:alpha:]_]", "Q", "7"),
        (r"[[:^digit:]]", "a", "7"),
        (r"(?i)straße", "STRAßE", "strase"),
        (r"(?i:a)b", "Ab", "AB"),
        (r"a(?i)b", "aB", "AB"),
        (r"[a-c](?i)[d-f]", "aF", "AF"),
        (r"\x41\x{1F600}", "A\U0001f600", "A"),
        (r"a\.b\\", "a.b\\", "axb\\"),
        (r"(?P<name>a|b)(?<other>c)", "bc", "cc"),
        ("a{,3}", "a{,3}", "aa"),
        ("{x}", "{x}", "x"),
        (r"x{2,}?", "xxx", "x"),
        (r"(?s).", "\n", ""),
        (r".", "é", "\n"),
        (r"\a\f\n\r\t\v", "\a\f\n\r\t\v", "aftrnv"),
        (r"\Aab\z", "ab", "abc"),
        ("a|b|", "b", "c"),
        (r"[a\-z]", "-", "b"),
    ],
)
def test_a_pattern_means_what_re2_means_by_it(pattern: str, matching: str, other: str) -> None:
    assert re2.fullmatch(pattern, matching)
    assert not re2.fullmatch(pattern, other)
    finder = Finder(admit(Regex(f"<(?:{pattern.replace(chr(92) + 'A', '').replace(chr(92) + 'z', '')})>")))
    assert finder.find(f"<{matching}>", 0, final=True) == (0, len(matching) + 2)
    assert finder.find(f"<{other}>", 0, final=True) is None


@pytest.mark.parametrize(
    ("pattern", "reason", "at"),
    [
        ("(?=a)", "look-around", 0),
        ("a(?<!b)", "look-around", 1),
        (r"(a)\1", "back-references", 3),
        ("a*+", "possessive", 2),
        ("a**", "a repetition of a repetition", 1),
        ("a{2}{3}", "a repetition of a repetition", 1),
        ("*a", "repeats nothing", 0),
        ("a|+", "repeats nothing", 2),
        ("a{2000}", "more than 1000 repetitions", 1),
        ("a{3,2}", "ends before it begins", 1),
        ("(a", "without its `)`", 0),
        ("a)", "without its `(`", 1),
        ("[a", "without its `]`", 0),
        ("[z-a]", "ends before it begins", 1),
        (r"[^\s\S]", "holds no character", 0),
        ("[[:alp:]]", "no class is named 'alp'", 1),
        (r"\pL", "Unicode classes", 0),
        (r"\Qa\E", "not in the language", 0),
        (r"a\Z", "not in the language", 1),
        (r"\xg0", "not a character's number", 0),
        (r"\x{110000}", "not a character's number", 0),
        (r"\y", "means nothing", 0),
        ("a\\", "a backslash at the end", 1),
        ("(?U)a", "the flag `U`", 0),
        ("(?>a)", "atomic groups", 0),
        (r"\b*", "cannot be repeated", 2),
        ("(?P<1>a)", "a group's name", 0),
        ("(" * 101 + ")" * 101, "nest deeper", 100),
    ],
)
def test_what_the_language_lacks_is_refused_with_its_place(pattern: str, reason: str, at: int) -> None:
    with pytest.raises(PatternProblem, match=re.escape(reason)) as caught:
        parse(pattern)
    assert caught.value.at == at
    assert caught.value.fix


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("a*", "matches the empty text"),
        (r"\b", "matches the empty text"),
        ("a$b", "nothing can match it"),
        (r"a\bb", "nothing can match it"),
        ("a{600}b{600}", "unroll to more than 1024"),
        ("x" * 5000, "at most 4,096"),
    ],
)
def test_a_pattern_that_cannot_govern_a_stream_is_refused(pattern: str, reason: str) -> None:
    with pytest.raises(PatternProblem, match=re.escape(reason)):
        admit(Regex(pattern))


def test_an_empty_phrase_is_refused() -> None:
    with pytest.raises(PatternProblem, match="empty"):
        admit(Phrase(""))


def test_a_phrase_is_taken_as_it_stands() -> None:
    finder = Finder(admit(Phrase("a.b(", ignore_case=True)))
    assert finder.find("xA.B(", 0, final=False) == (1, 5)
    assert finder.find("aXb(", 0, final=False) is None


@pytest.mark.parametrize(
    ("pattern", "least", "most"),
    [("ab", 2, 2), ("a|bcd", 1, 3), ("a{2,5}b?", 2, 6), (r"\ba+$", 1, None), ("a*b", 1, None)],
)
def test_the_width_of_a_pattern_bounds_its_matches(pattern: str, least: int, most: int | None) -> None:
    assert width(parse(pattern)) == (least, most)


@pytest.mark.parametrize(
    ("pattern", "proved"),
    [("sk-[a-z]{20}", True), ("[a-z]+@", True), ("(?:a|ab)c", False), ("[a-z]+z", False), ("ab|ac", False)],
)
def test_a_pattern_is_deterministic_where_no_character_leaves_two_ways_open(pattern: str, proved: bool) -> None:
    assert admit(Regex(pattern)).deterministic is proved


def test_counted_loops_keep_their_shape() -> None:
    assert parse("a{2,}") == Repeat(Chars(((97, 97),)), 2, None, lazy=False)
