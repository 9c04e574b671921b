"""Tools by their names, arguments as they come, schemas as callers read them."""

from __future__ import annotations

import jsonschema_rs
import msgspec
import pytest

from wardwright.contracts.tool import ToolContract
from wardwright.harness.core.tool import ARGUMENT_BYTES_MAX, AnyTool, Tools, decoded, schema, spelled
from wardwright.harness.tools.built_in import BUILT_IN, GROUPS
from wardwright.harness.tools.file import READ, ReadArguments
from wardwright.harness.tools.git.reading import LogArguments
from wardwright.harness.tools.network import FetchArguments
from wardwright.kernel.errors import WardwrightError


def refused(given: object, cls: type[msgspec.Struct] = ReadArguments) -> WardwrightError:
    with pytest.raises(WardwrightError) as caught:
        decoded(cls, given)  # type: ignore[arg-type]  # what callers send may be anything
    assert caught.value.code == "tool_arguments"
    return caught.value


def path_of(error: WardwrightError) -> str | None:
    return error.place.path if error.place else None


def test_there_are_nineteen_tools_in_four_groups() -> None:
    assert [name for name, _ in GROUPS] == ["system", "git", "network", "file"]
    assert Tools(BUILT_IN).names == (
        "disk.usage", "dns.lookup", "file.read", "file.search", "file.write", "git.branch", "git.commit", "git.diff",
        "git.log", "git.status", "git.sync", "http.fetch", "http.send", "log.tail", "port.check", "process.list",
        "service.control", "service.status", "system.info",
    )  # fmt: skip


def test_a_tool_is_found_by_either_spelling() -> None:
    tools = Tools(BUILT_IN)
    assert tools.get("git.status") is tools.get("git_status")
    assert "git.status" in tools


@pytest.mark.parametrize(("name", "hint"), [("git.staus", "did you mean `git.status`?"), ("", "known here: ")])
def test_a_name_that_leads_nowhere_is_told_with_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(WardwrightError) as caught:
        Tools(BUILT_IN).get(name)
    assert caught.value.code == "tool_not_found"
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize("name", ["file.read", "file_read", "file-read"])
def test_two_tools_that_would_be_called_alike_are_refused(name: str) -> None:
    other = READ.under(ToolContract(name=name, effect="read", reversal="T0", implements="file.read"))
    with pytest.raises(WardwrightError) as caught:
        Tools([READ, other])
    assert caught.value.code == "contract_duplicate"


def test_a_function_serves_under_another_name_and_says_the_same_of_itself() -> None:
    other = READ.under(ToolContract(name="notes.read", effect="read", reversal="T0", implements="file.read"))
    assert (other.name, other.doc, other.arguments) == ("notes.read", READ.doc, READ.arguments)
    told = READ.under(ToolContract(name="x", effect="read", reversal="T0", implements="file.read", doc="Mine."))
    assert told.doc == "Mine."


def test_json_and_keywords_make_the_same_arguments() -> None:
    made = ReadArguments(path="/a", offset=3)
    assert decoded(ReadArguments, b'{"offset": 3, "path": "/a"}') == made
    assert decoded(ReadArguments, {"offset": 3, "path": "/a"}) == made
    assert decoded(LogArguments, {"repo_path": "/a", "paths": ("b",)}).paths == ("b",)


def test_an_unknown_argument_is_told_with_the_nearest() -> None:
    error = refused(b'{"path": "/a", "ofset": 3}')
    assert (error.message, path_of(error)) == ("there is no argument `ofset`", "ofset")
    assert error.hint == "did you mean `offset`?"


def test_a_missing_argument_is_told_in_words() -> None:
    error = refused(b"{}")
    assert (error.message, path_of(error)) == ("the argument `path` is missing", "path")
    assert error.hint == "`path`: The absolute path of a file."


@pytest.mark.parametrize(
    ("given", "cls", "message", "path"),
    [
        ({"path": "/a", "offset": "3"}, ReadArguments, "expected `int`, got `str`", "offset"),
        ({"path": "/a", "offset": True}, ReadArguments, "expected `int`, got `bool`", "offset"),
        ({"path": "/a", "bytes_max": 0}, ReadArguments, "expected `int` >= 1", "bytes_max"),
        ({"path": "a"}, ReadArguments, "it is not as it must be", "path"),
        ({"repo_path": "/a", "paths": ["b", 1]}, LogArguments, "expected `str`, got `int`", "paths[1]"),
        ({"url": "https://a/", "headers": {"a": 1}}, FetchArguments, "expected `str`, got `int`", "headers[...]"),
    ],
)
def test_a_wrong_argument_is_told_by_its_place(
    given: dict[str, object], cls: type[msgspec.Struct], message: str, path: str
) -> None:
    error = refused(given, cls)
    assert message in error.message
    assert path_of(error) == path


@pytest.mark.parametrize(
    "given",
    [
        b"[]", b'"a"', b"null", b"{", b"\xff", b"[" * 100_000, b'{"path": "/\\ud800x"}', b"1e999",
        b'{"path": "/%b"}' % (b"a" * ARGUMENT_BYTES_MAX), {"path": "/\ud800"}, {"path": object()}, {"path": b"/a\xff"},
        {"path": float("nan")}, {1: 2}, {(1, 2): 3}, {"\0" * 500: 1},
    ],
    ids=lambda given: repr(given)[:30],
)  # fmt: skip
def test_what_is_no_object_of_arguments_is_refused(given: object) -> None:
    refused(given)


@pytest.mark.parametrize("tool", BUILT_IN, ids=lambda tool: tool.name)
def test_every_tool_is_whole(tool: AnyTool) -> None:
    assert tool.contract.implements == tool.name
    assert tool.doc.endswith(".")
    assert tool.arguments.__struct_config__.forbid_unknown_fields
    assert tool.arguments.__struct_config__.frozen
    assert tool.result.__struct_config__.frozen
    for cls in (tool.arguments, tool.result):
        made = schema(cls)
        assert jsonschema_rs.meta.is_valid(made)
        assert made["type"] == "object"
        jsonschema_rs.validator_for(made)
    assert schema(tool.arguments)["additionalProperties"] is False


def test_a_schema_tells_arguments_in_the_words_of_their_types() -> None:
    made = schema(ReadArguments)
    assert made["required"] == ["path"]
    assert made["properties"]["path"]["description"] == "The absolute path of a file."
    validator = jsonschema_rs.validator_for(made)
    assert validator.is_valid({"path": "/a"})
    assert not validator.is_valid({"path": "a"})
    assert not validator.is_valid({"path": "/a", "x": 1})


def test_a_name_is_spelled_as_python_could() -> None:
    assert spelled("a-b.c_d") == "a_b_c_d"
