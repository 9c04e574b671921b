"""`wardwright policy simulate`: recorded calls under changed policies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import click

from wardwright.api.receipts import LIMIT_MAX, PARAMETERS, Receipts
from wardwright.cli.door import Door, open_door
from wardwright.cli.exits import Exit
from wardwright.cli.figures import instant_of
from wardwright.cli.junit import simulated
from wardwright.cli.options import json_option, paths_argument, state_option
from wardwright.cli.output import Output
from wardwright.cli.recorded import Recorded
from wardwright.cli.simulation_words import lines
from wardwright.contracts.refusal import ContractErrors, did_you_mean, in_order
from wardwright.kernel.errors import WardwrightError
from wardwright.rehearsal import simulation
from wardwright.rehearsal.simulation import Candidate, Simulation
from wardwright.runtime import library
from wardwright.runtime.clock import SystemClock

CALLS_MAX: Final = 100_000
"""Calls of one simulation: their ids are held at once."""
CALLS_DEFAULT: Final = 1000
SAMPLES_MAX: Final = 100
EVERY: Final = "all"
_INSTANTS: Final = {"since": "started_at_min", "until": "started_at_max"}


@click.command()
@paths_argument
@click.option(
    "--receipts",
    "filters",
    multiple=True,
    required=True,
    metavar="FILTER",
    help="Which calls: `all`, a receipt's id, `since=WHEN`, `until=WHEN`, or NAME=VALUE with any filter of "
    "`GET /v1/receipts`; repeatable, all must hold.",
)
@click.option(
    "--also", multiple=True, metavar="NAME", help="Ask this policy too, though no model names it; repeatable."
)
@click.option(
    "--limit",
    type=click.IntRange(1, CALLS_MAX),
    default=CALLS_DEFAULT,
    show_default=True,
    help="The newest so many calls.",
)
@click.option(
    "--samples",
    type=click.IntRange(1, SAMPLES_MAX),
    default=3,
    show_default=True,
    help="Receipts named for each way in which calls change.",
)
@click.option("--junit", type=click.Path(path_type=Path, dir_okay=False), help="Write a JUnit report to this file too.")
@state_option
@json_option
def simulate(
    paths: tuple[Path, ...],
    filters: tuple[str, ...],
    also: tuple[str, ...],
    limit: int,
    samples: int,
    junit: Path | None,
    state: Path,
    out: Output,
) -> Exit:
    """Decide recorded calls again under changed policies: which decisions flip, grouped by rule.

    PATHs are files and folders with the policies as they shall be; those that they leave out stay as they were. Nothing
    is called: facts stand in the receipts, texts where bodies were captured. What rests on more is unknown. Exit 2 when
    a decision flips, 5 when a receipt is not reproduced by its own policies.
    """
    candidate = _candidate(paths, also)
    with Recorded(state) as recorded:
        with open_door(state) as door:
            ids = list(_ids(door, filters, limit))
        found = simulation.simulate(_calls(recorded, ids), candidate, recorded.load, samples_max=samples)
    if junit is not None:
        junit.write_text(simulated(found))
        out.note(f"wrote {junit}")
    out.answer(found, lambda: lines(found))
    return _exit(found)


def _exit(found: Simulation) -> Exit:
    if found.stopped is not None:
        return Exit.INTEGRITY
    return Exit.PENDING if found.flipped else Exit.OK


def _candidate(paths: Iterable[Path], also: tuple[str, ...]) -> Candidate:
    """Raises ContractErrors for what cannot be read, `contract_not_found` for a policy that is not there."""
    read = library.read(tuple(paths) or (Path(),))
    if read.errors:
        raise ContractErrors(in_order(read.errors))
    for name in also:
        if name not in read.policies:
            hint = did_you_mean(name, read.policies)
            raise WardwrightError("contract_not_found", f"no policy is called `{name}`", hint=hint)
    if not read.policies:
        raise WardwrightError("usage", "there is no policy under these paths")
    models = {name: one.value for name, one in read.models.items()}
    return Candidate(also=also, models=models, policies=read.policies)


def _calls(recorded: Recorded, ids: Iterable[str]) -> Iterator[simulation.Recorded]:
    for id_ in ids:
        receipt = recorded.receipt(id_)
        yield simulation.Recorded(receipt, recorded.capture(receipt))


def _ids(door: Door, filters: tuple[str, ...], limit: int) -> Iterator[str]:
    """The receipts of the newest closed calls that the filters let through, oldest first."""
    query = dict(_filter(one) for one in filters if one != EVERY)
    found: list[str] = []
    cursor: str | None = None
    while len(found) < limit:
        more = {"limit": str(LIMIT_MAX)} if cursor is None else {"limit": str(LIMIT_MAX), "cursor": cursor}
        page = door.ask("GET", "/v1/receipts", Receipts, query=query | more)
        found += [row.receipt for row in page.data if row.status != "lost"]
        cursor = page.next
        if cursor is None:
            break
    yield from reversed(found[:limit])


def _filter(text: str) -> tuple[str, str]:
    """One filter as the query has it. Raises `usage`."""
    if text.startswith("rcp_"):
        return "receipt", text
    name, sign, value = text.partition("=")
    known = [parameter.name for parameter in PARAMETERS if parameter.name not in ("limit", "cursor")]
    if not sign or not value:
        raise WardwrightError("usage", f"`{text}` is no filter", hint="write `all`, an id, or such as `model=coding`")
    if name in _INSTANTS:
        return _INSTANTS[name], str(instant_of(value, SystemClock().now_us()))
    if name not in known:
        hint = did_you_mean(name, [*known, *_INSTANTS])
        raise WardwrightError("usage", f"receipts cannot be found by `{name}`", hint=hint)
    return name, value
