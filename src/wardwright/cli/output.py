"""What a command says: data on stdout, talk on stderr, and with `--json` one document on stdout."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence

import click
import msgspec

from wardwright.cli.coat import failure_of, lines_of
from wardwright.kernel.errors import WardwrightError

Lines = Iterable[str] | Callable[[], Iterable[str]]
"""Text for people; a function where making it costs something."""


class Output:
    """Where one command speaks."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    def answer(self, value: object, lines: Lines) -> None:
        """The result: a document for programs, lines for people."""
        if self.as_json:
            click.echo(document(value))
        else:
            for line in lines() if callable(lines) else lines:
                click.echo(line)

    def table(self, value: object, headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """The result as a table, ruled where a person looks at it. The last column takes what is left of a line."""
        if self.as_json:
            click.echo(document(value))
        elif sys.stdout.isatty():
            _show_table(headers, list(rows))
        else:
            for line in columns([headers, *rows]):
                click.echo(line)

    def note(self, text: str) -> None:
        """Talk beside the result."""
        click.echo(text, err=True)

    def warn(self, warning: WardwrightError) -> None:
        """Something odd that refuses nothing. With `--json` it belongs into the document."""
        if not self.as_json:
            _tell(warning, "warning", "yellow")

    def fail(self, error: WardwrightError) -> None:
        """The failure that ends a command."""
        if self.as_json:
            click.echo(document(failure_of(error)))
        else:
            _tell(error, "error", "red")


def document(value: object) -> str:
    """The one JSON document of a command."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def columns(rows: Iterable[Sequence[str]]) -> list[str]:
    """Rows as aligned text.

    >>> columns([("NAME", "STATUS"), ("coding-balanced", "active")])
    ['NAME             STATUS', 'coding-balanced  active']
    """
    table = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in table]


def _show_table(headers: Sequence[str], rows: list[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*headers, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


def _tell(error: WardwrightError, word: str, colour: str) -> None:
    for line in lines_of(error, word):
        for known, style in ((f"{word}:", colour), ("hint:", "cyan")):
            if line.startswith(known):
                line = click.style(known, fg=style, bold=True) + line[len(known) :]
        click.echo(line, err=True)
