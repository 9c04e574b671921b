"""`wardwright alert list|retry|drop`: how deliveries stand, and what becomes of dead letters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import click

from wardwright.api.alerts import LIMIT_MAX, AlertView, AlertViews, DeadLettersSettled, DeliveryState
from wardwright.cli.door import open_door
from wardwright.cli.figures import counted, instant
from wardwright.cli.options import json_option, state_option, url_option
from wardwright.cli.output import Output
from wardwright.kernel.errors import WardwrightError


@click.command("list")
@click.option("--delivery", type=click.Choice(get_args(DeliveryState)), help="Only those whose delivery stands so.")
@click.option("--sink", help="Only those for this sink.")
@click.option("--receipt", metavar="RECEIPT", help="Only those that this call raised.")
@click.option("--limit", type=click.IntRange(1, LIMIT_MAX), default=20, show_default=True, help="How many.")
@state_option
@url_option
@json_option
def list_(
    delivery: str | None,
    sink: str | None,
    receipt: str | None,
    limit: int,
    state: Path,
    url: str | None,
    out: Output,
) -> None:
    """List alerts, newest first.

    Those that wait, dead letters, and those that were delivered lately.
    """
    asked = {"state": delivery, "sink": sink, "receipt": receipt, "limit": str(limit)}
    query = {name: value for name, value in asked.items() if value is not None}
    with open_door(state, url) as door:
        found = door.ask("GET", "/api/alerts", AlertViews, query=query)
    if not found.data and not out.as_json:
        out.note("no alert is like that" if delivery or sink or receipt else "no rule has raised an alert yet")
        return
    out.table(found, ("ALERT", "STATE", "SINK", "RAISED", "ATTEMPTS", "RULE", "NOTE"), map(_row, found.data))


def _letters(command: Callable[..., None]) -> Callable[..., None]:
    """What a command over dead letters is told."""
    for option in (
        json_option,
        url_option,
        state_option,
        click.option("--sink", help="With `--all`: those for this sink alone."),
        click.option("--all", "every", is_flag=True, help="All dead letters."),
        click.argument("alerts", nargs=-1, metavar="[ALERT]..."),
    ):
        command = option(command)
    return command


@click.command()
@_letters
def retry(alerts: tuple[str, ...], every: bool, sink: str | None, state: Path, url: str | None, out: Output) -> None:
    """Try dead letters again. Without a running gateway they are tried when one starts."""
    done = _settle("retry", alerts, every, sink, state, url)
    out.answer(done, [f"{counted(len(done.ids), 'alert')} will be tried again"])


@click.command()
@_letters
def drop(alerts: tuple[str, ...], every: bool, sink: str | None, state: Path, url: str | None, out: Output) -> None:
    """Forget dead letters. That they were dropped stays in the journal."""
    done = _settle("drop", alerts, every, sink, state, url)
    out.answer(done, [f"{counted(len(done.ids), 'alert')} dropped"])


def _settle(
    verb: str, alerts: tuple[str, ...], every: bool, sink: str | None, state: Path, url: str | None
) -> DeadLettersSettled:
    if every == bool(alerts):
        raise WardwrightError("usage", f"say which alerts to {verb}, or `--all`")
    if sink is not None and not every:
        raise WardwrightError("usage", "`--sink` goes with `--all`")
    with open_door(state, url, changes=True) as door:
        return door.ask(
            "POST", f"/api/alerts/{verb}", DeadLettersSettled, body={"all": every, "ids": alerts, "sink": sink}
        )


def _row(view: AlertView) -> tuple[str, ...]:
    said = view.alert
    return (
        view.id,
        view.state,
        view.sink,
        instant(view.raised_at),
        str(view.attempts),
        "-" if said is None else f"{said.policy}/{said.rule}",
        view.note or "-",
    )
