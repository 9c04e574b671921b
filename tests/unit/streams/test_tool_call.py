"""Tool calls: held whole, judged value by value."""

from __future__ import annotations

import pytest

from parts.governed import all_of, arguments, call, drive, governor, only, released
from wardwright.kernel.events import Event, Finish, ToolCallStart
from wardwright.streams import governor as g
from wardwright.streams.effects import Abort, Flag, Violation
from wardwright.streams.rule import Annotate, Block, Phrase, Regex, Rewrite, StreamRule, ToolArguments

END: list[Event] = [Finish(0, "tool_calls")]
PATH = StreamRule(id="path", on=(ToolArguments("edit*", "/path"),), match=Regex(r"^/etc/"), then=Block())


def test_a_rule_on_one_argument_decides_as_soon_as_that_argument_is_complete() -> None:
    guard = governor(PATH)
    assert drive(guard, call("edit_file", '{"path": "/etc/pas')) == []
    abort = only(Abort, drive(guard, call("edit_file", '{"path": "/etc/passwd", "text": "r')[1:]))
    assert (abort.rule, abort.spot.field, abort.start, abort.end) == ("path", "/path", 0, 5)


def test_a_rule_watches_its_tool_and_its_argument_alone() -> None:
    other = [*call("read_file", '{"path": "/etc/x"}'), *call("edit_file", '{"text": "/etc/x"}', index=1), *END]
    assert arguments(drive(governor(PATH), other)) == ['{"path": "/etc/x"}', '{"text": "/etc/x"}']


def test_calls_leave_in_their_order_at_the_end_of_their_choice() -> None:
    two = [*call("a", "{}"), *call("b", "[", index=1), *call("b", "1]", index=1)[1:]]
    guard = governor(PATH)
    assert released(drive(guard, two)) == []
    starts = [event.name for event in released(drive(guard, END)) if isinstance(event, ToolCallStart)]
    assert starts == ["a", "b"]


def test_an_edited_value_becomes_a_string_and_the_rest_stays_as_it_was() -> None:
    card = StreamRule(id="card", on=(ToolArguments(),), match=Regex(r"\b[0-9]{16}\b"), then=Rewrite("[card]"))
    sent = '{"b": 1.50, "a/b": [{"~c": "to 4111111111111111"}], "n": 4111111111111111, "t": true}'
    (left,) = arguments(drive(governor(card), [*call("pay", sent), *END]))
    assert left == '{"b":1.50,"a/b":[{"~c":"to [card]"}],"n":"[card]","t":true}'


def test_violations_name_the_value_they_were_found_in() -> None:
    note = StreamRule(id="note", on=(ToolArguments(),), match=Phrase("x"), then=Annotate())
    effects = drive(governor(note), [*call("t", '{"a/b": [{"~c": "yx"}]}'), *END])
    found = only(Violation, effects)
    assert (found.spot.field, found.start) == ("/a~1b/0/~0c", 1)


@pytest.mark.parametrize("sent", ['{"a": 1', "not json", '{"a": 1, "a": 2}', '{"a": "\\ud800"}'])
def test_arguments_that_cannot_be_judged_fail_closed_unless_the_rule_lets_them_go(sent: str) -> None:
    abort = only(Abort, drive(governor(rule := _on_error("fail_closed")), [*call("t", sent), *END]))
    assert (abort.cause, abort.rule) == ("indeterminate", rule.id)
    effects = drive(governor(_on_error("release_and_flag")), [*call("t", sent), *END])
    assert only(Flag, effects).cause == "indeterminate"
    assert arguments(effects) == [sent]


def _on_error(word: str) -> StreamRule:
    assert word in ("fail_closed", "release_and_flag")
    if word == "fail_closed":
        return StreamRule(id="any", on=(ToolArguments(),), match=Phrase("zzz"), then=Block())
    return StreamRule(id="any", on=(ToolArguments(),), match=Phrase("zzz"), then=Block(), on_error="release_and_flag")


@pytest.mark.parametrize("sent", [[], [""], ["  "]])
def test_a_call_without_arguments_leaves_as_it_came(sent: list[str]) -> None:
    effects = drive(governor(PATH), [*call("edit", *sent), *END])
    assert all_of(Abort, effects) == []
    assert arguments(effects) == [piece for piece in sent if piece]


def test_long_arguments_are_read_again_in_proportion_to_their_length() -> None:
    guard = governor(StreamRule(id="r", on=(ToolArguments(),), match=Phrase("zzz"), then=Block()))
    pieces = ['{"a": [', *(f'"{index:06}",' for index in range(20_000)), '"end"]}']
    effects = drive(guard, [*call("t", *pieces), *END])
    assert arguments(effects) == ["".join(pieces)]


def test_more_than_the_governor_holds_of_calls_ends_the_attempt() -> None:
    guard = governor(PATH)
    piece = "x" * (1 << 20)
    effects = drive(guard, call("read", *[piece] * (g.CALL_CHARS_MAX // len(piece) + 1)))
    abort = only(Abort, effects)
    assert (abort.cause, abort.rule) == ("call_size", None)
