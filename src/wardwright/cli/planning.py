"""`wardwright model plan`: the route of one request, explained without calling anyone.

The request passes the same machine as a live call, up to its plan: in the gateway that runs, with the health it sees
now, or in this process over what is stored, or over contract files that do not serve yet.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import IO, Final

import click
import msgspec

from wardwright.api.models import Simulated
from wardwright.calls.receipt import Receipt
from wardwright.cli.door import Door, inside, open_door
from wardwright.cli.exits import Exit, exit_of
from wardwright.cli.figures import short
from wardwright.cli.models import active_contracts, records_of
from wardwright.cli.options import json_option, name_argument, state_option, url_option
from wardwright.cli.output import Output
from wardwright.contracts.refusal import ContractErrors, did_you_mean
from wardwright.dialects.openai_request import decode_chat
from wardwright.kernel.errors import Place, WardwrightError
from wardwright.routing.graph import resolve
from wardwright.routing.plan import Plan, RouteFacts
from wardwright.routing.planner import plan as planned
from wardwright.runtime import library

STEP_MAX: Final = 100_000


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """The plan at one step of the conversation."""

    step: int
    """Assistant messages before the call."""
    plan: Plan


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """How one request would be routed."""

    model: str
    version: str
    """The digest of the version that would serve."""
    canary: bool
    variant: str | None
    facts: RouteFacts
    """Everything that the decision sees."""
    estimate: str
    """The method behind `facts.input_tokens`."""
    error_ppm: int
    plan: Plan
    steps: tuple[Step, ...]
    """Those asked for with `--step`."""


@click.command()
@name_argument
@click.argument("request", type=click.File("rb"), metavar="REQUEST.json")
@click.option(
    "--step",
    "steps",
    multiple=True,
    type=click.IntRange(0, STEP_MAX),
    help="Also plan as if the conversation were at this step, to see how an alloy alternates; repeatable.",
)
@click.option(
    "--contracts",
    "paths",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="Plan over these contract files, served or not; repeatable.",
)
@state_option
@url_option
@json_option
def plan(
    name: str,
    request: IO[bytes],
    steps: tuple[int, ...],
    paths: tuple[Path, ...],
    state: Path,
    url: str | None,
    out: Output,
) -> Exit:
    """Explain the route of a request without calling anyone.

    REQUEST.json holds the body of a chat request, `-` reads it from stdin. Exit 1 or 3 where the request would be
    refused.
    """
    body = _body(name, request.read(), getattr(request, "name", "REQUEST.json"))
    if paths:
        read = library.read(paths)
        if read.errors:
            raise ContractErrors(read.errors)
        with inside(state, library=read) as door:
            explained = _explained(door, name, body, steps)
    else:
        with open_door(state, url) as door:
            explained = _explained(door, name, body, steps)
    out.answer(explained, lambda: _lines(explained))
    refusal = explained.plan.refusal
    return Exit.OK if refusal is None else exit_of(WardwrightError(refusal.code, refusal.message))


def _body(name: str, content: bytes, file: str) -> bytes:
    """The request with its model replaced. Raises what a gateway would answer, with the file's name."""
    try:
        members = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
        members["model"] = msgspec.Raw(msgspec.json.encode(name))
        body = msgspec.json.encode(members)
        decode_chat(body)
    except msgspec.DecodeError as error:
        message = f"the request is no JSON object: {error}"
        raise WardwrightError("invalid_json", message, place=Place(file=file)) from error
    except WardwrightError as error:
        path = None if error.place is None else error.place.path
        raise WardwrightError(error.code, error.message, place=Place(file=file, path=path), hint=error.hint) from error
    return body


def _explained(door: Door, name: str, body: bytes, steps: Iterable[int]) -> Explained:
    models = active_contracts(records_of(door))
    if name.removeprefix("wardwright/") not in models:
        raise WardwrightError("model_not_found", f"no model `{name}` serves here", hint=did_you_mean(name, models))
    trial = {"request": msgspec.Raw(body)}
    receipt = door.ask("POST", "/v1/synthetic/simulate", Simulated, body=trial).receipt
    contract, facts = receipt.contract, receipt.facts
    if contract is None or facts is None or receipt.plan is None:
        raise _unplanned(receipt)
    route = resolve(contract.name, models) if not contract.canary else None
    if steps and route is None:
        raise WardwrightError("usage", "a canary version serves this request; `--step` plans the active one alone")
    return Explained(
        model=contract.name,
        version=contract.digest,
        canary=contract.canary,
        variant=contract.variant,
        facts=facts,
        estimate=receipt.request.estimate,
        error_ppm=receipt.request.error_ppm,
        plan=receipt.plan,
        steps=tuple(
            Step(step=step, plan=planned(route, msgspec.structs.replace(facts, step=step)))
            for step in steps
            if route is not None
        ),
    )


def _unplanned(receipt: Receipt) -> WardwrightError:
    code = receipt.error or "internal_error"
    error = WardwrightError(code, "")
    return WardwrightError(code, f"the request would be refused before it is routed: {error.row.means}")


def _lines(explained: Explained) -> Iterable[str]:
    facts = explained.facts
    canary = ", the canary" if explained.canary else ""
    variant = "" if explained.variant is None else f", variant {explained.variant}"
    yield f"{explained.model} ({short(explained.version)}{canary}{variant})"
    band = f" ±{explained.error_ppm // 10_000} %" if explained.error_ppm else ""
    yield f"  input     about {facts.input_tokens} tokens ({explained.estimate}{band})"
    yield f"  output    {facts.output_tokens} tokens at most"
    yield f"  step      {facts.step}, turn {facts.turn}"
    if facts.capabilities:
        yield f"  asks for  {', '.join(facts.capabilities)}"
    for member in ("agent", "application", "house", "region", "data_class", "cost_usd_max"):
        value = getattr(facts, member)
        if value is not None:
            yield f"  {member:<9} {value}"
    if facts.tags:
        yield f"  tags      {', '.join(facts.tags)}"
    yield ""
    yield from plan_lines(explained.plan)
    for step in explained.steps:
        order = ", ".join(attempt.target for attempt in step.plan.attempts) or _refused(step.plan)
        yield f"step {step.step}: {order}"


def plan_lines(plan: Plan) -> Iterable[str]:
    """What would be tried and what not, with reasons."""
    for draw in plan.draws:
        order = ", ".join(str(member) for member in draw.order)
        yield f"draw {draw.index} of {'.'.join(draw.lineage)}, {draw.strategy}: members {order}"
    for index, attempt in enumerate(plan.attempts, 1):
        way = ".".join(attempt.lineage)
        yield f"{index}. {attempt.target}: {attempt.provider}/{attempt.model}, by {way}"
    for skip in plan.skipped:
        detail = f": {skip.detail}" if skip.detail else ""
        yield f"-  {skip.target}: {skip.reason.replace('_', ' ')}{detail}"
    if plan.refusal is not None:
        yield _refused(plan)


def _refused(plan: Plan) -> str:
    assert plan.refusal is not None
    return f"refused: {plan.refusal.message}  [{plan.refusal.code}]"
