"""Our tools for clients of the Model Context Protocol, on the official SDK's low-level server.

Rule 1: every call goes through the runtime, whatever the client is: decided, carried out and receipted there.
Rule 2: what a tool, a rule or the house says is a result with `isError`, so that the model reads it. What breaks the
protocol is the SDK's to answer.
Rule 3: a client that cannot write `_meta` can still use an approval: it makes the same call again, and the door
remembers which approval that call was told to wait for.
Rule 4: when the client cancels, what runs is cancelled, and its receipt is written before the door lets go.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final

import mcp_types as types
import msgspec
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server

import wardwright
from wardwright.calls.receipt import Caller, Sourced
from wardwright.gateway.core.callers import unclaimed
from wardwright.gateway.core.keys import Key
from wardwright.harness.call import Call, Ended
from wardwright.harness.core.mcp import lazy
from wardwright.harness.core.mcp.claims import APPROVAL, ERROR, RECEIPT, Claims, claims_of, is_plain
from wardwright.harness.core.mcp.offered import Offered, offered
from wardwright.harness.core.modes import Mode
from wardwright.harness.core.shelf import Served
from wardwright.harness.core.tool import spelled
from wardwright.harness.core.visible import is_visible
from wardwright.kernel import canonical
from wardwright.kernel.errors import WardwrightError
from wardwright.runtime.tool_runtime import ToolRuntime

CALLS_MAX: Final = 64
"""Calls of all clients at the same time."""

WAITING_MAX: Final = 1024
"""Calls that wait for an approval and whose repetition is known."""

INSTRUCTIONS: Final = (
    "Tools behind rules: a call may be refused, and says why. Where it answers `approval_required`, a person decides; "
    "make the same call again once they have."
)

Context = ServerRequestContext[Any, Any]


class Door:
    """What one MCP server offers. Belongs to the runtime's event loop."""

    def __init__(
        self,
        runtime: ToolRuntime,
        *,
        house: str = "",
        key_of: Callable[[Context], Key | None],
        lazily: bool = False,
        mode: Mode = Mode.SIMPLE,
        session_of: Callable[[Context], str | None],
    ) -> None:
        """`key_of` says whose credential a request came with, `session_of` which session of the protocol it is of."""
        self.server: Server[Any] = Server(
            "wardwright",
            version=wardwright.__version__,
            instructions=INSTRUCTIONS,
            on_call_tool=self._call,
            on_list_tools=self._list,
        )
        self._house = house
        self._key_of = key_of
        self._lazily = lazily
        self._mode = mode
        self._offers: dict[str, Offered] = {}
        self._runtime = runtime
        self._session_of = session_of
        self._waiting: OrderedDict[str, str] = OrderedDict()

    # -- lists ---------------------------------------------------------------------------------------------------------

    async def _list(self, ctx: Context, _: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        caller = self._caller(ctx, Claims())
        shown = lazy.LAZY if self._lazily else self._visible(caller)
        return types.ListToolsResult(tools=[_tool(one) for one in shown])

    def _visible(self, caller: Caller) -> tuple[Offered, ...]:
        rules = self._runtime.rules_of(_house_of(caller))
        shelf = self._runtime.shop.shelf
        served = (shelf.get(name) for name in shelf.names)
        return tuple(self._offered(one) for one in served if is_visible(one.contract, rules, caller, self._mode.value))

    def _offered(self, served: Served) -> Offered:
        """Made once: schemas do not change while we serve."""
        found = self._offers.get(served.name)
        if found is None:
            found = self._offers[served.name] = offered(served)
        return found

    # -- calls ---------------------------------------------------------------------------------------------------------

    async def _call(self, ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        try:
            claims = claims_of(dict(ctx.meta or {}))
            caller = self._caller(ctx, claims)
            if not self._lazily:
                return await self._governed(params.name, params.arguments or {}, caller, claims)
            return await self._lazy(params, caller, claims)
        except WardwrightError as error:
            return _failed(error, None)

    async def _lazy(self, params: types.CallToolRequestParams, caller: Caller, claims: Claims) -> types.CallToolResult:
        given = params.arguments or {}
        match params.name:
            case lazy.SEARCH:
                found = lazy.search(self._visible(caller), _argument(given, "query"))
                return _answered({"tools": msgspec.to_builtins(found)}, {})
            case lazy.DESCRIBE:
                wanted = spelled(_argument(given, "name"))
                tool = next((one for one in self._visible(caller) if one.name == wanted), None)
                if tool is None:
                    raise WardwrightError("tool_not_found", f"no tool is named `{wanted[:64]}`", hint=_SEARCH_HINT)
                return _answered(msgspec.to_builtins(tool), {})
            case lazy.CALL:
                arguments = given.get("arguments", {})
                if not isinstance(arguments, dict):
                    raise WardwrightError("tool_arguments", "`arguments` is an object: names and values")
                return await self._governed(_argument(given, "name"), arguments, caller, claims)
            case _:
                raise WardwrightError("tool_not_found", f"no tool is named `{params.name[:64]}`", hint=_SEARCH_HINT)

    async def _governed(
        self, name: str, arguments: Mapping[str, object], caller: Caller, claims: Claims
    ) -> types.CallToolResult:
        if len(self._runtime.workshop.live) >= CALLS_MAX:
            raise WardwrightError("overloaded", f"{CALLS_MAX} calls are under way", hint="try again later")
        same = _sameness(name, arguments, caller)
        call = Call(
            approval=claims.approval or self._waiting.get(same),
            arguments=arguments,
            caller=caller,
            evidence=claims.evidence,
            mode=self._mode,
            plan=claims.plan,
            tool=name,
        )
        ended = await self._carried_out(call)
        self._remember(same, ended)
        return _result(ended)

    async def _carried_out(self, call: Call) -> Ended:
        """In a task of its own: the SDK cancels again and again until it is obeyed, and a call that is cleaning up
        after itself is cancelled once."""
        try:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(self._runtime.call(call))
        except BaseExceptionGroup as defects:
            raise WardwrightError("internal_error", "a defect of the harness refused this call") from defects
        return task.result()

    def _remember(self, same: str, ended: Ended) -> None:
        """Which approval the call waits for, until it is used, denied or over."""
        self._waiting.pop(same, None)
        if ended.receipt.status == "awaiting_approval" and ended.receipt.approval is not None:
            self._waiting[same] = ended.receipt.approval
            if len(self._waiting) > WAITING_MAX:
                self._waiting.popitem(last=False)

    # -- who -----------------------------------------------------------------------------------------------------------

    def _caller(self, ctx: Context, claims: Claims) -> Caller:
        key = self._key_of(ctx)
        known = unclaimed(key)
        agent = known.agent
        client = ctx.session.client_params
        if (key is None or key.agent is None) and client is not None and is_plain(client.client_info.name):
            agent = Sourced("body_metadata", client.client_info.name)
        house = known.house or (Sourced("trusted_auth", self._house) if self._house else None)
        session = claims.session or self._session_of(ctx)
        return msgspec.structs.replace(
            known,
            agent=agent,
            house=house,
            run=None if claims.run is None else Sourced("body_metadata", claims.run),
            session=None if session is None else Sourced("body_metadata" if claims.session else "header", session),
        )


_SEARCH_HINT: Final = f"`{lazy.SEARCH}` finds them"


def _house_of(caller: Caller) -> str:
    return "" if caller.house is None else caller.house.value


def _argument(given: Mapping[str, object], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str):
        raise WardwrightError("tool_arguments", f"the argument `{name}` is a text")
    return value


def _sameness(name: str, arguments: Mapping[str, object], caller: Caller) -> str:
    """What two calls have in common of which the second repeats the first."""
    who = (caller.tenant.value, caller.key, _house_of(caller))
    return canonical.digest((who, spelled(name), dict(arguments)))


# Answers


def _tool(one: Offered) -> types.Tool:
    return types.Tool(
        name=one.name,
        title=one.title,
        description=one.description,
        input_schema=one.input_schema,
        output_schema=one.output_schema,
        annotations=types.ToolAnnotations(
            title=one.title,
            read_only_hint=one.hints.read_only,
            destructive_hint=one.hints.destructive,
            idempotent_hint=one.hints.idempotent,
            open_world_hint=one.hints.open_world,
        ),
    )


def _result(ended: Ended) -> types.CallToolResult:
    if ended.error is not None:
        return _failed(ended.error, ended)
    return _answered(ended.value, {RECEIPT: ended.receipt.receipt})


def _answered(value: object, meta: dict[str, Any]) -> types.CallToolResult:
    text = msgspec.json.encode(value).decode()
    return types.CallToolResult(
        content=[types.TextContent(text=text)],
        structured_content=value if isinstance(value, dict) else {"result": value},
        _meta=meta or None,
    )


def _failed(error: WardwrightError, ended: Ended | None) -> types.CallToolResult:
    """The failure for the model to read, and for programs in `_meta`."""
    hint = error.hint
    told: dict[str, Any] = {"code": error.code, "message": error.message}
    meta: dict[str, Any] = {ERROR: told}
    if ended is not None:
        meta[RECEIPT] = ended.receipt.receipt
        if ended.receipt.status == "awaiting_approval":
            told["approval"] = ended.receipt.approval
            hint = (
                f"`wardwright approval approve {ended.receipt.approval}`, then make the same call again "
                f'(`_meta["{APPROVAL}"]` may name it)'
            )
    if hint is not None:
        told["hint"] = hint
    place = "" if error.place is None else f" ({error.place})"
    text = f"{error.message}{place} [{error.code}]" + (f"\nhint: {hint}" if hint else "")
    return types.CallToolResult(content=[types.TextContent(text=text)], is_error=True, _meta=meta)
