"""The rule decisions of a tool's receipt, made again."""

from __future__ import annotations

import msgspec
import pytest

from wardwright.calls.receipt import Caller
from wardwright.contracts.check import gather
from wardwright.contracts.decode import decode
from wardwright.contracts.digest import canonical, digest
from wardwright.harness.core.receipt import Ruling, ToolReceipt, ToolRef
from wardwright.harness.core.replayed import replay
from wardwright.harness.core.rules import Rulings, rules_of
from wardwright.policy.decision import Decision
from wardwright.policy.phases import Facts

RULES = """\
kind: policy
name: desk
rules:
  - id: no-keys
    phase: tool.before
    when: {contains: [arguments.path, .pem]}
    then: [block]
    why: Keys are nobody's reading.
"""
POLICY = gather(decode(RULES.encode(), "desk.yaml")).policies["desk"]
STORED = {digest(POLICY.value): canonical(POLICY.value)}


def receipt(path: str) -> ToolReceipt:
    """Of a call whose rules saw this path."""
    rules = rules_of([POLICY])
    assert rules is not None
    rulings = Rulings(rules, None)
    rulings.decide("tool.before", Facts({"arguments.path": path}, {}), 0)
    return ToolReceipt(
        caller=Caller(),
        policies=rules.names,
        policy=rulings.records(),
        receipt="rct_x",
        started_at=0,
        status="completed",
        tool=ToolRef(digest="", name="file.read"),
    )


@pytest.mark.parametrize("path", ["/srv/a.pem", "/srv/a.txt"])
def test_a_decision_comes_out_as_it_was_without_the_arguments(path: str) -> None:
    recorded = receipt(path)
    assert path not in msgspec.json.encode(recorded).decode()
    assert replay(recorded, STORED.get).verdict == "reproduced"


def test_a_receipt_that_says_otherwise_than_its_rules_is_found_out() -> None:
    (ruling,) = receipt("/srv/a.pem").policy
    claimed = Ruling(facts=ruling.facts, found=ruling.found, phase=ruling.phase, withheld=ruling.withheld)
    found = replay(msgspec.structs.replace(receipt("/srv/a.pem"), policy=(claimed,)), STORED.get)
    assert found.verdict == "different"
    assert found.differences == ("the rules of the phase tool.before come out as block, not allow",)


def test_other_reasons_for_the_same_effect_are_a_difference() -> None:
    (ruling,) = receipt("/srv/a.pem").policy
    claimed = msgspec.structs.replace(ruling, decision=Decision(effect="block"))
    found = replay(msgspec.structs.replace(receipt("/srv/a.pem"), policy=(claimed,)), STORED.get)
    assert found.differences == ("the rules of the phase tool.before give other reasons",)


def test_a_policy_that_is_not_stored_leaves_it_unknown() -> None:
    found = replay(receipt("/srv/a.pem"), lambda _: None)
    assert (found.verdict, "not stored" in found.why) == ("unknown", True)


def test_another_table_of_detectors_leaves_it_unknown() -> None:
    recorded = msgspec.structs.replace(receipt("/srv/a.pem"), detectors="an older one")
    assert replay(recorded, STORED.get).verdict == "unknown"


def test_where_no_rule_was_asked_nothing_was_decided() -> None:
    recorded = msgspec.structs.replace(receipt("/srv/a.pem"), policies=(), policy=())
    assert replay(recorded, STORED.get).verdict == "undecided"
