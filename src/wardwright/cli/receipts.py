"""`wardwright receipt list|show`: what happened."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click
import msgspec

from wardwright.api.bodies import Bodies
from wardwright.api.outcomes import BY, GROUPS, Outcomes
from wardwright.api.receipts import LIMIT_MAX, PARAMETERS, Full, Receipts
from wardwright.cli import receipt_words, tool_receipts
from wardwright.cli.door import open_door
from wardwright.cli.figures import instant_of
from wardwright.cli.options import json_option, state_option, url_option
from wardwright.cli.output import Output
from wardwright.contracts.refusal import did_you_mean
from wardwright.kernel.errors import WardwrightError
from wardwright.runtime.clock import SystemClock

_BEHIND: Final = "the index is behind the journal: ask again for the newest calls"


class FullWithBodies(Full, frozen=True, kw_only=True):
    """Everything that is held about one call."""

    bodies: Bodies
    """What was asked and answered."""


@click.command("list")
@click.option("--tools", is_flag=True, help="Calls of tools, not of models.")
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
@click.option("--group-by", metavar="NAME", help="What became of them by model, variant, agent, status and so on.")
@click.option("--where", multiple=True, metavar="NAME=VALUE", help="Any filter of `GET /v1/receipts`; repeatable.")
@click.option(
    "--limit", type=click.IntRange(1, LIMIT_MAX), default=20, show_default=True, help="Receipts of a page, or groups."
)
@click.option("--cursor", help="Go on where the page before ended.")
@state_option
@url_option
@json_option
def list_(
    tools: bool,
    model: str | None,
    status: str | None,
    tenant: str | None,
    agent: str | None,
    session: str | None,
    rule: str | None,
    since: str | None,
    until: str | None,
    group_by: str | None,
    where: tuple[str, ...],
    limit: int,
    cursor: str | None,
    state: Path,
    url: str | None,
    out: Output,
) -> None:
    """Find receipts, newest first.

    With `--group-by`: how many there are of each kind and what became of them, the largest group first. With `--tools`:
    calls of tools, from the state directory, where `--where` takes any member of their rows, such as `tool=git.status`.
    """
    if group_by is not None:
        _require_groups(group_by, cursor)
    if tools:
        _require_of_tools(model=model, rule=rule, group_by=group_by, url=url)
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
    said = {name: value for name, value in asked.items() if value is not None}
    if tools:
        said.pop("cursor", None)
        tool_receipts.listed(dict(map(_pair, where)) | said, limit=limit, cursor=cursor, state=state, out=out)
        return
    query = dict(map(_filter, where)) | said
    query["limit"] = str(limit)
    with open_door(state, url) as door:
        if group_by is not None:
            _show_groups(door.ask("GET", "/v1/receipts/groups", Outcomes, query=query | {BY: group_by}), out)
            return
        page = door.ask("GET", "/v1/receipts", Receipts, query=query)
    if not page.data and not out.as_json:
        out.note("no receipt is like that")
        return
    out.table(page, receipt_words.HEADERS, map(receipt_words.row, page.data))
    if not out.as_json:
        if page.next is not None:
            out.note(f"next page: --cursor {page.next}")
        if page.behind:
            out.note(_BEHIND)


@click.command()
@click.argument("receipt", metavar="RECEIPT")
@click.option("--bodies", is_flag=True, help="What was asked and answered too, where capture kept it.")
@state_option
@url_option
@json_option
def show(receipt: str, bodies: bool, state: Path, url: str | None, out: Output) -> None:
    """Show one receipt: the route taken, attempts, usage, timings.

    With `--json`: the receipt as it is recorded, and where its records stand in the journal. One of a tool (`rct_…`) is
    read from the state directory.
    """
    if tool_receipts.is_tool(receipt):
        tool_receipts.shown(receipt, bodies, state, out)
        return
    with open_door(state, url) as door:
        full = door.ask("GET", f"/v1/receipts/{receipt}", Full)
        kept = door.ask("GET", f"/v1/receipts/{receipt}/bodies", Bodies) if bodies else None
    if kept is None:
        out.answer(full, lambda: receipt_words.lines(full))
    else:
        whole = FullWithBodies(**msgspec.structs.asdict(full), bodies=kept)
        out.answer(whole, lambda: (*receipt_words.lines(full), *receipt_words.lines_of_bodies(kept)))


def _require_groups(by: str, cursor: str | None) -> None:
    """Raises `usage` for what is no list of groups."""
    if by not in GROUPS:
        raise WardwrightError("usage", f"receipts cannot be grouped by `{by}`", hint=did_you_mean(by, GROUPS))
    if cursor is not None:
        raise WardwrightError("usage", "groups have no pages", hint="leave `--cursor` out, or raise `--limit`")


def _show_groups(outcomes: Outcomes, out: Output) -> None:
    if not outcomes.data and not out.as_json:
        out.note("no receipt is like that")
        return
    headers = (outcomes.by.replace("_", " ").upper(), *receipt_words.OUTCOME_HEADERS)
    out.table(outcomes, headers, map(receipt_words.outcome_row, outcomes.data))
    if not out.as_json:
        if outcomes.more:
            out.note("smaller groups were left out: raise `--limit` to see them")
        if outcomes.older:
            out.note("only the newest calls were taken together: narrow them with `--since` or a filter")
        if outcomes.behind:
            out.note(_BEHIND)


def _require_of_tools(**given: str | None) -> None:
    """Raises `usage` for an option that means nothing to calls of tools."""
    for name, value in given.items():
        if value is not None:
            option = f"--{name.replace('_', '-')}"
            raise WardwrightError(
                "usage", f"`{option}` says nothing of tools", hint=f"leave `{option}` or `--tools` out"
            )


def _pair(text: str) -> tuple[str, str]:
    """One `NAME=VALUE`. Raises `usage`."""
    name, sign, value = text.partition("=")
    if not sign or not value:
        raise WardwrightError("usage", f"`{text}` is no filter", hint="write it as `provider=openai`")
    return name, value


def _filter(text: str) -> tuple[str, str]:
    """One filter of `GET /v1/receipts`. Raises `usage`."""
    name, value = _pair(text)
    known = [parameter.name for parameter in PARAMETERS]
    if name not in known:
        raise WardwrightError("usage", f"receipts cannot be found by `{name}`", hint=did_you_mean(name, known))
    return name, value
