"""`wardwright health`: how an installation stands; once, as it changes, or as a service."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Final

import click
import msgspec

from wardwright.cli.exits import Exit
from wardwright.cli.figures import seconds_of
from wardwright.cli.looking import facts_of
from wardwright.cli.options import json_option, state_option
from wardwright.cli.output import Output
from wardwright.kernel.errors import WardwrightError
from wardwright.runtime.health import Change, Finding, Look, changes, look_of
from wardwright.runtime.notify import notifier_of

BIND: Final = "127.0.0.1:8789"
_COLOURS: Final = {"ok": "green", "warn": "yellow", "bad": "red"}
_LEVELS: Final = {"ok": logging.INFO, "warn": logging.WARNING, "bad": logging.ERROR}

log = logging.getLogger("wardwright.health")


class Listens(msgspec.Struct, frozen=True, kw_only=True):
    """A health service that answers."""

    url: str
    pid: int
    state: str


@click.command()
@click.option("--watch", is_flag=True, help="Go on looking, and tell each change as a line of JSON.")
@click.option("--serve", is_flag=True, help="Go on looking, and answer /healthz, /readyz and /metrics.")
@click.option("--every", default="15s", show_default=True, help="How often to look, with `--watch` and `--serve`.")
@click.option("--bind", help=f"With `--serve`: the loopback address and port.  [default: {BIND}]")
@click.option(
    "--sandbox/--no-sandbox", default=True, show_default=True, help="Look at the walls that this process could put up."
)
@state_option
@json_option
def health(watch: bool, serve: bool, every: str, bind: str | None, sandbox: bool, state: Path, out: Output) -> Exit:
    """Say how an installation stands: once, as it changes, or as a service.

    Breakers, queues, the disk, the journal, locks, approvals and the sandbox; a gateway that runs is asked, where none
    does files are read. Exit 1 when something is bad.
    """
    if watch and serve:
        raise WardwrightError("usage", "`--watch` and `--serve` are two ways: choose one")
    if bind is not None and not serve:
        raise WardwrightError("usage", "`--bind` goes with `--serve`")
    if serve:
        return _serve(state, bind or BIND, seconds_of(every), sandbox, out)
    if watch:
        return _watch(state, seconds_of(every), sandbox)
    look = look_of(facts_of(state, walls=sandbox))
    out.answer(look, lambda: map(_line, look.findings))
    return Exit.FAILED if look.grade == "bad" else Exit.OK


def _line(finding: Finding) -> str:
    line = f"{click.style(finding.grade, fg=_COLOURS[finding.grade])}{'':<{5 - len(finding.grade)}} "
    line += f"{finding.about}: {finding.says}"
    return line if finding.hint is None else f"{line}\n      hint: {finding.hint}"


def _watch(state: Path, every_s: float, sandbox: bool) -> Exit:
    before: Look | None = None
    while True:
        now = look_of(facts_of(state, walls=sandbox))
        _tell(changes(before, now))
        before = now
        time.sleep(every_s)


def _tell(changed: Iterable[Change]) -> None:
    for one in changed:
        click.echo(msgspec.json.encode(one).decode())


def _serve(state: Path, bind: str, every_s: float, sandbox: bool, out: Output) -> Exit:
    from wardwright.api.health_daemon import HealthDaemon  # only here: a single look needs no server

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)

    def told(change: Change) -> None:
        grade = change.grade or "ok"
        hint = "" if change.hint is None else f" (hint: {change.hint})"
        log.log(_LEVELS[grade], "%s is %s, was %s: %s%s", change.about, change.grade, change.before, change.says, hint)

    def started(url: str) -> None:
        listens = Listens(url=url, pid=os.getpid(), state=str(state))
        if out.as_json:
            out.answer(listens, ())
        else:
            out.note(f"health at {url}/healthz")

    daemon = HealthDaemon(
        partial(facts_of, state, walls=sandbox),
        bind=bind,
        every_s=every_s,
        notifier=notifier_of(os.environ, os.getpid()),
        told=told,
    )
    asyncio.run(daemon.run(started))
    return Exit.OK
