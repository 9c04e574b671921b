"""Sets of rules: what is refused together, and what authors are told."""

from __future__ import annotations

import pytest

from wardwright.kernel.errors import WardwrightError
from wardwright.streams import rule as r
from wardwright.streams.rule import (
    Annotate,
    Block,
    Drop,
    Phrase,
    Reasoning,
    Regex,
    Rewrite,
    StreamRule,
    Text,
    ToolArguments,
)
from wardwright.streams.ruleset import RuleSet, problems

BLOCK = StreamRule(id="block", match=Phrase("sk-"), then=Block())


def rule(**members: object) -> StreamRule:
    made: dict[str, object] = {"id": "r", "match": Phrase("abc"), "then": Block(), **members}
    return StreamRule(**made)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("refused", "member", "reason"),
    [
        (rule(match=Regex("(?=a)")), "match", "look-around"),
        (rule(on=()), "on", "watches no channel"),
        (rule(then=Rewrite("x"), commit="pass"), "commit", "nothing can be changed"),
        (rule(then=r.Retry("no", after=Drop()), commit="pass"), "commit", "nothing can be changed"),
        (rule(on=(ToolArguments(),), commit="line"), "commit", "no line"),
        (rule(commit="tool_call"), "commit", "no tool call"),
        (rule(held_chars_max=0), "held_chars_max", "out of bounds"),
        (rule(held_chars_max=2), "held_chars_max", "3 characters or more"),
        (rule(held_age_ms_max=0), "held_age_ms_max", "no time"),
        (rule(then=Rewrite("x" * 5000)), "then.replacement", "longer than"),
        (rule(then=r.Retry("x" * 5000)), "then.reminder", "longer than"),
        (rule(then=r.Retry("no", retries_max=11)), "then.retries_max", "out of bounds"),
        (rule(then=r.Retry("no", repeat_after_turns=3)), "then.repeat_after_turns", "counted in a session"),
        (rule(then=r.Retry("never write abc")), "then.reminder", "would itself set off rule 'r'"),
        (rule(id="block"), "id", "another rule has this id"),
    ],
)
def test_a_rule_that_cannot_keep_its_promise_is_refused_with_a_fix(
    refused: StreamRule, member: str, reason: str
) -> None:
    (problem,) = problems([BLOCK, refused])
    assert (problem.rule, problem.member) == (refused.id, member)
    assert reason in problem.reason
    assert problem.fix


def test_every_problem_of_a_set_is_told() -> None:
    assert len(problems([rule(on=()), rule(id="s", match=Regex("a*")), BLOCK])) == 2


def test_a_replacement_that_would_set_off_a_block_is_refused() -> None:
    (problem,) = problems([BLOCK, rule(then=Rewrite("[sk-...]"))])
    assert problem.reason == "the replacement would itself set off rule 'block'"


def test_a_shadow_rule_sets_nothing_off() -> None:
    assert problems([rule(id="s", match=Phrase("sk-"), shadow=True), rule(then=Rewrite("[sk-...]"))]) == ()


def test_a_set_is_refused_as_an_error_with_place_and_hint() -> None:
    with pytest.raises(WardwrightError) as caught:
        RuleSet([rule(match=Regex("a("))])
    assert caught.value.code == "contract_invalid"
    assert str(caught.value.place) == "r.match"
    assert caught.value.hint == "close it, or escape it: `\\(`"


def test_authors_are_told_what_a_rule_that_is_admitted_may_do() -> None:
    notes = RuleSet(
        [rule(match=Regex("<[^>]*>")), rule(id="t", then=r.Retry("no")), rule(id="u", then=Annotate())]
    ).notes
    assert [note.rule for note in notes] == ["r", "t"]
    assert "ends the answer" in notes[0].says
    assert "`full` or a unit" in notes[1].says


def test_plans_are_shared_by_attempts_in_which_rules_do_the_same() -> None:
    rules = RuleSet([rule(then=r.Retry("no"), on=(Text(), Reasoning())), BLOCK])
    usual, spent = rules.actions(), rules.actions(retries_left=0)
    assert rules.text_plan(usual) is rules.text_plan(rules.actions())
    assert rules.text_plan(spent) is not rules.text_plan(usual)
    plan, other = rules.text_plan(spent), rules.text_plan(usual)
    assert plan is not None
    assert other is not None
    assert plan.automaton is other.automaton
