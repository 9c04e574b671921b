"""`wardwright key create|list|revoke`: who may call, as which tenant, for which models."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click

from wardwright.api.keys import KeyMade, Keys, KeyView
from wardwright.cli.door import open_door
from wardwright.cli.figures import instant, instant_of, seconds_of
from wardwright.cli.options import json_option, state_option, url_option
from wardwright.cli.output import Output
from wardwright.gateway.core.keys import SCOPES_DEFAULT, Scope
from wardwright.kernel.errors import WardwrightError
from wardwright.kernel.units import SECOND_US
from wardwright.runtime.clock import SystemClock


@click.command()
@click.option("--label", default="", help="For people: whose key it is.")
@click.option("--tenant", default="local", show_default=True, help="Whose calls these are.")
@click.option("--model", "models", multiple=True, metavar="GLOB", help="Models it may use; repeatable.  [default: all]")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(get_args(Scope)),
    help=f"What it may do; repeatable.  [default: {', '.join(SCOPES_DEFAULT)}]",
)
@click.option("--target", "targets", multiple=True, metavar="PATTERN", help="Targets it may reach; repeatable.")
@click.option("--expires", metavar="WHEN", help="How long it holds, such as `30d`, or until when.  [default: for ever]")
@click.option("--agent", help="Calls with this key are this agent's, whatever they claim.")
@click.option("--application", help="So for the application.")
@click.option("--house", help="So for the house.")
@click.option("--user", help="So for the user.")
@state_option
@url_option
@json_option
def create(
    label: str,
    tenant: str,
    models: tuple[str, ...],
    scopes: tuple[str, ...],
    targets: tuple[str, ...],
    expires: str | None,
    agent: str | None,
    application: str | None,
    house: str | None,
    user: str | None,
    state: Path,
    url: str | None,
    out: Output,
) -> None:
    """Make a serving key and show it once.

    What is kept of it is a hash: a key that is lost is revoked, and another one made.
    """
    terms: dict[str, object] = {
        "label": label,
        "tenant": tenant,
        "targets": targets,
        "expires_at": None if expires is None else _until(expires, SystemClock().now_us()),
        "agent": agent,
        "application": application,
        "house": house,
        "user": user,
    }
    if models:
        terms["models"] = models
    if scopes:
        terms["scopes"] = scopes
    with open_door(state, url, changes=True) as door:
        made = door.ask("POST", "/api/keys", KeyMade, body=terms)
    out.answer(made, [made.token])
    if not out.as_json:
        key = made.key
        out.note(
            f"{key.id} for tenant {key.tenant}, models {', '.join(key.models)}, "
            + ("for ever" if key.expires_at is None else f"until {instant(key.expires_at)}")
        )
        out.note("this is the only time that the key is shown")


@click.command("list")
@state_option
@url_option
@json_option
def list_(state: Path, url: str | None, out: Output) -> None:
    """List all keys, revoked ones too."""
    with open_door(state, url) as door:
        keys = door.ask("GET", "/api/keys", Keys)
    if not keys.data and not out.as_json:
        out.note("no key was made yet; `wardwright key create` makes one")
        return
    out.table(keys, ("KEY", "STATUS", "TENANT", "MODELS", "SCOPES", "EXPIRES", "LABEL"), map(_row, keys.data))


@click.command()
@click.argument("key", metavar="KEY")
@state_option
@url_option
@json_option
def revoke(key: str, state: Path, url: str | None, out: Output) -> None:
    """End a key at once and for ever.

    KEY is its id, as `wardwright key list` shows it. Revoking a revoked key changes nothing.
    """
    with open_door(state, url, changes=True) as door:
        door.read("DELETE", f"/api/keys/{key}")
    out.answer({"id": key, "status": "revoked"}, [f"{key} is revoked"])


def _row(key: KeyView) -> tuple[str, ...]:
    return (
        key.id,
        key.status,
        key.tenant,
        ",".join(key.models),
        ",".join(key.scopes),
        "never" if key.expires_at is None else instant(key.expires_at),
        key.label,
    )


def _until(text: str, now_us: int) -> int:
    """µs since the epoch; a length of time counts from now."""
    if text[:-1].isdigit():
        return now_us + seconds_of(text) * SECOND_US
    try:
        return instant_of(text, now_us)
    except WardwrightError as error:
        raise WardwrightError(error.code, error.message, hint="write `30d`, or `2026-01-31T12:00:00Z`") from error
