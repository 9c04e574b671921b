"""The page of the Model Context Protocol: what it shows can be done, what it counts is what the code holds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import msgspec

from wardwright.contracts.check import gather
from wardwright.contracts.decode import decode
from wardwright.harness.core.judged import judged
from wardwright.harness.core.mcp import claims, entries, lazy
from wardwright.harness.core.mcp.definitions import Definition
from wardwright.harness.core.mcp.scan import Kind
from wardwright.harness.core.mcp.served import functions
from wardwright.harness.core.tool import Tools
from wardwright.harness.mcp import connection, lines, peers
from wardwright.runtime.servers import Unreached

PAGE = (Path(__file__).parents[2] / "docs/mcp.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_the_configuration_of_other_clients_is_read_by_ours() -> None:
    (block,) = blocks("json")
    assert entries.decode(block.encode(), "mcp.json")["wardwright"] == entries.Program(
        command="wardwright", args=("mcp", "serve", "/srv/contracts")
    )


def test_the_contract_on_the_page_is_right() -> None:
    (block,) = blocks("yaml")
    found = gather(decode(block.encode(), "x.yaml")).tools
    issues = Definition(name="search_issues", input_schema={"type": "object"})
    entry = entries.Program(command="npx")
    tools = functions("github", entry, [issues], trusted=False, peers=Unreached())
    assert judged(found, Tools(tools)) == ()


def test_every_kind_of_finding_stands_on_the_page() -> None:
    table = PAGE.partition("| Finding | What |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, flags=re.MULTILINE)) == set(get_args(Kind))


def test_every_claim_and_every_lazy_tool_stands_on_the_page() -> None:
    for name in (
        claims.APPROVAL,
        claims.ERROR,
        claims.EVIDENCE,
        claims.PLAN,
        claims.RECEIPT,
        claims.RUN,
        claims.SESSION,
    ):
        assert f'`_meta["{name}"]`' in PAGE
    assert all(tool.name in PAGE for tool in lazy.LAZY)


def test_the_bounds_on_the_page_are_those_of_the_code() -> None:
    assert f"{connection.CONNECT_S:.0f} s to start" in PAGE
    assert f"every {peers.RELIST_S:.0f} s" in PAGE
    assert f"more than {lines.UNASKED_MAX:,} messages" in PAGE
    assert f"more than {lines.LINE_BYTES_MAX // 1024**2} MB" in PAGE
    assert f"more than {connection.RESPONSE_BYTES_MAX // 1024**2} MB" in PAGE.replace("\n", " ")


def test_the_examples_hold_no_credential() -> None:
    assert all(
        entries.entry_of("x", {"url": "https://wiki.example/mcp", "headers": {"Authorization": value}}, "x")
        for value in re.findall(r"--header Authorization=(\S+)", PAGE)
    )
    assert msgspec.json.decode(blocks("json")[0])
