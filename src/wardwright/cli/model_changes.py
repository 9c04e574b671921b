"""`wardwright model activate|rollback|canary`: which version serves."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import click
import msgspec

from wardwright.api.versions import Changed, Difference, Versions
from wardwright.cli.door import Door, open_door
from wardwright.cli.exits import Exit
from wardwright.cli.figures import short
from wardwright.cli.models import differences, picks
from wardwright.cli.options import dry_run_option, json_option, name_argument, state_option, url_option
from wardwright.cli.output import Output
from wardwright.contracts import activation
from wardwright.contracts.decode import decode_canary
from wardwright.contracts.model import Canary
from wardwright.kernel.errors import WardwrightError

_SHARE: Final = re.compile(r"([0-9]{1,2})(?:\.([0-9]{1,4}))? ?%")


@click.command()
@name_argument
@click.argument("version")
@dry_run_option
@state_option
@url_option
@json_option
def activate(name: str, version: str, dry_run: bool, state: Path, url: str | None, out: Output) -> Exit:
    """Serve a stored version to all calls.

    VERSION is a label, a digest or the start of one. It ends a canary, and holds until the next activation.
    """
    with open_door(state, url, changes=not dry_run) as door:
        if dry_run:
            return _foretell(door, name, version, out)
        changed = door.ask("POST", f"/api/models/{name}/activate", Changed, body={"version": version})
    return _told(changed, out)


@click.command()
@name_argument
@click.option("--to", help="A label, a digest or the start of one.  [default: the version before the active one]")
@dry_run_option
@state_option
@url_option
@json_option
def rollback(name: str, to: str | None, dry_run: bool, state: Path, url: str | None, out: Output) -> Exit:
    """Serve an earlier version again.

    Each rollback without `--to` goes one version further back. It holds until the next activation, whatever the file
    says meanwhile.
    """
    with open_door(state, url, changes=not dry_run) as door:
        if dry_run:
            return _foretell(door, name, to or _before(door, name), out)
        changed = door.ask("POST", f"/api/models/{name}/rollback", Changed, body={"to": to})
    return _told(changed, out)


@click.command()
@name_argument
@click.argument("version", required=False)
@click.option("--share", help="The share of conversations, such as `5%`; each stays on its side.")
@click.option("--when", "when", multiple=True, metavar="FACT=VALUE", help="Calls of which this holds; repeatable.")
@click.option("--end", is_flag=True, help="Stop the canary: the active version serves all calls.")
@state_option
@url_option
@json_option
def canary(
    name: str,
    version: str | None,
    share: str | None,
    when: tuple[str, ...],
    end: bool,
    state: Path,
    url: str | None,
    out: Output,
) -> Exit:
    """Serve a stored version to some of the calls.

    Which ones: a share of conversations, or those of which facts hold, such as `--when region=eu --when tags=beta,new`.
    To keep the canary, activate it.
    """
    if end == (version is not None):
        raise WardwrightError("usage", "a canary needs either a VERSION and its calls, or `--end`")
    rule = None if end else _rule(share, when)
    with open_door(state, url, changes=True) as door:
        path = f"/api/models/{name}/canary"
        if rule is None:
            changed = door.ask("DELETE", path, Changed)
        else:
            changed = door.ask("POST", path, Changed, body={"version": version, "rule": rule})
    return _told(changed, out)


def _told(changed: Changed, out: Output) -> Exit:
    model = changed.model
    line = f"{model.name}: {short(model.active)} serves"
    if model.rule is not None:
        line += f", {short(model.canary)} as a canary for {picks(model.rule)}"
    out.answer(changed, [line if changed.changed else f"{line} already"])
    return Exit.OK


def _foretell(door: Door, name: str, version: str, out: Output) -> Exit:
    """What would change if this version served."""
    difference = door.ask("GET", f"/api/models/{name}/diff", Difference, query={"to": version} | _from(door, name))
    out.answer(difference, lambda: differences(difference))
    return Exit.OK if difference.from_ == difference.to else Exit.PENDING


def _from(door: Door, name: str) -> dict[str, str]:
    active = door.ask("GET", f"/api/models/{name}/versions", Versions).model.active
    if active is None:
        raise WardwrightError("contract_not_found", f"`{name}` has no active version to compare with")
    return {"from": active}


def _before(door: Door, name: str) -> str:
    """The version to which a rollback would go."""
    steps = door.ask("GET", f"/api/models/{name}/versions", Versions).steps
    trail = activation.folded((step.at, step.fact) for step in steps).models[name].trail if steps else ()
    if len(trail) < 2:
        raise WardwrightError("contract_not_found", f"`{name}` has no version before the active one")
    return trail[-2]


def _rule(share: str | None, when: tuple[str, ...]) -> Canary:
    """Raises `usage`."""
    if (share is None) == (not when):
        raise WardwrightError("usage", "say which calls a canary serves: either `--share` or `--when`")
    if share is not None:
        found = _SHARE.fullmatch(share)
        ppm = 0 if found is None else int(found[1]) * 10_000 + int((found[2] or "").ljust(4, "0"))
        if not ppm:
            raise WardwrightError("usage", f"`{share}` is no share", hint="write it as `5%` or `0.25%`, below 100%")
        return Canary(share_ppm=ppm)
    members: dict[str, object] = {}
    for one in when:
        fact, sign, value = one.partition("=")
        if not sign or not value:
            raise WardwrightError(
                "usage", f"`{one}` is no condition", hint="write it as `region=eu` or `tags=beta,new`"
            )
        members[fact] = int(value) if value.isdigit() else _texts(fact, value)
    try:
        return decode_canary(msgspec.json.encode({"when": members}), "when.json")
    except WardwrightError as error:
        raise WardwrightError("usage", error.message, hint=error.hint) from error


def _texts(fact: str, value: str) -> str | list[str]:
    return value if fact == "cost_usd_max" else value.split(",")
