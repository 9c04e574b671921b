"""`wardwright journal verify|export|rebuild|forget`: the append-only truth behind receipts."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, assert_never, get_args

import click
import msgspec

from wardwright.api.journal import Verification, overall
from wardwright.cli.door import open_door
from wardwright.cli.exits import Exit
from wardwright.cli.figures import counted, instant_of
from wardwright.cli.options import json_option, state_option, url_option
from wardwright.cli.output import Output
from wardwright.cli.state import running_in
from wardwright.journal.entry import Chain
from wardwright.journal.verify import Broken, Incomplete, Intact, Verdict
from wardwright.kernel.errors import WardwrightError
from wardwright.runtime.clock import SystemClock
from wardwright.runtime.forgetting import Forgotten
from wardwright.runtime.offline import StoredJournal, require_state

_RECEIPT: Final = re.compile(r"rc[pt]_[0-9a-f]{28}")


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What an export wrote."""

    file: str
    records: int


class Rebuilt(msgspec.Struct, frozen=True, kw_only=True):
    """What a rebuilt index took in."""

    records: int


@click.command()
@state_option
@json_option
def verify(state: Path, out: Output) -> Exit:
    """Prove every chain: intact, broken or incomplete.

    Exit 0 intact, 5 broken, 2 incomplete: everything there is proven, and the end of a chain is not. While a gateway
    runs, its own chains are incomplete: the checkpoint that closes them comes when it ends.
    """
    require_state(state)
    verdicts = StoredJournal(state).verify()
    verification = Verification(verdict=overall(verdicts), chains=verdicts)
    out.answer(verification, lambda: _verification(verification))
    if verification.verdict == "incomplete" and running_in(state) is not None and not out.as_json:
        out.note("a gateway runs here: it closes its chains when it ends")
    match verification.verdict:
        case "intact":
            return Exit.OK
        case "broken":
            return Exit.INTEGRITY
        case "incomplete":
            return Exit.PENDING
        case _:
            assert_never(verification.verdict)


@click.command()
@click.option("--chain", type=click.Choice(get_args(Chain)), help="Of this chain alone.")
@click.option("--writer", help="Of this writer alone, such as `node_…/gateway-0`.")
@click.option("--since", metavar="WHEN", help="Records no earlier: an instant, or how long ago, such as `2h`.")
@click.option("--until", metavar="WHEN", help="Records earlier than this.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="A file instead of stdout.")
@state_option
@json_option
def export(
    chain: Chain | None,
    writer: str | None,
    since: str | None,
    until: str | None,
    output: Path | None,
    state: Path,
    out: Output,
) -> None:
    """Write records as newline-delimited JSON.

    The canonical lines as they lie in the journal, in an order that never changes.
    """
    require_state(state)
    now_us = SystemClock().now_us()
    lines = StoredJournal(state).export(
        chain=chain,
        writer=writer,
        since_us=None if since is None else instant_of(since, now_us),
        until_us=None if until is None else instant_of(until, now_us),
    )
    if output is None:
        stdout = sys.stdout.buffer
        for line in lines:
            stdout.write(line)
        stdout.flush()
        return
    count = 0
    with output.open("wb") as file:
        for line in lines:
            count += file.write(line) > 0
    out.answer(Exported(file=str(output), records=count), [f"wrote {output}: {counted(count, 'record')}"])


@click.command()
@state_option
@json_option
def rebuild(state: Path, out: Output) -> None:
    """Drop the receipt index and read the journal again.

    The journal is not touched. A gateway that runs meanwhile goes on answering.
    """
    require_state(state)
    index = StoredJournal(state).index
    index.open()
    try:
        rebuilt = Rebuilt(records=index.rebuild())
    finally:
        index.close()
    out.answer(rebuilt, [f"the index took in {counted(rebuilt.records, 'record')}"])


@click.command()
@click.option("--tenant", required=True, help="Whose digests and captured bodies.")
@click.option("--receipt", metavar="RECEIPT", help="The captured bodies of this one call alone.")
@click.option("--yes", is_flag=True, help="Do it: what is forgotten cannot be brought back.")
@state_option
@url_option
@json_option
def forget(tenant: str, receipt: str | None, yes: bool, state: Path, url: str | None, out: Output) -> Exit:
    """Forget a tenant, or the captured bodies of one call.

    A tenant's key and bodies are dropped, and what was kept of files that its tools changed: digests in its receipts
    then match nothing for ever, and `tool undo` has nothing to put back. Receipts stay, and a record says what was
    forgotten. Without `--yes` nothing happens, and exit 2 says so.
    """
    if receipt is not None and _RECEIPT.fullmatch(receipt) is None:
        raise WardwrightError("usage", f"`{receipt}` is no receipt", hint="`wardwright receipt list` shows them")
    whose = f"tenant {tenant}" if receipt is None else f"the call {receipt} of tenant {tenant}"
    what = "its key, its captured bodies and what its tools kept of files" if receipt is None else "its captured bodies"
    if not yes:
        out.answer({"would_forget": {"tenant": tenant, "receipt": receipt}}, [f"would forget {whose}: {what}"])
        out.note("nothing was forgotten; `--yes` does it, for ever")
        return Exit.PENDING
    with open_door(state, url, changes=True) as door:
        gone = door.ask("POST", "/api/journal/forget", Forgotten, body={"tenant": tenant, "receipt": receipt})
    key = "its key, and " if gone.key else ""
    if gone.key or gone.captures:
        said = f"forgot {whose}: {key}the captured bodies of {counted(gone.captures, 'call')}"
    else:
        said = f"nothing of it was here; that {whose} shall be forgotten is recorded"
    out.answer(gone, [said])
    return Exit.OK


def _verification(verification: Verification) -> Iterable[str]:
    for verdict in verification.chains:
        yield from _verdict(verdict)
    if not verification.chains:
        yield "the journal holds no chain"
    yield verification.verdict


def _verdict(verdict: Verdict) -> Iterator[str]:
    match verdict:
        case Intact():
            checkpoints, records = counted(verdict.checkpoints, "checkpoint"), counted(verdict.records, "record")
            yield f"intact      {verdict.chain}: {records}, {checkpoints}, head {verdict.head[:12]}"
        case Incomplete():
            yield f"incomplete  {verdict.chain}: {counted(verdict.records, 'record')}, {verdict.reason}"
        case Broken():
            yield f"broken      {verdict.chain}: {verdict.reason}"
            yield f"  --> {verdict.place}, after {counted(verdict.records, 'record')} proven"
        case _:
            assert_never(verdict)
