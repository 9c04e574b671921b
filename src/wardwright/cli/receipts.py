"""`wardwright receipt list|show`: what happened."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from wardwright.api.bodies import Bodies
from wardwright.api.receipts import LIMIT_MAX, PARAMETERS, Full, Receipts
from wardwright.cli import receipt_words
from wardwright.cli.door import open_door
from wardwright.cli.figures import instant_of
from wardwright.cli.options import json_option, state_option, url_option
from wardwright.cli.output import Output
from wardwright.contracts.refusal import did_you_mean
from wardwright.kernel.errors import WardwrightError
from wardwright.runtime.clock import SystemClock


class FullWithBodies(Full, frozen=True, kw_only=True):
    """Everything that is held about one call."""

    bodies: Bodies
    """What was asked and answered."""


@click.command("list")
@click.option("--model", help="The name of a contract.")
@click.option("--status", help="completed, refused, blocked, failed, client_left or lost.")
@click.option("--tenant", help="Whose calls.")
@click.option("--agent", help="The caller's agent.")
@click.option("--session", help="The caller's session.")
@click.option("--rule", metavar="POLICY/RULE", help="Calls on which this rule was not silent.")
@click.option(
    "--since", metavar="WHEN", help="Calls that started no earlier: an instant, or how long ago, such as `2h`."
)
@click.option("--until", metavar="WHEN", help="Calls that started no later.")
@click.option("--where", multiple=True, metavar="NAME=VALUE", help="Any filter of `GET /v1/receipts`; repeatable.")
@click.option("--limit", type=click.IntRange(1, LIMIT_MAX), default=20, show_default=True, help="Receipts of a page.")
@click.option("--cursor", help="Go on where the page before ended.")
@state_option
@url_option
@json_option
def list_(
    model: str | None,
    status: str | None,
    tenant: str | None,
    agent: str | None,
    session: str | None,
    rule: str | None,
    since: str | None,
    until: str | None,
    where: tuple[str, ...],
    limit: int,
    cursor: str | None,
    state: Path,
    url: str | None,
    out: Output,
) -> None:
    """Find receipts, newest first."""
    now_us = SystemClock().now_us()
    asked: dict[str, str | None] = {
        "model": model,
        "status": status,
        "tenant": tenant,
        "agent": agent,
        "session": session,
        "policy_rules": rule,
        "started_at_min": None if since is None else str(instant_of(since, now_us)),
        "started_at_max": None if until is None else str(instant_of(until, now_us)),
        "cursor": cursor,
    }
    query = dict(map(_filter, where)) | {name: value for name, value in asked.items() if value is not None}
    with open_door(state, url) as door:
        page = door.ask("GET", "/v1/receipts", Receipts, query=query | {"limit": str(limit)})
    if not page.data and not out.as_json:
        out.note("no receipt is like that")
        return
    out.table(page, receipt_words.HEADERS, map(receipt_words.row, page.data))
    if not out.as_json:
        if page.next is not None:
            out.note(f"next page: --cursor {page.next}")
        if page.behind:
            out.note("the index is behind the journal: ask again for the newest calls")


@click.command()
@click.argument("receipt", metavar="RECEIPT")
@click.option("--bodies", is_flag=True, help="What was asked and answered too, where capture kept it.")
@state_option
@url_option
@json_option
def show(receipt: str, bodies: bool, state: Path, url: str | None, out: Output) -> None:
    """Show one receipt: the route taken, attempts, usage, timings.

    With `--json`: the receipt as it is recorded, and where its records stand in the journal.
    """
    with open_door(state, url) as door:
        full = door.ask("GET", f"/v1/receipts/{receipt}", Full)
        kept = door.ask("GET", f"/v1/receipts/{receipt}/bodies", Bodies) if bodies else None
    if kept is None:
        out.answer(full, lambda: receipt_words.lines(full))
    else:
        whole = FullWithBodies(**msgspec.structs.asdict(full), bodies=kept)
        out.answer(whole, lambda: (*receipt_words.lines(full), *receipt_words.lines_of_bodies(kept)))


def _filter(text: str) -> tuple[str, str]:
    """One `NAME=VALUE`. Raises `usage`."""
    name, sign, value = text.partition("=")
    known = [parameter.name for parameter in PARAMETERS]
    if not sign or not value:
        raise WardwrightError("usage", f"`{text}` is no filter", hint="write it as `provider=openai`")
    if name not in known:
        raise WardwrightError("usage", f"receipts cannot be found by `{name}`", hint=did_you_mean(name, known))
    return name, value
