"""The official client before `wardwright mcp serve`: real pipes, real HTTP, both eras of the protocol."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import msgspec
import pytest
from mcp import Client

from parts.mcp_serving import (
    ERAS,
    client_at,
    environment,
    names,
    over_http,
    over_pipes,
    receipts,
    text_of,
    wardwright,
)

RULES = """\
kind: policy
name: desk
rules:
  - id: no-services
    phase: tool.before
    when: {eq: [tool.name, service.control]}
    then: [{block: no_services}]
    why: Services are for operators.
  - id: ask-before-writing
    phase: tool.before
    when: {eq: [tool.name, file.write]}
    then: [{require_approval: {expires_s: 3600}}]
    why: Somebody looks first.
  - id: no-secrets
    phase: tool.before
    when: {contains: [arguments.path, secret]}
    then: [{block: no_secrets}]
    why: They are secret.
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "contracts"
    path.mkdir()
    (path / "desk.yaml").write_text(RULES)
    return path


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.mark.parametrize("era", ERAS)
def test_a_client_over_pipes_calls_a_tool_and_leaves_a_receipt(era: str, state: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")

    async def talk() -> Any:
        async with over_pipes(state, "--house", "timmy", era=era) as client:
            meta = {"wardwright/run": "nightly"}
            return await client.call_tool("file_read", {"path": str(tmp_path / "a.txt")}, meta=meta)  # type: ignore[arg-type]  # ours

    result = asyncio.run(talk())
    assert not result.is_error
    assert result.structured_content["content"]["text"] == "hello"
    (receipt,) = receipts(state)
    assert receipt["receipt"] == result.meta["wardwright/receipt"]
    assert receipt["caller"]["agent"] == {"source": "body_metadata", "value": "mcp"}
    assert receipt["caller"]["run"]["value"] == "nightly"
    assert receipt["caller"]["session"]["value"].startswith("ses_")
    assert receipt["house"] == "timmy"


@pytest.mark.parametrize("era", ERAS)
def test_the_list_says_what_tools_do(era: str, state: Path) -> None:
    async def talk() -> Any:
        async with over_pipes(state, era=era) as client:
            return await client.list_tools()

    tools = {tool.name: tool for tool in asyncio.run(talk()).tools}
    assert len(tools) == 19
    assert tools["git_status"].annotations.read_only_hint is True
    assert tools["service_control"].annotations.destructive_hint is True
    assert tools["git_branch"].annotations.destructive_hint is False
    assert tools["http_fetch"].annotations.open_world_hint is True
    assert tools["file_read"].input_schema["properties"]["path"]["description"]
    assert tools["file_read"].output_schema["type"] == "object"


def test_a_tool_that_rules_refuse_whatever_is_asked_is_not_shown(state: Path, rules: Path) -> None:
    async def talk() -> Any:
        async with over_pipes(state, str(rules)) as client:
            shown = names((await client.list_tools()).tools)
            return shown, await client.call_tool("service_control", {"unit": "x.service", "action": "stop"})

    shown, refused = asyncio.run(talk())
    assert "service_control" not in shown
    assert {"file_read", "file_write"} <= set(shown)  # refused for some arguments alone
    assert refused.is_error
    assert refused.meta["wardwright/error"]["code"] == "policy_blocked"


def test_what_a_rule_refuses_is_told_with_code_and_message(state: Path, rules: Path) -> None:
    async def talk() -> Any:
        async with over_pipes(state, str(rules)) as client:
            return await client.call_tool("file_read", {"path": "/srv/secret"})

    refused = asyncio.run(talk())
    assert refused.is_error
    assert "[policy_blocked]" in text_of(refused)
    (receipt,) = receipts(state)
    assert receipt["status"] == "denied"


@pytest.mark.parametrize("named", [True, False])
def test_an_approved_call_runs_once(state: Path, rules: Path, tmp_path: Path, named: bool) -> None:
    path = tmp_path / "made.txt"
    asked = {"path": str(path), "content": "hello"}

    async def talk() -> Any:
        async with over_pipes(state, str(rules)) as client:
            waits: Any = await client.call_tool("file_write", asked)
            approval = waits.meta["wardwright/error"]["approval"]
            again: Any = await client.call_tool("file_write", asked)
            assert again.meta["wardwright/error"]["approval"] == approval
            await asyncio.to_thread(wardwright, state, "approval", "approve", approval)
            meta: Any = {"wardwright/approval": approval} if named else None
            ran = await client.call_tool("file_write", asked, meta=meta)
            path.unlink()
            return waits, ran, await client.call_tool("file_write", asked, meta=meta)

    waits, ran, more = asyncio.run(talk())
    assert waits.meta["wardwright/error"]["code"] == "approval_required"
    assert not ran.is_error
    assert more.meta["wardwright/error"]["code"] == ("approval_spent" if named else "approval_required")
    assert not path.exists()


@asynccontextmanager
async def silent_host(folder: Path) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """An address that never answers, the tool `slow.fetch` that may reach it, and when somebody is there."""
    reached = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        (folder / "slow.yaml").write_text(
            f"{{kind: tool, name: slow.fetch, effect: read, implements: http.fetch, scope: {{hosts: ['{host}']}}}}"
        )
        yield f"http://{host}/", reached


async def cancel(client: Client, url: str, reached: asyncio.Event) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(client.call_tool, "slow_fetch", {"url": url})
        await reached.wait()
        group.cancel_scope.cancel()
    answered = await client.call_tool("dns_lookup", {"host": "127.0.0.1"})
    assert answered.structured_content  # it still serves


@pytest.mark.parametrize("era", ERAS)
def test_a_client_that_cancels_cancels_the_call(era: str, state: Path, rules: Path) -> None:
    async def talk() -> None:
        async with silent_host(rules) as (url, reached), over_pipes(state, str(rules), era=era) as client:
            await cancel(client, url, reached)

    asyncio.run(talk())
    assert sorted(one["status"] for one in receipts(state)) == ["cancelled", "completed"]


@pytest.mark.parametrize("era", ERAS)
def test_a_client_that_cancels_over_http_cancels_the_call(era: str, state: Path, rules: Path) -> None:
    async def talk() -> None:
        async with silent_host(rules) as (url, reached):
            with over_http(state, str(rules)) as address:
                async with client_at(address, token=None, era=era) as client:
                    await cancel(client, url, reached)

    asyncio.run(talk())
    assert sorted(one["status"] for one in receipts(state)) == ["cancelled", "completed"]


def test_a_lazy_client_finds_reads_and_calls_a_tool(state: Path, rules: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")

    async def talk() -> Any:
        async with over_pipes(state, str(rules), "--lazy") as client:
            shown = names((await client.list_tools()).tools)
            found = await client.call_tool("search_tools", {"query": "read a file"})
            told = await client.call_tool("describe_tool", {"name": "file.read"})
            asked = {"name": "file_read", "arguments": {"path": str(tmp_path / "a.txt")}}
            called = await client.call_tool("call_tool", asked)
            hidden = await client.call_tool("describe_tool", {"name": "service_control"})
            return shown, found, told, called, hidden

    shown, found, told, called, hidden = asyncio.run(talk())
    assert shown == ["search_tools", "describe_tool", "call_tool"]
    assert found.structured_content["tools"][0]["name"] == "file_read"
    assert told.structured_content["input_schema"]["required"] == ["path"]
    assert called.structured_content["content"]["text"] == "hello"
    assert hidden.meta["wardwright/error"]["code"] == "tool_not_found"


def test_standard_output_carries_the_protocol_alone(state: Path, tmp_path: Path) -> None:
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}},
    }
    call = {
        "jsonrpc": "2.0",
        "id": 2,
        "method": "tools/call",
        "params": {"name": "git_status", "arguments": {"repo_path": str(tmp_path)}},
    }
    done = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    said = b"".join(msgspec.json.encode(one) + b"\n" for one in (hello, done, call))
    with subprocess.Popen(
        [sys.executable, "-m", "wardwright", "mcp", "serve", "--state", str(state)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(said)
        process.stdin.flush()
        answers = [msgspec.json.decode(process.stdout.readline()) for _ in range(2)]
        process.stdin.close()
        rest = process.stdout.read()
        assert process.wait(20) == 0
    assert [one["id"] for one in answers] == [1, 2]
    assert rest == b""


def test_a_server_that_is_told_to_end_ends_while_its_client_is_silent(state: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "wardwright", "mcp", "serve", "--state", str(state)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b'{"jsonrpc":"2.0","id":1,"method":"server/discover"}\n')
        process.stdin.flush()
        process.stdout.readline()
        process.terminate()
        assert process.wait(20) == 0


# HTTP


@pytest.fixture
def token(state: Path) -> str:
    return wardwright(state, "key", "create", "--tenant", "acme", "--agent", "builder")


@pytest.mark.parametrize("era", ERAS)
def test_over_http_the_key_says_who_calls(era: str, state: Path, token: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")

    async def talk(url: str) -> Any:
        async with client_at(url, token=token, era=era) as client:
            return await client.call_tool("file_read", {"path": str(tmp_path / "a.txt")})

    with over_http(state, "--keys", "required") as url:
        result = asyncio.run(talk(url))
    assert result.structured_content["content"]["text"] == "hello"
    (receipt,) = receipts(state)
    assert receipt["caller"]["tenant"] == {"source": "trusted_auth", "value": "acme"}
    assert receipt["caller"]["agent"] == {"source": "trusted_auth", "value": "builder"}
    assert receipt["caller"]["key"].startswith("key_")
    assert ("session" in receipt["caller"]) == (era == "legacy")


def test_over_http_a_call_without_a_key_is_refused_where_keys_are_required(state: Path, token: str) -> None:
    with over_http(state, "--keys", "required") as url:
        none = httpx2.post(url, json={}, trust_env=False)
        wrong = httpx2.post(url, json={}, headers={"authorization": f"Bearer {token}x"}, trust_env=False)
    assert (none.status_code, none.json()["code"]) == (401, "missing_api_key")
    assert (wrong.status_code, wrong.json()["code"]) == (401, "invalid_api_key")


def test_keyless_access_is_for_this_machine_and_no_web_page(state: Path) -> None:
    with over_http(state) as url:
        rebound = httpx2.post(url, json={}, headers={"host": "evil.example"}, trust_env=False)
        page = httpx2.post(url, json={}, headers={"origin": "https://evil.example"}, trust_env=False)
    assert rebound.json()["code"] == "host_not_allowed"
    assert page.json()["code"] == "origin_not_allowed"


def test_an_open_address_without_keys_is_not_served(state: Path) -> None:
    command = [sys.executable, "-m", "wardwright", "mcp", "serve", "--http", "0.0.0.0:0", "--state", str(state)]
    ended = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert "calls need no key" in ended.stderr


def test_a_key_that_is_revoked_serves_no_more_and_sessions_are_their_owners_own(state: Path, token: str) -> None:
    other = wardwright(state, "key", "create", "--tenant", "rival")
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}},
    }
    accept = {"accept": "application/json, text/event-stream"}
    with over_http(state, "--keys", "required") as url:
        mine = {**accept, "authorization": f"Bearer {token}"}
        session = httpx2.post(url, json=hello, headers=mine, trust_env=False).headers["mcp-session-id"]
        ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
        theirs = {**accept, "authorization": f"Bearer {other}", "mcp-session-id": session}
        foreign = httpx2.post(url, json=ping, headers=theirs, trust_env=False)
        ours = httpx2.post(url, json=ping, headers={**mine, "mcp-session-id": session}, trust_env=False)
        (key,) = [
            one["id"]
            for one in msgspec.json.decode(wardwright(state, "key", "list", "--json"))["data"]
            if one["tenant"] == "acme"
        ]
        wardwright(state, "key", "revoke", key)

        async def refused() -> None:
            async with asyncio.timeout(10):
                async with httpx2.AsyncClient(trust_env=False) as http:
                    while (await http.post(url, json=ping, headers=mine)).status_code != 401:
                        pass  # heard of within a tenth of a second

        asyncio.run(refused())
    assert foreign.status_code == 404
    assert ours.status_code == 200


def test_a_client_over_pipes_may_hold_a_key(state: Path, token: str) -> None:
    async def talk() -> None:
        async with over_pipes(state, env={"WARDWRIGHT_API_KEY": token}) as client:
            await client.call_tool("dns_lookup", {"host": "127.0.0.1"})

    asyncio.run(talk())
    (receipt,) = receipts(state)
    assert receipt["caller"]["tenant"]["value"] == "acme"


def test_arguments_that_are_wrong_are_told_by_name(state: Path) -> None:
    async def talk() -> Any:
        async with over_pipes(state) as client:
            return await client.call_tool("file_read", {"pth": "/x"})

    refused = asyncio.run(talk())
    assert refused.meta["wardwright/error"]["code"] == "tool_arguments"
    assert "did you mean" in text_of(refused)
