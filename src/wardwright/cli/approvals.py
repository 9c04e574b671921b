"""`wardwright approval list|show|approve|deny`: requests that wait for a person."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, get_args

import click

from wardwright.api.approvals import LIMIT_MAX, ApprovalView, ApprovalViews
from wardwright.cli.door import open_door
from wardwright.cli.exits import Exit
from wardwright.cli.figures import instant
from wardwright.cli.options import json_option, state_option, url_option
from wardwright.cli.output import Output
from wardwright.journal.approvals import StatusName
from wardwright.journal.life import TOOL_RECEIPT_PREFIX

_EXITS: Final[dict[StatusName, Exit]] = {
    "pending": Exit.AWAITING_APPROVAL,
    "approved": Exit.OK,
    "redeemed": Exit.OK,
    "denied": Exit.DENIED,
    "expired": Exit.DENIED,
}

approval_argument: Final = click.argument("approval", metavar="APPROVAL")
by_option: Final = click.option("--by", default="admin", show_default=True, help="Who decides, for the journal.")


@click.command("list")
@click.option("--status", type=click.Choice(get_args(StatusName)), help="Only those that stand so.")
@click.option("--tenant", help="Whose requests.")
@click.option("--limit", type=click.IntRange(1, LIMIT_MAX), default=20, show_default=True, help="How many.")
@state_option
@url_option
@json_option
def list_(status: str | None, tenant: str | None, limit: int, state: Path, url: str | None, out: Output) -> None:
    """List requests that need or needed an approval, newest first."""
    asked = {"status": status, "tenant": tenant, "limit": str(limit)}
    query = {name: value for name, value in asked.items() if value is not None}
    with open_door(state, url) as door:
        found = door.ask("GET", "/api/approvals", ApprovalViews, query=query)
    if not found.data and not out.as_json:
        out.note("no request is like that" if status or tenant else "nothing has asked for an approval yet")
        return
    out.table(found, ("APPROVAL", "STATUS", "TENANT", "ASKS FOR", "RULE", "EXPIRES", "MESSAGE"), map(_row, found.data))


@click.command()
@approval_argument
@state_option
@url_option
@json_option
def show(approval: str, state: Path, url: str | None, out: Output) -> Exit:
    """Show one approval; the exit code says how it stands.

    0 approved or used, 3 denied or expired, 4 still waiting for a person.
    """
    with open_door(state, url) as door:
        found = door.ask("GET", f"/api/approvals/{approval}", ApprovalView)
    out.answer(found, lambda: _lines(found))
    return _EXITS[found.status]


@click.command()
@approval_argument
@by_option
@state_option
@url_option
@json_option
def approve(approval: str, by: str, state: Path, url: str | None, out: Output) -> None:
    """Let a request run, once, when its client sends it again."""
    with open_door(state, url, changes=True) as door:
        done = door.ask("POST", f"/api/approvals/{approval}/approve", ApprovalView, body={"by": by})
    out.answer(done, [f"{approval} is approved, until {instant(done.expires_at)}"])
    if out.as_json:
        return
    if _is_tool(done):
        out.note(f"the same call runs once with `--approval {approval}`, from Python with `approval=`")
    else:
        out.note(f"the same request runs once with the header `X-Wardwright-Approval-Id: {approval}`")


@click.command()
@approval_argument
@by_option
@click.option("--why", default="", help="The caller is told.")
@state_option
@url_option
@json_option
def deny(approval: str, by: str, why: str, state: Path, url: str | None, out: Output) -> None:
    """Refuse a request. One that was approved and has not run can still be denied."""
    with open_door(state, url, changes=True) as door:
        done = door.ask("POST", f"/api/approvals/{approval}/deny", ApprovalView, body={"by": by, "why": why})
    out.answer(done, [f"{approval} is denied"])


def _is_tool(approval: ApprovalView) -> bool:
    """Whether a tool is asked for; else it is a model."""
    return approval.receipt.startswith(f"{TOOL_RECEIPT_PREFIX}_")


def _row(approval: ApprovalView) -> tuple[str, ...]:
    return (
        approval.id,
        approval.status,
        approval.tenant,
        f"tool {approval.model}" if _is_tool(approval) else approval.model,
        f"{approval.policy}/{approval.rule}",
        instant(approval.expires_at),
        approval.message,
    )


def _lines(approval: ApprovalView) -> Iterator[str]:
    yield f"{approval.id}: {approval.status}"
    yield f"rule      {approval.policy}/{approval.rule}"
    if approval.message:
        yield f"message   {approval.message}"
    kind = "tool" if _is_tool(approval) else "model"
    yield f"asks for  {kind} {approval.model}, tenant {approval.tenant}, receipt {approval.receipt}"
    yield f"asked     {instant(approval.asked_at)}, expires {instant(approval.expires_at)}"
    if approval.decided_by is not None:
        why = f": {approval.why}" if approval.why else ""
        yield f"decided   {instant(approval.decided_at)} by {approval.decided_by}{why}"
    if approval.ran_as is not None:
        yield f"ran       {instant(approval.ended_at)}, receipt {approval.ran_as}"
