"""`wardwright model list|show|versions|diff`: what names mean now, and what they meant before."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from wardwright.api.versions import Difference, ModelView, Record, Records, Stored, Versions
from wardwright.cli.door import Door, open_door
from wardwright.cli.exits import Exit
from wardwright.cli.figures import instant, share, short
from wardwright.cli.options import json_option, name_argument, state_option, url_option
from wardwright.cli.output import Output
from wardwright.contracts.model import Canary, ModelContract, Target
from wardwright.contracts.route_words import condition, described
from wardwright.kernel.errors import WardwrightError
from wardwright.routing.graph import resolve
from wardwright.routing.outline import outline


@click.command("list")
@state_option
@url_option
@json_option
def list_(state: Path, url: str | None, out: Output) -> None:
    """List every model and the version that serves."""
    with open_door(state, url) as door:
        records = records_of(door)
    if not records and not out.as_json:
        out.note("no model contract is stored here; `wardwright serve PATH` reads contract files")
        return
    rows = [
        (
            record.model.name,
            serves(record.model),
            short(record.model.active),
            "-" if record.contract is None else described(record.contract.route),
        )
        for record in records
    ]
    out.table([record.model for record in records], ("MODEL", "STATUS", "VERSION", "ROUTE"), rows)


@click.command()
@name_argument
@click.option("--version", "version", help="A label, a digest or the start of one.  [default: the one that serves]")
@state_option
@url_option
@json_option
def show(name: str, version: str | None, state: Path, url: str | None, out: Output) -> None:
    """Show one version of a model: its route, targets and prices.

    With `--json`: the contract as it is stored.
    """
    with open_door(state, url) as door:
        stored = stored_of(door, name, version)
        records = records_of(door)
    models = active_contracts(records) | {name: stored.contract}
    view = next((record.model for record in records if record.model.name == name), None)
    out.answer(stored, lambda: _shown(stored, view, models))


@click.command()
@name_argument
@state_option
@url_option
@json_option
def versions(name: str, state: Path, url: str | None, out: Output) -> None:
    """List the stored versions of a model."""
    with open_door(state, url) as door:
        found = door.ask("GET", f"/api/models/{name}/versions", Versions)
    rows = [
        (
            short(one.digest),
            one.status,
            one.label or "-",
            instant(one.stored_at),
            instant(one.activated_at),
            f"{one.origin}: {one.source}",
        )
        for one in found.data
    ]
    out.table(found, ("VERSION", "STATUS", "LABEL", "STORED", "ACTIVATED", "ORIGIN"), rows)


@click.command("diff")
@name_argument
@click.argument("old", required=False)
@click.argument("new", required=False)
@state_option
@url_option
@json_option
def diff_(name: str, old: str | None, new: str | None, state: Path, url: str | None, out: Output) -> Exit:
    """Show what differs between two versions of a model.

    OLD and NEW are labels, digests or the start of one. Without NEW: from OLD to the version stored last. Without
    both: from the version that serves to the one stored last. Exit 2 where they differ, 0 where they are one.
    """
    with open_door(state, url) as door:
        found = door.ask("GET", f"/api/models/{name}/versions", Versions)
        before, after = old or found.model.active, new or found.data[-1].digest
        if before is None:
            raise WardwrightError("contract_not_found", f"`{name}` has no active version to compare with")
        query = {"from": before, "to": after}
        difference = door.ask("GET", f"/api/models/{name}/diff", Difference, query=query)
    out.answer(difference, lambda: differences(difference))
    return Exit.PENDING if difference.changes else Exit.OK


# Asking


def records_of(door: Door) -> tuple[Record, ...]:
    """Every model in full."""
    return door.ask("GET", "/admin/synthetic-models", Records).data


def stored_of(door: Door, name: str, version: str | None) -> Stored:
    return door.ask(
        "GET", f"/api/models/{name}/contract", Stored, query=None if version is None else {"version": version}
    )


def active_contracts(records: Iterable[Record]) -> dict[str, ModelContract]:
    return {record.model.name: record.contract for record in records if record.contract is not None}


# Words


def serves(model: ModelView) -> str:
    """Whether and how a name is served, in a few words."""
    if model.active is None:
        return "drafts only"
    if not model.serving:
        return "cannot serve"
    return "active" if model.rule is None else f"active, a canary for {picks(model.rule)}"


def picks(rule: Canary) -> str:
    """Which calls a canary serves."""
    if rule.when is not None:
        return f"calls with {condition(rule.when)}"
    return f"{share(rule.share_ppm or 0)} of conversations"


def differences(difference: Difference) -> Iterable[str]:
    yield f"{difference.model}: {short(difference.from_)} -> {short(difference.to)}"
    signs = {"added": "+", "removed": "-", "changed": "~"}
    for change in difference.changes:
        yield f"  {signs[change.kind]} {change.sentence}"
    if not difference.changes:
        yield "  no difference"


def _shown(stored: Stored, view: ModelView | None, models: dict[str, ModelContract]) -> Iterable[str]:
    contract = stored.contract
    if contract.description:
        yield contract.description
        yield ""
    try:
        yield from outline(resolve(contract.name, models))
    except WardwrightError as error:
        yield f"{contract.name}: {described(contract.route)}"
        yield f"  cannot serve: {error.message}"
    yield ""
    label = "" if contract.version is None else f" ({contract.version})"
    yield f"version   {short(stored.digest)}{label}"
    if view is not None:
        yield f"status    {serves(view) if view.active == stored.digest else 'not the active version'}"
    yield f"deadline  {contract.deadline_s} s over all attempts"
    if contract.restrict:
        yield f"restrict  {', '.join(contract.restrict)}"
    yield from _transforms(contract)
    priced = [(target.name, _price(target)) for target in contract.targets if target.price is not None]
    for index, (target, price) in enumerate(priced):
        yield f"{'prices' if not index else '':<10}{target}: {price}"


def _transforms(contract: ModelContract) -> Iterable[str]:
    transforms = contract.transforms
    said = [word for word in ("preamble", "postscript") if getattr(transforms, word)]
    said += [f"variant {variant.name}" for variant in transforms.variants]
    if said:
        yield f"adds      {', '.join(said)}"


def _price(target: Target) -> str:
    price = target.price
    assert price is not None
    told = [f"${price.input} in"]
    if price.cached_input is not None:
        told.append(f"${price.cached_input} cached")
    told.append(f"${price.output} out")
    if price.reasoning is not None:
        told.append(f"${price.reasoning} reasoning")
    return ", ".join(told) + " per million tokens"
