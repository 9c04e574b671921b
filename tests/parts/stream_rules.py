"""Stream rules and texts that Hypothesis draws: few letters, so that rules meet their matches and each other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import strategies as st

from parts.whole_text import Meaning, Pattern
from wardwright.kernel.detectors.proofs import Proof
from wardwright.kernel.detectors.table import Row
from wardwright.kernel.patterns.admission import admit
from wardwright.kernel.patterns.language import PatternProblem
from wardwright.streams import rule as r
from wardwright.streams.rule import Action, Annotate, Block, Commit, Drop, Regex, Rewrite, StreamRule
from wardwright.streams.ruleset import RuleSet, problems

ALPHABET = "aaaabbb11 .\né\U0001f600"
COMMITS: tuple[Commit, ...] = ("exact", "exact", "exact", "sentence", "line", "code_block", "json_value", "full")


def _atom(spelled: str) -> Pattern:
    return Pattern(spelled, spelled, f"(?:{spelled}|(?P<z>\\Z))")


ATOMS = st.sampled_from([_atom(one) for one in ("a", "a", "b", "1", "é", " ", "[ab]", "[^a]", r"\w", r"\d", ".")])
EDGES = [
    (Pattern("", "", ""), Pattern("", "", "")),
    (Pattern("", "", ""), Pattern("", "", "")),
    (Pattern("", "", ""), Pattern("", "", "")),
    (Pattern(r"\b", r"\b", r"\b"), Pattern("", "", "")),
    (Pattern("", "", ""), Pattern(r"\b", r"(?:\b(?!\Z))", r"(?:\b|(?P<z>\Z))")),
    (Pattern("", "", ""), Pattern(r"\B", r"(?:\B(?!\Z))", r"(?:\B|(?P<z>\Z))")),
    (Pattern("^", "^", "^"), Pattern("", "", "")),
    (Pattern("(?m:^)", "(?m:^)", "(?m:^)"), Pattern("", "", "")),
    (Pattern("", "", ""), Pattern(r"\z", "(?!)", r"(?P<z>\Z)")),
    (Pattern("", "", ""), Pattern(r"(?m:$)", r"(?=\n)", r"(?:(?=\n)|(?P<z>\Z))")),
]


def _join(parts: Sequence[Pattern]) -> Pattern:
    return Pattern(*("".join(spelled) for spelled in zip(*parts, strict=True)))


def atoms(text: str) -> Pattern:
    """These characters, one after the other."""
    return _join([_atom(char) for char in text])


def _repeat(part: Pattern, loop: str) -> Pattern:
    return Pattern(*(f"(?:{spelled}){loop}" for spelled in part))


def _either(one: Pattern, two: Pattern) -> Pattern:
    return Pattern(*(f"(?:{first}|{second})" for first, second in zip(one, two, strict=True)))


LOOPS = st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "*?", "+?", "??"])
INNER = st.one_of(ATOMS, st.builds(_join, st.lists(ATOMS, min_size=2, max_size=3)), st.builds(_either, ATOMS, ATOMS))
PARTS = st.one_of(ATOMS, ATOMS, INNER, st.builds(_repeat, INNER, LOOPS), st.builds(_either, INNER, INNER))


@st.composite
def patterns(draw: st.DrawFn) -> Pattern:
    before, after = draw(st.sampled_from(EDGES))
    return _join([before, *draw(st.lists(PARTS, min_size=1, max_size=3)), draw(ATOMS), after])


EACH_ACTION: tuple[Action, ...] = (
    Block(), Block(), Block(), r.Retry(""), r.Retry(""), Annotate(), Annotate(),
    Drop(), Drop(), Rewrite("#"), Rewrite(""), Rewrite("b"), Rewrite("a "),
)  # fmt: skip
ACTIONS: st.SearchStrategy[Action] = st.sampled_from(EACH_ACTION)


PROOFS: tuple[Proof | None, ...] = (
    None,
    None,
    None,
    lambda text: len(text) if text.count("b") % 2 else 0,
    lambda text: text.rfind("b") + 1,
    lambda text: len(text) if len(text) % 2 else len(text) - 1,
)
"""What a detector asks of a candidate; None: the rule has a pattern."""


def _match(pattern: Pattern, proof: Proof | None) -> r.Match:
    if proof is None:
        return Regex(pattern.source)
    return r.Detected((Row(name="drawn", family="secrets", says="it", shape=pattern.source, proof=proof),))


@st.composite
def rule_sets(draw: st.DrawFn) -> list[Meaning]:
    """Rules that are admitted, each with the pattern that the oracle reads."""
    out: list[Meaning] = []
    for index in range(draw(st.integers(1, 4))):
        pattern, proof = draw(patterns()), draw(st.sampled_from(PROOFS))
        rule = StreamRule(
            id=f"r{index}",
            match=_match(pattern, proof),
            then=draw(ACTIONS),
            commit=draw(st.sampled_from(COMMITS)),
            priority=draw(st.integers(0, 1)),
            held_chars_max=1 << 20,
            shadow=draw(st.sampled_from([False] * 7 + [True])),
        )
        try:
            admit(Regex(pattern.source))
        except PatternProblem:
            continue
        out.append(Meaning(rule, pattern, proof))
    return out


@st.composite
def seams(draw: st.DrawFn) -> list[Meaning]:
    """Edits that can join the halves of what is blocked, and one rule of any kind."""
    blocked = atoms(draw(st.sampled_from(["ab", "aab", "a a"])))
    edited = atoms(draw(st.sampled_from(["1", "1 ", "b1"])))
    edits: tuple[Action, ...] = (Drop(), Drop(), Rewrite(""), Rewrite("a"), Rewrite(" "))
    then = draw(st.sampled_from(edits))
    block = StreamRule(id="block", match=Regex(blocked.source), then=Block(), priority=draw(st.integers(0, 1)))
    edit = StreamRule(id="edit", match=Regex(edited.source), then=then)
    return [Meaning(block, blocked), Meaning(edit, edited), *draw(rule_sets())[:1]]


def admitted(meanings: list[Meaning]) -> RuleSet | None:
    """None where a replacement would set off a block: such sets are refused, and tested elsewhere."""
    rules = [meaning.rule for meaning in meanings]
    return None if problems(rules) else RuleSet(rules)


PIECES = st.one_of(
    st.text(ALPHABET, min_size=1, max_size=5),
    st.text("ab1", min_size=1, max_size=5),
    st.sampled_from(["aaa", "ab", "a1", ". ", "\n", "```\n", "```", "`", '{"a": [1]}', "{", '"', "b.\n", "1 b"]),
)
TEXTS = st.lists(PIECES, min_size=1, max_size=9).map("".join)


def cut(text: str, places: Sequence[int]) -> list[str]:
    edges = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in pairwise(edges)]
