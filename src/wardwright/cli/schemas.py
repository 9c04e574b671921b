"""`wardwright schema`: JSON Schemas for editors and readers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import click

from wardwright.api.schemas import JsonSchema, schema_document
from wardwright.calls.receipt import Receipt
from wardwright.cli.options import json_option
from wardwright.cli.output import Output, document
from wardwright.contracts.decode import KINDS
from wardwright.contracts.schema import schema as contract_schema

_SCHEMAS: Final[dict[str, Callable[[], JsonSchema]]] = {
    **{kind: partial(contract_schema, kind) for kind in KINDS},
    "receipt": partial(schema_document, Receipt),
}


@click.command()
@click.argument("kind", type=click.Choice(list(_SCHEMAS)), required=False, metavar="[KIND]")
@json_option
def schema(kind: str | None, out: Output) -> None:
    """Print the JSON Schema of a kind of document, for editors.

    Without KIND: the kinds there are. Contracts are written by people, receipts are written by the gateway.
    """
    if kind is not None:
        click.echo(document(_SCHEMAS[kind]()))
        return
    out.answer({"kinds": list(_SCHEMAS)}, list(_SCHEMAS))
