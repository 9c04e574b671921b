"""One pattern language: every door admits the same patterns, and every engine reads them alike."""

from __future__ import annotations

from collections import Counter

import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from parts.policies import PHASES, document
from parts.stream_rules import cut
from wardwright.contracts.refusal import ContractErrors
from wardwright.kernel.patterns.admission import Regex, admit
from wardwright.kernel.patterns.language import PatternProblem
from wardwright.kernel.patterns.search import Finder, searcher
from wardwright.policy.compiler import compile_policies
from wardwright.streams.automaton import Automaton
from wardwright.streams.rule import Block, StreamRule
from wardwright.streams.ruleset import problems

PIECES = (
    "a", "b", "ab", "1", " ", "é", "x", ".", "[ab]", "[^a]", "[a-c1]", r"\w", r"\d", r"\s", r"\b", r"\B", "^", "$",
    "(?i)", "(?:", "(", "(?i:", ")", ")", ")", "|", "*", "+", "?", "{2}", "{1,3}", "{,2}", "{70}", "*?", "+?",
    r"\x{61}", r"\x41", "[[:alpha:]]", "(?=", "(?<!", r"\1", r"\pL", r"\p{Greek}", r"\Q", "[", "]", "\\", "(?>", "*+",
    r"\z", r"\Z", "-", "{", "}",
)  # fmt: skip
SOUND = ("a", "b", "ab", "1", "é", ".", "[ab]", "[^a]", r"\w", r"\d", r"\b", "(?:ab|a)", "(?:a|b)", "(?i:a)", r"\x{62}")
LOOPS = ("", "", "", "*", "+", "?", "{2}", "{1,3}", "*?", "+?")
RANDOM = st.lists(st.sampled_from(PIECES), min_size=1, max_size=8).map("".join)
RANDOM = RANDOM.filter(lambda pattern: not pattern.startswith("$"))  # which would name a list


@st.composite
def sound(draw: st.DrawFn) -> str:
    """A pattern that is mostly admitted."""
    atoms = st.tuples(st.sampled_from(SOUND), st.sampled_from(LOOPS))
    loops = [f"{atom}{loop if atom != chr(92) + 'b' else ''}" for atom, loop in draw(st.lists(atoms, max_size=4))]
    body = "".join(loops) + draw(st.sampled_from(("a", "b", "(?:b|1)")))
    return f"(?:{body})+" if draw(st.sampled_from((True, False, False))) else body


PATTERNS = st.one_of(RANDOM, sound())
TEXTS = st.text("aabbA1 é\n", max_size=12)


def refused_in_policies(pattern: str) -> tuple[str, ...]:
    """The reasons of `policy check`: for a condition, then for a stream's `match`."""
    quoted = "'" + pattern.replace("'", "''") + "'"
    rules = (
        f"  - {{id: asks, phase: ask, when: {{regex: [body, {quoted}]}}, then: [block], why: w}}\n"
        f"  - {{id: says, phase: answer, on: [text], match: {{regex: {quoted}}}, then: [block], why: w}}\n"
    )
    try:
        compile_policies([document(f"rules:\n{rules}")], PHASES)
    except ContractErrors as refused:
        return tuple(f"{error.message}: {error.hint}" for error in refused.errors)
    return ()


def refused_in_streams(pattern: str) -> tuple[str, ...]:
    rule = StreamRule(id="r", match=Regex(pattern), then=Block())
    return tuple(str(PatternProblem(one.reason, one.fix, one.at)) + f": {one.fix}" for one in problems([rule]))


def test_a_pattern_is_admitted_by_policies_and_by_the_governor_or_by_neither() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=8 * settings().max_examples)
    @given(PATTERNS)
    def property_holds(pattern: str) -> None:
        in_policies, in_streams = refused_in_policies(pattern), refused_in_streams(pattern)
        assert in_policies == in_streams * 2
        seen["refused" if in_streams else "admitted"] += 1

    property_holds()
    assert seen["refused"] > 50
    assert seen["admitted"] > 50


@settings(max_examples=8 * settings().max_examples)
@given(PATTERNS, TEXTS)
def test_what_is_admitted_finds_what_the_linear_engine_finds(pattern: str, text: str) -> None:
    try:
        admitted = admit(Regex(pattern))
    except PatternProblem:
        return
    linear = re2.search(pattern, text)
    wanted = linear and linear.span()
    found = searcher(admitted)(text)
    assert (found and found.span()) == wanted
    assert Finder(admitted).find(text, 0, final=True) == wanted


@settings(max_examples=4 * settings().max_examples)
@given(PATTERNS, TEXTS, st.lists(st.integers(0, 12), max_size=3))
def test_the_automaton_hears_of_a_match_exactly_where_one_is(pattern: str, text: str, places: list[int]) -> None:
    try:
        admitted = admit(Regex(pattern))
    except PatternProblem:
        return
    automaton = Automaton([admitted.positions])
    node, matched = automaton.start, False
    for char in "".join(cut(text, places)):
        node = node[char]
        matched |= node.matched
    assert (matched or bool(automaton.ends(node))) == (searcher(admitted)(text) is not None)


def test_every_match_holds_the_pattern_s_literal() -> None:
    seen: Counter[str] = Counter()
    texts = st.tuples(TEXTS, st.sampled_from(("abb", "abba", "abbab1", "ABb", "ABBa", "aBbb")), TEXTS).map("".join)

    @settings(max_examples=4 * settings().max_examples)
    @given(sound().map(lambda body: f"abb{body}"), texts, st.booleans())
    def property_holds(pattern: str, text: str, ignore_case: bool) -> None:
        try:
            admitted = admit(Regex(pattern, ignore_case))
        except PatternProblem:
            return
        if admitted.literal is not None and searcher(admitted)(text) is not None:
            assert admitted.literal.text in (text.casefold() if admitted.literal.folded else text)
            seen["folded" if admitted.literal.folded else "as written"] += 1

    property_holds()
    assert min(seen["as written"], seen["folded"]) > 5
