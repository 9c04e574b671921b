"""Reports for the systems that read JUnit."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from wardwright.cli.junit import simulated
from wardwright.rehearsal.simulation import RuleFlips, Simulation, Unreproduced


def flips(rule: str, *, new_fire: int = 0, same: int = 0, unknown: int = 0) -> RuleFlips:
    return RuleFlips(changed_action=0, lost_fire=0, new_fire=new_fire, rule=rule, same=same, unknown=unknown)


def test_a_rule_that_flips_fails_and_one_that_nobody_can_tell_is_skipped() -> None:
    found = Simulation(
        calls=3,
        rules=(flips("a/one", new_fire=2, same=1), flips("a/two", unknown=3), flips("b/three", same=2, unknown=1)),
    )
    root = ET.fromstring(simulated(found).encode())
    assert (root.attrib["tests"], root.attrib["failures"], root.attrib["errors"]) == ("3", "1", "0")
    assert [suite.attrib["name"] for suite in root] == ["a", "b"]
    outcomes = {case.attrib["name"]: [child.tag for child in case] for case in root.iter("testcase")}
    assert outcomes == {"a/one": ["failure"], "a/two": ["skipped"], "b/three": []}


def test_a_receipt_that_is_not_reproduced_is_an_error() -> None:
    stopped = Unreproduced(phase="request", receipt="rcp_<x>", recorded="allow", replayed="block")
    root = ET.fromstring(simulated(Simulation(stopped=stopped)).encode())
    assert root.attrib["errors"] == "1"
    assert [(case.attrib["name"], case[0].tag) for case in root.iter("testcase")] == [("rcp_<x>", "error")]
