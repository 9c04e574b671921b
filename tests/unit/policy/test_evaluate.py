"""Rules decide what they say, and say so where they cannot tell."""

from __future__ import annotations

import pytest

from parts.policies import ANSWER, facts, policy, rule
from wardwright.policy.decision import NOTHING, Span
from wardwright.policy.evaluate import arm, decide
from wardwright.policy.phases import Facts, checked


def fires(when: str, **values: object) -> bool:
    return decide(policy(rule(when)), "ask", facts(**values)).effect == "block"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("when", "holds", "fails"),
    [
        ("{eq: [who, ann]}", {"who": "ann"}, {"who": "bob"}),
        ("{in: [who, [ann, bob]]}", {"who": "bob"}, {"who": "eve"}),
        ("{prefix: [who, an]}", {"who": "ann"}, {"who": "Ann"}),
        ("{suffix: [who, [n, x]]}", {"who": "ann"}, {"who": "bob"}),
        ("{contains: {field: body, value: SECRET, ignore_case: true}}", {"body": "a secret"}, {"body": "a secre"}),
        ("{glob: [who, 'a*n']}", {"who": "alan"}, {"who": "alana"}),
        (r"{regex: [body, '\bkey-\d{4}$']}", {"body": "the key-1234"}, {"body": "the key-1234\n"}),
        ("{regex: {field: body, value: 'password ?=', ignore_case: true}}", {"body": "PassWord="}, {"body": "pass"}),
        ("{gt: [size, 3]}", {"size": 4}, {"size": 3}),
        ("{gte: [size, 3]}", {"size": 3}, {"size": 2}),
        ("{lt: [size, 3]}", {"size": 2}, {"size": 3}),
        ("{lte: [size, 3]}", {"size": 3}, {"size": 4}),
        ("{between: [size, 2, 4]}", {"size": 4}, {"size": 5}),
        ("{gt: [share, 0.5]}", {"share": "0.75"}, {"share": "0.5"}),
        ("{between: [share, 0.1, 9]}", {"share": "9"}, {"share": "10"}),
        ("{eq: [urgent, true]}", {"urgent": True}, {"urgent": False}),
        ("{exists: who}", {"who": ""}, {}),
        ("{any_of: [tags, [red, blue]]}", {"tags": ("green", "blue")}, {"tags": ("green",)}),
        ("{all_of: {field: tags, prefix: x-}}", {"tags": ("x-a", "x-b")}, {"tags": ("x-a", "y")}),
        ("{any_of: {field: tags, contains: {value: RED, ignore_case: true}}}", {"tags": ("dark red",)}, {"tags": ()}),
        ("{detector: [body, secrets]}", {"body": "-----BEGIN PRIVATE KEY-----"}, {"body": "public"}),
        ("{all: [{eq: [who, ann]}, {gt: [size, 3]}]}", {"who": "ann", "size": 4}, {"who": "ann", "size": 3}),
        ("{any: [{eq: [who, ann]}, {gt: [size, 3]}]}", {"who": "bob", "size": 4}, {"who": "bob", "size": 3}),
        ("{not: {eq: [who, ann]}}", {"who": "bob"}, {"who": "ann"}),
        ("{eq: [metadata.team, core]}", {"metadata.team": "core"}, {"metadata.team": "web"}),
    ],
)
def test_an_operator_holds_for_what_it_names_and_nothing_beside(
    when: str, holds: dict[str, object], fails: dict[str, object]
) -> None:
    assert fires(when, **holds)
    assert not fires(when, **fails)


@pytest.mark.parametrize(
    "when", ["{eq: [who, ann]}", "{gt: [size, 3]}", "{regex: [body, x]}", "{all_of: [tags, [a]]}", "{glob: [who, '*']}"]
)
def test_an_absent_field_satisfies_nothing_but_a_negation(when: str) -> None:
    assert not fires(when)
    assert fires(f"{{not: {when}}}")


def test_an_exception_silences_its_rule_and_no_other() -> None:
    made = policy(
        rule("{gt: [size, 1]}", more="unless: [{name: on-call, eq: [who, ann]}]")
        + "- {id: s, phase: ask, when: {gt: [size, 1]}, then: [alert], why: because}\n"
    )

    assert [one.rule for one in decide(made, "ask", facts(who="ann", size=2)).reasons] == ["s"]
    assert [one.rule for one in decide(made, "ask", facts(who="bob", size=2)).reasons] == ["r", "s"]


def test_macros_and_lists_stand_for_what_they_name() -> None:
    made = policy("lists: {crew: [ann, bob]}\nmacros: {crew: {in: [who, $crew]}}\n" + rule("{not: {macro: crew}}"))

    assert decide(made, "ask", facts(who="eve")).effect == "block"
    assert decide(made, "ask", facts(who="bob")) is NOTHING


# Three values


def missing(**values: object) -> Facts:
    known = facts(**values)  # type: ignore[arg-type]
    return Facts({name: value for name, value in known.known.items() if name != "size"}, {"size": "is being counted"})


def test_a_rule_on_an_unavailable_fact_denies_and_says_what_was_missing() -> None:
    decision = decide(policy(rule("{gt: [size, 3]}")), "ask", missing())

    (kept,) = decision.kept
    assert (decision.effect, kept.because) == ("block", "indeterminate")
    assert decision.reasons[0].unknown == ("size is being counted",)


@pytest.mark.parametrize(
    ("when", "who", "effect"),
    [
        ("{all: [{eq: [who, ann]}, {gt: [size, 3]}]}", "bob", "allow"),
        ("{any: [{eq: [who, ann]}, {gt: [size, 3]}]}", "ann", "block"),
        ("{all: [{gt: [size, 3]}, {eq: [who, ann]}]}", "ann", "alert"),
        ("{not: {gt: [size, 3]}}", "ann", "alert"),
    ],
)
def test_what_is_told_anyway_does_not_wait_for_what_is_missing(when: str, who: str, effect: str) -> None:
    made = policy(
        rule(when, more="on_error: silent")
        + f"- {{id: s, phase: ask, when: {when}, then: [alert], why: because, on_error: fire}}\n"
    )

    assert decide(made, "ask", missing(who=who)).effect == effect


@pytest.mark.parametrize(
    ("on_error", "then", "effect"),
    [
        ("deny", "alert", "block"),
        ("fire", "alert", "alert"),
        ("annotate", "block", "annotate"),
        ("silent", "block", "allow"),
        (None, "alert", "annotate"),
        (None, "restrict_routes: local", "block"),
    ],
)
def test_on_error_says_what_happens_where_a_rule_cannot_be_told(on_error: str | None, then: str, effect: str) -> None:
    more = "" if on_error is None else f"on_error: {on_error}"
    decision = decide(policy(rule("{gt: [size, 3]}", then, more=more)), "ask", missing())

    assert decision.effect == effect
    assert decision.reasons[0].unknown


def test_a_fact_that_nobody_supplied_cannot_be_told() -> None:
    decision = decide(policy(rule("{gt: [size, 3]}")), "ask", Facts({}))

    assert decision.reasons[0].unknown == ("size was not supplied",)


def test_a_search_that_takes_too_long_cannot_be_told() -> None:
    slow = r"{regex: [body, '(?:[a-z,]+;?){5}[0-9]']}"
    decision = decide(policy(rule(slow)), "ask", facts(body="a," * 4000))

    assert decision.effect == "block"
    assert decision.reasons[0].unknown == ("body could not be searched in time",)


def test_a_fact_of_the_wrong_type_is_unavailable() -> None:
    made = checked(ANSWER, {"who": 3, "what": "x"}, ANSWER.names())

    assert made.unavailable == {"who": "is no text", "what": "is no field of this phase"}


# Modes


def test_a_rule_in_shadow_is_recorded_without_effect() -> None:
    decision = decide(policy(rule("{eq: [who, ann]}", more="enforce: shadow")), "ask", facts(who="ann"))

    assert (decision.effect, decision.kept) == ("allow", ())
    assert [one.effect for one in decision.shadow] == ["block"]
    assert decision.reasons[0].shadow


def test_a_rule_that_is_off_is_not_asked() -> None:
    made = policy(rule("{eq: [who, ann]}", more="enforce: off"))

    assert decide(made, "ask", facts(who="ann")) is NOTHING


def test_a_policy_says_what_it_reads() -> None:
    made = policy(rule("{all: [{eq: [who, ann]}, {exists: metadata.team}]}"))

    assert made.reads["ask"] == {"who", "metadata.team"}
    assert made.reads["answer"] == frozenset()


# Searching


SEARCH = """
rules:
- id: name
  phase: answer
  on: [text]
  match: {contains: "O'Brien (sr.)"}
  when: {not: {eq: [who, family]}}
  then: [{rewrite: "[name]"}]
  why: because
"""


def test_a_searching_rule_fires_with_the_span_it_is_told_of() -> None:
    made = policy(SEARCH)
    here = checked(ANSWER, {"who": "ann"})
    span = Span(channel="text", start=2, end=15)

    assert decide(made, "answer", here) is NOTHING
    decision = decide(made, "answer", here, {"p0/name": span})
    assert decision.effect == "rewrite"
    assert decision.kept[0].span == span


def test_a_searching_rule_watches_where_its_condition_holds() -> None:
    made = policy(SEARCH)

    assert [one.name for one in arm(made, "answer", checked(ANSWER, {"who": "ann"})).rules] == ["p0/name"]
    assert arm(made, "answer", checked(ANSWER, {"who": "family"})).rules == ()


def test_a_watch_that_cannot_be_told_is_decided_before_the_answer_begins() -> None:
    armed = arm(policy(SEARCH), "answer", Facts({}, {"who": "is unknown here"}))

    assert (armed.rules, armed.decision.effect) == ((), "block")
