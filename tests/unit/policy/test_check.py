"""Findings: each is raised by what it is about, and by nothing beside it."""

from __future__ import annotations

import pytest

from parts.policies import PHASES, document, policy, rule
from wardwright.policy.check import check
from wardwright.policy.loading import load


def codes(*texts: str) -> list[str]:
    return [finding.code for finding in check(policy(*texts))]


def two(first: str, second: str, then: tuple[str, str] = ("block", "block"), more: str = "") -> str:
    return (
        f"rules:\n- {{id: r, phase: ask, when: {first}, then: [{then[0]}], why: because}}\n"
        f"- {{id: s, phase: ask, when: {second}, then: [{then[1]}], why: because{more}}}\n"
    )


def search(regex: str, then: str = "block", more: str = "", id_: str = "r") -> str:
    return (
        f"- {{id: {id_}, phase: answer, on: [text], match: {{regex: '{regex}'}}, then: [{then}], why: because{more}}}\n"
    )


@pytest.mark.parametrize(
    "when",
    [
        "{all: [{eq: [who, ann]}, {eq: [who, bob]}]}",
        "{all: [{gt: [size, 3]}, {lt: [size, 4]}]}",
        "{all: [{exists: who}, {not: {exists: who}}]}",
        "{all: [{in: [who, [ann, bob]]}, {not: {prefix: [who, [a, b]]}}, {exists: who}]}",
        "{all: [{eq: [urgent, true]}, {not: {eq: [urgent, true]}}]}",
        "{not: {any: [{gt: [size, 3]}, {lte: [size, 3]}, {not: {exists: size}}]}}",
    ],
)
def test_a_condition_that_contradicts_itself_never_fires(when: str) -> None:
    assert codes(rule(when)) == ["P01"]


@pytest.mark.parametrize(
    "when",
    [
        "{any: [{exists: who}, {not: {exists: who}}]}",
        "{any: [{gt: [size, 3]}, {lte: [size, 3]}, {not: {exists: size}}]}",
        "{not: {all: [{eq: [who, ann]}, {eq: [who, bob]}]}}",
    ],
)
def test_a_condition_that_is_always_true_is_told(when: str) -> None:
    assert codes(rule(when)) == ["P02"]


@pytest.mark.parametrize(
    "when",
    [
        "{all: [{contains: [who, a]}, {prefix: [who, b]}]}",
        "{all: [{gt: [share, 0.5]}, {lt: [share, 0.5]}]}",
        "{all: [{any_of: [tags, [a]]}, {not: {any_of: [tags, [b]]}}]}",
        "{any: [{gt: [size, 3]}, {lte: [size, 3]}]}",
        "{any: [{detector: [body, secrets]}, {not: {detector: [body, secrets]}}]}",
    ],
)
def test_what_is_not_proved_is_not_told(when: str) -> None:
    assert codes(rule(when)) == []


def test_a_rule_that_another_covers_adds_nothing() -> None:
    (finding,) = check(policy(two("{gt: [size, 3]}", "{all: [{gt: [size, 5]}, {eq: [who, ann]}]}")))

    assert (finding.code, finding.rules) == ("P03", ("p0/r", "p0/s"))
    assert finding.message == "`p0/s` adds nothing: `p0/r` fires wherever it does, with the same effects"


@pytest.mark.parametrize(
    ("second", "more"),
    [
        ("{gt: [size, 2]}", ""),
        ("{gt: [size, 5]}", ", priority: 1"),
        ("{eq: [who, ann]}", ""),
        ("{gt: [share, 5]}", ""),
    ],
)
def test_a_rule_that_reaches_further_or_matters_more_adds_something(second: str, more: str) -> None:
    first = "{gt: [share, 5]}" if "share" in second else "{gt: [size, 3]}"
    found = codes(two(first, second.replace("[share, 5]", "[share, 6]"), more=more))

    assert found in ([], ["P03"])
    assert ("P03" in found) is (second == "{gt: [size, 2]}")


def test_the_narrower_of_two_rules_is_the_one_that_adds_nothing() -> None:
    (finding,) = check(policy(two("{gt: [size, 3]}", "{gt: [size, 2]}")))

    assert finding.rules == ("p0/s", "p0/r")


def test_of_two_equal_rules_one_adds_nothing() -> None:
    (finding,) = check(policy(two("{gt: [size, 3]}", "{gt: [size, 3]}")))

    assert finding.rules == ("p0/r", "p0/s")


def test_an_allow_does_not_lift_a_refusal() -> None:
    assert codes(two("{eq: [who, ann]}", "{gt: [size, 3]}", ("allow", "block"))) == ["P04"]
    assert codes(two("{lt: [size, 3]}", "{gt: [size, 3]}", ("allow", "block"))) == []


def test_rewrites_of_the_same_text_are_told() -> None:
    same = search("key-[0-9]{4}", "{rewrite: a}") + search(r"\bkey-[0-9]{2}", "drop", id_="s")
    other = search("key-[0-9]{4}", "{rewrite: a}") + search("token-[0-9]{4}", "drop", id_="s")

    assert codes("rules:\n" + same) == ["P05"]
    assert codes("rules:\n" + other) == []


def test_reminders_that_may_come_together_are_noted() -> None:
    (finding,) = check(
        policy(two("{gt: [size, 3]}", "{eq: [who, ann]}", ("{inject_reminder: x}", "{inject_reminder: y}")))
    )

    assert (finding.code, finding.severity) == ("P06", "note")


def test_restrictions_without_a_common_pattern_are_noted_once_for_each_two() -> None:
    text = two("{gt: [size, 3]}", "{eq: [who, ann]}", ("{restrict_routes: a}", "{restrict_routes: b}"))
    more = "- {id: t, phase: ask, when: {exists: body}, then: [{restrict_routes: [b, c]}], why: because}\n"
    (first, second) = check(policy(text + more))

    assert (first.code, second.code) == ("P07", "P07")
    assert codes(two("{gt: [size, 3]}", "{eq: [who, ann]}", ("{restrict_routes: a}", "{restrict_routes: 'x/*'}"))) == []


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (search("a.*b"), ["P09"]),
        (search("a.{0,20}b"), []),
        (search("a.*b", more=", hold: {mode: full}"), []),
        (search("ab").replace("regex: 'ab'", "detector: us_ssn"), []),
        (search("ab").replace("regex: 'ab'", "detector: jwt"), ["P09"]),
        (search("ab", more=", hold: {mode: pass}"), ["P10"]),
        (search("ab", "{annotate: x}", ", hold: {mode: pass}"), []),
        (search("ab", more=", hold: {on_cap: release_and_flag}"), ["P16"]),
    ],
)
def test_what_holding_cannot_promise_is_told(rules: str, expected: list[str]) -> None:
    assert codes("rules:\n" + rules) == expected


@pytest.mark.parametrize(
    ("then", "on_error", "expected"),
    [
        ("block", "silent", ["P16"]),
        ("block", "annotate", ["P16"]),
        ("block", "deny", []),
        ("alert", "silent", []),
    ],
)
def test_a_rule_that_fails_open_is_told(then: str, on_error: str, expected: list[str]) -> None:
    assert codes(rule("{gt: [size, 3]}", then, more=f"on_error: {on_error}")) == expected


def test_state_that_counts_what_nobody_writes_is_told() -> None:
    state = "state: {leaks: {count: leak, scope: session, within: {turns: 9}}}\n"
    counting = rule("{gte: [state.leaks, 3]}")
    writing = "- {id: w, phase: ask, when: {exists: body}, then: [{annotate: leak}], why: because}\n"

    def found(text: str) -> list[str]:
        return [one.code for one in check(load([document(text)], PHASES, measures=frozenset({"count"})))]

    assert found(state + counting) == ["P11"]
    assert found(state + counting + writing) == []


@pytest.mark.parametrize(
    ("within", "when", "found"),
    [
        ("{turns: 5}", "{gte: [state.leaks, 8]}", []),
        ("{turns: 5}", "{gte: [state.leaks, 9]}", ["P11"]),
        ("{turns: 5}", "{gt: [state.leaks, 8]}", ["P11"]),
        ("{events: 4}", "{gte: [state.leaks, 5]}", ["P11"]),
    ],
)
def test_a_count_that_its_state_cannot_reach_is_found(within: str, when: str, found: list[str]) -> None:
    text = f"state: {{leaks: {{count: leak, scope: session, within: {within}, items_max: 8}}}}\n"

    assert codes(text + two("{gt: [size, 3]}", when, then=("annotate: leak", "block"))) == found


def test_a_finding_stands_where_its_rule_does() -> None:
    (finding,) = check(policy(rule("{all: [{eq: [who, ann]}, {eq: [who, bob]}]}")))

    assert str(finding.error().place) == "p0.yaml:4:3 (rules[0])"
    assert finding.error().code == "policy_finding"
