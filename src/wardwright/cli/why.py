"""`wardwright receipt why`: the story of one call, and of everything else in its run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, Literal

import click
import msgspec

from wardwright.calls.receipt import Receipt, said
from wardwright.calls.receipt import Summary as ModelSummary
from wardwright.cli import policy_words, receipt_words, tool_receipt_words
from wardwright.cli.figures import counted, duration, instant, usd
from wardwright.cli.options import json_option, state_option
from wardwright.cli.output import Output, columns
from wardwright.cli.recorded import Recorded
from wardwright.contracts.policy import PolicyContract
from wardwright.harness.core.receipt import PREFIX, ToolReceipt
from wardwright.harness.core.rows import Summary as ToolSummary
from wardwright.harness.core.rows import summary_of
from wardwright.journal.store import Where
from wardwright.kernel.errors import WardwrightError
from wardwright.rehearsal.replay import Load, policies_of, policy_of
from wardwright.runtime.tool_records import PAGE_MAX, Standing, ToolRecords, receipt_among, standing_of

RUN_CALLS_MAX: Final = 1000
"""Calls of one kind in one run that are told, the newest."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One call of the run."""

    started_at: int
    """µs since the epoch."""
    kind: Literal["model", "tool"]
    name: str
    status: str
    error: str | None
    house: str
    total_us: int
    cost_nano_usd: int
    receipt: str
    parent: str | None
    """The call that it is a step of, or stands in for."""
    depth: int
    """How many calls it lies within, of those in the run."""


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """The story of one call."""

    id: str
    state: Standing
    tool: ToolReceipt | None
    """Set for a tool call."""
    model: Receipt | None
    """Set for a model call."""
    reasons: dict[str, str]
    """Why rules that were not silent exist, by `policy/rule`, as far as their policies are stored here."""
    run: str | None
    """The run that the call belongs to."""
    steps: tuple[Step, ...]
    """All calls of the run in the order of time, steps below what they are steps of."""
    older: bool
    """Older calls of the run were left out."""


@click.command("why")
@click.argument("receipt", metavar="RECEIPT")
@state_option
@json_option
def why(receipt: str, state: Path, out: Output) -> None:
    """Tell why a call went as it did, and what else its run did: calls of models and tools together."""
    with Recorded(state) as recorded, ToolRecords(state) as tools:
        found = story(receipt, recorded, tools)
    out.answer(found, lambda: lines(found))


def story(id_: str, recorded: Recorded, tools: ToolRecords) -> Why:
    """Raises `receipt_not_found`."""
    is_tool = id_.startswith(f"{PREFIX}_")
    tool = tools.receipt(id_) if is_tool else None
    model = recorded.receipt(id_) if tool is None else None
    if tool is not None:
        fired = (one for ruling in tool.policy for one in ruling.decision.reasons)
        reasons = reasons_of(tool.policies, recorded.load)
        run, tenant = said(tool.caller.run), tool.caller.tenant.value
    else:
        assert model is not None
        fired = (one for ruling in model.policy for one in ruling.decision.reasons)
        reasons = _reasons_of_model(model, recorded.load)
        run, tenant = said(model.caller.run), model.caller.tenant.value
    spoke = {f"{one.policy}/{one.rule}" for one in fired}
    older = False
    steps: tuple[Step, ...] = ()
    if run is None and tool is not None:
        run = id_  # what is made of steps, and in no run, is the run of its steps
    if run is not None:
        older, steps = _run(run, tenant, recorded, tools)
    return Why(
        id=id_,
        model=model,
        older=older,
        reasons={name: text for name, text in sorted(reasons.items()) if name in spoke},
        state=standing_of(tools.records(id_)) if is_tool else "closed",
        run=None if run == id_ and len(steps) < 2 else run,
        steps=steps,
        tool=tool,
    )


def reasons_of(policies: Iterable[tuple[str, str]], load: Load) -> dict[str, str]:
    """Why rules exist, by `policy/rule`; of policies that are not stored here nothing is known."""
    found: dict[str, str] = {}
    for name, digest in policies:
        try:
            policy: PolicyContract = policy_of(digest, load)
        except (WardwrightError, msgspec.MsgspecError):
            continue
        found.update((f"{name}/{rule.id}", rule.why) for rule in policy.rules)
    return found


def lines(found: Why) -> Iterator[str]:
    """The story for people."""
    if found.tool is not None:
        yield from tool_receipt_words.lines(found.tool, found.reasons, found.state)
    else:
        assert found.model is not None
        yield from _model_lines(found.model, found.reasons)
    if found.run is None:
        return
    yield ""
    cost = sum(one.cost_nano_usd for one in found.steps)
    spent = f", {usd(cost)}" if any(one.kind == "model" for one in found.steps) else ""
    yield f"run {found.run}: {counted(len(found.steps), 'call')}{spent}" + (
        ", older ones left out" if found.older else ""
    )
    rows = [
        (
            ">" if one.receipt == found.id else " ",
            instant(one.started_at),
            one.kind,
            f"{'  ' * one.depth}{one.name}",
            one.status.replace("_", " ") if one.error is None else f"{one.status.replace('_', ' ')}: {one.error}",
            one.house or "-",
            duration(one.total_us),
            one.receipt,
        )
        for one in found.steps
    ]
    if rows:
        yield from columns(rows)


def _model_lines(receipt: Receipt, reasons: Mapping[str, str]) -> Iterator[str]:
    name = receipt.request.model if receipt.contract is None else receipt.contract.name
    error = "" if receipt.error is None else f" with {receipt.error}"
    ended = f"{receipt.status.replace('_', ' ')}{error} in {duration(receipt.timings.total_us)}"
    yield f"{receipt.receipt}  {name} {ended}"
    yield ""
    yield from receipt_words.asked(receipt)
    yield from receipt_words.route(receipt)
    yield f"way       {receipt_words.way(receipt)}"
    told = policy_words.decided(receipt)
    for place, line in enumerate(told or ["every rule was silent, or none was asked"]):
        yield f"{'rules' if not place else '':<9} {line}"
    for rule, reason in reasons.items():
        yield f"          {rule}: because {reason}"
    yield f"cost      {receipt_words.bill(receipt)}"


def _reasons_of_model(receipt: Receipt, load: Load) -> dict[str, str]:
    try:
        return reasons_of(policies_of(receipt, load), load)
    except (WardwrightError, msgspec.MsgspecError):
        return {}


def _run(run: str, tenant: str, recorded: Recorded, tools: ToolRecords) -> tuple[bool, tuple[Step, ...]]:
    """Every call of a run, in order; whether older ones were left out."""
    where = (Where("tenant", "eq", tenant), Where("run", "eq", run))
    found: list[Step] = []
    if run.startswith(f"{PREFIX}_") and (whole := receipt_among(tools.records(run))) is not None:
        found.append(_of_tool(summary_of(whole)))
    older = False
    cursor: str | None = None
    for _ in range(RUN_CALLS_MAX // PAGE_MAX):
        page = tools.page(where, limit=PAGE_MAX, cursor=cursor)
        found += map(_of_tool, page.data)
        if (cursor := page.next) is None:
            break
    older |= cursor is not None
    cursor = None
    for _ in range(RUN_CALLS_MAX // PAGE_MAX):
        rows, cursor = recorded.summaries(where, limit=PAGE_MAX, cursor=cursor)
        found += map(_of_model, rows)
        if cursor is None:
            break
    return older or cursor is not None, tuple(_in_order(found))


def _in_order(steps: Iterable[Step]) -> Iterator[Step]:
    """By time, what a call is made of right behind it and deeper."""
    known = {one.receipt: one for one in sorted(steps, key=lambda one: (one.started_at, one.receipt))}
    below: dict[str | None, list[Step]] = {}
    for one in known.values():
        below.setdefault(one.parent if one.parent in known else None, []).append(one)
    waiting = [(one, 0) for one in reversed(below.get(None, []))]
    while waiting:
        one, depth = waiting.pop()
        yield msgspec.structs.replace(one, depth=depth)
        waiting.extend((inner, depth + 1) for inner in reversed(below.get(one.receipt, [])))


def _of_tool(summary: ToolSummary) -> Step:
    return Step(
        cost_nano_usd=0,
        depth=0,
        error=summary.error,
        house=summary.house,
        kind="tool",
        name=summary.tool,
        parent=summary.parent,
        receipt=summary.receipt,
        started_at=summary.started_at,
        status=summary.status,
        total_us=summary.total_us,
    )


def _of_model(summary: ModelSummary) -> Step:
    return Step(
        cost_nano_usd=summary.cost_nano_usd,
        depth=0,
        error=summary.error,
        house=summary.house or "",
        kind="model",
        name=summary.model or summary.asked or "-",
        parent=None,
        receipt=summary.receipt,
        started_at=summary.started_at,
        status=summary.status,
        total_us=summary.total_us,
    )
