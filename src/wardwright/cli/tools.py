"""`wardwright tool list|show|call|undo`: what can be called besides models, and calling it."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from msgspec import inspect
from stamina import instrumentation

from wardwright.calls.receipt import Caller, Sourced
from wardwright.cli import tool_words
from wardwright.cli.coat import Told, told
from wardwright.cli.exits import Exit, exit_of
from wardwright.cli.figures import duration
from wardwright.cli.options import json_option, paths_argument, state_option
from wardwright.cli.output import Output
from wardwright.contracts.house import HouseContract
from wardwright.contracts.refusal import ContractErrors, did_you_mean
from wardwright.contracts.shapes import unwrapped
from wardwright.contracts.tool import Effect, ToolContract
from wardwright.harness.call import Call, Ended
from wardwright.harness.core.houses import Obligation
from wardwright.harness.core.modes import Mode
from wardwright.harness.core.receipt import Status
from wardwright.harness.core.shelf import Served
from wardwright.harness.core.tool import ARGUMENT_BYTES_MAX
from wardwright.kernel.errors import WardwrightError
from wardwright.limits.prediction import Prediction
from wardwright.runtime import settings
from wardwright.runtime.harness import FOLDER_ARGUMENT
from wardwright.runtime.tool_runtime import Shop, ToolRuntime, shop_of

contracts_option: Final = click.option(
    "--contracts",
    "paths",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Contract files and folders with tools, houses and policies; repeatable.",
)
"""Gives the command the paths as `paths`."""

house_option: Final = click.option("--house", default="", help="The house in whose name.")
arg_option: Final = click.option(
    "--arg", "pairs", multiple=True, metavar="NAME=VALUE", help="One argument; repeatable, also for lists."
)
arguments_option: Final = click.option(
    "--arguments",
    "file",
    type=click.Path(path_type=Path, allow_dash=True, dir_okay=False),
    metavar="FILE|-",
    help="All arguments as a JSON object.",
)


class ToolRow(msgspec.Struct, frozen=True, kw_only=True):
    """One tool in a line."""

    name: str
    effect: Effect
    reversal: str
    doc: str
    owed: tuple[str, ...]
    """What the house that was asked for owes for a call of it."""


class ToolRows(msgspec.Struct, frozen=True, kw_only=True):
    """Tools by name."""

    tools: tuple[ToolRow, ...]


class Owed(msgspec.Struct, frozen=True, kw_only=True):
    """What one house owes for calls of a tool."""

    house: str
    check: str
    why: str


class ToolView(msgspec.Struct, frozen=True, kw_only=True):
    """One tool in full."""

    name: str
    doc: str
    digest: str
    """Of its contract."""
    contract: ToolContract
    arguments: object
    """The JSON Schema of what it takes."""
    result: object
    """The JSON Schema of what it gives; null for a tool of steps."""
    owed: tuple[Owed, ...]


class Called(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one call."""

    status: Status
    receipt: str
    tool: str
    value: object
    """null where there is no result."""
    error: Told | None
    approval: str | None
    """What the call waits for, or used up."""
    obligations: tuple[Obligation, ...]
    """What the house demanded."""
    prediction: Prediction | None
    """What was said of the call before it was made; null where nobody asked."""
    cached_from: str | None
    degraded_from: str | None


@click.command("list")
@paths_argument
@house_option
@json_option
def list_(paths: tuple[Path, ...], house: str, out: Output) -> None:
    """List the tools that can be called: what they do to the world and how that is taken back.

    PATHs hold further contracts of tools and houses. With `--house`: what that house owes for each.
    """
    shop = opened_shop(paths)
    name = house_of(shop, house).name if house else ""
    served = [shop.shelf.get(tool) for tool in shop.shelf.names]
    rows = tuple(
        ToolRow(
            name=one.name,
            effect=one.contract.effect,
            reversal=one.contract.reversal,
            doc=one.doc,
            owed=tuple(debt.check for debt in owed_for(shop, one) if debt.house == name),
        )
        for one in served
    )
    headers = ("TOOL", "EFFECT", "REVERSAL", *(("OWED",) if house else ()), "DOES")
    out.table(
        ToolRows(tools=rows),
        headers,
        (
            (row.name, row.effect, row.reversal, *((", ".join(row.owed) or "-",) if house else ()), _first(row.doc))
            for row in rows
        ),
    )


@click.command()
@click.argument("name", metavar="NAME")
@contracts_option
@json_option
def show(name: str, paths: tuple[Path, ...], out: Output) -> None:
    """Show one tool: what it takes and gives, what it touches, its bounds, what houses owe for it."""
    shop = opened_shop(paths)
    served = shop.shelf.get(name)
    view = ToolView(
        name=served.name,
        doc=served.doc,
        digest=served.digest,
        contract=served.contract,
        arguments=served.arguments_schema,
        result=served.result_schema,
        owed=owed_for(shop, served),
    )
    out.answer(view, lambda: tool_words.tool(served, [shop.houses[one] for one in sorted(shop.houses)]))


@click.command()
@click.argument("name", metavar="NAME")
@arg_option
@arguments_option
@house_option
@click.option(
    "--mode",
    type=click.Choice([mode.value for mode in Mode]),
    default=Mode.SIMPLE.value,
    show_default=True,
    help="How much is demanded of the call.",
)
@click.option("--run", "run_id", help="The run that the call belongs to.")
@click.option("--session", help="The session that the call belongs to.")
@click.option("--agent", help="The agent on whose behalf.")
@click.option("--evidence", multiple=True, metavar="RECEIPT", help="A receipt that the call rests on; repeatable.")
@click.option("--plan", help="The plan that the call follows.")
@click.option("--approval", metavar="APPROVAL", help="The approval that the call uses.")
@contracts_option
@state_option
@json_option
def call(
    name: str,
    pairs: tuple[str, ...],
    file: Path | None,
    house: str,
    mode: str,
    run_id: str | None,
    session: str | None,
    agent: str | None,
    evidence: tuple[str, ...],
    plan: str | None,
    approval: str | None,
    paths: tuple[Path, ...],
    state: Path,
    out: Output,
) -> Exit:
    """Call a tool, as governed as any agent's call: the value on stdout, its receipt and prediction on stderr.

    A value of `--arg` is text, or JSON where the argument is no text. `repo_path` is the current folder where it is
    left out. Exit 3 where a rule, the house or the scope forbids it, 4 where a person must approve it first.
    """
    shop = opened_shop(paths)
    served = shop.shelf.find(name)
    made = Call(
        approval=approval,
        arguments=arguments_of(served, pairs, file),
        caller=caller_of(house=house, run=run_id, session=session, agent=agent),
        evidence=evidence,
        mode=Mode(mode),
        plan=plan,
        tool=name,
    )
    return told_as(_ran(shop, state, paths, lambda runtime: runtime.call(made)), out)


@click.command()
@click.argument("receipt", metavar="RECEIPT")
@click.option("--force", is_flag=True, help="Also where somebody has written since.")
@house_option
@click.option("--approval", metavar="APPROVAL", help="The approval that taking it back uses.")
@contracts_option
@state_option
@json_option
def undo(
    receipt: str,
    force: bool,
    house: str,
    approval: str | None,
    paths: tuple[Path, ...],
    state: Path,
    out: Output,
) -> Exit:
    """Put back the files that a call has changed. Taking back is a call of its own, with a receipt of its own."""
    made = Call(approval=approval, caller=caller_of(house=house), tool="")
    shop = opened_shop(paths)
    return told_as(_ran(shop, state, paths, lambda runtime: runtime.undo(receipt, made, forced=force)), out)


# What commands over tools share


def opened_shop(paths: Sequence[Path]) -> Shop:
    """Tools, houses and policies of contract files. Raises ContractErrors for files that are wrong."""
    shop = shop_of(paths)
    if shop.errors:
        raise ContractErrors(list(shop.errors))
    return shop


def house_of(shop: Shop, name: str) -> HouseContract:
    """Raises `usage` for a house that is not there."""
    found = shop.houses.get(name)
    if found is None:
        raise WardwrightError("usage", f"no house is named `{name}`", hint=did_you_mean(name, shop.houses))
    return found


def owed_for(shop: Shop, served: Served) -> tuple[Owed, ...]:
    """What houses owe for calls of a tool, by house."""
    return tuple(
        Owed(house=name, check=one.check, why=one.why)
        for name, house in sorted(shop.houses.items())
        for one in house.obligations
        if served.contract.effect in one.effects
    )


def caller_of(
    *, house: str = "", run: str | None = None, session: str | None = None, agent: str | None = None
) -> Caller:
    """Who calls from a command line: whoever may read the state directory may say so."""

    def said(value: str | None) -> Sourced | None:
        return Sourced("trusted_auth", value) if value else None

    return Caller(agent=said(agent), house=said(house), run=said(run), session=said(session))


def arguments_of(served: Served | None, pairs: Sequence[str], file: Path | None) -> dict[str, object]:
    """The arguments of a call, from both ways in which they are given. Raises `usage`."""
    given: dict[str, object] = {} if file is None else _object_of(file)
    types = {} if served is None else _types(served)
    for pair in pairs:
        name, sign, text = pair.partition("=")
        if not sign or not name:
            raise WardwrightError("usage", f"`{pair}` is no argument", hint="write it as `path=/srv/notes.txt`")
        wanted = types.get(name)
        if wanted is not None and _is_list(wanted) and not text.startswith("["):
            earlier = given.get(name, [])
            given[name] = [*(earlier if isinstance(earlier, list) else [earlier]), text]
        else:
            given[name] = _value_of(text, wanted)
    if FOLDER_ARGUMENT in types and FOLDER_ARGUMENT not in given:
        given[FOLDER_ARGUMENT] = str(Path.cwd())
    return given


def told_as(ended: Ended, out: Output) -> Exit:
    """Tell what came of a call; the command's exit code."""
    receipt, error = ended.receipt, ended.error
    if error is not None and error.code == "approval_required":
        error = WardwrightError(error.code, error.message, hint=_next(receipt.approval or ""))
    called = Called(
        approval=receipt.approval,
        cached_from=receipt.cached_from,
        degraded_from=receipt.degraded_from,
        error=None if error is None else told(error),
        obligations=receipt.obligations,
        prediction=receipt.prediction,
        receipt=receipt.receipt,
        status=receipt.status,
        tool=receipt.tool.name,
        value=ended.value,
    )
    if out.as_json:
        out.answer(called, ())
    else:
        if error is None:
            out.answer(called, lambda: tool_words.value(ended.value))
        else:
            out.fail(error)
            out.note("")
        _beside(ended, out)
    return Exit.OK if error is None else exit_of(error)


def _beside(ended: Ended, out: Output) -> None:
    receipt = ended.receipt
    if receipt.prediction is not None:
        out.note(f"foretold  {tool_words.foretold(receipt.prediction)}")
    if receipt.degraded_from is not None:
        out.note(f"degraded  `{receipt.tool.name}` stands in for `{receipt.degraded_from}`, which failed")
    if receipt.cached_from is not None:
        out.note(f"cached    given again from {receipt.cached_from}")
    word = receipt.status.replace("_", " ")
    out.note(f"receipt   {receipt.receipt}, {word} in {duration(receipt.timings.total_us)}")


def _next(approval: str) -> str:
    """What to type once a call waits for a person."""
    root = click.get_current_context().find_root()
    words = list(root.obj)
    if "--approval" in words:
        del words[(place := words.index("--approval")) : place + 2]
    again = shlex.join([root.info_name or "wardwright", *words, "--approval", approval])
    return f"`wardwright approval approve {approval}`, then `{again}`"


def _ran(
    shop: Shop,
    state: Path,
    paths: Sequence[Path],
    act: Callable[[ToolRuntime], Coroutine[Any, Any, Ended]],
) -> Ended:
    folder = next((path for path in paths if path.is_dir()), None)
    instrumentation.set_on_retry_hooks(())  # the receipt tells of attempts; a log on stderr would be talk of nobody's

    async def once() -> Ended:
        runtime = ToolRuntime(state, shop, settings.load(folder, os.environ), watching=False)
        await runtime.open()
        try:
            return await act(runtime)
        finally:
            await runtime.aclose()

    return asyncio.run(once())


def _object_of(file: Path) -> dict[str, object]:
    try:
        data = sys.stdin.buffer.read(ARGUMENT_BYTES_MAX + 1) if str(file) == "-" else file.read_bytes()
        return msgspec.json.decode(data, type=dict[str, object])
    except OSError as cause:
        raise WardwrightError("usage", f"`{file}` cannot be read: {cause.strerror}") from cause
    except msgspec.MsgspecError as cause:
        hint = 'such as `{"path": "/srv/notes.txt"}`'
        raise WardwrightError("usage", f"`{file}` holds no JSON object of arguments", hint=hint) from cause


def _types(served: Served) -> Mapping[str, inspect.Type]:
    info = inspect.type_info(served.arguments)
    assert isinstance(info, inspect.StructType)
    return {field.name: field.type for field in info.fields}


def _alternatives(type_: inspect.Type) -> tuple[inspect.Type, ...]:
    inner, _ = unwrapped(type_)
    return inner.types if isinstance(inner, inspect.UnionType) else (inner,)


def _is_list(type_: inspect.Type) -> bool:
    return any(isinstance(unwrapped(one)[0], inspect.VarTupleType | inspect.ListType) for one in _alternatives(type_))


def _value_of(text: str, type_: inspect.Type | None) -> object:
    """Text where the argument takes text or is unknown, else JSON; what is no JSON is for the tool to refuse."""
    if type_ is None:
        return text
    for one in _alternatives(type_):
        inner, _ = unwrapped(one)
        if isinstance(inner, inspect.StrType) or (
            isinstance(inner, inspect.LiteralType) and any(isinstance(value, str) for value in inner.values)
        ):
            return text
    try:
        return msgspec.json.decode(text)
    except msgspec.MsgspecError:
        return text


def _first(doc: str) -> str:
    """The first sentence."""
    return doc.partition(". ")[0].rstrip(".")
