"""`wardwright serve`: run a gateway over contract files."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import socket
import sys
from collections.abc import Iterable
from pathlib import Path

import click
import msgspec
import uvloop

from wardwright.api.serving import serve as run
from wardwright.api.serving import serve_together
from wardwright.cli.options import json_option, paths_argument, state_option
from wardwright.cli.output import Output
from wardwright.runtime.crew import READY, worker_command
from wardwright.runtime.notify import notifier_of
from wardwright.runtime.settings import load
from wardwright.runtime.state_directory import state_of
from wardwright.runtime.wiring import Runtime
from wardwright.runtime.worker import WORKERS_MAX, Worker


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway that listens."""

    url: str
    pid: int
    state: str
    models: tuple[str, ...]
    workers: int = 1


@click.command()
@paths_argument
@click.option("--bind", help="Address and port to listen on; port 0 lets the system choose.  [default: 127.0.0.1:8787]")
@click.option("--keys", type=click.Choice(["required", "optional"]), help="Whether callers need a serving key.")
@click.option("--durability", type=click.Choice(["batch", "before_response"]), help="When a receipt is on disk.")
@click.option("--index", type=click.Choice(["follow", "deferred"]), help="When the receipt index is filled.")
@click.option(
    "--workers",
    type=click.IntRange(1, WORKERS_MAX),
    default=1,
    show_default=True,
    help="Processes that share the address.",
)
@click.option("--worker", hidden=True, type=int, help="Which of several workers this process is.")
@click.option("--listener", hidden=True, type=int, help="The descriptor of the socket that the workers share.")
@state_option
@json_option
def serve(
    paths: tuple[Path, ...],
    bind: str | None,
    keys: str | None,
    durability: str | None,
    index: str | None,
    workers: int,
    worker: int | None,
    listener: int | None,
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
    logging.getLogger("httpx2").setLevel(logging.WARNING)

    def tell(serving: Serving) -> None:
        if out.as_json:
            out.answer(serving, ())
        else:
            for line in _lines(serving, needs_key=settings.keys == "required"):
                out.note(line)

    notifier = notifier_of(os.environ, os.getpid())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if workers > 1 and worker is None:
            options = {"--bind": bind, "--keys": keys, "--durability": durability, "--index": index}
            common = ["serve", *map(str, paths), "--state", str(state), "--workers", str(workers)]
            common += ["--json"] if out.as_json else []
            common += [part for name, value in options.items() if value is not None for part in (name, value)]

            def command(number: int, descriptor: int) -> list[str]:
                return worker_command([*common, "--worker", str(number), "--listener", str(descriptor)])

            def all_started(keeper: bytes) -> None:
                serving = msgspec.json.decode(keeper, type=Serving)
                tell(msgspec.structs.replace(serving, pid=os.getpid(), workers=workers))

            code = runner.run(
                serve_together(state, settings.bind, workers, command, notifier=notifier, started=all_started)
            )
            if code:
                raise click.exceptions.Exit(code)
            return
        runtime = Runtime(chosen, state, settings, environment=os.environ, worker=Worker(worker or 0, workers))

        def started(url: str) -> None:
            serving = Serving(url=url, pid=os.getpid(), state=str(state), models=runtime.gateway.catalog.names())
            if worker is None:
                tell(serving)
            else:
                sys.stdout.buffer.write(READY + msgspec.json.encode(serving) + b"\n")
                sys.stdout.flush()

        shared = None if listener is None else socket.socket(fileno=listener)
        # A worker's manager is the crew's parent.
        runner.run(run(runtime, started=started, listener=shared, notifier=notifier))


def _lines(serving: Serving, *, needs_key: bool) -> Iterable[str]:
    yield f"serving at {serving.url}/v1: {', '.join(serving.models) or 'no model yet'}"
    state = "" if Path(serving.state) == state_of(None) else f" --state {shlex.quote(serving.state)}"
    if not serving.models:
        yield "next: add contract files; `wardwright check` judges them before they serve"
        return
    first = f"key create{state}" if needs_key else f"chat{state} {serving.models[0]} 'hello'"
    yield f"next: wardwright {first}"
    yield f"      wardwright receipt tail{state}"
