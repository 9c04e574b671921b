"""Rules that set arguments: what the tool is called with, and what the receipt says of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from parts.policies import document
from parts.workshop_stage import Given, Made, Stage, on_stage, seal, tool
from wardwright.contracts.refusal import ContractErrors
from wardwright.contracts.tool import Cache, ToolScope
from wardwright.harness.core.rules import rules_of
from wardwright.harness.core.tool import Context
from wardwright.kernel import canonical


def sets(then: str, when: str = "{eq: [arguments.text, wild]}", more: str = "") -> str:
    return f"rules:\n- {{id: tame, phase: tool.before, when: {when}, then: [{then}], why: Tame only.{more}}}\n"


TAME = sets("set_argument: {name: text, to: tame}")


def test_the_tool_gets_what_the_rule_set_and_the_receipt_is_about_that(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        ended = await stage.call("echo", text="wild", number=2)
        assert ended.value == {"text": "tame"}
        receipt = ended.receipt
        assert (receipt.status, receipt.amended) == ("completed", ("text",))
        asked = {"more": {}, "number": 2, "path": "/srv/none", "receipt": "", "text": "tame"}
        assert receipt.arguments == seal("local", canonical.encode(asked))
        (ruling,) = receipt.policy
        assert [one.effect for one in ruling.decision.kept] == ["set_argument"]
        other = await stage.call("echo", text="mild")
        assert (other.value, other.receipt.amended) == ({"text": "mild"}, ())

    on_stage(tmp_path, scenario, tools=[tool("echo")], policies={"p": TAME})


@pytest.mark.parametrize(
    ("action", "says"),
    [
        ("{name: number, to: many}", "expected `int`"),
        ("{name: colour, to: red}", "there is no argument `colour`"),
        ("{name: more, to: true}", "expected `object`"),
    ],
)
def test_what_the_tool_does_not_take_refuses_the_call(tmp_path: Path, action: str, says: str) -> None:
    async def scenario(stage: Stage) -> None:
        ended = await stage.call("echo", text="wild")
        assert (ended.receipt.status, ended.receipt.error) == ("refused", "tool_arguments")
        assert ended.error is not None
        assert says in ended.error.message
        assert "rules set" in ended.error.message

    on_stage(tmp_path, scenario, tools=[tool("echo")], policies={"p": sets(f"set_argument: {action}")})


def test_the_scope_is_that_of_the_arguments_that_were_set(tmp_path: Path) -> None:
    near, far = tmp_path / "near", tmp_path / "far"
    near.write_text("near")
    far.write_text("far")

    async def reads(given: Given, context: Context) -> Made:
        found = await context.hands.read(given.text or given.path, bytes_max=10)
        return Made(text=found.data.decode())

    rule = sets(f"set_argument: {{name: path, to: {near}}}", f"{{eq: [arguments.path, {far}]}}")

    async def scenario(stage: Stage) -> None:
        ended = await stage.call("reads", path=str(far))
        assert ended.value == {"text": "near"}
        assert ended.receipt.scope is not None
        assert ended.receipt.scope.read == (os.fspath(near),)
        strayed = await stage.call("reads", path=str(far), text=str(far))
        assert (strayed.receipt.status, strayed.receipt.error) == ("denied", "scope_denied")

    made = tool("reads", reads, scope=ToolScope(read=("{path}",)))
    on_stage(tmp_path / "stage", scenario, tools=[made], policies={"p": rule})


def test_what_is_approved_is_the_call_as_it_will_run(tmp_path: Path) -> None:
    both = TAME + "- {id: asks, phase: tool.before, then: [ask], why: A person looks.}\n"

    async def scenario(stage: Stage) -> None:
        asked = await stage.call("echo", text="wild")
        id_ = asked.receipt.approval
        assert (asked.receipt.status, asked.receipt.amended) == ("awaiting_approval", ("text",))
        assert id_ is not None
        await stage.desk.approve(id_, by="ada")
        done = await stage.call("echo", text="wild", approval=id_)
        assert (done.value, done.receipt.amended) == ({"text": "tame"}, ("text",))

    on_stage(tmp_path, scenario, tools=[tool("echo")], policies={"p": both})


def test_the_higher_priority_sets_an_argument_that_two_rules_set(tmp_path: Path) -> None:
    more = "- {id: other, phase: tool.before, then: [set_argument: {name: text, to: other}], why: W., priority: 5}\n"

    async def scenario(stage: Stage) -> None:
        ended = await stage.call("echo", text="wild")
        assert ended.value == {"text": "other"}
        (ruling,) = ended.receipt.policy
        assert [one.rule for one in ruling.decision.lost] == ["tame"]

    on_stage(tmp_path, scenario, tools=[tool("echo")], policies={"p": TAME + more})


def test_two_rules_that_set_one_argument_otherwise_are_refused_at_load() -> None:
    more = "- {id: other, phase: tool.before, then: [set_argument: {name: text, to: other}], why: W.}\n"
    with pytest.raises(ContractErrors) as refused:
        rules_of([document(TAME + more, "p")])
    assert [error.code for error in refused.value.errors] == ["policy_ambiguous"]


def test_equal_calls_share_an_answer_whatever_was_asked(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        first = await stage.call("echo", text="tame")
        second = await stage.call("echo", text="wild")
        assert second.receipt.cached_from == first.receipt.receipt

    on_stage(tmp_path, scenario, tools=[tool("echo", cache=Cache(ttl_s=60))], policies={"p": TAME})
