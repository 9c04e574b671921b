"""The page of a scorecard."""

from __future__ import annotations

from xml.etree import ElementTree

from wardwright.cli.scorecard_page import ROWS_MAX, page
from wardwright.harness.core.scorecard import Made, Scorecard, Scoring
from wardwright.limits.prediction import Prediction

SVG = "{http://www.w3.org/2000/svg}"


def card(*names: str) -> Scorecard:
    scoring = Scoring(0, 10**15)
    for place, name in enumerate(names):
        scoring.add(
            Made(
                agent="",
                at_us=place,
                attempts=1,
                cost_nano_usd=0,
                house="",
                kind="tool",
                latency_us=1_000,
                name=name,
                outcome="failed" if place % 3 == 2 else "succeeded",
                prediction=Prediction(
                    abstained=False,
                    cost_nano_usd=None,
                    evidence_milli=9_000,
                    high_ppm=1_000_000,
                    latency=None,
                    level="subject",
                    low_ppm=0,
                    success_ppm=700_000,
                ),
                tenant="local",
            )
        )
    return scoring.card()


def texts(svg: str) -> str:
    return "\n".join(ElementTree.fromstring(svg).itertext())


def test_the_page_says_in_words_what_its_bars_show() -> None:
    told = texts(page(card("file.read", "file.read", "file.read")))
    assert "67 %" in told
    assert "foretold 70 %: came true 67 %" in told
    (about,) = ElementTree.fromstring(page(card("file.read"))).iter(f"{SVG}desc")
    assert "Tools: file.read 100 %" in (about.text or "")


def test_a_name_is_never_markup() -> None:
    svg = page(card('<script>alert("x")</script>&', "a\x07b"))
    root = ElementTree.fromstring(svg)
    assert {one.tag.removeprefix(SVG) for one in root.iter()} <= {
        "svg", "title", "desc", "style", "rect", "text", "g", "path", "circle",
    }  # fmt: skip
    assert "a·b" in texts(svg)
    assert "<script>" in texts(svg)


def test_a_long_table_says_what_it_leaves_out() -> None:
    assert "and 5 more" in texts(page(card(*(f"t{number}" for number in range(ROWS_MAX + 5)))))


def test_a_span_without_calls_is_a_page_too() -> None:
    assert "0 calls" in texts(page(Scoring(0, 1).card()))
