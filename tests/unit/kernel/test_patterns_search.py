"""Searching: what is found is what the linear engine finds, and what a search costs is known before."""

from __future__ import annotations

import pytest
import re2

from wardwright.kernel.patterns.admission import Literal, Phrase, Regex, admit, admit_any
from wardwright.kernel.patterns.language import PatternProblem
from wardwright.kernel.patterns.search import Finder, finds, samples, searcher

TEXTS = (
    "", "a", "ab", "abab", "x]y", "a&&b", "a--b", "key-1234", "the key-1234\n", "key-1234\nmore", "foo\nbar", "é", "٣",
    "A1 b2", "[a]", "a|b", "foobarbaz", "  tab\tbed ", "\\", "C:\\pass", "$5.00", "K", "aaa", "a\vb",
    "\N{GRINNING FACE}",
)  # fmt: skip
PATTERNS = (
    r"^a", r"b$", r"(?m)^bar$", r"\d+", r"\w+\b", r"[^a-c]+", r"[]x]+", r"[a&&b]", r"[+--]", r"[[:digit:]]{2,}", r"a|b",
    r"(?:foo|bar){2}", r"a{2}", r"a{1,2}?b", r"\$\d", r"(?P<n>ab)+", r"foo.bar", r"(?s)foo.bar", r"\Aa", r"b\z",
    r"[\]y]", r"\\pass", r"\bkey-\d{4}$", r"(?i)FOO", r"[\s]tab", r"\x41", r"[~|]", r"\B1", r"a\sb", r"\x{1F600}",
    r"(?:a|ab)+b", r"(?:ab|a)*b", r"a{2", r"\b\w\d\b", r"[[:^space:]]+\n",
)  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
def test_what_is_found_is_what_the_linear_engine_finds(pattern: str) -> None:
    admitted, linear = admit(Regex(pattern)), re2.compile(pattern)
    search, finder = searcher(admitted), Finder(admitted)
    for text in TEXTS:
        found, wanted = search(text), linear.search(text)
        assert (found and found.span()) == (wanted and wanted.span()), text
        assert finder.find(text, 0, final=True) == (wanted and wanted.span()), text


@pytest.mark.parametrize(
    ("pattern", "short", "literal", "bounded"),
    [
        (r"OldClient\(", True, Literal("OldClient(", folded=False), True),
        (r"\bAKIA[0-9A-Z]{16}\b", True, Literal("AKIA", folded=False), True),
        (r"a.*b", False, None, False),
        (r"(?:foo|bar)baz", True, Literal("baz", folded=False), True),
        (r"foo|barbaz", True, None, True),
        (r"abc?d", True, None, True),
        (r"abcd?e", True, Literal("abc", folded=False), True),
        (r"x(?:abc)-{2}y?", True, Literal("xabc--", folded=False), True),
        (r"[a-z]{2,90}", False, None, True),
        (r"(?i)Foo-1", True, Literal("foo-1", folded=True), True),
        (r"(?i:fo)o[ab]", True, Literal("foo", folded=True), True),
        ("(?i)ınn", True, None, True),
        (r"(?:ab){2,3}", False, None, True),
    ],
)
def test_a_pattern_knows_what_searching_for_it_may_cost(
    pattern: str, short: bool, literal: Literal | None, bounded: bool
) -> None:
    admitted = admit(Regex(pattern))

    assert (admitted.short, admitted.literal, admitted.bounded) == (short, literal, bounded)


@pytest.mark.parametrize("pattern", [r"\bAKIA[0-9A-Z]{16}\b", r"^(?:foo|bar) \d{3}$", r"[[:upper:]]x+", r"\Bab", "é"])
def test_a_sample_is_found(pattern: str) -> None:
    admitted = admit(Regex(pattern))
    (made,) = samples(admitted)

    assert searcher(admitted)(made) is not None


def test_there_is_a_sample_of_each_alternative() -> None:
    assert samples(admit(Regex(r"a|b\d|(?i)C"))) == ("a", "b0", "C")


def test_a_phrase_finds_its_text_alone() -> None:
    search = searcher(admit(Phrase("a.b(c)[d]{e}^$|\\+*?")))

    assert search("xx a.b(c)[d]{e}^$|\\+*? yy") is not None
    assert search("aXb(c)[d]{e}^$|\\+*?") is None


def test_a_search_that_may_be_long_ends_in_time() -> None:
    search = searcher(admit(Regex("(?:[a-z,]+;?){5}[0-9]")))

    with pytest.raises(TimeoutError):
        search("a," * 4000)
    assert finds(search, "a," * 4000)


def test_several_patterns_are_one_that_prefers_the_first() -> None:
    together = admit_any([Phrase("AB", ignore_case=True), Regex("a+"), Regex("b")])

    assert together.patterns == (Phrase("AB", ignore_case=True), Regex("a+"), Regex("b"))
    assert (together.chars_min, together.chars_max, together.deterministic) == (1, None, False)
    assert Finder(together).find("xab", 0, final=True) == (1, 3)


def test_one_of_several_patterns_that_cannot_be_searched_for_refuses_them_all() -> None:
    with pytest.raises(PatternProblem, match="look-around"):
        admit_any([Regex("a"), Regex("(?=b)")])


def test_patterns_together_are_bounded() -> None:
    with pytest.raises(PatternProblem, match="more than 16,384 characters"):
        admit_any([Regex("[a-z]{1000}")] * 17)
