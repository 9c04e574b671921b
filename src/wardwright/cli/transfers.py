"""`wardwright model export|import`: models between installations, without keys, providers or private addresses."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from wardwright.api.versions import Imported
from wardwright.cli.door import open_door
from wardwright.cli.figures import short
from wardwright.cli.options import json_option, name_argument, state_option, url_option
from wardwright.cli.output import Output
from wardwright.contracts.transfer import Manifest, read_bundle
from wardwright.kernel.errors import Place, WardwrightError


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """Where a bundle was written."""

    file: str
    manifest: Manifest


@click.command()
@name_argument
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="A file instead of stdout.")
@state_option
@url_option
@json_option
def export(name: str, output: Path | None, state: Path, url: str | None, out: Output) -> None:
    """Write a model as a bundle that another installation can import.

    It holds the active version and those its aliases lead to. Providers travel as roles: what each must be able to do.
    """
    with open_door(state, url) as door:
        bundle = door.read("GET", f"/api/models/{name}/export")
    if output is None:
        click.echo(bundle)
        return
    output.write_bytes(bundle + b"\n")
    manifest = read_bundle(bundle, str(output)).manifest
    roles = ", ".join(role.name for role in manifest.roles)
    out.answer(Exported(file=str(output), manifest=manifest), [f"wrote {output}: {name}, with the roles {roles}"])


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--provider", "providers", multiple=True, metavar="ROLE=NAME", help="Who plays a role here; repeatable.")
@state_option
@url_option
@json_option
def import_(file: Path, providers: tuple[str, ...], state: Path, url: str | None, out: Output) -> None:
    """Take the models of a bundle in as drafts.

    Nothing of it serves before someone activates it. A role is played by the provider of the same name, or by the one
    that `--provider` says.
    """
    data = file.read_bytes()
    read_bundle(data, str(file))  # refused here, its places are those of the file
    body = {"bundle": msgspec.Raw(data), "providers": dict(map(_role, providers)), "source": file.name}
    with open_door(state, url, changes=True) as door:
        imported = door.ask("POST", "/api/models/import", Imported, body=body)
    out.answer(
        imported,
        [
            f"{draft.model.name}: {short(draft.digest)} "
            + ("is a draft now" if draft.stored else "was stored here already")
            for draft in imported.data
        ],
    )
    if not out.as_json:
        first = imported.data[0]
        out.note(f"next: wardwright model activate {first.model.name} {short(first.digest)}")


def _role(text: str) -> tuple[str, str]:
    role, sign, name = text.partition("=")
    if not (role and sign and name):
        raise WardwrightError(
            "usage", f"`{text}` maps no role", place=Place(path="--provider"), hint="write it as `openai=our-openai`"
        )
    return role, name
