"""Stream rules over detectors: what is proved is acted on, what is not is let go, and nothing leaves too early."""

from __future__ import annotations

import pytest

from parts.governed import all_of, answer, governor, only, text
from wardwright.calls.phases import PHASES
from wardwright.contracts.decode import Located, decode
from wardwright.contracts.policy import PolicyContract
from wardwright.kernel.detectors.table import rows_of
from wardwright.policy.loading import load
from wardwright.streams.effects import Abort, Release, Retry, Violation
from wardwright.streams.lowering import lower
from wardwright.streams.rule import Annotate, Block, Detected, Drop, Phrase, Rewrite, StreamRule
from wardwright.streams.rule import Retry as RetryAction

CARD = Detected(rows_of("credit_card"))
PROVED, UNPROVED = "4111 1111 1111 1111", "4111 1111 1111 1112"
BLOCK = StreamRule(id="card", match=CARD, then=Block())
HIDE = StreamRule(id="hide", match=CARD, then=Rewrite("[card]"))


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_a_proved_find_ends_the_answer_before_its_first_character_leaves(size: int) -> None:
    said = f"Pay with {PROVED}, please."
    effects = answer(governor(BLOCK), *(said[at : at + size] for at in range(0, len(said), size)))

    assert only(Abort, effects).rule == "card"
    assert text(effects) == "Pay with "


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_a_candidate_that_is_not_proved_leaves_unchanged(size: int) -> None:
    said = f"Order {UNPROVED} and {UNPROVED}."
    effects = answer(governor(BLOCK, HIDE), *(said[at : at + size] for at in range(0, len(said), size)))

    assert text(effects) == said
    assert all_of(Violation, effects) == []


def test_a_find_at_the_end_of_the_text_is_proved_there() -> None:
    assert only(Abort, answer(governor(BLOCK), f"It is {PROVED}")).rule == "card"
    assert text(answer(governor(HIDE), f"It is {PROVED}")) == "It is [card]"


def test_only_the_proved_part_of_a_candidate_is_changed() -> None:
    assert text(answer(governor(HIDE), f"{PROVED} 202 6")) == "[card] 202 6"


def test_a_retry_rule_waits_for_the_proof_too() -> None:
    rule = StreamRule(id="again", match=CARD, then=RetryAction("Leave card numbers out."), commit="full")

    assert only(Retry, answer(governor(rule), f"{UNPROVED} then {PROVED}.")).rules == ("again",)
    assert text(answer(governor(rule), f"{UNPROVED} then.")) == f"{UNPROVED} then."


def test_a_note_counts_what_is_proved() -> None:
    guard = governor(StreamRule(id="note", match=CARD, then=Annotate()))
    answer(guard, f"{PROVED}; {UNPROVED}; {PROVED}.")

    assert guard.matches == {"note": 2}


def test_the_net_lets_what_is_not_proved_through_and_catches_what_edits_join() -> None:
    drop = StreamRule(id="drop", match=Phrase("#"), then=Drop())

    assert text(answer(governor(BLOCK, drop), f"#Order {UNPROVED}.#")) == f"Order {UNPROVED}."
    effects = answer(governor(BLOCK, drop), f"It is {PROVED[:9]}#{PROVED[9:]}.")
    assert (only(Abort, effects).rule, text(effects)) == ("card", "It is ")


def test_text_flows_as_soon_as_nothing_can_become_a_find() -> None:
    guard = governor(BLOCK)

    assert [type(effect) for effect in answer(guard, "No digits here. ")][:1] == [Release]


def test_a_rule_of_a_policy_may_search_with_a_detector() -> None:
    source = """
kind: policy
name: p
rules:
  - id: people
    phase: stream
    on: [text]
    match: {detector: personal_data}
    then: [rewrite: {replacement: "[personal data]"}]
    examples:
      fires: [{text: "write to ann@example.org"}]
      silent: [{text: "a@b is no address"}]
    why: What people are called stays with them.
"""
    (document,) = decode(source.encode(), "p.yaml")
    assert isinstance(document.value, PolicyContract)
    policy = load([Located(document.value, document.file, document.places)], PHASES)
    (rule,) = lower(policy.of("stream"))

    assert rule.match == Detected(rows_of("personal_data"))
    assert text(answer(governor(rule), "mail ann@", "example.org or +41 44 668", " 18 00.")) == (
        "mail [personal data] or [personal data]."
    )
