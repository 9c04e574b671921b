"""`wardwright harness adapt`: thresholds of tools, as their calls say they should be."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import click
import msgspec

from wardwright.cli.exits import Exit
from wardwright.cli.figures import counted, instant_of
from wardwright.cli.options import json_option, paths_argument, state_option
from wardwright.cli.output import Output
from wardwright.cli.tool_words import percent
from wardwright.cli.tools import opened_shop
from wardwright.contracts.decode import Located
from wardwright.contracts.policy import PolicyContract
from wardwright.contracts.rewriting import Changes, appended, rewritten
from wardwright.contracts.tool import ToolContract
from wardwright.harness.core.adapting import (
    MEMBERS,
    Adapted,
    Rehearsed,
    ask_or_allow,
    asking,
    changed,
    enforced,
    proposals,
)
from wardwright.harness.core.receipt import ToolReceipt
from wardwright.kernel.errors import Place, WardwrightError
from wardwright.limits.adaptation import Bounds
from wardwright.runtime import library, settings
from wardwright.runtime.clock import SystemClock
from wardwright.runtime.offline import StoredJournal, require_state
from wardwright.runtime.settings import Adapt
from wardwright.runtime.tool_records import closed_calls, learned

ADAPTED: Final = "adapted.yaml"
"""Where tools that no document holds get one, in the first folder of contracts."""

UNDO_FILE: Final = "adapted.json"
"""In the state directory: what the files were before the last `--apply`."""


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """One file, before and after."""

    path: str
    before: str | None
    """None: it was not there."""
    after: str


class Adaptation(msgspec.Struct, frozen=True, kw_only=True):
    """What is proposed, and what came of it."""

    proposals: tuple[Rehearsed, ...]
    diff: str
    """Of the contract files."""
    files: tuple[str, ...]
    """Those that change."""
    applied: bool


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """Files that are as they were."""

    files: tuple[str, ...]


@click.command()
@paths_argument
@click.option("--since", default="30d", show_default=True, metavar="WHEN", help="Which calls, for the rehearsal.")
@click.option("--tenant", default="local", show_default=True, help="Whose calls.")
@click.option("--apply", is_flag=True, help="Write the files; the next reload takes them over.")
@click.option("--undo", is_flag=True, help="Put the files back as they were before the last `--apply`.")
@state_option
@json_option
def adapt(paths: tuple[Path, ...], since: str, tenant: str, apply: bool, undo: bool, state: Path, out: Output) -> Exit:
    """Propose other timeouts, attempts and breaker limits for tools, as changed contracts with their evidence.

    PATHs hold the contracts; the bounds stand in `adapt` of the settings in the first folder, and nothing is proposed
    without them. With `allow` in `adapt`, a rule that does nothing but ask a person about one tool goes into shadow
    where that tool hardly ever fails, and is enforced again where it does. Exit 2 where something would change.
    """
    if undo:
        return _undone(state, out)
    require_state(state)
    folder = next((path for path in paths if path.is_dir()), None)
    declared = settings.load(folder, os.environ).adapt
    bounds = bounds_of(declared)
    if not bounds and not declared.allow:
        hint = (
            "write `adapt: {timeout_s: {low: 5, high: 120, step_max: 10}}` into `wardwright.yaml` beside the contracts"
        )
        raise WardwrightError("settings_invalid", "no threshold of tools has declared bounds", hint=hint)
    now_us = SystemClock().now_us()
    shop, read = opened_shop(paths), library.read(paths)
    calls, patterns = _span(state, tenant, instant_of(since, now_us)), learned(StoredJournal(state).reader)
    found: list[Rehearsed] = []
    edits = _Edits()
    for name in sorted(calls):
        served = shop.shelf.find(name)
        if served is None:
            continue
        made = proposals(served.contract, calls[name], patterns, bounds, tenant=tenant, now_us=now_us)
        if made:
            edits.of_tool(served.contract, made, read.tools.get(served.name), folder)
            found += made
    for document in read.policies.values() if declared.allow else ():
        policy = document.value
        rules = (
            ask_or_allow(policy, rule, tool, calls.get(tool, ()), patterns, tenant=tenant, now_us=now_us)
            for rule, tool in asking(policy)
        )
        made = tuple(one for one in rules if one is not None)
        if made:
            edits.of_policy(document, made)
            found += made
    files = tuple(edits.files.values())
    if apply and files:
        _write(files, state)
    adaptation = Adaptation(
        applied=apply and bool(files),
        diff="".join(_diff(files)),
        files=tuple(one.path for one in files),
        proposals=tuple(found),
    )
    out.answer(adaptation, lambda: _lines(adaptation))
    return Exit.PENDING if files and not apply else Exit.OK


def bounds_of(declared: Adapt) -> dict[Adapted, Bounds]:
    """The bounds that somebody declared, by threshold."""
    given: dict[Adapted, settings.AdaptBounds | None] = {
        "attempts": declared.attempts,
        "failure_ppm": declared.failure_ppm,
        "timeout_s": declared.timeout_s,
    }
    return {
        name: Bounds(high=one.high, low=one.low, step_max=one.step_max)
        for name, one in given.items()
        if one is not None
    }


def _span(state: Path, tenant: str, since_us: int) -> dict[str, list[ToolReceipt]]:
    """Calls of a tenant by tool, in the order of time."""
    calls: dict[str, list[ToolReceipt]] = {}
    for receipt in sorted(closed_calls(StoredJournal(state).reader), key=lambda one: (one.started_at, one.receipt)):
        if receipt.caller.tenant.value == tenant and receipt.started_at >= since_us:
            calls.setdefault(receipt.tool.name, []).append(receipt)
    return calls


class _Edits:
    """Contract files with changes gathered into them."""

    def __init__(self) -> None:
        self.files: dict[str, Written] = {}

    def of_tool(
        self,
        contract: ToolContract,
        made: Sequence[Rehearsed],
        document: Located[ToolContract] | None,
        folder: Path | None,
    ) -> None:
        wanted = changed(contract, made)
        if document is None:
            path = str(_own(folder) / ADAPTED)
            self._put(path, appended(self._text(path), path, [wanted]))
            return
        changes = {MEMBERS[one]: to for one, to in _values(made)}
        path = document.file
        self._put(path, rewritten(self._text(path), path, {("tool", contract.name): changes}, [wanted]))

    def of_policy(self, document: Located[PolicyContract], made: Sequence[Rehearsed]) -> None:
        policy, path = document.value, document.file
        to = {(one.rule or "").partition("/")[2]: enforced(one.proposal.to) for one in made}
        rules = tuple(
            msgspec.structs.replace(rule, enforce=to[rule.id]) if rule.id in to else rule for rule in policy.rules
        )
        wanted = msgspec.structs.replace(policy, rules=rules)
        changes: Changes = {("rules", rule, "enforce"): word for rule, word in to.items()}
        self._put(path, rewritten(self._text(path), path, {("policy", policy.name): changes}, [wanted]))

    def _text(self, path: str) -> str:
        known = self.files.get(path)
        return known.after if known is not None else _text(Path(path)) or ""

    def _put(self, path: str, after: str) -> None:
        known = self.files.get(path)
        before = known.before if known is not None else _text(Path(path))
        self.files[path] = Written(after=after, before=before, path=path)


def _values(made: Sequence[Rehearsed]) -> Iterator[tuple[Adapted, int]]:
    for one in made:
        if one.proposal.threshold != "allow":
            yield one.proposal.threshold, one.proposal.to


def _own(folder: Path | None) -> Path:
    if folder is None:
        hint = "name a folder of contracts: `wardwright harness adapt contracts/`"
        raise WardwrightError(
            "usage", "a built-in tool is changed by a contract of its own, which needs a folder", hint=hint
        )
    return folder


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except FileNotFoundError:
        return None


def _write(files: Sequence[Written], state: Path) -> None:
    """Keep what is needed to go back, then write."""
    (state / UNDO_FILE).write_bytes(msgspec.json.encode(files))
    for one in files:
        _replace(Path(one.path), one.after)


def _undone(state: Path, out: Output) -> Exit:
    """Put back what the last `--apply` wrote, unless somebody has written since."""
    try:
        files = msgspec.json.decode((state / UNDO_FILE).read_bytes(), type=tuple[Written, ...])
    except FileNotFoundError:
        raise WardwrightError("usage", "nothing was applied that could be undone") from None
    for one in files:
        if _text(Path(one.path)) != one.after:
            message = "somebody has changed the file since it was adapted"
            raise WardwrightError("contract_invalid", message, place=Place(file=one.path), hint="change it by hand")
    for one in files:
        if one.before is None:
            Path(one.path).unlink()
        else:
            _replace(Path(one.path), one.before)
    (state / UNDO_FILE).unlink()
    restored = Restored(files=tuple(one.path for one in files))
    out.answer(restored, [f"{path} is as it was" for path in restored.files])
    return Exit.OK


def _replace(path: Path, text: str) -> None:
    """Whole or not at all: a gateway may read it meanwhile."""
    draft = path.with_name(f".{path.name}.adapting")
    draft.write_text(text)
    if path.exists():
        draft.chmod(path.stat().st_mode)
    draft.replace(path)


def _diff(files: Sequence[Written]) -> Iterator[str]:
    for one in files:
        before = (one.before or "").splitlines(keepends=True)
        old = one.path if one.before is not None else os.devnull
        yield from difflib.unified_diff(before, one.after.splitlines(keepends=True), old, one.path)


def _lines(found: Adaptation) -> Iterator[str]:
    if not found.proposals:
        yield "no threshold should be another, as far as calls say"
        return
    for one in found.proposals:
        proposal, known = one.proposal, one.prediction
        says = f"{proposal.low:,} or more" if proposal.high is None else f"{proposal.low:,} to {proposal.high:,}"
        if one.rule is not None:
            yield f"{one.tool}: the rule {one.rule} -> {enforced(proposal.to)}"
        else:
            yield f"{one.tool}: {proposal.threshold} {proposal.was:,} -> {proposal.to:,}"
        yield f"  {proposal.why}"
        says = f"calls say {says}; " if one.rule is None else ""
        yield (
            f"  evidence  n = {proposal.evidence_milli / 1000:.1f}; {says}"
            f"success {percent(known.success_ppm)} ({percent(known.low_ppm)} to {percent(known.high_ppm)})"
        )
        unknown = f", {one.unknown:,} more might have" if one.unknown else ""
        yield f"  rehearsal {one.otherwise:,} of {counted(one.calls, 'call')} would have come out otherwise{unknown}"
    yield ""
    yield from found.diff.rstrip("\n").split("\n")
    yield ""
    yield "written: the next reload takes it over" if found.applied else "nothing is written without `--apply`"
