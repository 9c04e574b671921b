"""What MCP clients are offered, by the contracts of the built-in tools."""

from __future__ import annotations

import msgspec

from wardwright.harness.core.mcp.lazy import LAZY, search
from wardwright.harness.core.mcp.offered import offered, prompt_tokens
from wardwright.harness.core.shelf import Shelf, shelf
from wardwright.harness.core.tool import Tools
from wardwright.harness.tools.built_in import BUILT_IN

SHELF: Shelf = shelf(Tools(BUILT_IN), {})
OFFERED = tuple(offered(SHELF.get(name)) for name in SHELF.names)


def test_names_can_be_written_by_every_client() -> None:
    assert all(one.name.replace("_", "").isalnum() for one in OFFERED)


def test_what_only_reads_is_told_so_and_nothing_else_is() -> None:
    for one in OFFERED:
        assert one.hints.read_only == (SHELF.get(one.name).contract.effect == "read")
        assert not (one.hints.read_only and one.hints.destructive)


def test_a_tool_that_another_stands_in_for_promises_no_form_of_its_result() -> None:
    served = SHELF.get("http.fetch")
    other = msgspec.structs.replace(served, contract=msgspec.structs.replace(served.contract, degrade="file.read"))
    assert offered(served).output_schema is not None
    assert offered(other).output_schema is None


def test_three_tools_take_far_fewer_tokens_than_all() -> None:
    assert 0 < prompt_tokens(LAZY) * 5 < prompt_tokens(OFFERED)


def test_a_search_prefers_names_and_ends_ties_by_name() -> None:
    assert search(OFFERED, "git commit")[0].name == "git_commit"
    assert search(OFFERED, "zebra") == ()
    assert [one.name for one in search(OFFERED, "")] == sorted(one.name for one in OFFERED)[:10]
