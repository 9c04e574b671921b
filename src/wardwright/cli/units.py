"""`wardwright units`: the systemd units of an installation."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click
import msgspec

from wardwright.cli.options import json_option
from wardwright.cli.output import Output
from wardwright.kernel.errors import WardwrightError
from wardwright.runtime.units import PROGRAM, Unit
from wardwright.runtime.units import units as made


class Units(msgspec.Struct, frozen=True, kw_only=True):
    """The units, and where they were written."""

    units: tuple[Unit, ...]
    folder: str | None = None


@click.command()
@click.option("--user", is_flag=True, help="For your own service manager: `systemctl --user`.")
@click.option("--program", help=f"The command that they run.  [default: this one, else {PROGRAM}]")
@click.option(
    "--write",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write them into this folder, such as /etc/systemd/system, in place of showing them.",
)
@json_option
def units(user: bool, program: str | None, folder: Path | None, out: Output) -> None:
    """Make the systemd units of an installation: gateway, health, and tasks for each house.

    They read contracts from /etc/wardwright and keep state in /var/lib/wardwright; with `--user` in the folders of the
    user.
    """
    chosen = program or _this()
    if not chosen.startswith("/") or any(char.isspace() or char in "%$\"'\\;" for char in chosen):
        raise WardwrightError("usage", f"`{chosen}` is no absolute path that a unit can hold", hint="name a plain one")
    found = made(user=user, program=chosen)
    if folder is None:
        out.answer(Units(units=found), ("\n".join(f"# {one.name}\n{one.text}" for one in found)).splitlines())
        return
    folder.mkdir(parents=True, exist_ok=True)
    for one in found:
        (folder / one.name).write_text(one.text)
    control = "systemctl --user" if user else "systemctl"
    lines = [str(folder / one.name) for one in found]
    out.answer(Units(units=found, folder=str(folder)), lines)
    if not out.as_json:
        out.note(f"next: {control} daemon-reload && {control} enable --now wardwright-gateway wardwright-health")
        out.note(f"      {control} enable --now wardwright-tasks@HOUSE")


def _this() -> str:
    """The command as it was called, where it is installed under its own name."""
    called = Path(sys.argv[0])
    found = shutil.which(called.name) if called.name in ("wardwright", "ww") else None
    return PROGRAM if found is None else str(Path(found).absolute())
