"""What rules did in a call, as people read it. The text that they found is not in a receipt, so it is not here."""

from __future__ import annotations

from collections.abc import Iterable

from wardwright.calls.receipt import Receipt
from wardwright.calls.ruling import Caught, Ruling
from wardwright.cli.figures import counted
from wardwright.policy.decision import Proposal


def ruled(receipt: Receipt) -> Iterable[str]:
    """A line a rule that was not silent, in the order of asking, each with what it found and did."""
    for ruling in receipt.policy:
        where = ruling.phase if ruling.attempt is None else f"{ruling.phase}, attempt {ruling.attempt + 1}"
        for rule, did in _by_rule(ruling.decision.kept):
            yield f"{where}: {rule}: {did}{_found(ruling, rule)}"
        for rule, would in _by_rule(ruling.decision.shadow):
            yield f"{where}: {rule}, in shadow: {would}{_found(ruling, rule)}"
    for replan in receipt.replans:
        for reminder in replan.reminders:
            yield f"reminded: {' '.join(reminder.split())}"


def _by_rule(proposals: Iterable[Proposal]) -> Iterable[tuple[str, str]]:
    """Each rule and its effects, a repeated one once."""
    effects: dict[str, list[str]] = {}
    for one in proposals:
        words = one.effect.replace("_", " ")
        if one.because == "indeterminate":
            words += " (it could not be told)"
        effects.setdefault(f"{one.policy}/{one.rule}", []).append(words)
    return ((rule, ", ".join(dict.fromkeys(words))) for rule, words in effects.items())


def _found(ruling: Ruling, rule: str) -> str:
    caught = [one for one in ruling.caught if one.rule == rule and one.action != "ended"]
    if caught:
        return f"; {_place(caught[0])}" + (f", and {len(caught) - 1} more" if len(caught) > 1 else "")
    wrong = sum(len(one.verdict.problems) for name, unmet in ruling.unmet if name == rule for one in unmet)
    return f"; {counted(wrong, 'problem')}" if wrong else ""


def _place(caught: Caught) -> str:
    """
    >>> _place(Caught(action="retry", channel="text", start=36, end=46))
    'found at 36-46 of the text, nothing released'
    """
    released = (
        f"{counted(caught.released_chars, 'character')} released" if caught.released_chars else "nothing released"
    )
    return f"found at {caught.start}-{caught.end} of the {caught.channel.replace('_', ' ')}, {released}"
