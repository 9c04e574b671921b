"""Which tools a caller is shown."""

from __future__ import annotations

import pytest

from wardwright.calls.receipt import Caller, Sourced
from wardwright.contracts.check import gather
from wardwright.contracts.decode import decode
from wardwright.harness.core.rules import Rules, rules_of
from wardwright.harness.core.visible import is_visible
from wardwright.harness.tools.built_in import BUILT_IN

NOBODY = Caller()
CONTRACTS = {tool.name: tool.contract for tool in BUILT_IN}


def rules(when: str, then: str = "[block]", more: str = "") -> Rules | None:
    text = f"""\
kind: policy
name: desk
rules:
  - id: one
    phase: tool.before
    when: {when}
    then: {then}
    why: x
{more}"""
    return rules_of(gather(decode(text.encode(), "desk.yaml")).policies.values())


def visible(found: Rules | None, tool: str = "git.commit", caller: Caller = NOBODY) -> bool:
    return is_visible(CONTRACTS[tool], found, caller, "simple")


def test_without_rules_all_is_shown() -> None:
    assert visible(None)


@pytest.mark.parametrize(
    "when",
    [
        "{eq: [tool.name, git.commit]}",
        "{in: [tool.effect, [write-local, write-remote]]}",
        "{any: [{eq: [tool.name, git.commit]}, {contains: [arguments.message, wip]}]}",
        "{eq: [caller.tenant, local]}",
    ],
)
def test_a_block_that_rests_on_nothing_else_hides(when: str) -> None:
    assert not visible(rules(when))


@pytest.mark.parametrize(
    "when",
    [
        "{contains: [arguments.message, wip]}",
        "{all: [{eq: [tool.name, git.commit]}, {contains: [arguments.message, wip]}]}",
        "{not: {contains: [arguments.message, wip]}}",
        "{eq: [caller.run, nightly]}",
        "{eq: [tool.name, git.sync]}",
    ],
)
def test_a_block_that_may_yet_be_silent_hides_nothing(when: str) -> None:
    assert visible(rules(when))


def test_what_a_person_may_allow_is_shown() -> None:
    assert visible(rules("{eq: [tool.name, git.commit]}", "[{require_approval: {expires_s: 60}}]"))


def test_a_rule_in_shadow_hides_nothing() -> None:
    assert visible(rules("{eq: [tool.name, git.commit]}", more="    enforce: shadow\n"))


def test_callers_are_told_apart() -> None:
    found = rules("{eq: [caller.agent, owl]}")
    assert not visible(found, caller=Caller(agent=Sourced("header", "owl")))
    assert visible(found, caller=Caller(agent=Sourced("header", "lark")))
