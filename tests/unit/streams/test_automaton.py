"""The automaton: what is alive, from where, and that its memory is bounded."""

from __future__ import annotations

from wardwright.kernel.patterns.admission import admit
from wardwright.streams import automaton as a
from wardwright.streams.automaton import Automaton, Node
from wardwright.streams.rule import Regex


def made(*patterns: str) -> Automaton:
    return Automaton([admit(Regex(pattern)).positions for pattern in patterns])


def run(automaton: Automaton, text: str) -> Node:
    node = automaton.start
    for char in text:
        node = node[char]
    return node


def matched_after(automaton: Automaton, text: str) -> list[int]:
    node, out = automaton.start, []
    for at, char in enumerate(text):
        node = node[char]
        if node.matched:
            out.append(at + 1)
    return out


def test_nothing_is_alive_once_the_text_cannot_go_on_to_match() -> None:
    automaton = made("abc")
    assert run(automaton, "xab").groups
    assert not run(automaton, "xabd").groups
    assert run(automaton, "xabd") is run(automaton, "yy")


def test_a_match_is_known_with_its_last_character_or_with_the_one_that_decides() -> None:
    assert matched_after(made("ab"), "xab ab") == [3, 6]
    assert matched_after(made(r"ab\b"), "abb ab.") == [7]
    assert matched_after(made("ab$"), "ab ab") == []


def test_what_waits_for_the_end_of_the_text_matches_there() -> None:
    automaton = made("ab$", r"b\B")
    (hit,) = automaton.ends(run(automaton, "ab"))
    assert hit.pattern == 0


def test_an_older_start_speaks_for_a_younger_one_that_is_no_further() -> None:
    automaton = made("[a-z]+@")
    assert len(run(automaton, "abcdef").groups) == 1


def test_of_the_starts_of_one_match_the_oldest_counts() -> None:
    automaton = made("a+b")
    node = run(automaton, "aaa")
    assert node["b"].matched
    _, (hit,) = node.moves["b"]
    assert hit.start == 0


def test_edges_between_characters_are_judged_by_both_sides() -> None:
    automaton = made(r"\bcat\b")
    assert matched_after(automaton, "concat cat, cats") == [11]


def test_steps_that_are_remembered_are_bounded_and_made_again() -> None:
    automaton = made("[^x]y")
    for point in range(0x4E00, 0x4E00 + a.EDGES_MAX + 10):
        run(automaton, chr(point))
    assert len(automaton.start) <= a.EDGES_MAX
    assert run(automaton, "ay").matched
