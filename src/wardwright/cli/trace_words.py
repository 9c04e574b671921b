"""A trace as text: one block a phase, one line a rule, one line a comparison. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, assert_never

from wardwright.calls.ruling import Caught
from wardwright.cli.figures import counted, duration, short
from wardwright.cli.policy_words import beside
from wardwright.policy.decision import Decision, Proposal, Span, proposed_by
from wardwright.policy.explain import action_words
from wardwright.rehearsal.trace import AttemptTrace, PhaseTrace, RuleTrace, Trace
from wardwright.rehearsal.weighed import Combined, Comparison, Condition, shown

_HELD: Final = {True: "holds", False: "does not hold", None: "cannot be told"}
_FORMS: Final = {"all": "all of", "any": "any of", "not": "not"}


def lines(found: Trace) -> Iterable[str]:
    """One call for people."""
    error = "" if found.error is None else f" with {found.error}"
    yield f"{found.receipt}  {found.model} {found.status.replace('_', ' ')}{error}"
    if not found.policies:
        yield "no policy governed this call"
        return
    named = ", ".join(f"{one.name} ({short(one.digest)})" for one in found.policies)
    yield f"policies  {named}"
    for phase in found.before:
        yield ""
        yield from _phase(phase, phase.phase)
    for index, attempt in enumerate(found.attempts, start=1):
        yield ""
        yield from _attempt(index, attempt)
    for phase in found.after:
        yield ""
        yield from _phase(phase, phase.phase)
    if told := list(beside(found)):
        yield ""
        yield from told


def _attempt(index: int, attempt: AttemptTrace) -> Iterator[str]:
    ended = {None: "answered", "stopped": "given up by a rule"}.get(
        attempt.failure, f"failed: {(attempt.failure or '').replace('_', ' ')}"
    )
    tokens = attempt.usage.output_total
    spent = f", {counted(tokens, 'token')} thrown away" if attempt.failure == "stopped" and tokens else ""
    yield (
        f"attempt {index}: {attempt.target} ({attempt.provider}/{attempt.model}), "
        f"{duration(attempt.took_us)}, {ended}{spent}"
    )
    for phase in attempt.phases:
        for line in _phase(phase, phase.phase):
            yield f"  {line}"
    if attempt.anew is not None:
        anew = attempt.anew
        then = f"no target was left: {anew.refused}" if anew.refused is not None else f"then {', '.join(anew.targets)}"
        yield f"  again, as {', '.join(anew.rules) or 'a rule'} asks: {then}"
        for reminder in anew.reminders:
            first, *more = reminder.strip().split("\n")
            yield f"    reminded: {first}"
            yield from (f"      {line}".rstrip() for line in more)
        if anew.kept_chars:
            yield f"    shown: {counted(anew.kept_chars, 'character')} of what it had written"


def _phase(phase: PhaseTrace, name: str) -> Iterator[str]:
    decision = phase.decision
    yield f"{name}: {_decided(decision)}"
    if not phase.reproduced:
        yield "  this decision comes out otherwise now: `wardwright receipt replay` compares"
    for rule in phase.rules:
        yield from (f"  {line}" for line in _rule(rule, decision))
    for caught in phase.unruled:
        yield f"  a bound of the gateway: {_caught(caught)}"
    if phase.caught_more:
        yield f"  and {phase.caught_more:,} more findings that the receipt counts and does not describe"
    if phase.held_chars_max:
        yield f"  held back: {phase.held_chars_max:,} characters at most, {duration(phase.held_us_max)} at most"
    if len(phase.nearest) < len(phase.rules):
        lacked = {one.rule: one.lacking for one in phase.rules}
        for near in phase.nearest:
            yield f"  nearly fired: {near}, but for {'; '.join(lacked[near])}"


def _decided(decision: Decision) -> str:
    winner = decision.winner
    return decision.effect if winner is None else f"{decision.effect}, by {winner.rule_name}"


def _rule(rule: RuleTrace, decision: Decision) -> Iterator[str]:
    shadow = " in shadow" if rule.shadow else ""
    word = {"fired": "fired", "silent": "silent", "untold": "could not be told"}[rule.standing]
    yield f"{word}{shadow}: {rule.rule}"
    if rule.condition is not None:
        yield from _condition(rule.condition, "    ")
    for one in rule.exceptions:
        yield f"    unless {one.name}"
        yield from _condition(one.condition, "      ")
    yield from (f"    {sentence}" for sentence in rule.past)
    if rule.looks_for is not None:
        yield f"    {rule.looks_for}  {_looked(rule)}"
    for caught in rule.caught:
        yield f"    {_caught(caught)}"
    for unmet in rule.unmet:
        what = "the answer" if unmet.tool is None else f"the call of `{unmet.tool}`"
        problems = unmet.verdict.problems
        said = "; ".join(f"{f'`{one.pointer}`' if one.pointer else 'it'} {one.message}" for one in problems)
        yield f"    in {what}: {said}"
    yield from _outcomes(rule.rule, decision)
    if rule.standing != "silent":
        yield f"    because: {rule.why}"


def _looked(rule: RuleTrace) -> str:
    if isinstance(rule.found, Span):
        return f"characters {rule.found.start} to {rule.found.end}"
    if isinstance(rule.found, str):
        return f"cannot be told: {rule.found}"
    return "yes" if rule.caught or rule.unmet else "no"


def _outcomes(rule: str, decision: Decision) -> Iterator[str]:
    for proposals, word in ((decision.kept, "done"), (decision.lost, "gave way"), (decision.shadow, "not done")):
        for one in _once(proposed_by(proposals, {rule})):
            winner = decision.winner
            to = f" to {winner.rule_name}" if word == "gave way" and winner is not None else ""
            unsure = " (it could not be told)" if one.because == "indeterminate" else ""
            yield f"    {word}{to}: {action_words(one.action)}{unsure}"


def _once(proposals: Iterable[Proposal]) -> Iterable[Proposal]:
    """Each action once, however many spans it was asked for."""
    return {action_words(one.action): one for one in proposals}.values()


def _condition(condition: Condition, indent: str) -> Iterator[str]:
    match condition:
        case Comparison():
            yield f"{indent}{condition.said}: {shown(condition)}  {_HELD[condition.held]}"
        case Combined(form="not", parts=(Comparison() as one,)):
            yield f"{indent}not: {one.said}: {shown(one)}  {_HELD[condition.held]}"
        case Combined():
            yield f"{indent}{_FORMS[condition.form]}  {_HELD[condition.held]}"
            for part in condition.parts:
                yield from _condition(part, indent + "  ")
        case _:
            assert_never(condition)


def _caught(caught: Caught) -> str:
    where = caught.channel.replace("_", " ")
    if caught.call is not None:
        where += f" of call {caught.call + 1}"
    if caught.field is not None:
        where += f" at `{caught.field}`"
    if caught.choice:
        where += f" of answer {caught.choice + 1}"
    said = f"{where}, characters {caught.start} to {caught.end}: {caught.action}"
    if caught.cause:
        said += f" ({caught.cause.replace('_', ' ')})"
    if caught.shadow:
        said += " (in shadow: nothing was done)"
    if caught.lost_to is not None:
        said += f", gave way to {caught.lost_to}"
    if caught.composed:
        said += ", in text that rewrites composed"
    if caught.dropped_chars:
        said += f", {counted(caught.dropped_chars, 'character')} never released"
    return f"{said}; {counted(caught.released_chars, 'character')} released before"
