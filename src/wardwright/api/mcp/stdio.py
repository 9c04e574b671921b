"""MCP over this process's standard input and output, for one client on this machine.

Rule 1: the protocol alone reaches standard output. What anything else prints there goes to standard error.
Rule 2: it ends when the client closes its end, on SIGTERM and on SIGINT; what runs then is cancelled.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from typing import Final

from wardwright.api.mcp.door import Door
from wardwright.harness.mcp.lines import LINE_BYTES_MAX, Broken, streams_over
from wardwright.kernel.errors import WardwrightError

STDIN: Final = 0
STDOUT: Final = 1
STDERR: Final = 2

log = logging.getLogger("wardwright.mcp")


async def serve(door: Door) -> None:
    """Serve until the client leaves. Raises `settings_invalid` where standard input or output is no pipe."""
    loop = asyncio.get_running_loop()
    me = asyncio.current_task()
    assert me is not None
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, me.cancel)
    reader, writer = await _pipes()

    def over(why: Broken | None) -> None:
        if why is not None:
            log.error("the client is let go: %s", why)

    try:
        async with streams_over(reader, writer, over=over) as (read, write):
            await door.server.run(read, write, door.server.create_initialization_options())
    except asyncio.CancelledError:
        pass  # told to end
    finally:
        writer.close()


async def _pipes() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Standard input and output for the protocol alone."""
    loop = asyncio.get_running_loop()
    wire_in, wire_out = os.dup(STDIN), os.dup(STDOUT)
    sys.stdout.flush()
    with open(os.devnull, "rb") as nothing:  # noqa: ASYNC230  # never waits
        os.dup2(nothing.fileno(), STDIN)
    os.dup2(STDERR, STDOUT)
    reader = asyncio.StreamReader(limit=LINE_BYTES_MAX)
    try:
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(wire_in, "rb", 0))
        transport, protocol = await loop.connect_write_pipe(
            lambda: asyncio.streams.FlowControlMixin(), os.fdopen(wire_out, "wb", 0)
        )
    except ValueError as cause:
        raise WardwrightError(
            "settings_invalid",
            "standard input and output must be pipes: an MCP client starts this command",
            hint="`wardwright mcp serve --http 127.0.0.1:8788` serves over HTTP",
        ) from cause
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)
