"""Calling a tool in a test: arguments decoded, scope made, hands given, as whoever runs tools does it."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from wardwright.contracts.tool import ToolScope
from wardwright.harness.core.scope import scope_of
from wardwright.harness.core.tool import AnyTool, Context, decoded
from wardwright.testing.hands import ScriptedHands, World


def call(tool: AnyTool, world: World, *, scope: ToolScope | None = None, **arguments: object) -> Any:
    """The result of one call in a world, under the tool's own scope or another one. Raises what the call raises."""
    contract = tool.contract if scope is None else msgspec.structs.replace(tool.contract, scope=scope)
    given = decoded(tool.arguments, arguments)
    context = Context(
        hands=ScriptedHands(world, scope_of(contract, given)),
        output_bytes_max=contract.output_bytes_max,
        run="run",
        timeout_s=float(contract.timeout_s),
    )
    return asyncio.run(_ran(tool, given, context))


async def _ran(tool: AnyTool, arguments: msgspec.Struct, context: Context) -> object:
    result: object = await tool.run(arguments, context)
    assert type(result) is tool.result
    assert len(msgspec.json.encode(result)) <= context.output_bytes_max
    return result
