"""A tool call's receipt as text: who asked, what was foretold, decided, owed and reached, what came of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from wardwright.cli.figures import counted, duration, instant, short
from wardwright.cli.receipt_words import caller_of
from wardwright.cli.tool_words import estimated_time, foretold, percent
from wardwright.contracts.house import CHECKS
from wardwright.harness.core.before import Absent, Snapshot, State
from wardwright.harness.core.receipt import Ruling, ToolReceipt
from wardwright.harness.core.rows import Summary
from wardwright.policy.decision import Decision, Fired
from wardwright.runtime.tool_records import Standing

HEADERS: Final = ("STARTED", "STATUS", "TOOL", "EFFECT", "HOUSE", "MODE", "TRIES", "FORETOLD", "TOOK", "RECEIPT")


def row(summary: Summary) -> tuple[str, ...]:
    """One line of a list."""
    guess = "-" if summary.predicted_ppm is None else percent(summary.predicted_ppm)
    return (
        instant(summary.started_at),
        summary.status if summary.error is None else f"{summary.status}: {summary.error}",
        summary.tool,
        summary.effect,
        summary.house or "-",
        summary.mode,
        str(summary.attempts),
        f"{guess} (unsure)" if summary.abstained else guess,
        duration(summary.total_us),
        summary.receipt,
    )


def lines(receipt: ToolReceipt, whys: Mapping[str, str], state: Standing = "closed") -> Iterator[str]:
    """The story of one call. `whys` are the reasons of rules, by `policy/rule`, as far as their policies are stored."""
    error = "" if receipt.error is None else f" with {receipt.error}"
    ended = f"{receipt.status.replace('_', ' ')}{error} in {duration(receipt.timings.total_us)}"
    if state == "open":
        ended = "is under way, or its record is not written yet"
    yield f"{receipt.receipt}  {receipt.tool.name} {ended}"
    yield ""
    yield f"called    {instant(receipt.started_at)} by {caller_of(receipt.caller)}"
    yield f"asked     {receipt.shape or 'nothing that was understood'}, in mode {receipt.mode}"
    if receipt.amended:
        yield f"set       {', '.join(receipt.amended)}, by rules"
    yield from _rests_on(receipt)
    yield f"tool      {short(receipt.tool.digest or None)}, effect {receipt.effect}, reversal {receipt.reversal}"
    if receipt.prediction is not None:
        yield f"foretold  {foretold(receipt.prediction)}"
        if told := estimated_time(receipt.prediction):
            yield f"          {told}"
    yield from _labelled("rules", _rules(receipt, whys))
    yield from _labelled("owed", _owed(receipt))
    if receipt.approval is not None:
        used = "waits for" if receipt.status == "awaiting_approval" else "named"
        yield f"approval  {used} {receipt.approval}"
    yield from _labelled("reach", _reach(receipt))
    if receipt.attempts:
        yield f"walls     {_WALLS.get(receipt.walls, receipt.walls)}"
    yield from _labelled("ran", _ran(receipt))
    yield from _labelled("changed", map(_changed, receipt.snapshots))
    if receipt.result_bytes:
        yield f"gave      {receipt.result_bytes:,} bytes"
    timings = receipt.timings
    yield f"timings   decided {duration(timings.decided_us)}, ran {duration(timings.ran_us)}, total " + duration(
        timings.total_us
    )
    if receipt.captured:
        yield "bodies    captured: `--bodies` shows them while they are kept"


_WALLS: Final = {
    "both": "bubblewrap and Landlock around its programs",
    "bubblewrap": "bubblewrap around its programs",
    "landlock": "Landlock around its programs",
    "none": "none around programs",
}


def _rests_on(receipt: ToolReceipt) -> Iterator[str]:
    if receipt.plan is not None:
        yield f"plan      {receipt.plan}"
    if receipt.evidence:
        yield f"evidence  {', '.join(receipt.evidence)}"
    if receipt.parent is not None:
        yield f"step of   {receipt.parent}"
    if receipt.degraded_from is not None:
        yield f"instead   of {receipt.degraded_from}, which failed"
    if receipt.undoes is not None:
        yield f"undoes    {receipt.undoes}"


def _rules(receipt: ToolReceipt, whys: Mapping[str, str]) -> Iterator[str]:
    if not receipt.policies:
        yield "no policy speaks of this call"
        return
    names = ", ".join(f"{name} ({short(digest)})" for name, digest in receipt.policies)
    spoke = [line for ruling in receipt.policy for line in _ruling(ruling, whys)]
    if not spoke:
        yield f"{names}: every rule was silent"
        return
    yield names
    yield from spoke


def _ruling(ruling: Ruling, whys: Mapping[str, str]) -> Iterator[str]:
    for fired in ruling.decision.reasons:
        name = f"{fired.policy}/{fired.rule}"
        yield f"{ruling.phase}: {name}: {_did(fired, ruling.decision)}"
        if why := whys.get(name):
            yield f"  because {why}"


def _did(fired: Fired, decision: Decision) -> str:
    unsure = f"could not be told ({'; '.join(fired.unknown)}), " if fired.unknown else ""
    for proposals, words in (
        (decision.kept, "{}"),
        (decision.lost, "gave way, and would have: {}"),
        (decision.shadow, "would have, in shadow: {}"),
    ):
        done = [one.effect for one in proposals if (one.policy, one.rule) == (fired.policy, fired.rule)]
        if done:
            return unsure + words.format(", ".join(effect.replace("_", " ") for effect in dict.fromkeys(done)))
    return f"{unsure}fired and asked for nothing"


def _owed(receipt: ToolReceipt) -> Iterator[str]:
    for one in receipt.obligations:
        if one.met:
            shown = f" by {', '.join(one.evidence)}" if one.evidence else ""
            yield f"{one.check}: shown{shown}"
        else:
            yield f"{one.check}: not shown: {one.why or CHECKS[one.check]}"


def _reach(receipt: ToolReceipt) -> Iterator[str]:
    scope = receipt.scope
    if scope is None:
        return
    named = {
        "reads": scope.read,
        "writes": scope.write,
        "hosts": scope.hosts,
        "public hosts": scope.public_hosts,
        "programs": scope.programs,
        "variables": scope.environment,
    }
    told = [f"{word} {', '.join(entries)}" for word, entries in named.items() if entries]
    yield from told or ("nothing",)


def _ran(receipt: ToolReceipt) -> Iterator[str]:
    if receipt.cached_from is not None:
        yield f"not at all: given again from {receipt.cached_from}"
    elif receipt.undoes is not None and receipt.status == "completed":
        yield "put back what was kept"
    elif not receipt.attempts:
        stepped = receipt.status in ("completed", "failed", "timed_out")
        yield "its steps, each a call of its own" if stepped else "not at all"
    for number, one in enumerate(receipt.attempts, start=1):
        ended = "succeeded" if one.error is None else f"failed: {one.error}"
        which = f"attempt {number}: " if len(receipt.attempts) > 1 else ""
        yield f"{which}{ended} after {duration(one.took_us)}"


def _changed(snapshot: Snapshot) -> str:
    after = "not known" if snapshot.after is None else _state(snapshot.after)
    return f"{snapshot.path}: {_state(snapshot.before)} -> {after}"


def _state(state: State) -> str:
    return "absent" if isinstance(state, Absent) else counted(state.size, "byte")


def _labelled(word: str, told: Iterable[str]) -> Iterator[str]:
    for place, line in enumerate(told):
        yield f"{word if not place else '':<9} {line}"
