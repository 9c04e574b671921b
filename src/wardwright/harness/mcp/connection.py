"""One connection to an MCP server, over pipes or HTTP, on the official SDK's client.

Rule 1: everything the server sends is bounded: a message, what it sends unasked, its list, an answer, and every wait.
Rule 2: a server that is started gets a process group of its own and an environment of a few names. When the connection
ends, so does the whole group: asked, then told, then killed.
Rule 3: results are judged by nobody here: the SDK would look for a schema that the server may have changed meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar, assert_never

import httpx2
import mcp_types as types
import msgspec
from mcp import Client
from mcp.client._transport import Transport
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from wardwright.harness.core.mcp.definitions import (
    DEFINITIONS_BYTES_MAX,
    TOOLS_MAX,
    Definition,
    Definitions,
    shown,
    unusable,
)
from wardwright.harness.core.mcp.entries import Address, Entry, Program
from wardwright.harness.core.mcp.served import Attachment, Returned
from wardwright.harness.core.payload import fitting
from wardwright.harness.mcp.lines import LINE_BYTES_MAX, UNASKED_MAX, Broken, streams_over
from wardwright.kernel.errors import WardwrightError

VERSION: Final = "1"
"""Of what servers are told of us: it changes when they should treat us differently."""
CONNECT_S: Final = 20.0
"""From the start of a server to its list of tools."""
LIST_S: Final = 10.0
PAGES_MAX: Final = 64
"""Of one list."""
END_S: Final = 2.0
"""How long a server may take to end once its input is closed, and again once it was told to."""
SAID_BYTES_MAX: Final = 4096
"""Of what a server writes to its standard error: the end is kept."""
RESPONSE_BYTES_MAX: Final = 32 * 1024 * 1024
"""Of one HTTP response, streams too."""
ERROR_CHARS_MAX: Final = 2000

_PASSED_ON: Final = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER")
"""Of our environment."""

T = TypeVar("T")

log = logging.getLogger("wardwright.mcp")


class Wire:
    """What is known of the other side beside its answers."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        """It is gone, or is let go."""
        self.relist = False
        """It says that its list is another one."""
        self.said: Callable[[], str] = str
        """The end of what it wrote to its standard error."""
        self.unasked = 0
        """Messages since we asked last."""
        self._why: str | None = None

    def end(self, why: Broken | None) -> None:
        """It ended, or broke a bound."""
        if why is not None and self._why is None:
            self._why = str(why)
        self.over.set()

    async def heard(self, message: object) -> None:
        """Something that nobody asked for."""
        if isinstance(message, types.ToolListChangedNotification):
            self.relist = True
        self.unasked += 1
        if self.unasked > UNASKED_MAX:
            self.end(Broken(f"more than {UNASKED_MAX:,} messages that nobody asked for"))

    def failure(self, cause: BaseException) -> WardwrightError:
        """What went wrong, with what the server said of itself last."""
        if self._why is not None:
            return _failed(self._why)
        match cause:
            case WardwrightError():
                return cause
            case MCPError():
                why = shown(cause.error.message, ERROR_CHARS_MAX)
            case ValidationError():
                why = "it answers what the protocol does not know"
            case _:
                why = shown(str(cause) or type(cause).__name__, ERROR_CHARS_MAX)
        said = self.said()
        return _failed(f"{why}; it said: {said}" if said else why)


class Session:
    """A server that answers."""

    def __init__(self, client: Client, wire: Wire) -> None:
        self.wire = wire
        self._client = client

    async def listed(self) -> Definitions:
        """All tools, in the server's order. Raises `tool_failed`."""
        found: list[Definition] = []
        cursor: str | None = None
        size = 0
        self.wire.unasked = 0
        try:
            async with asyncio.timeout(LIST_S):
                for _ in range(PAGES_MAX):
                    page = await self._client.session.list_tools(params=types.PaginatedRequestParams(cursor=cursor))
                    for tool in page.tools:
                        one = definition_of(tool)
                        size += len(msgspec.json.encode(one))
                        found.append(one)
                    if len(found) > TOOLS_MAX or size > DEFINITIONS_BYTES_MAX:
                        raise _failed(
                            f"it lists more than {TOOLS_MAX} tools, or {DEFINITIONS_BYTES_MAX:,} bytes of them"
                        )
                    cursor = page.next_cursor
                    if cursor is None:
                        break
                else:
                    raise _failed(f"its list has more than {PAGES_MAX} pages")
        except TimeoutError as cause:
            raise _failed(f"it did not list its tools within {LIST_S:g} s") from cause
        except _REFUSED as cause:
            raise self.wire.failure(cause) from cause
        self.wire.relist = False
        why = unusable(found)
        if why is not None:
            raise _failed(why)
        return tuple(found)

    async def hear(self) -> None:
        """Listen for changes of the list, where the server tells them on a stream of its own (2026-07-28); before that
        it tells them unasked."""
        tools = self._client.server_capabilities.tools
        if tools is None or not tools.list_changed or self._client.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            return
        try:
            async with self._client.listen(tools_list_changed=True) as events:
                async for _ in events:
                    self.wire.relist = True
        except _REFUSED as cause:
            log.warning("changes of tools are not heard of any more: %r", cause)
        self.wire.relist = True

    async def call(self, tool: str, arguments: Mapping[str, Any], *, bytes_max: int) -> Returned:
        """Raises `tool_failed`. Cancelling it tells the server."""
        self.wire.unasked = 0
        params = types.CallToolRequestParams(name=tool, arguments=dict(arguments))
        try:
            answer = await self._client.session.send_request(types.CallToolRequest(params=params), types.CallToolResult)
            returned = returned_of(answer, bytes_max)
        except _REFUSED as cause:
            raise self.wire.failure(cause) from cause
        if answer.is_error:
            raise _failed(shown(returned.text, ERROR_CHARS_MAX) or "it says nothing of why", hint=None)
        return returned


_REFUSED: Final = (MCPError, ValidationError, httpx2.HTTPError, OSError, OverflowError, RuntimeError, ValueError)
"""What is raised where a server does not do as it should: by the SDK, and by values that no record could hold."""


async def with_session(
    entry: Entry, use: Callable[[Session], Awaitable[T]], *, folder: Path, environment: Mapping[str, str]
) -> T:
    """What `use` makes of a session with a server, which ends with it. `environment` is ours; references of the entry
    are resolved already. Raises `tool_failed`, and what `use` raises."""
    wire = Wire()
    used: list[T] = []
    try:
        async with _connected(entry, wire, folder=folder, environment=environment) as session:
            used.append(await use(session))
    except asyncio.CancelledError:
        raise
    except BaseException as broke:
        cause = _first(broke)
        if isinstance(cause, asyncio.CancelledError | KeyboardInterrupt | SystemExit):
            raise
        if not used:
            raise wire.failure(cause) from broke
        log.warning("a connection did not end well: %r", cause)
    return used[0]


def _first(broke: BaseException) -> BaseException:
    """The task groups of a session wrap what goes wrong in it."""
    while isinstance(broke, BaseExceptionGroup):
        broke = broke.exceptions[0]
    return broke


@asynccontextmanager
async def _connected(
    entry: Entry, wire: Wire, *, folder: Path, environment: Mapping[str, str]
) -> AsyncIterator[Session]:
    async with contextlib.AsyncExitStack() as stack:
        match entry:
            case Program():
                process = await stack.enter_async_context(_process(entry, folder=folder, environment=environment))
                wire.said = process.said
                transport: Transport = streams_over(
                    process.reader, process.writer, over=wire.end, unasked_max=UNASKED_MAX
                )
            case Address():
                http = await stack.enter_async_context(
                    httpx2.AsyncClient(
                        headers=dict(entry.headers),
                        timeout=httpx2.Timeout(CONNECT_S, read=None),
                        transport=_Bounded(trust_env=False),
                        trust_env=False,
                    )
                )
                transport = streamable_http_client(entry.url, http_client=http)
            case _:
                assert_never(entry)
        client = Client(
            transport,
            cache=None,
            client_info=types.Implementation(name="wardwright", version=VERSION),
            message_handler=wire.heard,
            mode="auto",
        )
        yield Session(await stack.enter_async_context(client), wire)


# Programs


class _Process:
    """A program that speaks over its pipes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.reader = process.stdout
        self.writer = process.stdin
        self._process = process
        self._said = b""

    def said(self) -> str:
        """The end of its standard error, on one line."""
        return shown(" ".join(self._said.decode("utf-8", "replace").split())[-ERROR_CHARS_MAX:], ERROR_CHARS_MAX)

    async def listen(self) -> None:
        """Keep its standard error from filling up."""
        assert self._process.stderr is not None
        while data := await self._process.stderr.read(SAID_BYTES_MAX):
            self._said = (self._said + data)[-SAID_BYTES_MAX:]

    async def end(self) -> None:
        """End it and all that it started. Whoever is cancelled meanwhile, be it twice, waits until it is gone."""
        ending = asyncio.get_running_loop().create_task(self._end())
        given_up = False
        while not ending.done():
            try:
                await asyncio.shield(ending)
            except asyncio.CancelledError:
                given_up = True
                self._signal(signal.SIGKILL)
        if given_up:
            raise asyncio.CancelledError

    async def _end(self) -> None:
        self.writer.close()
        try:
            if not await self._ended():
                self._signal(signal.SIGTERM)
                await self._ended()
        finally:  # also where whoever waits gives up
            self._signal(signal.SIGKILL)  # also what it left behind in its group
            await self._ended()
            # Where more is left in a pipe than we took, asyncio never sees its end, and has no public way to close it.
            self._process._transport.close()  # type: ignore[attr-defined]
            await asyncio.sleep(0)  # the loop closes the pipes

    async def _ended(self) -> bool:
        try:
            async with asyncio.timeout(END_S):
                await self._process.wait()
        except TimeoutError:
            return False
        return True

    def _signal(self, signum: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signum)


@asynccontextmanager
async def _process(entry: Program, *, folder: Path, environment: Mapping[str, str]) -> AsyncIterator[_Process]:
    given = {name: environment[name] for name in _PASSED_ON if name in environment}
    try:
        started = await asyncio.create_subprocess_exec(
            entry.command,
            *entry.args,
            cwd=folder,
            env=given | dict(entry.env),
            limit=LINE_BYTES_MAX,
            start_new_session=True,
            stderr=asyncio.subprocess.PIPE,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
    except (OSError, ValueError) as cause:
        reason = cause.strerror if isinstance(cause, OSError) else str(cause)
        raise _failed(f"`{shown(entry.command)}` cannot be started: {reason}") from cause
    process = _Process(started)
    async with asyncio.TaskGroup() as group:
        listening = group.create_task(process.listen())
        try:
            yield process
        finally:
            await process.end()
            listening.cancel()


# HTTP


class _Bounded(httpx2.AsyncHTTPTransport):
    """Cuts a response that is longer than any should be."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Counted(response.stream)
        return response


class _Counted(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = RESPONSE_BYTES_MAX
        async for chunk in self._stream:
            left -= len(chunk)
            if left < 0:
                raise httpx2.ReadError(f"a response has more than {RESPONSE_BYTES_MAX:,} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


# Values


def definition_of(tool: types.Tool) -> Definition:
    """What a server's tool says of itself, as far as a model may see it."""
    annotations = None
    if tool.annotations is not None:
        annotations = tool.annotations.model_dump(by_alias=True, exclude_none=True, mode="json")
    return Definition(
        annotations=annotations or None,
        description=tool.description or "",
        input_schema=tool.input_schema,
        name=tool.name,
        output_schema=tool.output_schema,
        title=tool.title,
    )


def returned_of(answer: types.CallToolResult, bytes_max: int) -> Returned:
    """An answer within its bound: text first, then structured content, then attachments, what does not fit left out."""
    left = bytes_max - 1024
    truncated = False
    text = "\n".join(block.text for block in answer.content if isinstance(block, types.TextContent))
    data = text.encode("utf-8", "replace").replace(b"\0", b"\xef\xbf\xbd")
    cut = fitting(data, left)
    truncated = len(cut) < len(data)
    left -= len(msgspec.json.encode(cut.decode()))
    structured: Any = None
    if answer.structured_content is not None:
        size = len(msgspec.json.encode(answer.structured_content))
        if size <= left:
            structured = answer.structured_content
            left -= size
        else:
            truncated = True
    attachments: list[Attachment] = []
    for block in answer.content:
        one = _attachment(block)
        if one is None:
            continue
        size = len(msgspec.json.encode(one)) + 1
        if size > left:
            truncated = True
            one = msgspec.structs.replace(one, data=None)
            size = len(msgspec.json.encode(one)) + 1
            if size > left:
                break
        left -= size
        attachments.append(one)
    return Returned(attachments=tuple(attachments), structured=structured, text=cut.decode(), truncated=truncated)


def _attachment(block: types.ContentBlock) -> Attachment | None:
    match block:
        case types.ImageContent():
            return Attachment(kind="image", mime_type=block.mime_type, data=block.data, uri=None)
        case types.AudioContent():
            return Attachment(kind="audio", mime_type=block.mime_type, data=block.data, uri=None)
        case types.ResourceLink():
            return Attachment(kind="resource_link", mime_type=block.mime_type, data=None, uri=str(block.uri))
        case types.EmbeddedResource():
            held = block.resource
            data = held.text if isinstance(held, types.TextResourceContents) else held.blob
            return Attachment(kind="resource", mime_type=held.mime_type, data=data, uri=str(held.uri))
        case _:
            return None


def _failed(why: str, hint: str | None = None) -> WardwrightError:
    return WardwrightError("tool_failed", why, hint=hint)
