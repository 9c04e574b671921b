"""`wardwright house list|show`: the roles in which tools are called, and what they owe."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from wardwright.cli import tool_words
from wardwright.cli.options import json_option, paths_argument
from wardwright.cli.output import Output
from wardwright.cli.tools import contracts_option, house_of, opened_shop
from wardwright.contracts.house import HouseContract


class Houses(msgspec.Struct, frozen=True, kw_only=True):
    """Houses by name."""

    houses: tuple[HouseContract, ...]


@click.command("list")
@paths_argument
@json_option
def list_(paths: tuple[Path, ...], out: Output) -> None:
    """List the houses in whose name tools can be called. PATHs hold contracts of further ones."""
    shop = opened_shop(paths)
    found = tuple(shop.houses[name] for name in sorted(shop.houses))
    rows = (
        (
            one.name,
            ", ".join(dict.fromkeys(debt.check for debt in one.obligations)) or "-",
            ", ".join(one.powers) or "-",
            ", ".join(one.policies) or "-",
            one.doc,
        )
        for one in found
    )
    out.table(Houses(houses=found), ("HOUSE", "OWES", "POWERS", "POLICIES", "STANDS FOR"), rows)


@click.command()
@click.argument("name", metavar="NAME")
@contracts_option
@json_option
def show(name: str, paths: tuple[Path, ...], out: Output) -> None:
    """Show one house: what it owes, for which effects and why, its powers and policies."""
    found = house_of(opened_shop(paths), name)
    out.answer(found, lambda: tool_words.house(found))
