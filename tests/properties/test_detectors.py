"""Detectors find the same by RE2 on a whole text, by `regex` where a stream is kept, and wherever a stream is cut."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from parts.governed import answer, governor, text
from parts.stream_rules import cut
from wardwright.kernel.detectors.finding import find
from wardwright.kernel.detectors.prover import Prover
from wardwright.kernel.detectors.redaction import cover, covered
from wardwright.kernel.detectors.samples import SAMPLES
from wardwright.kernel.detectors.table import BY_NAME, ROWS, Row
from wardwright.streams.rule import Detected, Rewrite, StreamRule
from wardwright.streams.ruleset import HELD_CHARS_LIMIT

PROVERS = {row.name: Prover([row]) for row in ROWS}
JUNK = st.sampled_from([" ", ", ", "-", ".", "\n", "a", "1", "4", "é", "\N{GRINNING FACE}", "=", "/", "@", "the ", "+"])


@st.composite
def found_in(draw: st.DrawFn) -> tuple[Row, str]:
    """A row, and a text in which it may find something: samples, lookalikes, their pieces, and junk between."""
    row = draw(st.sampled_from(ROWS))
    samples = SAMPLES[row.name]
    whole = st.sampled_from((*samples.texts(), *samples.lookalikes()))
    pieces = st.sampled_from([piece for one in (*samples.holds, *samples.lacks) for piece in one])
    return row, "".join(draw(st.lists(st.one_of(whole, pieces, JUNK), min_size=1, max_size=8)))


def by_stream_s_engine(name: str, said: str) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    at = 0
    while (span := PROVERS[name].find(said, at, final=True)) is not None:
        spans.append(span)
        at = span[1]
    return spans


def test_both_engines_find_the_same() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=10 * settings().max_examples)
    @given(found_in())
    def property_holds(drawn: tuple[Row, str]) -> None:
        row, said = drawn
        found = [(one.start, one.end) for one in find(said, [row.name])]
        assert found == by_stream_s_engine(row.name, said)
        seen[row.name] += bool(found)

    property_holds()
    assert {name for name in BY_NAME if not seen[name]} == set()


@settings(max_examples=6 * settings().max_examples)
@given(found_in(), st.lists(st.integers(0, 120), max_size=8))
def test_a_stream_is_redacted_as_its_whole_text_is(drawn: tuple[Row, str], places: list[int]) -> None:
    row, said = drawn
    rule = StreamRule(id="r", match=Detected((row,)), then=Rewrite(f"[{row.name}]"), held_chars_max=HELD_CHARS_LIMIT)

    redacted = covered(said, [cover(one, "name") for one in find(said, [row.name])])
    assert text(answer(governor(rule), *cut(said, places))) == redacted
