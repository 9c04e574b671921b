"""Contract files with tools among them."""

from __future__ import annotations

from pathlib import Path

from wardwright.harness.core.mcp import entries, lock
from wardwright.harness.core.mcp.definitions import Definition
from wardwright.runtime import library, servers

MODEL = """
kind: provider
name: p
transport: scripted
scripts: [{model: m}]
---
kind: model
name: coding
targets: [{name: a, provider: p, model: m, context_window: 8K}]
"""
TOOL = "kind: tool\nname: notes.read\neffect: read\nimplements: file.read\n"


def test_tools_are_kept_beside_models(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text(MODEL)
    (tmp_path / "tools.yaml").write_text(TOOL)
    read = library.read([tmp_path])
    assert (list(read.models), list(read.tools), read.errors) == (["coding"], ["notes.read"], ())
    assert read.unread == frozenset()


def test_a_tool_that_names_no_function_is_told_and_keeps_no_model_from_serving(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text(MODEL)
    (tmp_path / "tools.yaml").write_text(TOOL.replace("file.read", "file.raed"))
    read = library.read([tmp_path])
    assert list(read.models) == ["coding"]
    (error,) = read.errors
    assert (error.code, error.message, error.hint) == (
        "contract_reference",
        "no function is named `file.raed`",
        "did you mean `file.read`?",
    )
    assert str(error.place) == f"{tmp_path}/tools.yaml:4:13 (implements)"


def test_a_tool_that_cannot_be_read_refuses_its_file_alone(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text(MODEL)
    (tmp_path / "tools.yaml").write_text(TOOL + "timeout_s: 0\n")
    read = library.read([tmp_path])
    assert (list(read.models), list(read.tools)) == (["coding"], [])
    assert read.unread == {f"{tmp_path}/tools.yaml"}


def test_servers_and_their_pins_are_no_contracts_and_bring_functions_that_contracts_may_name(tmp_path: Path) -> None:
    entry = entries.Program(command="absent")
    found = (Definition(name="search", input_schema={"type": "object"}),)
    pin = lock.pin_of(entries.digest_of(entry), found, accepted=(), trust_annotations=False)
    servers.write(tmp_path, "hub", entry, lock.Lock().with_server("hub", pin))
    (tmp_path / "find.yaml").write_text("{kind: tool, name: find, effect: read, implements: hub.search}")
    read = library.read([tmp_path])
    assert read.errors == ()
    assert [file.name for file in read.files] == ["find.yaml"]
    servers.write(tmp_path, "hub", entries.Program(command="another"), lock.Lock().with_server("hub", pin))
    codes = [error.code for error in library.read([tmp_path]).errors]
    assert codes == ["tool_server_unpinned", "contract_reference"]
