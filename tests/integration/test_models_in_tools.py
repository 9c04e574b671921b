"""A tool that asks a model on its way: two receipts, one run, told together."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from parts.contracts import chat, model, scripted
from parts.gateway_thread import running
from wardwright.calls.receipt import Caller, Sourced
from wardwright.cli.main import run
from wardwright.contracts.tool import ToolContract, ToolScope
from wardwright.harness.call import Call, Ended
from wardwright.harness.core.hands import Request
from wardwright.harness.core.houses import BUILT_IN
from wardwright.harness.core.shelf import shelf
from wardwright.harness.core.tool import Context, Tool, Tools
from wardwright.harness.mcp.peers import Peers
from wardwright.runtime.clock import SystemClock
from wardwright.runtime.settings import Settings
from wardwright.runtime.tool_runtime import Shop, ToolRuntime


class Question(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    gateway: str


class Said(msgspec.Struct, frozen=True, kw_only=True):
    status: int


async def ask(arguments: Question, context: Context) -> Said:
    """Ask the model `m`."""
    request = Request(
        body=msgspec.json.encode(chat("m")),
        body_bytes_max=65_536,
        headers=(("content-type", "application/json"), ("x-wardwright-run-id", context.run)),
        method="POST",
        timeout_s=context.timeout_s,
        url=f"{arguments.gateway}/v1/chat/completions",
    )
    return Said(status=(await context.hands.exchange(request)).status)


ASK = Tool(
    arguments=Question,
    contract=ToolContract(
        effect="read",
        implements="ask.model",
        name="ask.model",
        reversal="T0",
        scope=ToolScope(hosts=("127.0.0.1:*",)),
    ),
    result=Said,
    run=ask,
)


async def called(state: Path, url: str, caller: Caller) -> Ended:
    shop = Shop(
        errors=(),
        houses={one.name: one for one in BUILT_IN},
        peers=Peers(SystemClock(), {}),
        policies={},
        shelf=shelf(Tools((ASK,)), {}),
    )
    runtime = ToolRuntime(state, shop, Settings())
    await runtime.open()
    try:
        return await runtime.call(Call(arguments={"gateway": url}, caller=caller, tool="ask.model"))
    finally:
        await runtime.aclose()


@pytest.mark.parametrize("named", ["r-7", None])
def test_what_a_tool_asks_a_model_is_told_with_the_call_of_the_tool(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], named: str | None
) -> None:
    caller = Caller(run=None if named is None else Sourced("trusted_auth", named))
    with running(tmp_path, [scripted("s", {}), model("m", "s")]) as gateway:
        state = gateway.runtime.state
        ended = asyncio.run(called(state, gateway.url, caller))
        assert ended.value == {"status": 200}
        (asked,) = gateway.ended()
        said = asked.receipt.caller.run
        assert said is not None
        assert said.value == (named or ended.receipt.receipt)
        for id_ in (asked.receipt.receipt, ended.receipt.receipt):
            assert run(["receipt", "why", id_, "--state", str(state), "--json"]) == 0
            told = msgspec.json.decode(capsys.readouterr().out)
            assert told["run"] == said.value
            assert sorted(one["kind"] for one in told["steps"]) == ["model", "tool"]
