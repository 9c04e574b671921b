"""MCP over HTTP at `/mcp`: the SDK's transport behind our keys.

Rule 1: every request is authenticated, by the same keys and the same rules for keyless callers as the gateway's. What
a request may do follows from its own credential, never from the session that it names.
Rule 2: a session belongs to the credential that opened it; to all others it does not exist.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from mcp.server.transport_security import TransportSecuritySettings
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn import Config

from wardwright.api.mcp.door import Context, Door
from wardwright.api.refusals import refusal
from wardwright.api.serving import Listening, listen, url_of
from wardwright.gateway.authentication import authenticate
from wardwright.gateway.core.keys import Key
from wardwright.gateway.posture import Posture
from wardwright.kernel.errors import WardwrightError
from wardwright.runtime.settings import Settings
from wardwright.runtime.tool_runtime import ToolRuntime
from wardwright.runtime.wiring import posture_of

PATH: Final = "/mcp"
SESSION_HEADER: Final = b"mcp-session-id"
SESSIONS_MAX: Final = 1024
SESSION_IDLE_S: Final = 1800.0

_KEY: Final = "wardwright.key"
"""Where a request's scope holds its key."""


async def serve(door: Door, runtime: ToolRuntime, settings: Settings, *, started: Callable[[str], None]) -> None:
    """Serve at the address of the settings until SIGINT or SIGTERM. `started` hears the URL. Raises
    `settings_invalid` where the address cannot be had."""
    app = door.server.streamable_http_app(
        streamable_http_path=PATH,
        max_request_body_size=settings.limits.body_bytes_max,
        max_sessions=SESSIONS_MAX,
        session_idle_timeout=SESSION_IDLE_S,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    listener = listen(settings.bind)
    config = Config(
        Guard(app, runtime, posture_of(settings)),
        access_log=False,
        lifespan="on",
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=settings.drain_s,
        timeout_keep_alive=settings.limits.idle_timeout_s,
    )
    server = Listening(config, lambda: started(url_of(listener) + PATH))
    await server.serve([listener])


class Guard:
    """Asks who calls before the SDK sees anything."""

    def __init__(self, app: ASGIApp, runtime: ToolRuntime, posture: Posture) -> None:
        self._app = app
        self._owners: OrderedDict[bytes, str] = OrderedDict()
        """Of sessions: the id of the key, or nothing for keyless callers."""
        self._posture = posture
        self._runtime = runtime

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        try:
            key = authenticate(headers, keys=self._runtime.keys, now_us=self._runtime.now_us(), posture=self._posture)
            if key is not None and "call" not in key.scopes:
                raise WardwrightError("scope_missing", "this key lacks the scope `call`")
            owner = "" if key is None else key.id
            session = headers.get(SESSION_HEADER)
            if session is not None and self._owners.get(session) != owner:
                raise WardwrightError("not_found", "this session is over, or is not yours")
        except WardwrightError as error:
            await refusal(PATH, error)(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                made = dict(message["headers"]).get(SESSION_HEADER)
                if made is not None and made not in self._owners:
                    self._owners[made] = owner
                    if len(self._owners) > 2 * SESSIONS_MAX:
                        self._owners.popitem(last=False)
            await send(message)

        scope[_KEY] = key
        await self._app(scope, receive, sending)


def key_of(ctx: Context) -> Key | None:
    """The key of the request that a call came in."""
    key = ctx.request.scope[_KEY] if ctx.request is not None else None
    assert key is None or isinstance(key, Key)
    return key


def session_of(ctx: Context) -> str | None:
    """The session that the request names; None where the protocol has none."""
    session = None if ctx.request is None else ctx.request.headers.get(SESSION_HEADER.decode())
    assert session is None or isinstance(session, str)
    return session
