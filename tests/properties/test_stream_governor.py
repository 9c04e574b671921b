"""What reaches the client equals what the rules allow on the whole text, wherever the stream is cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from parts.whole_text import Meaning, Pattern, Verdict, judge
from wardwright.kernel.events import Finish, TextDelta
from wardwright.streams import rule as r
from wardwright.streams.admission import admit
from wardwright.streams.effects import Abort, Effect, Release, Retry
from wardwright.streams.governor import Delivery, Governor
from wardwright.streams.pattern import PatternProblem
from wardwright.streams.rule import (
    Action,
    Annotate,
    Block,
    Commit,
    Drop,
    Regex,
    Rewrite,
    StreamRule,
)
from wardwright.streams.ruleset import RuleSet, problems

EXAMPLES = 17 * settings().max_examples  # 1,700 in an ordinary run
CUTS = 3 if settings().max_examples <= 100 else 30
"""Ways to cut each text: 5,100 cases in an ordinary run, a million in a nightly one."""

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
    Block(), Block(), Block(), r.Retry("say no more"), r.Retry("say no more"), Annotate(), Annotate(),
    Drop(), Drop(), Rewrite("#"), Rewrite(""), Rewrite("b"), Rewrite("a "),
)  # fmt: skip
ACTIONS = st.sampled_from(EACH_ACTION)


@st.composite
def rule_sets(draw: st.DrawFn) -> list[Meaning]:
    """Rules that are admitted, each with the pattern that the oracle reads."""
    out: list[Meaning] = []
    for index in range(draw(st.integers(1, 4))):
        pattern = draw(patterns())
        rule = StreamRule(
            id=f"r{index}",
            match=Regex(pattern.source),
            then=draw(ACTIONS),
            commit=draw(st.sampled_from(COMMITS)),
            priority=draw(st.integers(0, 1)),
            held_chars_max=1 << 20,
            shadow=draw(st.sampled_from([False] * 7 + [True])),
        )
        try:
            admit(rule.match)
        except PatternProblem:
            continue
        out.append(Meaning(rule, pattern))
    return out


@st.composite
def seams(draw: st.DrawFn) -> list[Meaning]:
    """Edits that can join the halves of what is blocked, and one rule of any kind."""
    blocked = _join([_atom(char) for char in draw(st.sampled_from(["ab", "aab", "a a"]))])
    edited = _join([_atom(char) for char in draw(st.sampled_from(["1", "1 ", "b1"]))])
    then = draw(st.sampled_from([Drop(), Drop(), Rewrite(""), Rewrite("a"), Rewrite(" ")]))
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
    st.sampled_from(["aaa", "ab", "a1", ". ", "\n", "```\n", "```", '{"a": [1]}', "{", '"', "b.\n", "1 b"]),
)
TEXTS = st.lists(PIECES, min_size=1, max_size=9).map("".join)


MORE_CUTS = st.lists(st.lists(st.integers(0, 60), max_size=6), min_size=CUTS - 2, max_size=CUTS - 2)


def cut(text: str, places: Sequence[int]) -> list[str]:
    edges = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in pairwise(edges)]


def said(effects: Sequence[Effect]) -> str:
    return "".join(
        event.text
        for effect in effects
        if isinstance(effect, Release)
        for event in effect.events
        if isinstance(event, TextDelta)
    )


def run(rules: RuleSet, pieces: Sequence[str], delivery: Delivery = "live") -> list[Effect]:
    governor = Governor(rules, delivery=delivery)
    effects: list[Effect] = []
    for piece in pieces:
        effects += governor.take([TextDelta(0, piece)], 0)
    effects += governor.take([Finish(0, "stop")], 0)
    effects += governor.end()
    return effects


def check(effects: Sequence[Effect], wanted: Verdict, seen: Counter[str]) -> None:
    ends = [effect for effect in effects if isinstance(effect, Abort | Retry)]
    assert len(ends) == bool(wanted.stop)
    match ends:
        case []:
            seen["complete"] += 1
        case [Retry() as retry]:
            seen["retry"] += 1
            assert retry.rules == wanted.stop
            assert said(effects) == ""
            return
        case [Abort() as abort]:
            seen["caught by the net" if wanted.composed else abort.cause] += 1
            assert abort.rule == wanted.stop[0]
            assert effects[-1] is abort
    assert said(effects) == wanted.released


def test_what_reaches_the_client_is_what_the_rules_allow_on_the_whole_text() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=EXAMPLES)
    @given(st.one_of(rule_sets(), rule_sets(), seams()), TEXTS, MORE_CUTS)
    def property_holds(meanings: list[Meaning], text: str, cuts: list[list[int]]) -> None:
        rules = admitted(meanings)
        if rules is None:
            return
        wanted = judge(text, meanings)
        for meaning in meanings:
            if not meaning.rule.shadow:
                seen[f"{type(meaning.rule.then).__name__} {meaning.rule.commit}"] += 1
        for pieces in ([text], list(text), *(cut(text, places) for places in cuts)):
            check(run(rules, pieces), wanted, seen)

    property_holds()
    commits = ("exact", "sentence", "line", "code_block", "json_value", "full")
    actions = ("Block", "Retry", "Rewrite", "Drop", "Annotate")
    wanted = {f"{action} {commit}" for action in actions for commit in commits}
    wanted |= {"complete", "retry", "block", "retry_after_release", "caught by the net"}
    assert {name for name in wanted if seen[name] < 5} == set()
