"""The published rules that the governor's speed is held against."""

from __future__ import annotations

from benchmarks import stream_rules
from parts.governed import say, text
from wardwright.streams.governor import Governor


def test_thirty_phrases_and_twenty_patterns_are_admitted_without_a_note() -> None:
    rules = stream_rules.rules()
    assert len(rules.rules) == 50
    assert rules.notes == ()


def test_the_rules_bite() -> None:
    rules = stream_rules.rules()
    effects = Governor(rules).take(say("key AKIA", "ABCDEFGHIJKLMNOP and ", "ann@example.com", " end\n"), 0)
    assert text(effects) == "key [aws-key] and [mail] end\n"


def test_the_measured_text_sets_off_nothing_that_ends_it() -> None:
    governor = stream_rules.governed(stream_rules.rules(), stream_rules.deltas())
    assert governor.state == "seen"
