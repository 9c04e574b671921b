"""Why a call went as it did, read off its receipt."""

from __future__ import annotations

from pathlib import Path

import pytest

from parts import governed_past
from parts.governed_past import Asking
from wardwright.calls.receipt import Receipt
from wardwright.kernel.errors import WardwrightError
from wardwright.rehearsal.trace import PhaseTrace, RuleTrace, Trace, trace
from wardwright.rehearsal.weighed import Combined, Comparison
from wardwright.storage.blobs import contract_blobs


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[Receipt, ...]]:
    folder = tmp_path_factory.mktemp("past")
    return folder, governed_past.play(folder)


@pytest.fixture(scope="module")
def traces(past: tuple[Path, tuple[Receipt, ...]]) -> tuple[Trace, ...]:
    folder, receipts = past
    return tuple(trace(receipt, contract_blobs(folder / "state").get) for receipt in receipts)


def rule(phase: PhaseTrace, name: str) -> RuleTrace:
    (found,) = (one for one in phase.rules if one.rule == name)
    return found


def test_every_rule_of_a_phase_is_told_and_those_that_fired_come_first(traces: tuple[Trace, ...]) -> None:
    (request,) = traces[1].before
    assert [(one.rule, one.standing) for one in request.rules] == [
        ("desk/no-night-owls", "fired"),
        ("desk/long-answers", "silent"),
    ]
    assert request.reproduced


def test_a_comparison_shows_its_value_and_of_text_only_whether_it_held(traces: tuple[Trace, ...]) -> None:
    owls = rule(traces[1].before[0], "desk/no-night-owls")
    assert isinstance(owls.condition, Combined)
    agent, text = owls.condition.parts
    assert isinstance(agent, Comparison)
    assert isinstance(text, Comparison)
    assert (agent.field, agent.actual, agent.held, agent.seen) == ("caller.agent", "owl", True, "kept")
    assert (text.field, text.actual, text.held, text.seen) == ("text.user", None, True, "withheld")


def test_why_not_names_the_silent_rule_that_lacked_the_least(traces: tuple[Trace, ...]) -> None:
    request = traces[2].before[0]
    assert request.nearest == ("desk/no-night-owls",)
    assert rule(request, "desk/no-night-owls").lacking == ("text.user contains `password`: withheld",)


def test_an_exception_that_held_is_what_the_rule_lacked(tmp_path: Path) -> None:
    call = Asking(members={"max_tokens": 5000, "metadata": {"tags": "x"}})
    policy = governed_past.POLICY.replace("any_of: [caller.tags, [batch]]", "eq: [request.messages, 1]")
    (receipt,) = governed_past.play(tmp_path, [call], governed_past.DOCUMENTS | {"desk.yaml": policy})
    request = trace(receipt, contract_blobs(tmp_path / "state").get).before[0]
    long_answers = rule(request, "desk/long-answers")
    assert (long_answers.standing, long_answers.lacking) == ("silent", ("request.messages is 1: 1",))


def test_an_attempt_that_rules_gave_up_says_what_was_caught_and_what_followed(traces: tuple[Trace, ...]) -> None:
    first, second = traces[0].attempts
    (stream,) = first.phases
    (caught,) = rule(stream, "desk/old-client").caught
    assert (caught.action, caught.start, caught.end, caught.released_chars) == ("retry", 9, 19, 0)
    assert stream.held_chars_max > 0
    assert first.anew is not None
    assert (first.anew.rules, first.anew.reminders, first.anew.targets) == (
        ("desk/old-client",),
        ("Use NewClient.",),
        ("fast",),
    )
    assert (second.failure, second.anew) == (None, None)


def test_a_rule_in_shadow_says_what_it_would_have_done(traces: tuple[Trace, ...]) -> None:
    (stream,) = traces[0].attempts[1].phases
    watching = rule(stream, "desk/watch-tokens")
    assert (watching.standing, watching.shadow) == ("fired", True)
    assert [one.effect for one in stream.decision.shadow] == ["block"]


def test_a_policy_that_is_not_stored_here_cannot_be_traced(past: tuple[Path, tuple[Receipt, ...]]) -> None:
    with pytest.raises(WardwrightError, match="not stored here"):
        trace(past[1][0], lambda _: None)


def test_a_call_that_no_policy_governs_has_attempts_and_no_phases(tmp_path: Path) -> None:
    ungoverned = governed_past.DOCUMENTS | {"coding.yaml": governed_past.MODEL.replace("policies: [desk]\n", "")}
    (receipt,) = governed_past.play(tmp_path, governed_past.CALLS[:1], ungoverned)
    found = trace(receipt, contract_blobs(tmp_path / "state").get)
    assert (found.policies, found.before, found.after, found.attempts[0].phases) == ((), (), (), ())


REPEATED = """\
kind: policy
name: desk
state:
  asked: {count: asked, scope: session, within: {turns: 9}}
rules:
  - {id: note, phase: request, then: [{annotate: asked}], why: to count}
  - {id: again, phase: request, when: {gte: [state.asked, 2]}, then: [block], why: once is enough}
"""


def test_what_a_rule_remembers_is_told_with_its_value_and_its_window(tmp_path: Path) -> None:
    calls = [Asking(session="s1"), Asking(session="s1")]
    receipts = governed_past.play(tmp_path, calls, governed_past.DOCUMENTS | {"desk.yaml": REPEATED})
    first, second = (
        rule(trace(receipt, contract_blobs(tmp_path / "state").get).before[0], "desk/again") for receipt in receipts
    )
    assert (first.standing, first.lacking) == ("silent", ("state.asked is at least 2: 1",))
    assert second.standing == "fired"
    assert second.past == (
        "state.asked counts `asked`, of the session, within the last 9 turns, the current call too.",
    )
