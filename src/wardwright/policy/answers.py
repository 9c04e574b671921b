"""Whole answers held against the rules that say what they must be.

At the end of an attempt, before anything of the answer is released:

    unmet = {rule.name: found for rule in awaited(policy, "output", facts) if (found := objections(rule, answer))}
    decision = decide(policy, "output", facts, {name: found[0].span for name, found in unmet.items()})
    for each retry_with_reminder of the decision: reminder(action.text, unmet[name])

Rule 1: a rule judges the answer's text, or the arguments of each call of the tools that it names.
Rule 2: a step that calls tools and says nothing has no text to judge; every other answer has, an empty one too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal

import msgspec

from wardwright.contracts.policy import Channel
from wardwright.kernel.globs import matches
from wardwright.policy.answer_schema import key
from wardwright.policy.compiler import Compiled
from wardwright.policy.decision import Span
from wardwright.policy.expectation import Expecting, Problem, Verdict

CALLS_MAX: Final = 128
"""Tool calls of one answer that are judged; one with more meets nothing that is expected of calls."""

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


class Unmet(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One part of an answer that is not what a rule expects. Members in alphabetical order."""

    channel: Literal["text", "tool_arguments"]
    index: int = 0
    """Which tool call, in the answer's order."""
    span: Span
    """The whole of it."""
    tool: str | None = None
    verdict: Verdict


def objections(rule: Compiled, answer: Answer) -> tuple[Unmet, ...]:
    """What of an answer is not as a rule expects; empty where all of it is."""
    assert rule.expecting is not None
    found: list[Unmet] = []
    for channel in rule.channels:
        if channel.channel == "tool_arguments":
            found.extend(_calls(rule.expecting, channel, answer))
        elif answer.text.strip() or not answer.calls:
            verdict = rule.expecting.judge(answer.text)
            if not verdict.met:
                found.append(Unmet(channel="text", span=_whole("text", answer.text), verdict=verdict))
    return tuple(found)


def _calls(expecting: Expecting, channel: Channel, answer: Answer) -> Iterator[Unmet]:
    for index, call in enumerate(answer.calls):
        if channel.tool is not None and not matches(channel.tool, call.tool):
            continue
        verdict = expecting.judge(call.arguments) if index < CALLS_MAX else _TOO_MANY
        if not verdict.met:
            span = _whole("tool_arguments", call.arguments)
            yield Unmet(channel="tool_arguments", index=index, span=span, tool=call.tool, verdict=verdict)
            if index >= CALLS_MAX:
                return


_TOO_MANY: Final = Verdict(
    met=False, problems=(Problem(kind="syntax", message=f"are not looked at: an answer may make {CALLS_MAX} calls"),)
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
