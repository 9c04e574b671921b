"""`wardwright mcp serve`: governed tools for clients of the Model Context Protocol."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click
import msgspec

from wardwright.cli.options import json_option, paths_argument, state_option
from wardwright.cli.output import Output
from wardwright.contracts.refusal import ContractErrors
from wardwright.harness.core.modes import Mode
from wardwright.harness.mcp.extra import require_sdk
from wardwright.kernel.errors import WardwrightError
from wardwright.kernel.ids import LUCK_BITS, mint
from wardwright.runtime.clock import SystemClock, SystemLuck
from wardwright.runtime.settings import Settings, load

KEY_VARIABLE: Final = "WARDWRIGHT_API_KEY"


class ServingTools(msgspec.Struct, frozen=True, kw_only=True):
    """A server that listens."""

    url: str
    pid: int
    state: str


@click.command()
@paths_argument
@click.option("--stdio", is_flag=True, help="Serve one client over standard input and output.  [default]")
@click.option("--http", metavar="HOST:PORT", help="Serve over HTTP at `/mcp`; port 0 lets the system choose.")
@click.option("--house", default="", help="In whose name tools are called, unless a key says so.")
@click.option(
    "--mode",
    type=click.Choice([mode.value for mode in Mode]),
    default=Mode.SIMPLE.value,
    show_default=True,
    help="What is demanded of every call.",
)
@click.option("--lazy", is_flag=True, help="Offer three tools that find, describe and call all others.")
@click.option("--keys", type=click.Choice(["required", "optional"]), help="Over HTTP: whether callers need a key.")
@state_option
@json_option
def serve(
    paths: tuple[Path, ...],
    stdio: bool,
    http: str | None,
    house: str,
    mode: str,
    lazy: bool,
    keys: str | None,
    state: Path,
    out: Output,
) -> None:
    """Serve governed tools to MCP clients.

    PATHs are files and folders of contracts; none: the built-in tools alone. Over standard input and output the caller
    is this machine's user, or the holder of the serving key in $WARDWRIGHT_API_KEY; over HTTP whoever the key of each
    request says. There `--json` says where it serves; over pipes it speaks of failures alone.
    """
    require_sdk()
    if stdio and http is not None:
        raise WardwrightError("usage", "`--stdio` and `--http` are two ways to serve; choose one")
    folder = next((path for path in paths if path.is_dir()), None)
    settings = load(folder, os.environ, bind=http, keys=keys if http is not None else None)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    for noisy in ("httpx2", "mcp", "uvicorn"):
        logging.getLogger(noisy).setLevel(logging.WARNING)

    def started(url: str) -> None:
        if out.as_json:
            out.answer(ServingTools(pid=os.getpid(), state=str(state), url=url), ())
        else:
            out.note(f"serving tools at {url}")

    asyncio.run(
        _serve(
            paths,
            state,
            settings,
            house=house,
            lazily=lazy,
            mode=Mode(mode),
            started=None if http is None else started,
        )
    )


async def _serve(
    paths: tuple[Path, ...],
    state: Path,
    settings: Settings,
    *,
    house: str,
    lazily: bool,
    mode: Mode,
    started: Callable[[str], None] | None,
) -> None:
    from wardwright.api.mcp import http as over_http
    from wardwright.api.mcp import stdio as over_pipes
    from wardwright.api.mcp.door import Door
    from wardwright.runtime.tool_runtime import ToolRuntime, shop_of

    shop = await asyncio.to_thread(shop_of, paths)
    if shop.errors:
        raise ContractErrors(list(shop.errors))
    if house and house not in shop.houses:
        raise WardwrightError(
            "usage", f"no house is named `{house}`", hint=f"there are {', '.join(sorted(shop.houses))}"
        )
    runtime = ToolRuntime(state, shop, settings)
    await runtime.open()
    try:
        if started is not None:
            door = Door(
                runtime,
                house=house,
                key_of=over_http.key_of,
                lazily=lazily,
                mode=mode,
                session_of=over_http.session_of,
            )
            await over_http.serve(door, runtime, settings, started=started)
            return
        token = os.environ.get(KEY_VARIABLE, "").encode()
        session = mint("ses", SystemClock().now_us(), SystemLuck().bits(LUCK_BITS))
        runtime.key_of(token)  # a key that does not hold is told before anybody is served
        door = Door(
            runtime,
            house=house,
            key_of=lambda _: runtime.key_of(token),
            lazily=lazily,
            mode=mode,
            session_of=lambda _: session,
        )
        await over_pipes.serve(door)
    finally:
        await runtime.aclose()
