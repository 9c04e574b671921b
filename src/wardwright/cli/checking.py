"""`wardwright check`: what contract files say, judged as the gateway would judge them, without serving them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

import click
import msgspec

from wardwright.cli.coat import Told, told
from wardwright.cli.exits import Exit
from wardwright.cli.figures import counted
from wardwright.cli.options import json_option, paths_argument
from wardwright.cli.output import Output, columns
from wardwright.contracts.digest import digest
from wardwright.contracts.route_words import described
from wardwright.kernel.errors import WardwrightError
from wardwright.runtime import library, offline, settings
from wardwright.runtime.library import Library
from wardwright.runtime.settings import Settings
from wardwright.runtime.state_directory import state_of


class CheckedModel(msgspec.Struct, frozen=True, kw_only=True):
    """One model that may serve."""

    name: str
    version: str
    """The digest that its file would propose."""
    route: str
    file: str


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What the files say."""

    files: int
    models: tuple[CheckedModel, ...]
    providers: tuple[str, ...]
    tools: tuple[str, ...]
    errors: tuple[Told, ...]
    warnings: tuple[Told, ...]


@click.command()
@paths_argument
@json_option
def check(paths: tuple[Path, ...], out: Output) -> Exit:
    """Check contract files without serving them.

    PATHs are files and folders; none: the current folder. Every file is read, checked against the others and compiled.
    Exit 1 when anything is refused.
    """
    chosen = paths or (Path(),)
    read = library.read(chosen)
    found, settings_errors = _settings(chosen)
    sinks = None if found is None else found.sink_names
    errors = (*settings_errors, *asyncio.run(_compiled(read, sinks)))
    for warning in read.warnings:
        out.warn(warning)
    checked = Checked(
        files=len(read.files),
        models=tuple(
            CheckedModel(name=name, version=digest(one.value), route=described(one.value.route), file=one.file)
            for name, one in sorted(read.models.items())
        ),
        providers=tuple(sorted(read.providers)),
        tools=tuple(sorted(read.tools)),
        errors=tuple(map(told, errors)),
        warnings=tuple(map(told, read.warnings)),
    )
    if out.as_json:
        out.answer(checked, ())
    else:
        for error in errors:
            out.fail(error)
            out.note("")
        out.answer(checked, lambda: _lines(checked))
    return Exit.FAILED if errors else Exit.OK


def _settings(paths: Iterable[Path]) -> tuple[Settings | None, tuple[WardwrightError, ...]]:
    """The settings beside the contracts, or why they cannot be read."""
    try:
        return settings.load(next((path for path in paths if path.is_dir()), None), {}), ()
    except WardwrightError as error:
        return None, (error,)


async def _compiled(read: Library, sinks: frozenset[str] | None) -> tuple[WardwrightError, ...]:
    """Every reason why something of the files cannot serve."""
    async with offline.proposed(read, state_of(None), sinks) as front:
        return front.control.state.errors


def _lines(checked: Checked) -> Iterable[str]:
    yield from columns((model.name, model.route, model.file) for model in checked.models)
    refused = f", {len(checked.errors)} refused" if checked.errors else ""
    tools = f", {counted(len(checked.tools), 'tool')}" if checked.tools else ""
    yield (
        f"checked {counted(checked.files, 'file')}: {counted(len(checked.models), 'model')}, "
        f"{counted(len(checked.providers), 'provider')}{tools}{refused}"
    )
