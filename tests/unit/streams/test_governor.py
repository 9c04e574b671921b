"""The governor: states, order, retries, caps and seals."""

from __future__ import annotations

from itertools import product
from typing import get_args

import msgspec
import pytest

from parts.governed import all_of, answer, call, drive, governor, only, released, say, text
from wardwright.kernel.events import (
    Broken,
    Event,
    Finish,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
)
from wardwright.streams.effects import Abort, Flag, Release, Retry, Violation
from wardwright.streams.governed_text import FACTS_MAX
from wardwright.streams.governor import TRANSITIONS, Cause, Governor, State
from wardwright.streams.rule import Annotate, Block, Drop, Phrase, Reasoning, Regex, Rewrite, StreamRule, ToolArguments
from wardwright.streams.rule import Retry as RetryAction
from wardwright.streams.ruleset import RuleSet

MS = 1_000_000
BLOCK = StreamRule(id="block", match=Phrase("sk-live"), then=Block())
OLD = StreamRule(id="old", match=Phrase("OldClient("), then=RetryAction("Use NewClient."), commit="full")
SLOW = StreamRule(id="slow", match=Regex("[a-c]+[ab]+[ad]+[ae]+[af]+[0-9]|a+c"), then=Rewrite("-"))
"""`regex` tries every way to cut the run of letters before it looks at the second alternative."""


def test_an_attempt_that_was_given_up_or_is_over_changes_no_more() -> None:
    ends = {"retrying", "aborted", "over"}
    assert {state for state, _ in TRANSITIONS} == set(get_args(State)) - ends
    missing = {pair for pair in product(("unseen", "seen"), get_args(Cause)) if pair not in TRANSITIONS}
    assert missing == {("seen", "retry")}


def test_a_retry_releases_nothing_and_tells_its_reminder() -> None:
    guard = governor(OLD)
    effects = drive(guard, say("safe then ", "OldClient", "(x)", "more"))
    retry = only(Retry, effects)
    assert (retry.rules, retry.reminders, retry.start, retry.end) == (("old",), ("Use NewClient.",), 10, 20)
    assert (released(effects), guard.state, retry.dropped_chars) == ([], "retrying", 22)


def test_rules_that_match_with_one_character_are_reminded_of_together() -> None:
    other = StreamRule(id="call", match=Regex(r"Client\("), then=RetryAction("No calls."), commit="full")
    retry = only(Retry, answer(governor(OLD, other), "x OldClient("))
    assert retry.rules == ("old", "call")
    assert retry.reminders == ("Use NewClient.", "No calls.")


def test_a_block_wins_over_a_retry_that_matches_with_the_same_character() -> None:
    block = StreamRule(id="block", match=Phrase("Client("), then=Block(), priority=-5)
    effects = answer(governor(OLD, block), "x OldClient(")
    assert only(Abort, effects).rule == "block"
    assert {found.rule: found.lost_to for found in all_of(Violation, effects)} == {"block": None, "old": "block"}


def test_the_model_is_shown_what_it_wrote_where_the_rule_wants_it() -> None:
    keep = msgspec.structs.replace(OLD, then=RetryAction("Use NewClient.", keep_partial=True))
    assert only(Retry, answer(governor(keep), "client = ", "OldClient(")).kept == "client = "
    assert only(Retry, answer(governor(OLD), "client = ", "OldClient(")).kept == ""


def test_a_retry_in_the_burst_that_began_the_answer_takes_the_burst_back() -> None:
    exact = msgspec.structs.replace(OLD, commit="exact")
    effects = governor(exact).take([*say("safe ", "OldClient(")], 0)
    assert only(Retry, effects).dropped_chars == 15
    assert released(effects) == []


def test_after_release_a_retry_ends_the_answer_and_lets_go_what_was_free() -> None:
    exact = msgspec.structs.replace(OLD, commit="exact")
    guard = governor(exact)
    effects = drive(guard, say("safe", " then OldClient(", "more"))
    assert text(effects) == "safe then "
    assert only(Abort, effects).cause == "retry_after_release"
    assert guard.state == "aborted"


def test_an_answer_that_breaks_off_keeps_its_held_text_to_itself() -> None:
    guard = governor(BLOCK)
    broken = Broken("upstream_stream_broken", "gone")
    effects = drive(guard, [*say("the sk-"), broken, *say("live")])
    assert released(effects) == [*say("the "), broken]
    assert (guard.state, guard.held_chars, guard.end()) == ("over", 3, [])
    assert released(governor(BLOCK).take([*say("the "), broken, *say("more")], 0)) == [*say("the "), broken]


def test_text_that_follows_the_end_of_another_channel_does_not_wait_for_it() -> None:
    both = msgspec.structs.replace(BLOCK, on=(Reasoning(),), held_age_ms_max=100)
    guard = governor(both)
    effects = drive(guard, [ReasoningDelta(0, "hm s"), *say("the ", "answer")], step_ns=500 * MS)
    assert text(effects) == "the answer"
    assert (guard.due_ns, guard.tick(9_000 * MS)) == (None, [])
    guard.take([ReasoningDelta(0, "k")], 10_000 * MS)
    assert guard.due_ns == 9_600 * MS


def test_refusals_are_text_to_the_rules() -> None:
    effects = drive(governor(BLOCK), [RefusalDelta(0, "no sk-"), RefusalDelta(0, "live")])
    assert released(effects) == [RefusalDelta(0, "no ")]
    assert only(Abort, effects).spot.kind == "refusal"


def test_the_rest_of_a_choice_leaves_text_first_then_calls_then_its_end() -> None:
    effects = drive(governor(BLOCK), [*say("a s"), *call("t", "{}"), Finish(0, "tool_calls")])
    assert [type(event).__name__ for event in released(effects)] == [
        "TextDelta", "TextDelta", "ToolCallStart", "ToolArgumentsDelta", "Finish"
    ]  # fmt: skip


def test_a_rule_that_holds_nothing_ends_the_answer_when_it_matches() -> None:
    guard = governor(msgspec.structs.replace(BLOCK, commit="pass"))
    effects = drive(guard, say("the sk-", "li"))
    assert (text(effects), guard.held_chars) == ("the sk-li", 0)
    assert only(Abort, drive(guard, say("ve!"))).start == 4


def test_a_rule_that_takes_no_part_in_an_attempt_holds_and_finds_nothing() -> None:
    call_rule = StreamRule(id="call", on=(ToolArguments(),), match=Phrase("sk-live"), then=Block())
    edit = StreamRule(id="edit", match=Phrase("live"), then=Rewrite("---"))
    guard = Governor(RuleSet([BLOCK, edit, call_rule]), silent=frozenset({"block", "call"}))
    effects = drive(guard, [*say("a sk-", "live."), *call("t", '{"a": "sk-live'), Finish(0, "stop")])
    assert text(effects) == "a sk----."
    assert [one.rule for one in all_of(Violation, effects)] == ["edit"]
    (delta,) = say("sk-live")
    assert released(Governor(RuleSet([BLOCK]), silent=frozenset({"block"})).take([delta], 0)) == [delta]


# Seals


def reasoning_of(*rules: StreamRule, events: list[Event]) -> list[Event]:
    watched = [msgspec.structs.replace(rule, on=(Reasoning(),)) for rule in rules]
    return released(drive(governor(*watched), [*events, Finish(0, "stop")]))[:-1]


def test_a_seal_leaves_behind_the_text_that_it_seals() -> None:
    seal = ReasoningDelta(0, "", signature="sig")
    assert reasoning_of(BLOCK, events=[ReasoningDelta(0, "hm s"), seal]) == [
        ReasoningDelta(0, "hm "), ReasoningDelta(0, "s"), seal
    ]  # fmt: skip
    assert reasoning_of(BLOCK, events=[ReasoningDelta(0, "hm", signature="sig"), ReasoningDelta(0, "so")]) == [
        ReasoningDelta(0, "hm"), seal, ReasoningDelta(0, "so")
    ]  # fmt: skip


def test_a_seal_over_edited_text_is_left_out_and_the_next_one_is_not() -> None:
    edit = StreamRule(id="edit", match=Phrase("bad"), then=Rewrite("---"))
    events: list[Event] = [
        ReasoningDelta(0, "a bad ", signature="one"),
        ReasoningDelta(0, "b ", signature="two"),
        ReasoningDelta(0, "", cipher="locked"),
    ]
    assert reasoning_of(edit, events=events) == [
        ReasoningDelta(0, "a --- "),
        ReasoningDelta(0, "b "),
        ReasoningDelta(0, "", signature="two"),
        ReasoningDelta(0, "", cipher="locked"),
    ]


def test_a_seal_waits_for_text_that_the_net_keeps() -> None:
    drop = StreamRule(id="drop", match=Phrase("XX"), then=Drop())
    events: list[Event] = [ReasoningDelta(0, "a sk-X", signature="one"), ReasoningDelta(0, "X.")]
    assert reasoning_of(drop, BLOCK, events=events) == [
        ReasoningDelta(0, "a "), ReasoningDelta(0, "sk-."),
    ]  # fmt: skip


# Caps and errors


def test_a_cap_that_releases_lets_the_text_go_and_says_so() -> None:
    rule = StreamRule(id="tag", match=Regex("<[a-z]*>"), then=Block(), held_chars_max=4, on_cap="release_and_flag")
    effects = answer(governor(rule), "x <abc", "defg", "h>")
    flag = only(Flag, effects)
    assert (flag.cause, flag.start, flag.end) == ("held_chars", 2, 10)
    assert text(effects) == "x <abcdefg"
    assert only(Abort, effects).start == 2


def test_a_rewrite_that_was_waived_leaves_its_text_alone() -> None:
    rule = StreamRule(id="tag", match=Regex("<[a-z]*>"), then=Rewrite("-"), held_chars_max=4, on_cap="release_and_flag")
    effects = answer(governor(rule), "<abc", "defg", "h> <b>")
    assert text(effects) == "<abcdefgh> -"
    assert only(Flag, effects).rule == "tag"


def test_text_that_waits_for_the_end_is_bounded_too() -> None:
    full = msgspec.structs.replace(OLD, held_chars_max=16)
    assert only(Abort, drive(governor(full), say("0123456789", "0123456789"))).cause == "held_chars"
    waived = msgspec.structs.replace(full, on_cap="release_and_flag")
    effects = answer(governor(waived), *["0123456789"] * 4)
    assert text(effects) == "0123456789" * 4
    assert len(all_of(Flag, effects)) == 2


def test_a_note_that_keeps_too_much_is_given_up_and_flagged() -> None:
    note = StreamRule(id="note", match=Regex("<[a-z]*>"), then=Annotate(), held_chars_max=4)
    effects = answer(governor(note), "<abc", "defg", "h> <b>")
    assert text(effects) == "<abcdefgh> <b>"
    assert only(Flag, effects).rule == "note"
    assert [(one.start, one.end) for one in all_of(Violation, effects)] == [(11, 14)]


def test_a_cap_on_age_that_releases_lets_the_text_go_when_time_has_come() -> None:
    rule = msgspec.structs.replace(BLOCK, held_age_ms_max=50, on_cap="release_and_flag")
    guard = governor(rule)
    guard.take(say("the sk-"), 0)
    effects = guard.tick(50 * MS)
    assert text(effects) == "sk-"
    assert only(Flag, effects).cause == "held_age"
    assert guard.due_ns is None
    assert only(Abort, guard.take(say("live"), 60 * MS)).start == 4


def test_text_that_the_net_keeps_is_under_the_caps_too() -> None:
    drop = StreamRule(id="drop", match=Phrase("XX"), then=Drop())
    rule = msgspec.structs.replace(BLOCK, held_age_ms_max=50)
    guard = governor(drop, rule)
    assert text(guard.take(say("a sk-XX"), 0)) == "a "
    assert (guard.held_chars, guard.due_ns) == (5, 50 * MS)
    assert only(Abort, guard.tick(50 * MS)).cause == "held_age"
    guard = governor(drop, msgspec.structs.replace(rule, on_cap="release_and_flag"))
    guard.take(say("a sk-XX"), 0)
    effects = guard.tick(60 * MS)
    assert (text(effects), only(Flag, effects).start, guard.due_ns) == ("sk-", 2, None)
    assert only(Abort, guard.take(say("live"), 70 * MS)).rule == "block"


def test_a_tick_that_comes_early_says_when_the_next_is_due() -> None:
    slow = StreamRule(id="slow", match=Regex("<[a-z]*>"), then=Block(), held_age_ms_max=500)
    guard = governor(slow, msgspec.structs.replace(BLOCK, held_age_ms_max=50))
    guard.take(say("<abc"), 0)
    assert guard.due_ns == 50 * MS
    assert guard.tick(50 * MS) == []
    assert guard.due_ns == 500 * MS
    assert only(Abort, guard.tick(500 * MS)).rule == "slow"


def test_held_text_ages_from_its_own_arrival() -> None:
    guard = governor(msgspec.structs.replace(BLOCK, held_age_ms_max=50))
    guard.take(say("s"), 0)
    guard.take(say("ome s"), 30 * MS)
    guard.take(say("k"), 60 * MS)
    assert guard.due_ns == 80 * MS


def test_a_search_that_takes_too_long_fails_closed_unless_the_rule_lets_it_go() -> None:
    letters = "a" * 3000
    effects = answer(governor(SLOW), "x ", letters, "c ")
    assert (only(Abort, effects).cause, text(effects)) == ("indeterminate", "x ")
    effects = answer(governor(msgspec.structs.replace(SLOW, on_error="release_and_flag")), "x ", letters, "c ")
    assert only(Flag, effects).cause == "indeterminate"
    assert text(effects) == f"x {letters}c "


def test_violations_past_a_bound_are_counted_not_told() -> None:
    guard = governor(StreamRule(id="note", match=Phrase("a"), then=Annotate()))
    effects = answer(guard, "a" * (FACTS_MAX + 9))
    assert len(all_of(Violation, effects)) == FACTS_MAX
    assert guard.matches == {"note": FACTS_MAX + 9}


# Order


def test_edits_are_made_in_order_and_the_loser_is_named() -> None:
    word = StreamRule(id="word", match=Phrase("secret plan"), then=Drop())
    secret = StreamRule(id="secret", match=Phrase("secret"), then=Rewrite("[s]"))
    effects = answer(governor(word, secret), "a secret", " plan, a secret")
    assert text(effects) == "a [s] plan, a [s]"
    assert [(one.rule, one.lost_to) for one in all_of(Violation, effects)] == [
        ("secret", None), ("word", "secret"), ("secret", None)
    ]  # fmt: skip


def test_what_an_edit_composed_is_read_by_blocks_alone() -> None:
    first = StreamRule(id="first", match=Phrase("ab"), then=Rewrite("cd"))
    second = StreamRule(id="second", match=Phrase("cd"), then=Rewrite("ef"))
    assert text(answer(governor(first, second), "ab cd ab")) == "cd ef cd"
    effects = answer(governor(StreamRule(id="drop", match=Phrase("--"), then=Drop()), BLOCK), "a sk-", "--live")
    found = all_of(Violation, effects)[-1]
    assert (found.composed, found.start, found.end, text(effects)) == (True, 2, 11, "a ")


def test_releases_are_events_of_the_channel_they_came_from() -> None:
    effects = drive(governor(BLOCK), [TextDelta(1, "a s"), TextDelta(0, "b s"), Finish(0, "stop"), Finish(1, "stop")])
    assert released(effects) == [
        TextDelta(1, "a "),
        TextDelta(0, "b "),
        TextDelta(0, "s"),
        Finish(0, "stop"),
        TextDelta(1, "s"),
        Finish(1, "stop"),
    ]
    assert all(isinstance(effect, Release) for effect in effects)


@pytest.mark.parametrize("delivery", ["live", "whole"])
def test_only_a_client_that_reads_along_has_seen_what_was_released(delivery: str) -> None:
    exact = msgspec.structs.replace(OLD, commit="exact")
    guard = governor(exact, delivery="whole") if delivery == "whole" else governor(exact)
    effects = drive(guard, say("safe ", "OldClient("))
    assert bool(all_of(Retry, effects)) is (delivery == "whole")
