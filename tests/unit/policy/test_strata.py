"""Rules that read what other rules of the same phase write down, and what cannot be asked in any order."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import pytest

from parts.policies import ANSWER, ASK, document, facts
from wardwright.contracts.refusal import ContractErrors
from wardwright.kernel.errors import WardwrightError
from wardwright.policy.compiled import Policy
from wardwright.policy.evaluate import decide, recalled
from wardwright.policy.loading import load
from wardwright.policy.phases import Facts, Phase
from wardwright.policy.strata import Recalled

LEAKS = "state: {leaks: {count: leak, scope: session, within: {turns: 5}}}\n"
DOOR = """machines:
  door:
    scope: session
    initial: open
    states: {open: {}, shut: {terminal: true}}
    transitions: [{from: open, on: slam, to: shut}]
"""
WHOLE = Phase(name="whole", doc="", fields=ANSWER.fields, actions=ANSWER.actions, channels=("text",), whole=True)


def rules(*some: tuple[str, str], phase: str = "ask") -> str:
    """Rules a, b, c …, each with its condition and its actions."""
    lines = [
        f"- {{id: {id_}, phase: {phase}, when: {when}, then: [{then}], why: because}}"
        for id_, (when, then) in zip("abcdef", some, strict=False)
    ]
    return "\n".join(["rules:", *lines, ""])


def made(*texts: str) -> Policy:
    documents = [document(textwrap.dedent(text), f"p{index}") for index, text in enumerate(texts)]
    return load(documents, (ASK, ANSWER, WHOLE))


def refused(*texts: str) -> WardwrightError:
    with pytest.raises(ContractErrors) as caught:
        made(*texts)
    (error,) = caught.value.errors
    assert error.place is not None
    assert error.place.line is not None
    return error


def strata(policy: Policy, phase: str = "ask") -> list[tuple[list[str], list[str]]]:
    return [
        ([one.field for one in stratum.wants], [rule.rule.id for _, rule in stratum.plain])
        for stratum in policy.strata.get(phase, ())
    ]


def test_labels_are_written_before_they_are_counted() -> None:
    policy = made(
        LEAKS
        + DOOR
        + rules(
            ("{eq: [machine.door, shut]}", "block"),
            ("{gte: [state.leaks, 3]}", "annotate: slam"),
            ("{gt: [size, 3]}", "annotate: leak"),
        )
    )

    assert strata(policy) == [([], ["c"]), (["state.leaks"], ["b"]), (["machine.door"], ["a"])]


def test_a_phase_that_reads_nothing_of_the_past_has_no_strata() -> None:
    assert strata(made(rules(("{gt: [size, 3]}", "annotate: leak")))) == []


def test_a_rule_in_shadow_is_waited_for_by_nobody() -> None:
    text = rules(("{gt: [state.leaks, 3]}", "block"), ("{gt: [size, 3]}", "annotate: leak")).replace(
        "annotate: leak],", "annotate: leak], enforce: shadow,"
    )

    assert strata(made(LEAKS + text)) == [([], ["b"]), (["state.leaks"], ["a"])]


def test_what_is_recalled_sees_the_labels_of_the_same_phase() -> None:
    policy = made(LEAKS + rules(("{gt: [state.leaks, 0]}", "block"), ("{gt: [size, 3]}", "annotate: leak")))
    told: list[tuple[str, ...]] = []

    def recall(wanted: Sequence[Recalled], labels: tuple[str, ...], so_far: Facts) -> Facts:
        told.append(labels)
        return Facts({one.field: len(labels) for one in wanted})

    seen = recalled(policy, "ask", facts(size=4), recall)
    decision = decide(policy, "ask", seen)
    assert (decision.effect, told, seen.known["state.leaks"]) == ("block", [("leak",)], 1)

    quiet = decide(policy, "ask", recalled(policy, "ask", facts(size=3), recall))
    assert (quiet.effect, told[1]) == ("allow", ())


def test_what_cannot_be_recalled_leaves_the_rule_to_its_on_error() -> None:
    policy = made(LEAKS + rules(("{gt: [state.leaks, 0]}", "block")))

    def recall(wanted: Sequence[Recalled], labels: tuple[str, ...], so_far: Facts) -> Facts:
        return Facts({}, {one.field: "has no session" for one in wanted})

    decision = decide(policy, "ask", recalled(policy, "ask", facts(), recall))
    assert decision.reasons[0].unknown == ("state.leaks has no session",)
    assert [one.because for one in decision.kept] == ["indeterminate"]


def test_a_phase_that_is_decided_otherwise_is_asked_for_the_labels_of_earlier_strata_alone() -> None:
    policy = made(
        LEAKS
        + rules(
            ("{gt: [state.leaks, 0]}", "annotate: late"),
            ("{gt: [size, 3]}", "annotate: leak"),
        )
    )
    told: list[tuple[str, ...]] = []

    def recall(wanted: Sequence[Recalled], labels: tuple[str, ...], so_far: Facts) -> Facts:
        told.append(labels)
        return Facts({one.field: len(labels) for one in wanted})

    seen = recalled(policy, "ask", facts(size=4), recall, decider=lambda so_far: decide(policy, "ask", so_far))
    assert told == [("leak",)]
    assert seen == recalled(policy, "ask", facts(size=4), recall)


# What has no order


@pytest.mark.parametrize(
    "text",
    [
        LEAKS + rules(("{gt: [state.leaks, 3]}", "annotate: leak")),
        LEAKS.replace("}}}", "}}, more: {count: more, scope: session, within: {turns: 5}}}")
        + rules(("{gt: [state.leaks, 3]}", "annotate: more"), ("{gt: [state.more, 3]}", "annotate: leak")),
    ],
)
def test_rules_that_wait_for_themselves_are_refused(text: str) -> None:
    error = refused(text)

    assert error.code == "policy_ambiguous"
    assert error.message == "`p0/a` reads `state.leaks`, which its own labels lead to"
    assert (error.hint or "").startswith("say `including_current: false`")


def test_without_the_current_call_nothing_waits() -> None:
    text = LEAKS.replace("}}}", "}, including_current: false}}") + rules(("{gt: [state.leaks, 3]}", "annotate: leak"))

    assert strata(made(text)) == [(["state.leaks"], ["a"])]


def test_a_rule_that_reads_the_machine_it_moves_is_refused() -> None:
    error = refused(DOOR + rules(("{eq: [machine.door, open]}", "annotate: slam")))

    assert error.hint == "leave the machine out of the condition: a transition says where it starts"


def test_what_a_search_finds_while_the_answer_is_written_cannot_be_counted_before() -> None:
    text = (
        LEAKS
        + rules(("{gt: [state.leaks, 3]}", "block"), phase="answer")
        + "- {id: z, phase: answer, on: [text], match: {contains: foo}, then: [annotate: leak], why: because}\n"
    )
    error = refused(text)
    assert error.message == "`p0/a` reads `state.leaks` before the answer is written in which `p0/z` searches"

    assert strata(made(text.replace("answer", "whole")), "whole") == [([], []), (["state.leaks"], ["a"])]


# What is declared


def test_two_policies_that_declare_one_name_are_refused_together() -> None:
    text = LEAKS + rules(("{gt: [size, 3]}", "annotate: leak"))
    error = refused(text, text)

    assert error.message == "the policies `p0` and `p1` both declare `state.leaks`"


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (
            "sum: leak, of: body",
            "`state.leaks` adds up `body`, which is no whole number in the phase `ask`, where `p0/b` annotates `leak`",
        ),
        (
            "count: leak, same: [sise]",
            "`state.leaks` looks at `sise`, which the phase `ask` does not have, where `p0/b` annotates `leak`",
        ),
        (
            "distinct: leak, of: state.leaks",
            "`state.leaks` looks at `state.leaks`, which the phase `ask` does not have, where `p0/b` annotates `leak`",
        ),
    ],
)
def test_state_looks_at_fields_that_its_labels_can_carry(state: str, message: str) -> None:
    text = f"state: {{leaks: {{{state}, scope: session, within: {{turns: 5}}}}}}\n"
    text += "rules: [{id: b, phase: ask, then: [annotate: leak], why: because}]"

    assert refused(text).message == message


def test_fields_that_events_carry_are_among_those_that_a_phase_reads() -> None:
    text = "state: {leaks: {distinct: leak, of: size, same: [who], scope: session, within: {turns: 5}}}\n"
    policy = made(text + rules(("{exists: body}", "annotate: leak")))

    assert policy.reads["ask"] == {"body", "size", "who"}
    assert policy.keeps == {"leak": {"size", "who"}}


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("{eq: [machine.dor, shut]}", "this policy declares no machine `dor`"),
        ("{gt: [machine.door, 3]}", "`gt` cannot compare `machine.door`, which is text"),
    ],
)
def test_a_machine_is_read_as_text_by_its_name(when: str, message: str) -> None:
    text = DOOR + rules((when, "block"), ("{gt: [size, 3]}", "annotate: slam"))

    assert refused(text).message == message


def test_a_build_without_history_supplies_no_machines() -> None:
    text = DOOR + rules(("{eq: [machine.door, shut]}", "block"), ("{gt: [size, 3]}", "annotate: slam"))
    with pytest.raises(ContractErrors) as caught:
        load([document(text)], (ASK,), measures=frozenset())

    assert caught.value.message == "this build keeps no history, and `p` declares machines"
