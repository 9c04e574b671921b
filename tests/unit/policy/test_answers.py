"""Rules over whole answers: what is judged, when they fire, and what the model is told."""

from __future__ import annotations

import pytest

from parts.expectations import FORMS, VERDICT, expecting, rule, unmet
from parts.policies import document
from wardwright.calls.phases import PHASES
from wardwright.contracts.refusal import ContractErrors
from wardwright.policy.answers import CALLS_MAX, REMINDER_CHARS_MAX, UNMET_MAX, Answer, ToolArguments, judged, reminder
from wardwright.policy.check import check
from wardwright.policy.decision import Span
from wardwright.policy.evaluate import arm, awaited, decide
from wardwright.policy.explain import explained
from wardwright.policy.loading import load
from wardwright.policy.phases import Facts

NOTHING = Facts({})
EDITS = "on: [{tool_arguments: {tool: 'edit*'}}]"
ARGUMENTS = "{json: {schema: {required: [path]}}}"


def call(arguments: str, tool: str = "edit_file") -> ToolArguments:
    return ToolArguments(tool, arguments)


# What is judged


def test_the_text_is_judged_where_a_rule_does_not_say() -> None:
    (found,) = unmet("json", Answer("not {json"))

    assert (found.channel, found.span, found.tool) == ("text", Span(channel="text", start=0, end=9), None)


def test_an_empty_answer_is_judged() -> None:
    assert unmet("json", Answer("")) != ()


def test_a_step_that_calls_tools_and_says_nothing_has_no_text_to_judge() -> None:
    assert unmet("json", Answer(" \n", (call("{}"),))) == ()
    assert unmet("json", Answer("I will edit", (call("{}"),))) != ()


def test_each_call_of_a_named_tool_is_judged() -> None:
    calls = (call('{"path": "a"}'), call("{}"), call("{}", "read"), call('{"pa', "edit"))
    found = unmet(ARGUMENTS, Answer("prose", calls), EDITS)

    assert [(one.index, one.tool, one.verdict.problems[0].kind) for one in found] == [
        (1, "edit_file", "schema"),
        (3, "edit", "syntax"),
    ]


def test_an_answer_without_such_a_call_is_as_expected() -> None:
    assert unmet(ARGUMENTS, Answer("prose"), EDITS) == ()


def test_more_calls_than_are_judged_are_not_as_expected() -> None:
    calls = tuple(call('{"path": "a"}') for _ in range(CALLS_MAX + 5))

    (found,) = unmet(ARGUMENTS, Answer("", calls), EDITS)
    assert (found.index, found.verdict.met) == (CALLS_MAX, False)
    assert "an answer may make 128 calls" in reminder("Again.", (found,))


def test_the_name_of_a_tool_is_bounded_in_a_reminder() -> None:
    told = reminder("Again.", unmet(ARGUMENTS, Answer("", (call("{}", "edit" + "x" * 500),)), EDITS))

    assert len(told) < 200


# When it fires


def test_a_rule_fires_where_it_was_found_unmet() -> None:
    policy = expecting(VERDICT)
    span = Span(channel="text", start=0, end=4)

    assert decide(policy, "output", NOTHING).effect == "allow"
    decision = decide(policy, "output", NOTHING, {"p/r": span})
    assert decision.effect == "retry_with_reminder"
    assert [one.span for one in decision.kept] == [span]


def test_a_rule_is_silent_where_its_condition_does_not_hold() -> None:
    policy = expecting(VERDICT, "when: {eq: [output.text, x]}")
    span = Span(channel="text", start=0, end=4)

    assert decide(policy, "output", Facts({"output.text": "y"}), {"p/r": span}).reasons == ()
    assert decide(policy, "output", Facts({"output.text": "x"}), {"p/r": span}).effect == "retry_with_reminder"
    untold = decide(policy, "output", Facts({}, {"output.text": "is gone"}), {"p/r": span})
    assert untold.effect == "block"
    assert untold.reasons[0].unknown == ("output.text is gone",)


def test_an_expecting_rule_is_neither_plain_nor_searching() -> None:
    policy = expecting(VERDICT)

    assert policy.plain["output"] == ()
    assert list(policy.searching("output")) == []
    assert [one.name for one in policy.expecting("output")] == ["p/r"]
    assert arm(policy, "output", NOTHING).rules == ()


def test_an_answer_is_awaited_unless_the_condition_is_known_not_to_hold() -> None:
    policy = expecting(VERDICT, "when: {eq: [metadata.format, json]}")

    assert [one.name for one in awaited(policy, "output", Facts({"metadata.format": "json"}))] == ["p/r"]
    assert awaited(policy, "output", Facts({"metadata.format": None})) == ()
    unknown = Facts({}, {"metadata.format": "is not known yet"})
    assert [one.name for one in awaited(policy, "output", unknown)] == ["p/r"]


@pytest.mark.parametrize(
    ("then", "more", "held"),
    [("block", "", True), ("retry", "", True), ("block", "enforce: shadow", False), ("{annotate: x}", "", False)],
)
def test_only_what_can_change_the_answer_withholds_it(then: str, more: str, held: bool) -> None:
    (found,) = expecting(VERDICT, more, then).expecting("output")

    assert (found.hold is not None) is held


def test_a_whole_answer_is_judged_and_decided_at_once() -> None:
    policy = expecting(VERDICT)
    good, bad = Answer('{"company": "Acme", "confidence": 0.8}'), Answer('{"company": "Acme", "confidence": 0.2}')

    met = judged(policy, "output", NOTHING, [good, good])
    assert (met.decision.effect, met.unmet) == ("allow", {})
    outcome = judged(policy, "output", NOTHING, [good, bad, bad])
    assert outcome.decision.effect == "retry_with_reminder"
    assert [one.choice for one in outcome.unmet["p/r"]] == [1, 2]
    assert len(outcome.decision.kept) == 1


def test_no_choice_at_all_is_an_empty_answer() -> None:
    assert judged(expecting(VERDICT), "output", NOTHING, []).decision.effect == "retry_with_reminder"


def test_what_is_told_of_many_choices_is_bounded() -> None:
    outcome = judged(expecting("json"), "output", NOTHING, [Answer("prose")] * 100)

    assert len(outcome.unmet["p/r"]) == UNMET_MAX


def test_what_searching_rules_found_is_decided_beside_it() -> None:
    text = """
    rules:
    - {id: a, phase: output, why: because, expect: json, then: [{annotate: odd}]}
    - {id: b, phase: output, why: because, on: [text], match: {contains: lorem}, then: [block]}
    """
    policy = load([document(text)], PHASES)
    span = Span(channel="text", start=2, end=7)
    outcome = judged(policy, "output", NOTHING, [Answer("a lorem")], {"p/b": span})

    assert outcome.decision.effect == "block"
    assert {one.rule: one.span for one in outcome.decision.kept} == {
        "a": Span(channel="text", start=0, end=7),
        "b": span,
    }


def test_an_answer_is_not_judged_where_the_condition_does_not_hold() -> None:
    policy = expecting(VERDICT, "when: {eq: [metadata.format, json]}")

    assert judged(policy, "output", Facts({"metadata.format": None}), [Answer("prose")]).unmet == {}


# What the model is told


def test_a_reminder_tells_each_problem_where_it_stands() -> None:
    told = reminder("Answer in JSON.\n", unmet(VERDICT, Answer('{"company": "", "confidence": 2}')))

    assert told == (
        "Answer in JSON.\n\nThe answer could not be accepted:\n"
        "- `/company` must have at least 1 characters\n"
        "- `/confidence` must be at most 1"
    )


def test_a_reminder_names_the_tool_and_the_closest_form() -> None:
    text = "The arguments of the call of `edit_file` could not be accepted:\n- it needs the member `path`"
    assert reminder("Again.", unmet(ARGUMENTS, Answer("", (call("{}"),)), EDITS)).endswith(text)

    told = reminder("Again.", unmet(FORMS, Answer('{"version": 2}')))
    assert "could not be accepted (measured against `v2`, which comes closest):" in told


def test_a_reminder_is_bounded() -> None:
    calls = tuple(call('{"' + "x" * 30 + f'{n}": 1}}', "edit_" + "y" * 30) for n in range(100))
    told = reminder("Again.", unmet(ARGUMENTS, Answer("", calls), EDITS))

    assert len(told) < REMINDER_CHARS_MAX + 100
    assert told.endswith("\n- …")


def test_without_anything_wrong_a_reminder_is_its_text() -> None:
    assert reminder(" Again. ", ()) == "Again."


def test_problems_past_the_bound_are_counted() -> None:
    text = "{" + ", ".join(f'"m{n}": 1' for n in range(30)) + "}"
    schema = "{json: {schema: {additionalProperties: {type: string}}}}"

    assert reminder("Again.", unmet(schema, Answer(text))).endswith("\n- and 22 more")


# Beside the rest of policy


def test_examples_are_judged_when_a_policy_is_loaded() -> None:
    right = "examples: {fires: [{text: no}, {text: ''}], silent: [{text: '[1]'}, {metadata.a: x}]}"
    assert rule("json", right).rule.examples.fires

    with pytest.raises(ContractErrors, match=r"should fire on its example `fires\[0\]`, and stays silent"):
        expecting("json", "examples: {fires: [{text: '[1]'}]}")
    with pytest.raises(ContractErrors, match=r"should stay silent on its example `silent\[0\]`, and fires"):
        expecting(ARGUMENTS, EDITS + "\n  examples: {silent: [{tool_arguments: '{}'}]}")


def test_a_rule_of_a_phase_without_whole_answers_is_refused() -> None:
    text = "rules: [{id: r, phase: stream, why: because, then: [block], expect: json}]"
    with pytest.raises(ContractErrors) as caught:
        load([document(text)], PHASES)

    (error,) = caught.value.errors
    assert error.message == "there is no whole answer in the phase `stream`"
    assert error.hint == "the phase `output` has whole answers"


def test_a_rule_that_expects_is_not_said_to_fire_always() -> None:
    assert check(expecting("json")) == ()


def test_rules_that_expect_different_things_do_not_subsume_each_other() -> None:
    two = "rules:\n"
    for name, expect in (("a", "json"), ("b", "xml"), ("c", "xml")):
        two += f"- {{id: {name}, phase: output, why: because, then: [block], expect: {expect}}}\n"
    found = check(load([document(two)], PHASES))

    assert [(one.code, one.rules) for one in found] == [("P03", ("p/b", "p/c"))]


def test_a_reminder_that_another_rule_looks_for_is_refused() -> None:
    text = """
    rules:
    - {id: a, phase: output, why: because, expect: json, then: [{retry_with_reminder: Answer in JSON.}]}
    - {id: b, phase: stream, why: because, on: [text], match: {contains: JSON}, then: [block]}
    """
    with pytest.raises(ContractErrors, match="the reminder of `p/a` is itself what `p/b` looks for"):
        load([document(text)], PHASES)


@pytest.mark.parametrize(
    ("expect", "more", "begins"),
    [
        ("json", "", "When the text is not JSON: "),
        ("{json: {fenced: accept}}", "", "When the text is not JSON (a code fence around it aside): "),
        ("{xml: {root: report}}", "", "When the text is not well-formed XML with the root `report`: "),
        (
            "{json: {schema: {type: object}, where: [{pointer: /a, gte: 1}, {pointer: '', exists: true}]}}",
            "",
            "When the text is not JSON in the form `value` (its schema and `/a` is at least 1 and it is there): ",
        ),
        ("json", EDITS, "When the arguments of `edit*` are not JSON: "),
        ("json", "when: {exists: metadata.a}", "When the text is not JSON, where metadata.a is known: "),
    ],
)
def test_what_is_expected_is_said_in_words(expect: str, more: str, begins: str) -> None:
    (words,) = explained(expecting(expect, more))

    assert words.sentence.startswith(begins)
    assert words.sentence.endswith("; hold back the whole answer until it is judged.")
