"""What rules said of attempts that came to nothing."""

from __future__ import annotations

import pytest

from parts.governed_stage import Document, End, Part, Played, Script, play, world
from wardwright.rehearsal.replay import replay

TOLD: Document = {
    "id": "told", "phase": "stream", "when": {"eq": ["attempt.model", "m0"]},
    "then": [{"annotate": {"label": "tried-first"}}], "why": "to know what was asked",
}  # fmt: skip
SEARCHED: Document = {
    "id": "searched", "phase": "stream", "on": ["text"], "match": {"regex": "never"},
    "then": [{"block": {"code": "no"}}], "why": "nobody says so",
}  # fmt: skip


def played(end: End, *rules: Document) -> Played:
    here = world(rules)
    said = Part("text", 0, "all is well")
    call = play(here, [Script((said,), (), end), Script((said,), ())], stream=True)
    assert replay(call.receipt, here.store.get).verdict == "reproduced"
    return call


@pytest.mark.parametrize("end", ["unavailable", "never_answers"])
def test_what_rules_decided_before_an_attempt_is_kept_though_it_never_answers(end: End) -> None:
    receipt = played(end, TOLD).receipt

    first = receipt.policy[0]
    assert (first.phase, first.attempt) == ("stream", 0)
    assert [one.label for one in first.decision.annotations] == ["tried-first"]


def test_of_rules_that_were_silent_before_an_attempt_that_never_answers_nothing_is_kept() -> None:
    receipt = played("unavailable", SEARCHED).receipt

    assert [(ruling.phase, ruling.attempt) for ruling in receipt.policy] == [("stream", 1)]
