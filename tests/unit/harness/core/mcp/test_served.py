"""Tools of other servers as functions of ours."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from wardwright.contracts.check import gather
from wardwright.contracts.decode import decode
from wardwright.harness.core.hands import Scope
from wardwright.harness.core.judged import judged
from wardwright.harness.core.mcp.definitions import Definition
from wardwright.harness.core.mcp.entries import Address, Program
from wardwright.harness.core.mcp.served import Returned, functions, name_of
from wardwright.harness.core.scope import scope_of
from wardwright.harness.core.tool import AnyTool, Context, Tools, decoded
from wardwright.kernel.errors import WardwrightError
from wardwright.testing.hands import ScriptedHands, World

ENTRY = Program(command="npx")
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "query": {"type": "string", "description": "What to look for.", "maxLength": 5},
        "in-folder": {"type": ["string", "null"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "class": {"type": "number"},
        "any": {},
    },
    "required": ["query"],
}


class Heard:
    """Implements `harness.core.mcp.served.Peers`: says what it was asked."""

    async def call(self, server: str, tool: str, arguments: Mapping[str, Any], context: Context) -> Returned:
        text = msgspec.json.encode([server, tool, arguments]).decode()
        return Returned(attachments=(), structured=None, text=text, truncated=False)


def made(schema: dict[str, Any] = SCHEMA, *, trusted: bool = False, **more: Any) -> AnyTool:
    definition = Definition(name="searchIssues", description="Search.", input_schema=schema, **more)
    (tool,) = functions("hub", ENTRY, [definition], trusted=trusted, peers=Heard())
    return tool


def run(tool: AnyTool, given: dict[str, Any]) -> Any:
    arguments = decoded(tool.arguments, given)
    context = Context(hands=ScriptedHands(World(), Scope()), output_bytes_max=1000, run="r", timeout_s=1)

    async def ran() -> Any:
        return await tool.run(arguments, context)

    return msgspec.json.decode(asyncio.run(ran()).text)


def test_arguments_arrive_as_they_were_given() -> None:
    given = {"query": "a", "in-folder": None, "tags": ["x"], "class": 1.5, "any": {"a": [1]}}
    assert run(made(), given) == ["hub", "searchIssues", given]
    assert run(made(), {"query": "a"}) == ["hub", "searchIssues", {"query": "a"}]


@pytest.mark.parametrize(
    "given",
    [{}, {"query": 1}, {"query": "a", "tags": [1]}, {"query": "a", "folder": "x"}, {"query": "too long"}],
)
def test_what_the_schema_refuses_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(WardwrightError) as refused:
        decoded(made().arguments, given)
    assert refused.value.code == "tool_arguments"


def test_a_schema_that_cannot_be_judged_here_leaves_types_and_names() -> None:
    loose = {**SCHEMA, "$ref": "https://evil.example/schema"}
    assert run(made(loose), {"query": "too long"})[2] == {"query": "too long"}
    with pytest.raises(WardwrightError):
        decoded(made(loose).arguments, {"query": 1})


def test_effects_are_assumed_grave_unless_annotations_are_trusted() -> None:
    reads = {"readOnlyHint": True}
    assert made(annotations=reads).contract.effect == "irreversible"
    assert made(annotations=reads, trusted=True).contract.effect == "read"
    assert made(annotations={"readOnlyHint": "yes"}, trusted=True).contract.effect == "irreversible"
    assert made(trusted=True).contract.effect == "irreversible"


def test_a_contract_may_lighten_an_assumed_effect_and_no_other() -> None:
    text = "{kind: tool, name: hub.find, effect: read, implements: hub.search_issues, scope: {read: ['{query}']}}"
    documents = gather(decode(text.encode(), "x.yaml")).tools
    assert judged(documents, Tools([made()])) == ()
    grave = msgspec.structs.replace(made(), assumed=False)
    assert [error.code for error in judged(documents, Tools([grave]))] == ["contract_invalid"]


def test_an_argument_that_was_left_out_takes_its_entry_of_the_scope_with_it() -> None:
    tool = made()
    text = "{kind: tool, name: x, effect: read, implements: hub.search_issues, scope: {read: ['{query}', '{tags}']}}"
    contract = gather(decode(text.encode(), "x.yaml")).tools["x"].value
    assert scope_of(contract, decoded(tool.arguments, {"query": "/a"})).read == ("/a",)
    assert scope_of(contract, decoded(tool.arguments, {"query": "/a", "tags": ["/b"]})).read == ("/a", "/b")


def test_the_scope_says_whom_a_call_asks() -> None:
    assert made().contract.scope.programs == ("npx",)
    definition = Definition(name="x", input_schema={"type": "object"})
    (tool,) = functions("far", Address(url="https://far.example/mcp"), [definition], trusted=False, peers=Heard())
    assert tool.contract.scope.hosts == ("far.example:443",)


def test_two_tools_that_would_have_one_name_are_refused() -> None:
    both = [Definition(name=name, input_schema={"type": "object"}) for name in ("a_b", "aB")]
    with pytest.raises(WardwrightError) as refused:
        functions("hub", ENTRY, both, trusted=False, peers=Heard())
    assert refused.value.code == "contract_duplicate"


def test_names_are_spelled_as_ours() -> None:
    assert [name_of("x", tool) for tool in ("HTTPGet", "a b", "été", "t1")] == [
        "x.httpget",
        "x.a_b",
        "x._t_",
        "x.t1",
    ]
