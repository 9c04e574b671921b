"""What rules do to each other: two that may both hold and ask for what cannot both happen, a text of ours that a rule
would find."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from wardwright.contracts.policy import (
    InjectReminder,
    RetryWithReminder,
    Rewrite,
    Rule,
    effect_of,
)
from wardwright.kernel.errors import WardwrightError
from wardwright.kernel.patterns.search import finds
from wardwright.policy.arbiter import competes
from wardwright.policy.compiled import Compiled
from wardwright.policy.regions import meet


def overlap(left: Compiled, right: Compiled) -> bool:
    """Whether both conditions may hold at once; False is proved."""
    if left.boxes is None or right.boxes is None:
        return True
    return any(meet(one, other) is not None for one in left.boxes for other in right.boxes)


def share_a_channel(left: Rule, right: Rule) -> bool:
    return bool({one.channel for one in left.on} & {one.channel for one in right.on})


def ambiguities(rules: Sequence[Compiled]) -> Iterator[WardwrightError]:
    acting = [rule for rule in rules if rule.rule.enforce == "enforce"]
    for left, right in combinations(acting, 2):
        if left.rule.phase != right.rule.phase or left.rule.priority != right.rule.priority or _waived(left, right):
            continue
        for one in left.rule.then:
            for other in right.rule.then:
                spanned = not isinstance(one, Rewrite) or share_a_channel(left.rule, right.rule)
                if competes(one, other) and spanned and overlap(left, right):
                    message = (
                        f"`{left.name}` and `{right.name}` may both hold, and each asks for another `{effect_of(one)}` "
                        f"at priority {left.rule.priority}"
                    )
                    hint = "give one of them a higher `priority`, or name the other under `ties` with a `why`"
                    yield WardwrightError("policy_ambiguous", message, place=right.place, hint=hint)


def _waived(left: Compiled, right: Compiled) -> bool:
    return any(tie.rule == right.rule.id for tie in left.rule.ties) or any(
        tie.rule == left.rule.id for tie in right.rule.ties
    )


def echoes(rules: Sequence[Compiled]) -> Iterator[WardwrightError]:
    """Texts of ours that a rule would find in what the model writes."""
    searching = [(rule, rule.search) for rule in rules if rule.search is not None]
    for speaker in rules:
        for action in speaker.rule.then:
            match action:
                case RetryWithReminder(text=text) | InjectReminder(text=text):
                    what = "reminder"
                case Rewrite(replacement=text):
                    what = "replacement"
                case _:
                    continue
            for rule, search in searching:
                if finds(search, text):
                    message = f"the {what} of `{speaker.name}` is itself what `{rule.name}` looks for"
                    hint = "say it in other words: a model that repeats it would trigger the rule again"
                    yield WardwrightError("policy_ambiguous", message, place=speaker.place, hint=hint)
