"""`wardwright policy trace`: why one call went as it did, rule by rule."""

from __future__ import annotations

from pathlib import Path

import click

from wardwright.cli.options import json_option, state_option
from wardwright.cli.output import Output
from wardwright.cli.recorded import Recorded
from wardwright.cli.trace_words import lines
from wardwright.rehearsal.trace import trace as traced


@click.command()
@click.argument("receipt", metavar="RECEIPT")
@state_option
@json_option
def trace(receipt: str, state: Path, out: Output) -> None:
    """Say why a call went as it did: every rule that was asked, what it compared, what it did.

    Nothing is called: the facts stand in the receipt, the policies in the store.
    """
    with Recorded(state) as recorded:
        found = traced(recorded.receipt(receipt), recorded.load)
    out.answer(found, lambda: lines(found))
