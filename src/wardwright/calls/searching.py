"""What rules find in a whole answer: the text, the reasoning, the arguments of tool calls."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from wardwright.calls.governed_answer import Written
from wardwright.contracts.policy import Channel
from wardwright.kernel import globs
from wardwright.policy.compiler import Compiled
from wardwright.policy.decision import Span
from wardwright.policy.evaluate import Unsearched


def search(rule: Compiled, written: Written) -> Span | Unsearched | None:
    """The first thing that a rule finds, in the order of its channels; None: nothing."""
    for channel in rule.rule.on:
        for text in texts_of(channel, written):
            if isinstance(text, Unsearched):
                return text
            try:
                span = None if rule.search is None else rule.search(text)
            except TimeoutError:
                return Unsearched("the answer could not be searched in time")
            if span is not None:
                return Span(channel=channel.channel, start=span[0], end=span[1])
    return None


def texts_of(channel: Channel, written: Written) -> Iterator[str | Unsearched]:
    """What a channel of a rule looks at."""
    match channel.channel:
        case "text":
            yield from ("".join(choice.text) for _, choice in sorted(written.choices.items()))
        case "reasoning":
            yield from ("".join(choice.reasoning) for _, choice in sorted(written.choices.items()))
        case "tool_arguments":
            for call in (call for answer in written.answers for call in answer.calls):
                if globs.matches(channel.tool or "*", call.tool):
                    yield call.arguments if channel.pointer is None else _pointed(call.arguments, channel.pointer)


def _pointed(arguments: str, pointer: str) -> str | Unsearched:
    """The value at a JSON pointer as text, empty where there is none."""
    try:
        value: object = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return Unsearched("the arguments of a tool call are no JSON")
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list):
            value = value[int(name)] if name.isdigit() and int(name) < len(value) else None
        else:
            value = None
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
