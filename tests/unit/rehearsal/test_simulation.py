"""Recorded calls under changed policies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from parts import governed_past
from parts.governed_past import Asking
from parts.governed_stage import Document, Part, Script, play, world
from wardwright.calls.receipt import Receipt
from wardwright.contracts.decode import Located, decode
from wardwright.contracts.model import ModelContract
from wardwright.contracts.policy import PolicyContract
from wardwright.kernel.errors import WardwrightError
from wardwright.rehearsal.simulation import Candidate, Recorded, RuleFlips, Simulation, simulate
from wardwright.storage.blobs import contract_blobs
from wardwright.storage.captures import CaptureFiles

POLICY = governed_past.POLICY
CALLS = (
    *governed_past.CALLS,
    Asking(agent="robin", session="s1"),
)
"""The last is of the session of the first."""


class Past:
    """Calls that were answered once."""

    def __init__(self, folder: Path, capture: str) -> None:
        self.receipts = governed_past.play(folder, CALLS, capture=capture)
        self._captures = CaptureFiles(folder / "state")
        self.load = contract_blobs(folder / "state").get

    def calls(self, receipts: tuple[Receipt, ...] | None = None) -> list[Recorded]:
        return [
            Recorded(one, self._captures.get("local", one.receipt) if one.captured else None)
            for one in receipts or self.receipts
        ]

    def under(self, *documents: str, also: tuple[str, ...] = (), samples_max: int = 3) -> Simulation:
        return simulate(self.calls(), candidate(*documents, also=also), self.load, samples_max=samples_max)


def candidate(*documents: str, also: tuple[str, ...] = ()) -> Candidate:
    found = [one for index, text in enumerate(documents) for one in decode(text.encode(), f"{index}.yaml")]
    return Candidate(
        also=also,
        models={one.value.name: one.value for one in found if isinstance(one.value, ModelContract)},
        policies={one.value.name: one for one in found if isinstance(one.value, PolicyContract)},
    )


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Past:
    """Receipts alone."""
    return Past(tmp_path_factory.mktemp("bare"), "off")


@pytest.fixture(scope="module")
def taped(tmp_path_factory: pytest.TempPathFactory) -> Past:
    """Receipts and bodies."""
    return Past(tmp_path_factory.mktemp("taped"), "bodies")


def rule(found: Simulation, name: str) -> RuleFlips:
    (flips,) = (one for one in found.rules if one.rule == name)
    return flips


def counts(flips: RuleFlips) -> tuple[int, int, int, int, int]:
    return (flips.new_fire, flips.lost_fire, flips.changed_action, flips.same, flips.unknown)


@pytest.mark.parametrize("past", ["bare", "taped"])
def test_under_the_same_policies_nothing_flips_and_nothing_is_unknown(
    past: str, request: pytest.FixtureRequest
) -> None:
    found: Simulation = request.getfixturevalue(past).under(POLICY)
    assert (found.calls, found.flipped, found.samples) == (4, 0, ())
    assert [one for one in found.rules if one.flips or one.unknown] == []


def test_a_threshold_that_moves_flips_the_calls_between(bare: Past) -> None:
    found = bare.under(POLICY.replace("4096", "6000"))
    assert counts(rule(found, "desk/long-answers")) == (0, 1, 0, 3, 0)
    (sample,) = found.samples
    assert sample.receipts == (bare.receipts[2].receipt,)
    assert [(one.before, one.after, one.change) for one in sample.changes] == [
        ("label the receipt `long`", "silent", "lost_fire")
    ]
    assert [(one.phase, one.before, one.after) for one in found.matrix if one.before != one.after] == [
        ("request", "annotate", "allow")
    ]


def test_another_action_of_a_rule_that_fires_is_a_changed_action(bare: Past) -> None:
    found = bare.under(POLICY.replace("[{annotate: long}]", "[{annotate: long}, {block: too_long}]"))
    assert counts(rule(found, "desk/long-answers")) == (0, 0, 1, 3, 0)


def test_a_field_that_no_rule_read_then_is_read_off_the_receipt(bare: Past) -> None:
    found = bare.under(POLICY.replace("gt: [request.output_tokens, 4096]", "eq: [caller.session, s1]"))
    assert counts(rule(found, "desk/long-answers")) == (2, 1, 0, 1, 0)


def test_a_new_comparison_over_text_is_unknown_without_bodies_and_known_with_them(bare: Past, taped: Past) -> None:
    changed = POLICY.replace("password", "the pass")
    assert counts(rule(bare.under(changed), "desk/no-night-owls")) == (0, 0, 0, 2, 2)
    assert counts(rule(taped.under(changed), "desk/no-night-owls")) == (0, 0, 0, 4, 0)


def test_a_comparison_over_text_that_was_made_then_is_known_without_bodies(bare: Past) -> None:
    found = bare.under(POLICY.replace("eq: [caller.agent, owl]", "exists: caller.agent"))
    assert counts(rule(found, "desk/no-night-owls")) == (0, 0, 0, 4, 0)


def test_what_cannot_be_told_is_taken_to_be_as_it_was(bare: Past) -> None:
    found = bare.under(POLICY.replace("password", "the pass"))
    assert (found.flipped, found.speculative) == (0, 0)
    assert [(one.before, one.after) for one in found.matrix if one.phase == "request" and one.before == "block"] == [
        ("block", "unknown")
    ]


def test_a_stream_rule_that_looks_for_something_else_is_unknown_without_the_answer(bare: Past) -> None:
    found = bare.under(POLICY.replace("OldClient", "Client"))
    assert counts(rule(found, "desk/old-client")) == (0, 0, 0, 0, 4)


def test_a_stream_rule_that_looks_for_something_else_is_run_over_the_captured_answer(taped: Past) -> None:
    found = taped.under(POLICY.replace("OldClient", "NewClient"))
    flips = rule(found, "desk/old-client")
    assert flips.new_fire == 1, "over the second attempt of the first call, which the client got"
    assert flips.unknown == 1, "over its first attempt, which nobody got"


def test_a_stream_rule_that_does_something_else_is_known_by_what_was_found(bare: Past) -> None:
    retry = (
        "[{retry_with_reminder: {text: Use NewClient., max: 1}}]\n    after_retries: [{block: {code: deprecated_api}}]"
    )
    assert retry in POLICY
    found = bare.under(POLICY.replace(retry, "[{block: {code: deprecated_api}}]"))
    assert rule(found, "desk/old-client").changed_action == 1
    assert [(one.before, one.after) for one in found.matrix if one.phase == "stream" and one.before != one.after] == [
        ("retry_with_reminder", "block")
    ]


def test_behind_a_call_that_goes_another_way_its_session_is_speculative(bare: Past) -> None:
    blocked = POLICY.replace("gt: [request.output_tokens, 4096]", "eq: [caller.agent, lark]").replace(
        "annotate: long", "block: no_larks"
    )
    found = bare.under(blocked)
    assert (found.calls, found.speculative) == (3, 1)
    watching = rule(found, "desk/old-client")
    assert sum(counts(watching)) == 1, "a call that is refused now has no attempts to judge"


def test_a_rule_that_was_taken_out_is_silent_now(bare: Past) -> None:
    start, end = POLICY.index("  - id: long-answers"), POLICY.index("  - id: old-client")
    found = bare.under(POLICY[:start] + POLICY[end:])
    assert counts(rule(found, "desk/long-answers")) == (0, 1, 0, 3, 0)


NEW = """\
kind: policy
name: extra
rules:
  - id: larks
    phase: request
    when: {eq: [caller.agent, lark]}
    then: [{annotate: lark}]
    why: To count them.
"""


def test_a_policy_that_no_model_names_is_asked_only_on_request(bare: Past) -> None:
    assert [one.rule for one in bare.under(NEW).rules if one.rule.startswith("extra/")] == []
    assert counts(rule(bare.under(NEW, also=("extra",)), "extra/larks")) == (1, 0, 0, 3, 0)


def test_a_model_among_the_files_says_which_policies_govern(bare: Past) -> None:
    model = governed_past.MODEL.replace("[desk]", "[extra]")
    found = bare.under(NEW, model)
    assert counts(rule(found, "extra/larks")) == (1, 0, 0, 2, 0)
    assert rule(found, "desk/no-night-owls").lost_fire == 1


def test_a_policy_that_nobody_has_is_an_error(bare: Past) -> None:
    with pytest.raises(WardwrightError, match="in none of the files"):
        bare.under(NEW, governed_past.MODEL.replace("[desk]", "[extra, gone]"))


def test_a_receipt_that_its_own_policies_do_not_reproduce_stops_everything(bare: Past) -> None:
    def altered(receipt: Receipt) -> Receipt:
        ruling, *rest = receipt.policy
        facts = tuple((name, 5 if name == "request.output_tokens" else fact) for name, fact in ruling.facts)
        return msgspec.structs.replace(receipt, policy=(msgspec.structs.replace(ruling, facts=facts), *rest))

    first, _, third, _ = bare.receipts
    found = simulate(bare.calls((first, altered(third))), candidate(POLICY), bare.load)
    assert found.stopped is not None
    assert (found.stopped.receipt, found.stopped.recorded, found.stopped.replayed) == (
        third.receipt,
        "annotate",
        "allow",
    )
    assert (found.calls, found.rules) == (0, ())


def test_calls_whose_policies_are_not_stored_are_counted(bare: Past) -> None:
    nothing: Callable[[str], bytes | None] = lambda _: None  # noqa: E731  # a store that lost everything
    found = simulate(bare.calls(), candidate(POLICY), nothing)
    assert (found.calls, found.unreadable) == (0, 4)


def test_calls_that_change_alike_are_one_sample_with_so_many_receipts(bare: Past) -> None:
    found = bare.under(POLICY.replace("gt: [request.output_tokens, 4096]", "gte: [request.messages, 1]"), samples_max=1)
    flips = rule(found, "desk/long-answers")
    assert flips.new_fire == 3
    assert {len(sample.receipts) for sample in found.samples} == {1}
    assert max(sample.calls for sample in found.samples) > 1


def test_a_rule_that_would_search_an_attempt_which_never_answered_is_silent_there_and_not_unknown() -> None:
    told: Document = {
        "id": "told", "phase": "stream", "when": {"eq": ["attempt.model", "m0"]},
        "then": [{"annotate": {"label": "tried-first"}}], "why": "to know",
    }  # fmt: skip
    search: Document = {
        "id": "search", "phase": "stream", "when": {"eq": ["attempt.model", "m0"]}, "on": ["text"],
        "match": {"regex": "secret"}, "then": [{"block": {"code": "no"}}], "why": "nobody says so",
    }  # fmt: skip
    here = world([told])
    said = Part("text", 0, "all is well")
    call = play(here, [Script((said,), (), "unavailable"), Script((said,), ())], stream=True)
    (changed,) = decode(msgspec.json.encode({"kind": "policy", "name": "p", "rules": [told, search]}), "p.json")
    assert isinstance(changed.value, PolicyContract)
    policy = Located(changed.value, changed.file, changed.places)

    found = simulate([Recorded(call.receipt)], Candidate(policies={"p": policy}), here.store.get)
    assert counts(rule(found, "p/search"))[4] == 0
