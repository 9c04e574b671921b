"""What a policy may not say, told with its place before anything is served."""

from __future__ import annotations

import pytest

from parts.policies import ANSWER, ASK, PHASES, document, policy, rule
from wardwright.contracts.refusal import ContractErrors
from wardwright.kernel.errors import WardwrightError
from wardwright.policy.loading import load


def refused(*texts: str) -> tuple[WardwrightError, ...]:
    with pytest.raises(ContractErrors) as caught:
        policy(*texts)
    return caught.value.errors


@pytest.mark.parametrize(
    ("when", "message", "hint"),
    [
        ("{eq: [whom, ann]}", "the phase `ask` has no field `whom`", "did you mean `who`?"),
        ("{eq: [who, 3]}", "`who` is text and never `3`", "put quotes around it"),
        ("{eq: [urgent, yes]}", "`urgent` is true or false and never `yes`", None),
        ("{gt: [size, 0.5]}", "`size` is a whole number and never `0.5`", None),
        (
            "{contains: [size, x]}",
            "`contains` cannot compare `size`, which is a whole number",
            "a whole number can be compared with `eq`, `in`, `gt`, `gte`, `lt`, `lte`, `between` or `exists`",
        ),
        ("{eq: [tags, a]}", "`eq` cannot compare `tags`, which is a list of texts", "ask for its items with `any_of`"),
        ("{any_of: [who, [a]]}", "`who` is one text, not a list", "write `in` alone"),
        ("{detector: [body, secret]}", "there is no detector `secret`", "did you mean `secrets`?"),
        ("{gt: [state.leaks, 3]}", "this policy declares no state `leaks`", "declare it under `state`"),
        (r"{regex: [body, '(a)\1']}", "back-references cannot be matched in linear time (character 4)", "spell the"),
        (
            r"{regex: [body, 'a(?!b)']}",
            "look-around cannot be matched in linear time (character 2)",
            "match the text around it too, or add an exception",
        ),
        (r"{regex: [body, '(?:a+)+$']}", "a loop can read the same text in several ways", "let one thing repeat"),
        (r"{regex: [body, 'a*']}", "it matches the empty text", "ask for one character at least"),
        (r"{regex: [body, '[a']}", "a `[` without its `]` (character 1)", "close it, or escape it"),
    ],
)
def test_a_condition_that_means_nothing_is_refused_where_it_stands(when: str, message: str, hint: str | None) -> None:
    (error,) = refused(rule(when))

    assert error.message.startswith(message)
    assert (error.hint or "").startswith(hint or "")
    assert (error.hint is None) == (hint is None)
    assert error.place is not None
    assert (error.place.file, error.place.line) == ("p0.yaml", 6)


def test_a_field_of_another_phase_is_told_where_it_lives() -> None:
    text = "rules: [{id: r, phase: answer, when: {eq: [size, 3]}, then: [annotate: x], why: because}]"
    (error,) = refused(text)

    assert error.message == "the phase `answer` has no field `size`"
    assert error.hint == "the phase `ask` has it"


def test_an_action_is_refused_where_its_phase_does_not_allow_it() -> None:
    (error,) = refused(rule("{eq: [who, ann]}", "retry"))

    assert error.code == "policy_unenforceable"
    assert error.message == "`retry` cannot happen in the phase `ask`"


def test_an_unknown_phase_is_refused() -> None:
    (error,) = refused("rules: [{id: r, phase: aks, then: [allow], why: because}]")

    assert (error.message, error.hint) == ("there is no phase `aks`", "did you mean `ask`?")


def test_what_the_build_cannot_carry_out_is_refused_unless_in_shadow() -> None:
    can = frozenset({("ask", "annotate")})
    with pytest.raises(ContractErrors) as caught:
        load([document(rule("{eq: [who, ann]}"))], PHASES, enforceable=can)  # type: ignore[arg-type]
    assert caught.value.message == "this build cannot carry out `block` in the phase `ask`"

    shadowed = load([document(rule("{eq: [who, ann]}", more="enforce: shadow"))], PHASES, enforceable=can)  # type: ignore[arg-type]
    assert [one.name for one in shadowed.of("ask")] == ["p/r"]


def test_state_that_the_build_cannot_supply_is_refused() -> None:
    text = "state: {leaks: {count: leak, scope: session, within: {turns: 9}}}\n" + rule("{gte: [state.leaks, 3]}")
    with pytest.raises(ContractErrors) as caught:
        load([document(text)], PHASES, measures=frozenset({"sum"}))
    assert caught.value.message == "this build cannot supply the state `leaks`: it keeps no `count`"

    supplied = load([document(text)], PHASES)
    assert supplied.reads["ask"] == {"state.leaks"}


@pytest.mark.parametrize(
    ("then", "phase"),
    [("{rewrite: x}", "answer"), ("drop", "answer")],
)
def test_an_action_on_a_span_needs_something_that_finds_one(then: str, phase: str) -> None:
    (error,) = refused(f"rules: [{{id: r, phase: {phase}, then: [{then}], why: because}}]")

    assert "there is no span without one" in error.message


def test_a_channel_that_a_phase_lacks_is_refused() -> None:
    text = "rules: [{id: r, phase: answer, on: [tool_arguments], match: {contains: x}, then: [block], why: because}]"
    (error,) = refused(text)

    assert error.hint == "it has `text` or `reasoning`"


# Between rules


def two(
    first: str, second: str, more: str = "", then: tuple[str, str] = ("{switch_model: a}", "{switch_model: b}")
) -> str:
    return (
        f"rules:\n- {{id: r, phase: ask, when: {first}, then: [{then[0]}], why: because}}\n"
        f"- {{id: s, phase: ask, when: {second}, then: [{then[1]}], why: because{more}}}\n"
    )


def test_two_rules_that_may_ask_for_different_models_are_ambiguous() -> None:
    (error,) = refused(two("{gt: [size, 3]}", "{lt: [size, 9]}"))

    assert error.code == "policy_ambiguous"
    assert "each asks for another `switch_model` at priority 0" in error.message


@pytest.mark.parametrize(
    ("first", "second", "more"),
    [
        ("{gt: [size, 3]}", "{lt: [size, 4]}", ""),
        ("{eq: [who, ann]}", "{in: [who, [bob, eve]]}", ""),
        ("{eq: [who, ann]}", "{prefix: [who, b]}", ""),
        ("{exists: who}", "{not: {exists: who}}", ""),
        ("{eq: [who, ann]}", "{not: {in: [who, [ann, bob]]}}", ""),
        ("{gt: [size, 3]}", "{lt: [size, 9]}", ", priority: 1"),
        ("{gt: [size, 3]}", "{lt: [size, 9]}", ", ties: [{rule: r, why: either will do}]"),
        ("{gt: [size, 3]}", "{lt: [size, 9]}", ", enforce: shadow"),
    ],
)
def test_rules_that_cannot_meet_or_are_ordered_are_not_ambiguous(first: str, second: str, more: str) -> None:
    assert len(policy(two(first, second, more)).of("ask")) == 2


def test_rules_of_two_policies_can_be_ambiguous() -> None:
    errors = refused(rule("{gt: [size, 3]}", "{switch_model: a}"), rule("{gt: [size, 3]}", "{switch_model: b}"))

    assert [error.code for error in errors] == ["policy_ambiguous"]


def test_a_reminder_that_would_trigger_a_rule_is_refused() -> None:
    (error,) = refused(
        """
        rules:
        - id: r
          phase: answer
          on: [text]
          match: {contains: OldClient}
          then: [{retry_with_reminder: Do not write OldClient.}]
          why: because
        """
    )

    assert error.message == "the reminder of `p0/r` is itself what `p0/r` looks for"


def test_an_example_that_comes_out_otherwise_refuses_the_policy() -> None:
    examples = "examples: {fires: [{size: 4}, {size: 3}], silent: [{size: 9}, {who: ann}, {siez: 1}]}"
    errors = refused(rule("{gt: [size, 3]}", more=examples))

    assert [error.message.partition(", and ")[0] for error in errors] == [
        "`p0/r` should fire on its example `fires[1]`",
        "`p0/r` should stay silent on its example `silent[0]`",
        "`p0/r` should stay silent on its example `silent[2]`",
    ]
    assert errors[2].message.endswith("cannot be told: siez is no field of this phase")


def test_phases_say_what_they_know() -> None:
    assert ASK.field("metadata.team") is not None
    assert ASK.field("metadata.") is None
    assert ASK.field("metadata") is None
    assert ANSWER.field("size") is None
