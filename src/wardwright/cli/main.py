"""The command line: `wardwright`, in short `ww`."""

from __future__ import annotations

import click

from wardwright.cli.serving import serve


@click.group()
def main() -> None:
    """A governed front door for agentic systems."""


main.add_command(serve)
