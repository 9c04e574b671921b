"""Ways in which stream policies of earlier gateways failed, each kept from coming back.

| The defect | Its tests |
|---|---|
| 1 The first rule that matches shadows the rest | `…_does_not_shadow_a_block`, `…_is_found_at_the_end_too` |
| 2 A rewrite lets go of everything that was held | `…_keeps_holding_what_another_rule_waits_for` |
| 3 A drop looks at one chunk; a later rewrite brings dropped text back | `…_split_over_deltas_…`, `…_stays_dropped_…` |
| 4 A hold that is shorter than the pattern; patterns meet made-up edges | `…_as_long_as_…`, `…_longer_than_…`, `…_edges_…` |
| 5 The cap on age measures the stream, and sleeps while the upstream does | `…_not_the_stream`, `…_silent_upstream_…` |
| 6 A whole answer bypasses the rules of streams | `…_whole_answer_…` |
| 7 Tool calls and reasoning pass ungoverned and end the chance of a retry | `…_tool_call_…`, `…_reasoning_…` |
| 8 Finish, usage and empty answers get lost; without rules everything waits | `…_finish_and_usage_…`, `…_empty_…`, `…_nothing_…` |
| 9 No once per session, gap, shadow or second action; "released" says nothing | `…_session_…`, `…_gap_…`, `…_shadow_…`, `…_spent_…`, `…_released_…` |
"""  # noqa: E501

from __future__ import annotations

import msgspec
import pytest

from parts.governed import all_of, answer, call, drive, governor, only, released, say, text
from wardwright.dialects.openai_events import OpenAIWhole
from wardwright.kernel.errors import WardwrightError
from wardwright.kernel.events import Finish, ReasoningDelta, Start, TextDelta, UsageReport
from wardwright.kernel.usage import Usage
from wardwright.streams.effects import Abort, Release, Retry, Violation
from wardwright.streams.governor import Governor
from wardwright.streams.rule import (
    Annotate,
    Block,
    Drop,
    Past,
    Phrase,
    Reasoning,
    Regex,
    Rewrite,
    StreamRule,
    ToolArguments,
)
from wardwright.streams.rule import Retry as RetryAction
from wardwright.streams.ruleset import RuleSet

MS = 1_000_000
BLOCK = StreamRule(id="no-key", match=Phrase("sk-live"), then=Block())
REWRITE = StreamRule(id="account", match=Regex(r"acct_[0-9]+"), then=Rewrite("[account]"))
RETRY = StreamRule(id="old", match=Phrase("OldClient("), then=RetryAction("Use NewClient."))


# 1


def test_a_rewrite_in_the_same_delta_does_not_shadow_a_block() -> None:
    effects = answer(governor(REWRITE, BLOCK), "pay acct_7 with sk-live_1 now")
    assert text(effects) == "pay [account] with "
    assert only(Abort, effects).rule == "no-key"


def test_a_block_behind_an_annotation_is_found_at_the_end_too() -> None:
    note = StreamRule(id="note", match=Phrase("sk"), then=Annotate())
    ending = StreamRule(id="ending", match=Regex(r"sk-[a-z]+$"), then=Block())
    effects = answer(governor(note, ending), "the key: ", "sk-", "abc")
    assert text(effects) == "the key: "
    assert only(Abort, effects).rule == "ending"


# 2


def test_a_rewrite_keeps_holding_what_another_rule_waits_for() -> None:
    guard = governor(REWRITE, BLOCK)
    effects = drive(guard, say("acct_1 sk-", "li"))
    assert text(effects) == "[account] "
    assert guard.held_chars == 5
    effects = drive(guard, say("ve"))
    assert text(effects) == ""
    assert only(Abort, effects).dropped_chars == 7


# 3


def test_a_drop_that_is_split_over_deltas_leaves_nothing_of_its_match() -> None:
    drop = StreamRule(id="drop", match=Phrase("as an AI"), then=Drop())
    assert text(answer(governor(drop), "Well, as", " an", " AI, no")) == "Well, , no"


def test_what_was_dropped_stays_dropped_when_a_rewrite_follows() -> None:
    drop = StreamRule(id="drop", match=Phrase("secret"), then=Drop(), commit="full")
    rewrite = StreamRule(id="rewrite", match=Phrase("word"), then=Rewrite("WORD"))
    assert text(answer(governor(drop, rewrite), "a sec", "ret wo", "rd b")) == "a  WORD b"


# 4


def test_what_is_held_is_as_long_as_the_pattern_needs_and_no_longer() -> None:
    guard = governor(StreamRule(id="long", match=Regex("x[0-9]{40}y"), then=Block()))
    drive(guard, say("ab x", "0" * 40))
    assert guard.held_chars == 41
    drive(guard, say("z"))
    assert guard.held_chars == 0


def test_a_rule_whose_shortest_match_is_longer_than_what_may_be_held_is_refused() -> None:
    with pytest.raises(WardwrightError, match="40 characters or more, and 39 may be held") as caught:
        governor(StreamRule(id="r", match=Regex("[0-9]{40}"), then=Block(), held_chars_max=39))
    assert caught.value.hint == "allow at least 40"


def test_a_pattern_of_any_length_is_admitted_with_a_note_and_ends_at_its_cap() -> None:
    rules = RuleSet([StreamRule(id="r", match=Regex("<a[^>]*>"), then=Block(), held_chars_max=8)])
    effects = drive(Governor(rules), say("b <a", "23456", "789"))
    assert only(Abort, effects).cause == "held_chars"
    assert text(effects) == "b "
    assert [note.rule for note in rules.notes if "of any length" in note.says] == ["r"]


def test_edges_and_anchors_see_the_original_text_wherever_it_was_cut() -> None:
    word = StreamRule(id="word", match=Regex(r"\bcat\b"), then=Rewrite("dog"))
    first = StreamRule(id="first", match=Regex("^the"), then=Rewrite("a"))
    assert text(answer(governor(word, first), "the con", "cat", "s the ", "cat", " cat")) == "a concats the dog dog"


# 5


def test_the_cap_on_age_counts_the_oldest_held_character_not_the_stream() -> None:
    guard = governor(msgspec.structs.replace(BLOCK, held_age_ms_max=100))
    effects = drive(guard, say(*["on and on s"] * 100), step_ns=50 * MS)
    assert all_of(Abort, effects) == []
    assert guard.held_chars == 1


def test_a_silent_upstream_trips_the_cap_when_its_time_has_come() -> None:
    guard = governor(msgspec.structs.replace(BLOCK, held_age_ms_max=100))
    guard.take(say("the key is sk-"), 7 * MS)
    assert guard.due_ns == 107 * MS
    assert guard.tick(107 * MS - 1) == []
    abort = only(Abort, guard.tick(107 * MS))
    assert (abort.cause, abort.rule, abort.dropped_chars) == ("held_age", "no-key", 3)


# 6


def test_a_whole_answer_meets_the_rules_of_streams_and_every_retry_is_open() -> None:
    body = b'{"choices":[{"index":0,"message":{"content":"Fine, write OldClient() then"},"finish_reason":"stop"}]}'
    guard = governor(RETRY, delivery="whole")
    decoder = OpenAIWhole()
    events = decoder.feed(body) + decoder.close()
    effects = [effect for event in events for effect in guard.take([event], 0)]
    assert only(Retry, effects).reminders == ("Use NewClient.",)


# 7


def test_a_tool_call_is_held_whole_so_that_a_retry_stays_open() -> None:
    rule = StreamRule(id="curl", on=(ToolArguments("shell"),), match=Regex(r"\bcurl\b"), then=RetryAction("No."))
    guard = governor(rule)
    effects = drive(guard, call("shell", '{"cmd": "cu', 'rl x", "t'))
    retry = only(Retry, effects)
    assert (retry.spot.call, retry.spot.field, retry.start, retry.end) == (0, "/cmd", 0, 4)
    assert released(effects) == []


def test_a_tool_call_is_judged_as_the_tool_will_read_it() -> None:
    rule = StreamRule(id="curl", on=(ToolArguments(),), match=Phrase("curl"), then=Block())
    effects = drive(governor(rule), [*call("shell", r'{"cmd": "\u0063url x"}'), Finish(0, "tool_calls")])
    assert only(Abort, effects).rule == "curl"


def test_reasoning_is_governed_where_a_rule_watches_it() -> None:
    rule = msgspec.structs.replace(BLOCK, on=(Reasoning(),))
    effects = drive(governor(rule), [ReasoningDelta(0, "hm sk-"), ReasoningDelta(0, "live"), *say("sk-live")])
    assert only(Abort, effects).spot.kind == "reasoning"
    assert released(effects) == [ReasoningDelta(0, "hm ")]


# 8


def test_finish_and_usage_pass_behind_the_text_they_end() -> None:
    events = [Start(), *say("ab s"), Finish(0, "length"), UsageReport(Usage(output=3))]
    effects = drive(governor(BLOCK), events)
    assert released(effects) == [Start(), *say("ab ", "s"), *events[2:]]


def test_an_empty_answer_stays_an_answer() -> None:
    effects = drive(governor(BLOCK), [Start(), Finish(0, "stop")])
    assert released(effects) == [Start(), Finish(0, "stop")]


def test_nothing_waits_where_nothing_could_match() -> None:
    (delta,) = say("free text")
    (effect,) = governor(BLOCK).take([delta], 0)
    assert isinstance(effect, Release)
    assert effect.events[0] is delta


# 9


def test_a_rule_fires_once_per_session_and_only_annotates_after() -> None:
    once = msgspec.structs.replace(RETRY, then=RetryAction("Use NewClient.", once_per="session"))
    effects = answer(governor(once, past=[Past(rule="old", turns_ago=3)]), "OldClient()")
    assert text(effects) == "OldClient()"
    assert only(Violation, effects).action == "annotate"


@pytest.mark.parametrize(("turns_ago", "fires"), [(9, False), (10, True)])
def test_a_rule_fires_again_after_its_gap_of_turns(turns_ago: int, fires: bool) -> None:
    then = RetryAction("Use NewClient.", once_per="session", repeat_after_turns=10)
    guard = governor(msgspec.structs.replace(RETRY, then=then), past=[Past(rule="old", turns_ago=turns_ago)])
    assert bool(all_of(Retry, answer(guard, "OldClient()"))) is fires


def test_a_shadow_rule_says_what_it_would_have_done_and_holds_nothing() -> None:
    guard = governor(msgspec.structs.replace(BLOCK, shadow=True))
    effects = drive(guard, say("a sk-", "live b"))
    assert [event.text for event in released(effects) if isinstance(event, TextDelta)] == ["a sk-", "live b"]
    found = only(Violation, effects)
    assert (found.action, found.shadow, found.start, found.end) == ("block", True, 2, 9)


@pytest.mark.parametrize(("past", "left"), [([Past(rule="old", retries=1)], 5), ([], 0)])
def test_a_rule_whose_retries_are_spent_does_what_follows_them(past: list[Past], left: int) -> None:
    then = RetryAction("Use NewClient.", after=Rewrite("NewClient("))
    effects = answer(
        governor(msgspec.structs.replace(RETRY, then=then), past=past, retries_left=left), "x = OldClient()"
    )
    assert text(effects) == "x = NewClient()"


def test_a_violation_says_how_much_was_released_before_it() -> None:
    effects = answer(governor(RETRY), "safe, ", "then OldClient()")
    assert only(Violation, effects).released_chars == 11
    abort = only(Abort, effects)
    assert (abort.cause, abort.start, abort.end) == ("retry_after_release", 11, 21)
