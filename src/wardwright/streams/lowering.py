"""Rules of a policy's stream phase as stream rules.

Rule 1: a policy's rule becomes one stream rule of the same name, `policy/rule`; what its actions say beyond the span
(a label, an alert, where to route) is read off the policy again when the rule fires.
Rule 2: the strongest of its actions is what it does to the stream; a rule that ends or changes nothing annotates.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import assert_never

from wardwright.contracts import policy as c
from wardwright.kernel.patterns.admission import Admitted, Pattern
from wardwright.policy.arbiter import RANKS
from wardwright.policy.compiler import Compiled
from wardwright.streams import rule as r


def lower(rules: Iterable[Compiled]) -> tuple[r.StreamRule, ...]:
    """The stream rules of the rules that search; `ruleset.problems` says which of them cannot be kept."""
    return tuple(_lowered(one, one.match) for one in rules if one.match is not None)


def _lowered(compiled: Compiled, match: Admitted) -> r.StreamRule:
    rule = compiled.rule
    hold = c.hold_of(rule)
    assert hold.chars_max is not None
    return r.StreamRule(
        id=compiled.name,
        on=tuple(_channel(channel) for channel in rule.on),
        match=r.Detected(compiled.detects) if compiled.detects else _match(match.patterns),
        then=_action(rule),
        commit=_commit(hold),
        priority=rule.priority,
        held_chars_max=hold.chars_max,
        held_age_ms_max=hold.age_ms_max,
        on_cap=hold.on_cap,
        on_error="release_and_flag" if rule.on_error in ("annotate", "silent") else "fail_closed",
        shadow=compiled.shadow,
    )


def _channel(channel: c.Channel) -> r.Channel:
    match channel.channel:
        case "text":
            return r.Text()
        case "reasoning":
            return r.Reasoning()
        case "tool_arguments":
            return r.ToolArguments(channel.tool or "*", channel.pointer)
        case _:
            assert_never(channel.channel)


def _match(patterns: tuple[Pattern, ...]) -> r.Match:
    return patterns[0] if len(patterns) == 1 else r.AnyOf(patterns)


def _commit(hold: c.Hold) -> r.Commit:
    if hold.mode == "boundary":
        return hold.boundary or "sentence"
    return hold.mode


def _action(rule: c.Rule) -> r.Action:
    strongest = _strongest(rule.then)
    match strongest:
        case c.RetryWithReminder():
            return r.Retry(
                strongest.text,
                retries_max=strongest.max,
                keep_partial=strongest.keep_partial,
                once_per=strongest.once_per if strongest.after_turns is None else "session",
                repeat_after_turns=strongest.after_turns,
                after=_after(rule),
            )
        case c.Retry() | c.Reroute():
            return r.Retry("", retries_max=strongest.max, after=_after(rule))
        case _:
            return _plain(strongest)


def _after(rule: c.Rule) -> r.Plain:
    """What follows when the retries are spent."""
    return _plain(_strongest(rule.after_retries)) if rule.after_retries else r.Block()


def _plain(action: c.Action) -> r.Plain:
    match action:
        case c.Block() | c.RequireApproval():
            return r.Block()
        case c.Rewrite():
            return r.Rewrite(action.replacement)
        case c.Drop():
            return r.Drop()
        case _:
            return r.Annotate()


def _strongest(actions: Sequence[c.Action]) -> c.Action:
    return max(actions, key=lambda action: RANKS[c.effect_of(action)])
