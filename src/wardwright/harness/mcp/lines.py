"""JSON-RPC messages as lines of a pipe, in the streams that the official SDK's sessions read and write.

Rule 1: nothing waits in here: a message that nobody takes keeps the next one in the pipe.
Rule 2: a line is bounded, and so is what the other side sends without being asked: past either bound the connection is
over and says why. The SDK's own pipes have no such bounds.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import anyio
import mcp_types as types
from mcp.client._transport import TransportStreams
from mcp.shared.message import SessionMessage

LINE_BYTES_MAX: Final = 8 * 1024 * 1024
"""Of one message."""

UNASKED_MAX: Final = 1000
"""Messages between two of ours."""


class Broken(Exception):
    """The other side keeps no bounds; the text says which."""


@asynccontextmanager
async def streams_over(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    over: Callable[[Broken | None], None],
    unasked_max: int | None = None,
) -> AsyncIterator[TransportStreams]:
    """Streams over a pipe in each direction. The reader's `limit` bounds a line. `over` hears that the other
    side ended, and which bound it broke, if any. Without `unasked_max` it may send as much as it likes."""
    inward, read = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    write, outward = anyio.create_memory_object_stream[SessionMessage](0)
    unasked = 0

    async def listen() -> None:
        nonlocal unasked
        async with inward:
            while True:
                try:
                    line = await reader.readuntil(b"\n")
                except asyncio.LimitOverrunError:
                    over(Broken(f"a message has more than {LINE_BYTES_MAX:,} bytes"))
                    return
                except (asyncio.IncompleteReadError, OSError):
                    over(None)
                    return
                unasked += 1
                if unasked_max is not None and unasked > unasked_max:
                    over(Broken(f"more than {unasked_max:,} messages that nobody asked for"))
                    return
                if not line.strip():
                    continue
                try:
                    message = types.jsonrpc_message_adapter.validate_json(line, by_name=False)
                except ValueError as no_message:
                    await inward.send(no_message)
                    continue
                await inward.send(SessionMessage(message))

    async def speak() -> None:
        nonlocal unasked
        async with outward:
            async for sent in outward:
                unasked = 0
                data = sent.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
                writer.write(data)
                try:
                    await writer.drain()
                except OSError:
                    return

    async with anyio.create_task_group() as group:
        group.start_soon(_tolerant, listen)
        group.start_soon(_tolerant, speak)
        try:
            yield read, write
        finally:
            for stream in (read, write):
                await stream.aclose()
            group.cancel_scope.cancel()


async def _tolerant(pump: Callable[[], Awaitable[None]]) -> None:
    """A session that ended first is no failure."""
    with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
        await pump()
