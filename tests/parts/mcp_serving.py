"""`wardwright mcp serve` as clients meet it: a process behind pipes or an address, and what it wrote down."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
import msgspec
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from parts import children

ERAS: Final = ("legacy", "2026-07-28")
"""How a client of the official SDK speaks: with a handshake, or without."""

_ADDRESS: Final = re.compile(r"serving tools at (http://\S+)")
_FOREIGN: Final = ("WARDWRIGHT_", "OPENAI_", "ANTHROPIC_")


def environment(**more: str) -> dict[str, str]:
    """A shell without a past of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)} | more


def over_pipes(
    state: Path, *arguments: str, era: str = "legacy", env: Mapping[str, str] | None = None, **settings: Any
) -> Client:
    """A client that starts the server."""
    command = ["-m", "wardwright", "mcp", "serve", *arguments, "--state", str(state)]
    given = environment(**(env or {}))
    server = StdioServerParameters(command=sys.executable, args=command, env=given)
    return Client(server, mode=era, read_timeout_seconds=30, **settings)


@contextmanager
def over_http(state: Path, *arguments: str) -> Iterator[str]:
    """The address of a server."""
    command = [sys.executable, "-m", "wardwright", "mcp", "serve", *arguments, "--state", str(state)]
    with children.running([*command, "--http", "127.0.0.1:0"], env=environment()) as child:

        def address() -> str | None:
            found = _ADDRESS.search(child.said())
            return None if found is None else found[1]

        yield child.wait_for("an address", address)


@asynccontextmanager
async def client_at(url: str, *, token: str | None, era: str = "legacy") -> AsyncIterator[Client]:
    """A client with a key."""
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30, trust_env=False) as http,
        Client(streamable_http_client(url, http_client=http), mode=era, read_timeout_seconds=30) as client,
    ):
        yield client


def wardwright(state: Path, *words: str) -> str:
    """What a command prints."""
    command = [sys.executable, "-m", "wardwright", *words, "--state", str(state)]
    ended = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60, check=True)
    return ended.stdout.strip()


def receipts(state: Path) -> list[dict[str, Any]]:
    """Every receipt of a tool call, by time."""
    found = []
    for segment in sorted(state.glob("journal/*/*/calls/*.jsonl")) or sorted(state.rglob("calls/*.jsonl")):
        for line in segment.read_bytes().splitlines():
            record = msgspec.json.decode(line)
            if record["kind"] == "tool.closed":
                found.append(record["data"])
    return sorted(found, key=lambda one: one["order"])


def text_of(result: Any) -> str:
    """The text of a result."""
    return "".join(block.text for block in result.content)


def names(tools: Sequence[Any]) -> list[str]:
    return [tool.name for tool in tools]
