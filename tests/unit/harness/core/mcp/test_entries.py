"""`mcp.json`."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from wardwright.harness.core.mcp.entries import Address, Program, decode, digest_of, entry_of, written
from wardwright.kernel.errors import WardwrightError


def test_programs_and_addresses_are_read_as_other_clients_write_them() -> None:
    found = decode(
        msgspec.json.encode(
            {
                "mcpServers": {
                    "git-hub": {"type": "stdio", "command": "npx", "args": ["-y", "x"], "env": {"A_TOKEN": "env:T"}},
                    "far": {"type": "http", "url": "https://far.example/mcp", "headers": {"Authorization": "file:/k"}},
                },
                "inputs": [],
            }
        ),
        "mcp.json",
    )
    assert found["git-hub"] == Program(command="npx", args=("-y", "x"), env={"A_TOKEN": "env:T"})
    assert found["far"] == Address(url="https://far.example/mcp", headers={"Authorization": "file:/k"})
    assert all(entry_of(name, written(entry), "mcp.json") == entry for name, entry in found.items())


def test_another_program_is_another_entry() -> None:
    first = Program(command="npx", args=("x@1",))
    assert digest_of(first) != digest_of(Program(command="npx", args=("x@2",)))
    assert digest_of(first) == digest_of(Program(command="npx", args=("x@1",)))


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ({}, "contract_invalid"),
        ({"command": "x", "url": "http://x/"}, "contract_invalid"),
        ({"command": "x", "headers": {}}, "contract_invalid"),
        ({"command": ["x"]}, "contract_invalid"),
        ({"comand": "x"}, "contract_unknown_key"),
        ({"url": "ftp://x/"}, "contract_invalid"),
        ({"url": "https://user:word@x/"}, "contract_invalid"),
        ({"url": "https://x:port/"}, "contract_invalid"),
        ({"url": "https://x/", "headers": {"Authorization": "Bearer abc"}}, "contract_secret"),
        ({"command": "x", "env": {"API_KEY": "abc"}}, "contract_secret"),
        ({"command": "x", "args": ["--token", "ghp_" + "a1B2" * 9]}, "contract_secret"),
        ("x", "contract_invalid"),
    ],
)
def test_an_entry_that_is_wrong_is_refused_with_its_place(entry: Any, code: str) -> None:
    with pytest.raises(WardwrightError) as refused:
        decode(msgspec.json.encode({"mcpServers": {"peer": entry}}), "mcp.json")
    assert refused.value.code == code
    assert refused.value.place is not None
    assert (refused.value.place.path or "").startswith("mcpServers.peer")


@pytest.mark.parametrize("name", ["", "Peer", "a.b", "x" * 33, "-x"])
def test_a_name_that_tools_could_not_carry_is_refused(name: str) -> None:
    with pytest.raises(WardwrightError):
        entry_of(name, {"command": "x"}, "mcp.json")


@pytest.mark.parametrize("data", [b"{", b"[]", b"{}", b'{"mcpServers": []}'])
def test_a_file_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(WardwrightError):
        decode(data, "mcp.json")


def test_what_is_switched_off_is_not_there() -> None:
    data = msgspec.json.encode({"mcpServers": {"a": {"command": "x", "disabled": True}, "b": {"command": "x"}}})
    assert list(decode(data, "mcp.json")) == ["b"]
