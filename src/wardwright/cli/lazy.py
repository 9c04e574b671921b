"""Command groups that know their commands by name and load one when it is called.

`--help` and completion then cost what this file costs, not what the gateway costs. The line of help stands in the
table; a test holds it to that of the command.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem


class Command(NamedTuple):
    """Where a command lives, and what it does in one line."""

    target: str
    """`module:name`, below this package."""
    help: str


class LazyGroup(click.Group):
    """A group over a table of commands, shown in the table's order."""

    def __init__(self, *, table: Mapping[str, Command | click.Group], **settings: Any) -> None:
        super().__init__(**settings)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = self.table.get(cmd_name)
        if found is None or isinstance(found, click.Group):
            return found
        module, _, name = found.target.partition(":")
        command = getattr(import_module(f"wardwright.cli.{module}"), name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            # click looks for similar names among commands that are loaded; here none are.
            raise click.NoSuchCommand(error.command_name, possibilities=self.table, ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._help(name)) for name in self.table])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        items = [CompletionItem(name, help=self._help(name)) for name in self.table if name.startswith(incomplete)]
        return items + click.Command.shell_complete(self, ctx, incomplete)

    def _help(self, name: str) -> str:
        found = self.table[name]
        return found.get_short_help_str(limit=120) if isinstance(found, click.Group) else found.help
