"""The harness as Python programs use it: threads, event loops, real programs, the end of the interpreter."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import subprocess
import sys
import textwrap
import threading
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from parts.contracts import chat, model, scripted
from parts.gateway_thread import running
from parts.real_hands import PYTHON
from parts.tool_audit import audited_state, records_of
from parts.tool_child import runtime_of
from parts.workshop_stage import Given, Made, tool
from wardwright.contracts.tool import Retry, ToolScope
from wardwright.harness.call import Call
from wardwright.harness.core.hands import Command
from wardwright.harness.core.modes import Mode
from wardwright.harness.core.receipt import LOST
from wardwright.harness.core.tool import AnyTool, Context
from wardwright.limits.observed import key_of
from wardwright.runtime.harness import Harness
from wardwright.runtime.settings import Settings
from wardwright.runtime.tool_runtime import ToolRuntime
from wardwright.runtime.wiring import Runtime

AT_ONCE = 1000
HELD_BYTES_MAX = 64 * 1024 * 1024
"""Of AT_ONCE calls: a bound, and no measure."""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def over(state: Path, tools: list[AnyTool], scenario: Callable[[ToolRuntime], Awaitable[None]]) -> None:
    async def played() -> None:
        runtime = runtime_of(state, [], tools)
        await runtime.open()
        try:
            await scenario(runtime)
        finally:
            await runtime.aclose()

    asyncio.run(played())


# Many at once


def test_a_thousand_calls_at_once_hold_bounded_memory_and_all_have_receipts(state: Path) -> None:
    async def yields(given: Given, context: Context) -> Made:
        await asyncio.sleep(0)
        return Made(text=given.text * 100)

    async def scenario(runtime: ToolRuntime) -> None:
        gc.collect()
        tracemalloc.start()
        try:
            calls = [runtime.call(Call(tool="yields", arguments={"text": "x"})) for _ in range(AT_ONCE)]
            ended = await asyncio.gather(*calls)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < HELD_BYTES_MAX
        assert {one.receipt.status for one in ended} == {"completed"}
        assert not runtime.workshop.live

    over(state, [tool("yields", yields)], scenario)
    assert len(audited_state(state)) == AT_ONCE


def test_a_batch_keeps_its_order_and_its_bound(state: Path, tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / str(number)).write_text(f"file {number}")
    with Harness(state=state, folder=tmp_path) as harness:
        results = harness.batch([("file.read", {"path": str(tmp_path / str(number))}) for number in range(20)])
        texts = [msgspec.to_builtins(one.unwrap())["content"]["text"] for one in results]
        assert texts == [f"file {number}" for number in range(20)]
        with pytest.raises(ValueError, match="at least one"):
            harness.batch([("file.read", {})], parallel_max=0)
    assert len(audited_state(state)) == 20


@contextmanager
def silent(folder: Path) -> Iterator[tuple[socket.socket, Path]]:
    """A server that never answers, and a document of a tool that asks it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        document = folder / "tools.yaml"
        document.write_text(
            "kind: tool\nname: silent\neffect: read\nimplements: http.fetch\n"
            f"scope: {{hosts: ['127.0.0.1:{server.getsockname()[1]}']}}\n"
        )
        yield server, document


def test_whoever_stops_waiting_on_an_event_loop_cancels_the_call(state: Path, tmp_path: Path) -> None:
    async def program(harness: Harness, server: socket.socket) -> None:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        running = asyncio.create_task(harness.aexecute("silent", url=url))
        connection, _ = await asyncio.to_thread(server.accept)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert await asyncio.to_thread(ended, connection), "nobody waits for an answer any more"
        connection.close()

    with silent(tmp_path) as (server, document), Harness(state=state, config=document, folder=tmp_path) as harness:
        asyncio.run(program(harness, server))
    (receipt,) = audited_state(state)
    assert receipt.status == "cancelled"


def ended(connection: socket.socket) -> bool:
    """Whether the other side closes."""
    connection.settimeout(10)
    while connection.recv(4096):
        pass
    return True


# Programs


def test_a_tool_that_hangs_in_a_program_with_children_leaves_no_process(state: Path, tmp_path: Path) -> None:
    mark = f"hung-{os.getpid()}-{tmp_path.name}"
    forks = (
        "import os, signal, subprocess, sys; "
        "subprocess.Popen([sys.executable, '-I', '-S', '-c', 'import signal; signal.pause()', sys.argv[1]]); "
        "print('begun', flush=True); signal.pause()"
    )

    async def hangs(given: Given, context: Context) -> Made:
        argv = (PYTHON, "-I", "-S", "-c", forks, mark)
        await context.hands.run(
            Command(argv=argv, cwd=str(tmp_path), output_bytes_max=1000, timeout_s=context.timeout_s + 60)
        )
        return Made(text="")

    async def scenario(runtime: ToolRuntime) -> None:
        ended = await runtime.call(Call(tool="hangs"))
        assert (ended.receipt.status, ended.receipt.error) == ("timed_out", "tool_timeout")

    scope = ToolScope(read=(str(tmp_path),), programs=(PYTHON,))
    over(state, [tool("hangs", hangs, timeout_s=1, scope=scope)], scenario)
    assert not _marked(mark)
    audited_state(state)


def _marked(mark: str) -> list[str]:
    found = []
    for process in os.listdir("/proc"):
        if process.isdigit():
            try:
                words = Path("/proc", process, "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if mark.encode() in words:
                found.append(process)
    return found


# Closing


def test_closing_a_harness_tells_whoever_still_waits(state: Path, tmp_path: Path) -> None:
    heard: list[BaseException] = []

    def waits(harness: Harness, url: str) -> None:
        try:
            harness.execute("silent", url=url)
        except BaseException as error:
            heard.append(error)

    with silent(tmp_path) as (server, document):
        harness = Harness(state=state, config=document, folder=tmp_path)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        waiting = threading.Thread(target=waits, args=(harness, url))
        waiting.start()
        connection, _ = server.accept()
        harness.close()
        waiting.join(10)
        connection.close()
    assert not waiting.is_alive()
    assert [type(one) for one in heard] == [CancelledError]
    (receipt,) = audited_state(state)
    assert receipt.status == "cancelled"


def test_a_harness_that_nobody_closed_leaves_intact_chains_at_the_interpreters_end(state: Path, tmp_path: Path) -> None:
    program = f"""
    from wardwright import Harness
    harness = Harness(state={str(state)!r}, folder={str(tmp_path)!r})
    print(harness.execute("file.write", path={str(tmp_path / "a")!r}, content="hi").status)
    other = Harness(state={str(state)!r}, folder={str(tmp_path)!r})
    print(other.execute("file.read", path={str(tmp_path / "a")!r}).status)
    """
    ran = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout.split(), ran.stderr) == (0, ["completed", "completed"], "")
    assert len(audited_state(state)) == 2


def test_two_harnesses_and_a_gateway_work_over_one_state_directory(state: Path, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")

    async def gateway() -> None:
        runtime = Runtime([], state, Settings(), environment={})
        await runtime.open()
        try:
            await asyncio.to_thread(together)
        finally:
            await runtime.aclose()

    def together() -> None:
        with Harness(state=state, folder=tmp_path) as one, Harness(state=state, folder=tmp_path) as other:
            each = [harness.execute("file.read", path=str(tmp_path / "a")) for harness in (one, other, one)]
            assert [result.status for result in each] == ["completed"] * 3

    asyncio.run(gateway())
    assert len(audited_state(state)) == 3
    assert not any(record.kind == LOST for record in records_of(state))


# Learning


def flaky() -> AnyTool:
    async def fails(given: Given, context: Context) -> Made:
        if given.number:
            raise ValueError("a defect")
        return Made(text="")

    return tool("flaky", fails, retry=Retry(attempts_max=1))


def foretold(runtime: ToolRuntime, number: int = 0) -> int:
    key = key_of("local", kind="tool", name="flaky")
    return runtime.patterns.predict(key, runtime._clock.now_us()).success_ppm


def test_a_call_teaches_the_next_and_what_was_learned_survives_and_is_rebuilt(state: Path) -> None:
    seen: list[int] = []

    async def teach(runtime: ToolRuntime) -> None:
        before = foretold(runtime)
        told = [(await runtime.call(Call(tool="flaky", mode=Mode.INTELLIGENT))).receipt.prediction for _ in range(6)]
        assert all(one is not None for one in told)
        predicted = [one.success_ppm for one in told if one is not None]
        assert predicted[0] == before
        assert predicted == sorted(predicted)
        assert foretold(runtime) > predicted[0]
        for _ in range(12):
            await runtime.call(Call(tool="flaky", arguments={"number": 1}))
        assert foretold(runtime) < predicted[-1]
        seen.append(foretold(runtime))
        rows.append(runtime.patterns.rows())

    async def again(runtime: ToolRuntime) -> None:
        assert runtime.patterns.rows() == rows[0]

    rows: list[object] = []
    over(state, [flaky()], teach)
    over(state, [flaky()], again)
    (store,) = state.glob("remembered-harness-0.sqlite")
    store.write_bytes(b"this is no database" * 1000)
    over(state, [flaky()], again)
    store.unlink()
    over(state, [flaky()], again)


def test_what_another_process_learned_is_heard(state: Path) -> None:
    async def scenario() -> None:
        one, other = runtime_of(state, [], [flaky()]), runtime_of(state, [], [flaky()])
        await one.open()
        await other.open()
        try:
            assert len(other.patterns) == 0
            await one.call(Call(tool="flaky"))
            async with asyncio.timeout(10):
                while not len(other.patterns):
                    await other._learning.hear()
            assert other.patterns.rows()[1:] == one.patterns.rows()[1:]
        finally:
            await one.aclose()
            await other.aclose()

    asyncio.run(scenario())


def test_calls_of_models_teach_what_tools_are_foretold_with(tmp_path: Path) -> None:
    documents = [scripted("s", {"text": "hi"}), model("m", "s")]
    with running(tmp_path, documents) as gateway:
        for _ in range(3):
            status, _, _ = gateway.ask("/v1/chat/completions", chat("m"))
            assert status == 200
        gateway.ended(3)

        async def scenario(runtime: ToolRuntime) -> None:
            key = key_of("local", kind="model", name="m", shape="chat")
            assert runtime.patterns.predict(key, runtime._clock.now_us()).evidence_milli >= 2_900

        over(tmp_path / "state", [flaky()], scenario)


def test_the_interpreter_ends_while_a_call_runs_and_its_receipt_says_so(state: Path, tmp_path: Path) -> None:
    with silent(tmp_path) as (server, document):
        program = f"""
        import threading
        from wardwright import Harness
        harness = Harness(state={str(state)!r}, config={str(document)!r}, folder={str(tmp_path)!r})
        url = "http://127.0.0.1:{server.getsockname()[1]}/"
        threading.Thread(target=lambda: harness.execute("silent", url=url), daemon=True).start()
        input()
        """
        child = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        connection, _ = server.accept()
        child.communicate("\n", timeout=60)
        connection.close()
    assert child.returncode == 0
    (receipt,) = audited_state(state)
    assert receipt.status == "cancelled"
