"""`wardwright serve`: run a gateway over contract files."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

import click
import uvloop

from wardwright.api.serving import serve as run
from wardwright.cli.state import state_of
from wardwright.runtime.settings import load
from wardwright.runtime.wiring import Runtime


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
@click.option("--bind", help="Address and port to listen on; port 0 lets the system choose.")
@click.option("--state", type=click.Path(path_type=Path), help="Where journal, keys and index lie.")
@click.option("--keys", type=click.Choice(["required", "optional"]), help="Whether callers need a serving key.")
@click.option("--durability", type=click.Choice(["batch", "before_response"]), help="When a receipt is on disk.")
@click.option("--index", type=click.Choice(["follow", "deferred"]), help="When the receipt index is filled.")
def serve(
    paths: tuple[Path, ...],
    bind: str | None,
    state: Path | None,
    keys: str | None,
    durability: str | None,
    index: str | None,
) -> None:
    """Run the gateway over contract files and folders (default: the current folder)."""
    chosen = paths or (Path(),)
    folder = next((path for path in chosen if path.is_dir()), None)
    settings = load(folder, os.environ, bind=bind, keys=keys, durability=durability, index=index)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    runtime = Runtime(chosen, state_of(state), settings, environment=os.environ)

    def started(url: str) -> None:
        models = ", ".join(runtime.gateway.catalog.names()) or "none"
        click.echo(f"serving {models} at {url}/v1", err=True)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(runtime, started=started))
