"""`wardwright serve`: run a gateway over contract files."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
from collections.abc import Iterable
from pathlib import Path

import click
import msgspec
import uvloop

from wardwright.api.serving import serve as run
from wardwright.cli.options import json_option, paths_argument, state_option
from wardwright.cli.output import Output
from wardwright.cli.state import state_of
from wardwright.runtime.settings import load
from wardwright.runtime.wiring import Runtime


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway that listens."""

    url: str
    pid: int
    state: str
    models: tuple[str, ...]


@click.command()
@paths_argument
@click.option("--bind", help="Address and port to listen on; port 0 lets the system choose.  [default: 127.0.0.1:8787]")
@click.option("--keys", type=click.Choice(["required", "optional"]), help="Whether callers need a serving key.")
@click.option("--durability", type=click.Choice(["batch", "before_response"]), help="When a receipt is on disk.")
@click.option("--index", type=click.Choice(["follow", "deferred"]), help="When the receipt index is filled.")
@state_option
@json_option
def serve(
    paths: tuple[Path, ...],
    bind: str | None,
    keys: str | None,
    durability: str | None,
    index: str | None,
    state: Path,
    out: Output,
) -> None:
    """Run the gateway over contract files and folders.

    PATHs are files and folders; none: the current folder. Files that change are read again, on SIGHUP too. It ends on
    SIGINT and SIGTERM, once the calls under way have ended.
    """
    chosen = paths or (Path(),)
    folder = next((path for path in chosen if path.is_dir()), None)
    settings = load(folder, os.environ, bind=bind, keys=keys, durability=durability, index=index)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    runtime = Runtime(chosen, state, settings, environment=os.environ)

    def started(url: str) -> None:
        serving = Serving(url=url, pid=os.getpid(), state=str(state), models=runtime.gateway.catalog.names())
        if out.as_json:
            out.answer(serving, ())
        else:
            for line in _lines(serving, needs_key=settings.keys == "required"):
                out.note(line)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(runtime, started=started))


def _lines(serving: Serving, *, needs_key: bool) -> Iterable[str]:
    yield f"serving at {serving.url}/v1: {', '.join(serving.models) or 'no model yet'}"
    state = "" if Path(serving.state) == state_of(None) else f" --state {shlex.quote(serving.state)}"
    if not serving.models:
        yield "next: add contract files; `wardwright check` judges them before they serve"
        return
    first = f"key create{state}" if needs_key else f"chat{state} {serving.models[0]} 'hello'"
    yield f"next: wardwright {first}"
    yield f"      wardwright receipt tail{state}"
