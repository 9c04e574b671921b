"""Contract files with some numbers changed."""

from __future__ import annotations

import msgspec
import pytest

from wardwright.contracts.check import gather
from wardwright.contracts.decode import decode
from wardwright.contracts.policy import PolicyContract
from wardwright.contracts.rewriting import appended, rewritten
from wardwright.contracts.tool import Retry, ToolContract
from wardwright.kernel.errors import WardwrightError

FILE = """\
# Ours.
kind: tool
name: notes.read
effect: read
implements: file.read   # the function
scope: {read: [/srv/notes]}
timeout_s: 5            # is plenty
---
kind: tool
name: other
effect: read
implements: file.read
"""


RULES = """\
kind: policy
name: desk
rules:
  - id: a
    phase: tool.before
    then: [allow]
    why: x
  - id: b
    phase: tool.before
    then: [allow]
    why: y   # because
"""


def tools(text: str) -> dict[str, ToolContract]:
    return {name: one.value for name, one in gather(decode(text.encode(), "a.yaml")).tools.items()}


def changed(name: str, **members: object) -> ToolContract:
    given = {member: getattr(tools(FILE)[name], member) for member in ToolContract.__struct_fields__}
    return ToolContract(**(given | members))


def test_a_number_changes_and_all_else_stays_as_it_was_written() -> None:
    wanted = changed("notes.read", timeout_s=9)
    text = rewritten(FILE, "a.yaml", {("tool", "notes.read"): {("timeout_s",): 9}}, [wanted])
    assert text == FILE.replace("timeout_s: 5 ", "timeout_s: 9 ")


def test_a_member_that_was_not_there_is_added_to_its_document() -> None:
    wanted = changed("other", retry=Retry(attempts_max=3))
    text = rewritten(FILE, "a.yaml", {("tool", "other"): {("retry", "attempts_max"): 3}}, [wanted])
    assert text.startswith(FILE)
    assert tools(text) == {**tools(FILE), "other": wanted}


def test_what_would_be_read_otherwise_is_not_written() -> None:
    with pytest.raises(WardwrightError, match="cannot be written"):
        rewritten(FILE, "a.yaml", {("tool", "other"): {("timeout_s",): 9}}, [changed("other", timeout_s=8)])


def test_only_yaml_is_rewritten() -> None:
    with pytest.raises(WardwrightError, match="only YAML"):
        rewritten("{}", "a.json", {}, [])


def test_a_rule_is_found_by_its_id() -> None:
    (document,) = decode(RULES.encode(), "a.yaml")
    policy = document.value
    assert isinstance(policy, PolicyContract)
    first, second = policy.rules
    wanted = msgspec.structs.replace(policy, rules=(first, msgspec.structs.replace(second, enforce="shadow")))
    text = rewritten(RULES, "a.yaml", {("policy", "desk"): {("rules", "b", "enforce"): "shadow"}}, [wanted])
    assert text == RULES + "    enforce: shadow\n"


@pytest.mark.parametrize("before", ["", FILE])
def test_a_tool_without_a_document_gets_one_behind_the_others(before: str) -> None:
    added = ToolContract(name="web", effect="read", reversal="T0", implements="http.fetch", timeout_s=7)
    text = appended(before, "a.yaml", [added])
    assert text.startswith(before)
    assert tools(text)["web"] == added
