"""Patterns: what is admitted means the same to both engines, what is refused says why."""

from __future__ import annotations

import pytest
import re2

from wardwright.policy.patterns import PatternRefused, admit, literal_pattern, sample, searcher

TEXTS = (
    "", "a", "ab", "abab", "x]y", "a&&b", "a--b", "key-1234", "the key-1234\n", "key-1234\nmore", "foo\nbar", "é", "٣",
    "A1 b2", "[a]", "a|b", "foobarbaz", "  tab\tbed ", "\\", "C:\\pass", "$5.00", "K", "ſ", "aaa",
)  # fmt: skip
PATTERNS = (
    r"^a", r"b$", r"(?m)^bar$", r"\d+", r"\w+\b", r"[^a-c]+", r"[]x]+", r"[a&&b]", r"[+--]", r"[[:digit:]]{2,}", r"a|b",
    r"(?:foo|bar){2}", r"a{2}", r"a{1,2}?b", r"\$\d", r"(?P<n>ab)+", r"foo.bar", r"(?s)foo.bar", r"\Aa", r"b\z",
    r"[\]y]", r"\\pass", r"\bkey-\d{4}$", r"(?i)FOO", r"[\s]tab", r"\x41", r"[~|]", r"\B1",
)  # fmt: skip


@pytest.mark.parametrize("text", PATTERNS)
def test_what_is_found_is_what_the_linear_engine_finds(text: str) -> None:
    search, linear = searcher(admit(text)), re2.compile(text)
    for one in TEXTS:
        found, wanted = search(one), linear.search(one)
        assert (found and found.span()) == (wanted and wanted.span()), one


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (r"(a+)+", "repeats what repeats itself"),
        (r"(?:a*)*b", "repeats what repeats itself"),
        (r"(?:\w+ ?)+$", "repeats what repeats itself"),
        (r"(?:(?:a+)+b)+", "repeats what repeats itself"),
        (r"(?:a|aa){70}", "one alternative begins with another"),
        (r"a(?=b)", "look-around is not linear"),
        (r"(?<!a)b", "look-around is not linear"),
        (r"(a)\1", "back-references are not linear"),
        (r"\Qa\E", "is not read here"),
        (r"\pL+", "classes are ASCII"),
        (r"[\p{Greek}]", "classes are ASCII"),
        (r"a{2", None),
        (r"(", "this is no pattern"),
        ("a" * 5000, "a pattern has at most"),
    ],
)
def test_a_pattern_that_cannot_be_matched_in_order_is_refused(text: str, reason: str | None) -> None:
    if reason is None:
        assert admit(text).source == text
        return
    with pytest.raises(PatternRefused) as caught:
        admit(text)
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    ("text", "short", "literal", "bounded"),
    [
        (r"OldClient\(", True, "OldClient(", True),
        (r"\bAKIA[0-9A-Z]{16}\b", True, "AKIA", True),
        (r"a.*b", False, "", False),
        (r"(?:foo|bar)baz", True, "baz", True),
        (r"foo|barbaz", True, "", True),
        (r"abc?d", True, "", True),
        (r"abcd?e", True, "abc", True),
        (r"[a-z]{2,90}", False, "", True),
        (r"(?i)foo", True, "", True),
    ],
)
def test_a_pattern_knows_what_matching_it_may_cost(text: str, short: bool, literal: str, bounded: bool) -> None:
    pattern = admit(text)

    assert (pattern.short, pattern.literal, pattern.bounded) == (short, literal, bounded)


@pytest.mark.parametrize("text", [r"\bAKIA[0-9A-Z]{16}\b", r"^(?:foo|bar) \d{3}$", r"[[:upper:]]x+", r"a|b"])
def test_a_sample_is_found(text: str) -> None:
    pattern = admit(text)
    made = sample(pattern)

    assert made is not None
    assert searcher(pattern)(made) is not None


def test_a_literal_pattern_finds_its_text_alone() -> None:
    search = searcher(literal_pattern("a.b(c)[d]{e}^$|\\+*?"))

    assert search("xx a.b(c)[d]{e}^$|\\+*? yy") is not None
    assert search("aXb(c)[d]{e}^$|\\+*?") is None


def test_a_search_that_may_be_long_ends_in_time() -> None:
    with pytest.raises(TimeoutError):
        searcher(admit(r"(?:[a-z,]+,)+!"))("a," * 4000)
