"""Rules of policies as stream rules."""

from __future__ import annotations

from wardwright.calls.phases import PHASES
from wardwright.contracts.decode import Located, decode
from wardwright.contracts.policy import PolicyContract
from wardwright.policy.loading import load
from wardwright.streams.lowering import lower
from wardwright.streams.rule import (
    Annotate,
    AnyOf,
    Block,
    Drop,
    Phrase,
    Reasoning,
    Regex,
    Retry,
    Rewrite,
    StreamRule,
    Text,
    ToolArguments,
)
from wardwright.streams.ruleset import RuleSet

POLICY = """
kind: policy
name: p
lists: {names: [Heron, Osprey]}
rules:
  - id: retry
    phase: stream
    on: [text, {tool_arguments: {tool: "edit*", pointer: /text}}]
    match: {regex: 'Old\\(|Older\\('}
    hold: {mode: boundary, boundary: sentence, chars_max: 512, age_ms_max: 900, on_cap: release_and_flag}
    then:
      - annotate: old_client
      - retry_with_reminder: {text: Use the new one., max: 2, after_turns: 5, keep_partial: true}
    after_retries: [rewrite: {replacement: gone}]
    priority: 3
    why: One of each.
  - id: names
    phase: stream
    on: [reasoning]
    match: {contains: {value: $names, ignore_case: true}}
    then: [block: secret]
    enforce: shadow
    on_error: silent
    why: A list, without its case.
  - id: drop
    phase: stream
    on: [text]
    match: {contains: "a+b"}
    hold: {mode: full}
    then: [drop]
    why: A phrase with a mark in it.
  - id: note
    phase: stream
    on: [text]
    match: {contains: hello}
    then: [annotate: greeting, alert: {message: hi}]
    why: Nothing is done to the stream.
  - id: again
    phase: stream
    on: [text]
    match: {contains: "???"}
    then: [retry: {max: 1}]
    why: The same again.
"""


def lowered(source: str) -> dict[str, StreamRule]:
    documents: list[Located[PolicyContract]] = []
    for document in decode(source.encode(), "p.yaml"):
        assert isinstance(document.value, PolicyContract)
        documents.append(Located(document.value, document.file, document.places))
    return {rule.id: rule for rule in lower(load(documents, PHASES).of("stream"))}


def test_a_policy_says_the_same_as_a_stream_rule() -> None:
    rules = lowered(POLICY)
    RuleSet(list(rules.values()))
    assert rules["p/retry"] == StreamRule(
        id="p/retry",
        on=(Text(), ToolArguments("edit*", "/text")),
        match=Regex(r"Old\(|Older\("),
        then=Retry(
            "Use the new one.",
            retries_max=2,
            keep_partial=True,
            once_per="session",
            repeat_after_turns=5,
            after=Rewrite("gone"),
        ),
        commit="sentence",
        priority=3,
        held_chars_max=512,
        held_age_ms_max=900,
        on_cap="release_and_flag",
    )


def test_what_a_policy_leaves_out_is_as_the_policy_defaults_say() -> None:
    rules = lowered(POLICY)
    names = rules["p/names"]
    assert (names.on, names.then, names.shadow, names.on_error) == ((Reasoning(),), Block(), True, "release_and_flag")
    assert names.match == AnyOf((Phrase("Heron", ignore_case=True), Phrase("Osprey", ignore_case=True)))
    drop = rules["p/drop"]
    assert (drop.match, drop.then, drop.commit, drop.held_age_ms_max) == (Phrase("a+b"), Drop(), "full", None)
    assert rules["p/note"].then == Annotate()
    assert rules["p/again"].then == Retry("", retries_max=1)
