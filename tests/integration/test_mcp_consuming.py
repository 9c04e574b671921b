"""Tools of other servers under our rules: real servers behind real pipes, one trait each."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from parts.mcp_servers import PIECES
from parts.mcp_serving import over_pipes, receipts
from wardwright import Harness, Mode
from wardwright.cli.main import run as wardwright
from wardwright.harness.core.hands import Scope
from wardwright.harness.core.mcp import entries, lock
from wardwright.harness.core.tool import Context
from wardwright.harness.mcp import connection
from wardwright.harness.mcp.peers import RELIST_S, Peers, Server
from wardwright.kernel.errors import WardwrightError
from wardwright.testing.determinism import HandClock
from wardwright.testing.hands import ScriptedHands, World

TESTS: Final = Path(__file__).parents[1]
SUM: Final[dict[str, Any]] = {"a": 2, "b-side": 3}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "contracts"
    made.mkdir()
    return made


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def add(folder: Path, trait: str, *options: str, name: str = "peer") -> int:
    words = ["mcp", "add", name, "--folder", str(folder), "--env", f"PYTHONPATH={TESTS}", *options]
    return wardwright([*words, "--", sys.executable, "-m", "parts.mcp_servers", trait])


def pid_in(folder: Path) -> int:
    return int((folder / "pid").read_text())


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def lock_of(folder: Path) -> Any:
    return msgspec.json.decode((folder / "mcp.lock.json").read_bytes())


def test_a_tool_of_another_server_is_called_decided_and_receipted(folder: Path, state: Path) -> None:
    assert add(folder, "honest") == 0
    with Harness(config=folder, state=state) as harness:
        assert {"peer.add_numbers", "peer.write", "peer.environment"} <= set(harness.tools())
        result = harness.execute("peer.add_numbers", **SUM)
    assert result.unwrap() == {
        "attachments": [],
        "structured": {"sum": 5, "calls": 1},
        "text": "5",
        "truncated": False,
    }
    (receipt,) = receipts(state)
    assert (receipt["effect"], receipt["reversal"], receipt["status"]) == ("irreversible", "T4", "completed")
    assert receipt["scope"]["programs"] == [sys.executable]
    assert receipt.get("walls", "none") == "none"


def test_a_server_ends_with_the_runtime(folder: Path, state: Path) -> None:
    add(folder, "honest")
    with Harness(config=folder, state=state) as harness:
        harness.execute("peer.add_numbers", **SUM).unwrap()
        pid = pid_in(folder)
        assert not gone(pid)
    assert gone(pid)


def test_a_server_is_started_by_its_first_call(folder: Path, state: Path) -> None:
    add(folder, "honest")
    (folder / "pid").unlink()
    with Harness(config=folder, state=state) as harness:
        harness.tools()
        assert not (folder / "pid").exists()


def test_a_server_sees_no_variable_that_was_not_named(
    folder: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET_OF_OURS", "x")
    monkeypatch.setenv("PEER_SECRET", "s3cret")
    add(folder, "honest", "--env", "GIVEN=env:PEER_SECRET")
    with Harness(config=folder, state=state) as harness:
        value = harness.execute("peer.environment").unwrap()
    assert isinstance(value, dict)
    names = value["text"].split()
    assert "GIVEN" in names
    assert not {"A_SECRET_OF_OURS", "PEER_SECRET"} & set(names)
    assert b"s3cret" not in (folder / "mcp.json").read_bytes()


def test_what_the_tool_refuses_is_its_failure(folder: Path, state: Path) -> None:
    add(folder, "honest")
    with Harness(config=folder, state=state) as harness:
        refused = harness.execute("peer.write")
    assert refused.error is not None
    assert (refused.error.code, refused.status) == ("tool_failed", "failed")
    assert "nothing to write" in refused.error.message


@pytest.mark.parametrize(
    "arguments",
    [
        {"a": 2},
        {"a": "2", "b-side": 3},
        {"a": -1, "b-side": 3},
        {"a": 2, "b-side": 3, "unit": "mile"},
        {"a": 2, "b-side": 3, "c": 4},
    ],
)
def test_arguments_are_judged_by_the_pinned_schema_before_anything_starts(
    folder: Path, state: Path, arguments: dict[str, Any]
) -> None:
    add(folder, "honest")
    (folder / "pid").unlink()
    with Harness(config=folder, state=state) as harness:
        refused = harness.execute("peer.add_numbers", **arguments)
    assert refused.error is not None
    assert refused.error.code == "tool_arguments"
    assert not (folder / "pid").exists()


def test_annotations_count_where_the_operator_trusts_them(folder: Path, state: Path) -> None:
    add(folder, "honest", "--trust-annotations")
    with Harness(config=folder, state=state) as harness:
        read, other = harness.execute("peer.add_numbers", **SUM), harness.execute("peer.write", line="x")
    assert (read.receipt.effect, other.receipt.effect) == ("read", "irreversible")


def test_a_contract_says_what_a_tool_does_and_lets_its_answers_be_kept(folder: Path, state: Path) -> None:
    add(folder, "honest")
    (folder / "sum.yaml").write_text(
        "{kind: tool, name: sums.add, effect: read, implements: peer.add_numbers, cache: {ttl_s: 60}}"
    )
    with Harness(config=folder, state=state) as harness:
        first, second = harness.execute("sums.add", **SUM), harness.execute("sums.add", **SUM)
    assert first.receipt.effect == "read"
    assert second.provenance.cached_from == first.provenance.receipt
    assert first.value == second.value


def test_rules_read_the_name_and_the_arguments(folder: Path, state: Path) -> None:
    add(folder, "honest")
    (folder / "desk.yaml").write_text("""\
kind: policy
name: desk
rules:
  - id: small
    phase: tool.before
    when: {all: [{eq: [tool.name, peer.add_numbers]}, {eq: [arguments.a, '2']}]}
    then: [{block: no_twos}]
    why: x
""")
    with Harness(config=folder, state=state) as harness:
        refused, ran = harness.execute("peer.add_numbers", **SUM), harness.execute("peer.add_numbers", **SUM | {"a": 3})
    assert refused.status == "denied"
    assert ran.ok


def test_the_sovereign_mode_calls_nothing_outside_of_walls(folder: Path, state: Path) -> None:
    add(folder, "honest", "--trust-annotations")
    with Harness(config=folder, state=state, mode=Mode.SOVEREIGN) as harness:
        refused = harness.execute("peer.add_numbers", **SUM)
    assert refused.error is not None
    assert refused.error.code == "sandbox_unavailable"


# Servers that are not as they should be


@pytest.mark.parametrize("trait", ["drifting", "old-drifting"])
def test_a_server_that_changes_its_tools_is_refused_from_then_on(folder: Path, state: Path, trait: str) -> None:
    add(folder, trait)
    with Harness(config=folder, state=state) as harness:
        first = harness.execute("peer.add_numbers", **SUM)
        later = [harness.execute("peer.add_numbers", **SUM), harness.execute("peer.write", line="x")]
        pid = pid_in(folder)
    assert first.ok
    assert [one.error.code if one.error else None for one in later] == ["tool_server_changed"] * 2
    assert later[0].error is not None
    assert "`addNumbers` is changed" in later[0].error.message
    assert gone(pid)


def test_a_server_that_says_nothing_of_its_change_is_found_out_by_its_list(folder: Path) -> None:
    add(folder, "growing")
    pin = lock.decode((folder / "mcp.lock.json").read_bytes(), "x").servers["peer"]
    entry = entries.decode((folder / "mcp.json").read_bytes(), "x")["peer"]
    clock = HandClock()
    peers = Peers(clock, os.environ)
    peers.add(Server(entry=lambda: entry, folder=folder, name="peer", pinned=pin.definitions))
    context = Context(hands=ScriptedHands(World(), Scope()), output_bytes_max=100_000, run="r", timeout_s=20)

    async def calls() -> None:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(peers.run())
            assert (await peers.call("peer", "addNumbers", SUM, context)).text == "5"
            (folder / "grown").touch()
            assert (await peers.call("peer", "addNumbers", SUM, context)).text == "5"
            clock.advance(int(RELIST_S * 1e6) + 1)
            with pytest.raises(WardwrightError) as refused:
                await peers.call("peer", "addNumbers", SUM, context)
            assert refused.value.code == "tool_server_changed"
            running.cancel()

    asyncio.run(calls())
    assert gone(pid_in(folder))


def test_a_server_that_floods_is_cut_off_and_can_be_called_again(folder: Path, state: Path) -> None:
    add(folder, "flooding")
    with Harness(config=folder, state=state) as harness:
        for _ in range(2):
            refused = harness.execute("peer.add_numbers", **SUM)
            assert refused.error is not None
            assert refused.error.code == "tool_failed"
            assert "nobody asked for" in refused.error.message


def test_a_message_without_end_is_cut_off(folder: Path, state: Path) -> None:
    add(folder, "shouting")
    with Harness(config=folder, state=state) as harness:
        refused = harness.execute("peer.add_numbers", **SUM)
    assert refused.error is not None
    assert "a message has more than" in refused.error.message


def test_a_tool_that_hangs_is_ended_by_its_time_and_the_server_hears_of_it(folder: Path, state: Path) -> None:
    add(folder, "hanging")
    (folder / "quick.yaml").write_text(
        "{kind: tool, name: peer.add_numbers, effect: irreversible, reversal: T4, implements: peer.add_numbers,"
        " timeout_s: 3}"
    )
    with Harness(config=folder, state=state) as harness:
        refused = harness.execute("peer.add_numbers", **SUM)
        assert refused.status == "timed_out"
        give_up_at = time.monotonic() + 10
        while not (folder / "cancelled").exists():
            assert time.monotonic() < give_up_at
    assert (folder / "called").exists()


def test_a_server_that_dies_is_started_again_by_the_next_call(folder: Path, state: Path) -> None:
    add(folder, "dying")
    with Harness(config=folder, state=state) as harness:
        first = harness.execute("peer.add_numbers", **SUM)
        before = pid_in(folder)
        second = harness.execute("peer.add_numbers", **SUM)
    assert not first.ok
    assert not second.ok
    assert pid_in(folder) != before


# The commands


@contextmanager
def grown(folder: Path) -> Iterator[None]:
    (folder / "grown").touch()
    yield
    (folder / "grown").unlink()


def test_verify_tells_agreement_drift_and_silence_by_its_exit_code(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(folder, "growing")
    verify = ["mcp", "verify", "--folder", str(folder)]
    assert wardwright(verify) == 0
    with grown(folder):
        assert wardwright(verify) == 5
        assert "added more" in capsys.readouterr().out
        assert wardwright([*verify, "--pin"]) == 0
        assert wardwright(verify) == 0
    entry = folder / "mcp.json"
    entry.write_bytes(entry.read_bytes().replace(b"growing", b"vanished"))
    assert wardwright([*verify, "--json"]) == 2
    looked = msgspec.json.decode(capsys.readouterr().out.split("agrees with its pin\n")[-1])
    assert looked["data"][0]["status"] in ("unpinned", "unreachable")


def test_a_server_whose_entry_changed_serves_nothing(folder: Path, state: Path) -> None:
    add(folder, "honest")
    entry = folder / "mcp.json"
    entry.write_bytes(entry.read_bytes().replace(b'"honest"', b'"drifting"'))
    with pytest.raises(Exception) as refused, Harness(config=folder, state=state) as harness:
        harness.tools()
    assert "is not the one that was pinned" in str(refused.value)


def test_split_instructions_refuse_the_pin_until_they_are_accepted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert add(folder, "split") == 3
    assert not (folder / "mcp.json").exists()
    (finding,) = [line.strip() for line in capsys.readouterr().out.splitlines() if line.startswith("  split:")]
    assert add(folder, "split", "--accept", f"{finding}=a test of ours") == 0
    pin = lock_of(folder)["servers"]["peer"]
    assert pin["accepted"] == [{"finding": finding, "reason": "a test of ours"}]
    assert len(pin["tools"]) == len(PIECES)
    assert wardwright(["mcp", "verify", "--folder", str(folder)]) == 0


def test_a_server_that_says_nothing_is_given_up(folder: Path) -> None:
    assert add(folder, "mute", "--timeout", "3") == 1
    assert not (folder / "mcp.json").exists()
    assert gone(pid_in(folder))


def test_a_list_without_end_is_given_up(folder: Path) -> None:
    assert add(folder, "endless") == 1


@contextmanager
def answering(head: bytes, body: bytes, times: int) -> Iterator[str]:
    """An address that answers every request with the same bytes, over and over."""

    def serve(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.recv(65_536)
                    connection.sendall(head)
                    for _ in range(times):
                        connection.sendall(body)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"[" * 1_000_000),
        ("text/event-stream", b"data: " + b"x" * 1_000_000),
        ("text/event-stream", b": kept alive\n\n" * 100_000),
        ("text/html", b"<html>" * 100_000),
    ],
)
def test_an_address_that_answers_without_end_is_given_up(folder: Path, kind: str, body: bytes) -> None:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n\r\n".encode()
    with answering(head, body, 100) as url:
        assert wardwright(["mcp", "add", "far", "--url", url, "--folder", str(folder), "--timeout", "15"]) == 1
    assert not (folder / "mcp.json").exists()


def test_remove_takes_entry_and_pin_out(folder: Path) -> None:
    add(folder, "honest")
    add(folder, "honest", name="other")
    assert wardwright(["mcp", "remove", "peer", "--folder", str(folder)]) == 0
    assert list(msgspec.json.decode((folder / "mcp.json").read_bytes())["mcpServers"]) == ["other"]
    assert list(lock_of(folder)["servers"]) == ["other"]


# From server to server


def test_what_we_take_in_is_served_on(folder: Path, state: Path) -> None:
    add(folder, "honest", "--trust-annotations")

    async def talk() -> Any:
        async with over_pipes(state, str(folder)) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            return tools["peer_add_numbers"], await client.call_tool("peer_add_numbers", SUM)

    tool, result = asyncio.run(talk())
    assert tool.annotations.read_only_hint is True
    assert tool.input_schema["properties"]["a"]["minimum"] == 0
    assert result.structured_content["structured"]["sum"] == 5
    assert result.meta["wardwright/receipt"] == receipts(state)[0]["receipt"]


def test_a_server_at_an_address_is_called_with_its_headers(
    folder: Path, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from parts.mcp_serving import over_http
    from parts.mcp_serving import wardwright as command

    far = tmp_path / "far"
    token = command(far, "key", "create", "--tenant", "acme")
    monkeypatch.setenv("FAR_KEY", f"Bearer {token}")
    (tmp_path / "a.txt").write_text("hello")
    with over_http(far, "--keys", "required") as url:
        words = ["mcp", "add", "far", "--url", url, "--header", "authorization=env:FAR_KEY", "--folder", str(folder)]
        assert wardwright(words) == 3  # its tools have the names of ours
        accepted = [f"--accept={one}=ours" for one in found_in(words)]
        assert wardwright([*words, *accepted, "--trust-annotations"]) == 0
        with Harness(config=folder, state=state) as harness:
            value = harness.execute("far.file_read", path=str(tmp_path / "a.txt")).unwrap()
    assert isinstance(value, dict)
    assert value["structured"]["content"]["text"] == "hello"
    assert receipts(far)[0]["caller"]["tenant"]["value"] == "acme"
    assert receipts(state)[0]["scope"]["hosts"] == [url.removeprefix("http://").partition("/")[0]]


def found_in(words: list[str]) -> list[str]:
    import contextlib
    import io

    stdout = io.TextIOWrapper(io.BytesIO(), "utf-8")
    with contextlib.redirect_stdout(stdout):
        wardwright([*words, "--json"])
    stdout.flush()
    buffer = stdout.buffer
    assert isinstance(buffer, io.BytesIO)
    return [one["id"] for one in msgspec.json.decode(buffer.getvalue())["findings"]]


def test_a_server_is_gone_however_often_whoever_holds_it_is_cancelled(folder: Path) -> None:
    async def held(started: asyncio.Future[int]) -> None:
        entry = entries.Program(command="sh", args=("-c", "trap '' TERM; echo $$; while :; do sleep 0.05; done"))
        async with connection._process(entry, folder=folder, environment=os.environ) as process:
            started.set_result(int(await process.reader.readline()))
            await process.reader.read()

    async def cancelled() -> int:
        started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        holder = asyncio.create_task(held(started))
        pid = await started
        for _ in range(3):
            holder.cancel()
            for _ in range(3):
                await asyncio.sleep(0)  # it takes the cancellation in
        with pytest.raises(asyncio.CancelledError):
            await holder
        return pid

    assert gone(asyncio.run(cancelled()))
