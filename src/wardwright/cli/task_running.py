"""`wardwright task run`: a runner of tasks."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

import click
import msgspec

from wardwright.cli.exits import Exit
from wardwright.cli.figures import counted
from wardwright.cli.options import config_option, json_option, state_option
from wardwright.cli.output import Output
from wardwright.runtime.notify import notifier_of
from wardwright.runtime.settings import load
from wardwright.runtime.task_runner import Settled
from wardwright.runtime.task_service import run_tasks

PARALLEL_MAX = 64


@click.command("run")
@click.option("--house", help="Only the tasks of this house.  [default: those of every house]")
@click.option("--once", is_flag=True, help="End when nothing is due. Exit 1 when a task was given up.")
@click.option(
    "--parallel",
    type=click.IntRange(1, PARALLEL_MAX),
    default=1,
    show_default=True,
    help="Tasks that run at the same time.",
)
@config_option
@state_option
@json_option
def run_(house: str | None, once: bool, parallel: int, paths: tuple[Path, ...], state: Path, out: Output) -> Exit:
    """Run tasks, until told to end or until nothing is due.

    One process runs the tasks of a house. Each task that ends is told on a line, with `--json` as a JSON document. It
    ends on SIGINT and SIGTERM, once what runs has ended; SIGHUP has the contract files read again.
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    settings = load(next((path for path in paths if path.is_dir()), None), os.environ)
    ended: list[Settled] = []

    def told(settled: Settled) -> None:
        if once:
            ended.append(settled)
        click.echo(msgspec.json.encode(settled).decode() if out.as_json else _line(settled))

    left = asyncio.run(
        run_tasks(
            state,
            paths,
            settings,
            house=house,
            notifier=notifier_of(os.environ, os.getpid()),
            once=once,
            parallel=parallel,
            told=told,
        )
    )
    if left and not out.as_json:
        out.note(f"{counted(left, 'task')} left for later")
    return Exit.FAILED if any(one.outcome == "dead" for one in ended) else Exit.OK


def _line(settled: Settled) -> str:
    words = settled.why or " ".join(settled.receipts)
    return f"{settled.id} {settled.outcome}: {words}"
