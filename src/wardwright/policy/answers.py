"""Whole answers held against the rules that say what they must be.

At the end of an attempt, before anything of the answer is released:

    outcome = judged(policy, "output", facts, choices, found)
    outcome.decision                                              # as `decide` gives it
    reminder(action.text, outcome.unmet["policy/rule"])           # for a `retry_with_reminder` of that rule

Rule 1: a rule judges the answer's text, or the arguments of each call of the tools that it names.
Rule 2: of several choices each is judged; one that is not as expected makes its rule fire, once. No choice at all is
judged as an empty text.
Rule 3: a step that calls tools and says nothing has no text to judge; every other answer has, an empty one too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, Literal

import msgspec

from wardwright.contracts.policy import Channel
from wardwright.kernel.globs import matches
from wardwright.policy.answer_schema import key
from wardwright.policy.compiled import Compiled, Policy
from wardwright.policy.decision import Decision, Span
from wardwright.policy.evaluate import Unsearched, awaited, decide
from wardwright.policy.expectation import Expecting, Flaw, Verdict
from wardwright.policy.phases import Facts

CALLS_MAX: Final = 128
"""Tool calls of one answer that are judged; one with more meets nothing that is expected of calls."""

UNMET_MAX: Final = 32
"""Parts of one answer that are told of one rule; those behind them are not judged."""

REMINDER_CHARS_MAX: Final = 4096
"""Characters that a reminder adds to its rule's text."""


class ToolArguments(msgspec.Struct, frozen=True):
    """One tool call of an answer."""

    tool: str
    arguments: str
    """As the model wrote them."""


class Answer(msgspec.Struct, frozen=True):
    """One choice of a whole answer."""

    text: str
    calls: tuple[ToolArguments, ...] = ()


_EMPTY: Final = Answer("")


class Judged(msgspec.Struct, frozen=True):
    """What a phase decided on a whole answer, and what was wrong with it."""

    decision: Decision
    unmet: Mapping[str, tuple[Unmet, ...]]
    """By `policy/rule`; rules that were met are left out."""


class Unmet(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One part of an answer that is not what a rule expects. Members in alphabetical order."""

    channel: Literal["text", "tool_arguments"]
    """Which part of the answer."""
    choice: int = 0
    """Which choice of the answer."""
    index: int = 0
    """Which tool call, in the answer's order."""
    span: Span
    """The whole of it."""
    tool: str | None = None
    """The tool that was called."""
    verdict: Verdict
    """What is wrong."""


def judged(
    policy: Policy,
    phase: str,
    facts: Facts,
    choices: Sequence[Answer],
    found: Mapping[str, Span | Unsearched] | None = None,
) -> Judged:
    """Decide a phase on a whole answer. `found` are the spans of its searching rules, as `decide` takes them."""
    unmet: dict[str, tuple[Unmet, ...]] = {}
    for rule in awaited(policy, phase, facts):
        parts = (one for at, choice in enumerate(choices or (_EMPTY,)) for one in objections(rule, choice, at))
        if wrong := tuple(islice(parts, UNMET_MAX)):
            unmet[rule.name] = wrong
    spans = {**(found or {}), **{name: wrong[0].span for name, wrong in unmet.items()}}
    return Judged(decide(policy, phase, facts, spans), unmet)


def objections(rule: Compiled, answer: Answer, choice: int = 0) -> tuple[Unmet, ...]:
    """What of one choice is not as a rule expects; empty where all of it is."""
    assert rule.expecting is not None
    found: list[Unmet] = []
    for channel in rule.channels:
        if channel.channel == "tool_arguments":
            found.extend(_calls(rule.expecting, channel, answer, choice))
        elif answer.text.strip() or not answer.calls:
            verdict = rule.expecting.judge(answer.text)
            if not verdict.met:
                span = _whole("text", answer.text)
                found.append(Unmet(channel="text", choice=choice, span=span, verdict=verdict))
    return tuple(found)


def _calls(expecting: Expecting, channel: Channel, answer: Answer, choice: int) -> Iterator[Unmet]:
    for index, call in enumerate(answer.calls):
        if channel.tool is not None and not matches(channel.tool, call.tool):
            continue
        verdict = expecting.judge(call.arguments) if index < CALLS_MAX else _TOO_MANY
        if not verdict.met:
            span = _whole("tool_arguments", call.arguments)
            yield Unmet(
                channel="tool_arguments", choice=choice, index=index, span=span, tool=call.tool, verdict=verdict
            )
            if index >= CALLS_MAX:
                return


_TOO_MANY: Final = Verdict(
    met=False, problems=(Flaw(kind="syntax", message=f"are not looked at: an answer may make {CALLS_MAX} calls"),)
)
"""The verdict on the calls past CALLS_MAX."""


def _whole(channel: str, text: str) -> Span:
    return Span(channel=channel, start=0, end=len(text))


def reminder(text: str, unmet: Iterable[Unmet]) -> str:
    """A rule's reminder with what was wrong below it, so that the model can mend that and nothing else."""
    lines: list[str] = []
    room = REMINDER_CHARS_MAX
    for one in unmet:
        for line in _lines(one):
            room -= len(line) + 1
            if room < 0:
                return "\n".join([text.strip(), "", *lines, "- …"])
            lines.append(line)
    return "\n".join([text.strip(), "", *lines]) if lines else text.strip()


def _lines(one: Unmet) -> Iterator[str]:
    what = "The answer" if one.tool is None else f"The arguments of the call of {key(one.tool)}"
    closest = f" (measured against `{one.verdict.closest}`, which comes closest)" if one.verdict.closest else ""
    yield f"{what} could not be accepted{closest}:"
    for problem in one.verdict.problems:
        where = f"`{problem.pointer}`" if problem.pointer else "it"
        yield f"- {where} {problem.message}"
    if one.verdict.more:
        yield f"- and {one.verdict.more:,} more"
