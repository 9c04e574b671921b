"""Options that many commands share, each giving a command the thing itself rather than its name."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from wardwright.cli.output import Output
from wardwright.runtime.state_directory import state_of


def _output(_: click.Context, __: click.Parameter, as_json: bool) -> Output:
    return Output(as_json)


def _state(_: click.Context, __: click.Parameter, folder: Path | None) -> Path:
    return state_of(folder)


json_option: Final = click.option(
    "--json", "out", is_flag=True, callback=_output, help="One JSON document on stdout, errors too."
)
"""Gives the command its Output as `out`."""

state_option: Final = click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    callback=_state,
    help="Where journal, keys and index lie.  [default: $WARDWRIGHT_STATE, $XDG_STATE_HOME/wardwright]",
)
"""Gives the command the state directory as `state`."""

url_option: Final = click.option(
    "--url",
    envvar="WARDWRIGHT_URL",
    help="Ask the gateway at this address, with the token in $WARDWRIGHT_ADMIN_TOKEN.",
)
"""Where another gateway than that of the state directory is found."""

paths_argument: Final = click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
"""Contract files and folders."""

config_option: Final = click.option(
    "--config",
    "paths",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    envvar="WARDWRIGHT_CONFIG",
    help="Contract files and folders; may be given often.  [default: $WARDWRIGHT_CONFIG, else what is built in]",
)
"""Where tools, houses and policies stand, as `paths`."""

name_argument: Final = click.argument("name", metavar="NAME")
"""The name of a model."""

dry_run_option: Final = click.option(
    "--dry-run", is_flag=True, help="Show what would change; exit 2 if anything would."
)
