"""What rules decided over one call, as text for a receipt. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from wardwright.calls.receipt import STOPPED, Receipt
from wardwright.calls.ruling import Caught, Ruling
from wardwright.contracts.policy import Retrying
from wardwright.limits.budget_record import Refused
from wardwright.policy.decision import Decision, Fired
from wardwright.rehearsal.trace import Trace

REMINDER_CHARS_MAX: Final = 100
"""Of a reminder in one line."""


def ruled(receipt: Receipt) -> Iterable[str]:
    """What the rules of a call decided; nothing where none was asked."""
    if receipt.contract is None or not receipt.contract.policies:
        return
    told = decided(receipt)
    names = ", ".join(receipt.contract.policies)
    if not told:
        yield f"policy    {names}: every rule was silent"
        return
    yield f"policy    {names}; `wardwright policy trace {receipt.receipt}` says why"
    for line in told:
        yield f"          {line}"


def decided(receipt: Receipt) -> list[str]:
    """A line for each rule that was not silent, and for each reminder."""
    told = [line for ruling in receipt.policy for line in _ruling(ruling)]
    told += [line for one in receipt.replans for line in _reminded(one.after, one.reminders)]
    return [*told, *beside(receipt)]


def beside(receipt: Receipt | Trace) -> Iterator[str]:
    """What follows from rules beside the answer: budgets that refused, approvals used up, alerts."""
    refused = receipt.budget_refused
    if refused is not None:
        yield f"budget {refused.budget} refused: {_REFUSED[refused.reason]}{_amounts(refused)}"
    if receipt.approval is not None:
        yield f"the approval {receipt.approval} was used up"
    for alert in receipt.alerts:
        yield f"{alert.phase}: {alert.rule} told `{alert.sink}`: {alert.outcome.replace('_', ' ')}"


_REFUSED: Final = {
    "exceeded": "the limit would be passed",
    "unclaimed": "the call does not say whose it is",
    "crowded": "too many are in use to tell this one from others",
}


def _amounts(refused: Refused) -> str:
    if refused.limit is None:
        return ""
    return (
        f" ({refused.used or 0:,} used, {refused.reserved or 0:,} reserved by calls in flight, "
        f"{refused.asked or 0:,} asked for, of {refused.limit:,})"
    )


def gave_up(receipt: Receipt) -> dict[int, str]:
    """By attempt: which rules ended it and what followed, where rules did."""
    found: dict[int, str] = {}
    replanned = {one.after for one in receipt.replans}
    for ruling in receipt.policy:
        index = ruling.attempt
        if index is None or index >= len(receipt.attempts) or receipt.attempts[index].failure != STOPPED:
            continue
        rules = _ending(ruling)
        then = "asked again" if index + 1 in replanned else "refused"
        found[index] = f"stopped by {', '.join(rules) or 'a bound of the gateway'}, {then}"
    return found


def refused(receipt: Receipt) -> str | None:
    """The rule that refused a call before anybody was asked; None where none did."""
    for ruling in receipt.policy:
        winner = ruling.decision.winner
        if ruling.attempt is None and winner is not None and winner.effect in ("block", "require_approval"):
            return f"refused by {winner.rule_name}"
    return None


def _ending(ruling: Ruling) -> tuple[str, ...]:
    """The rules that ended an attempt, by `policy/rule`."""
    deciding = [one for one in ruling.decision.kept if isinstance(one.action, Retrying) or one.effect == "block"]
    return tuple(dict.fromkeys(one.rule_name for one in deciding))


def _ruling(ruling: Ruling) -> Iterator[str]:
    decision = ruling.decision
    where = ruling.phase if ruling.attempt is None else f"{ruling.phase} of attempt {ruling.attempt + 1}"
    for fired in decision.reasons:
        yield f"{where}: {fired.rule_name}: {_did(fired, decision)}{_found(fired, ruling.caught)}"
    for caught in ruling.caught:
        if caught.rule is None:
            yield f"{where}: a bound of the gateway ended it: {caught.cause.replace('_', ' ')}"


def _did(fired: Fired, decision: Decision) -> str:
    """What came of a rule that was not silent."""
    unsure = "could not be told, " if fired.unknown else ""
    for proposals, words in (
        (decision.kept, "{}"),
        (decision.lost, "gave way, and would have: {}"),
        (decision.shadow, "would have, in shadow: {}"),
    ):
        done = [one.effect for one in proposals if (one.policy, one.rule) == (fired.policy, fired.rule)]
        if done:
            said = ", ".join(effect.replace("_", " ") for effect in dict.fromkeys(done))
            return unsure + words.format(said)
    return f"{unsure}fired and asked for nothing"


def _found(fired: Fired, caught: Iterable[Caught]) -> str:
    """Where a stream rule found what it looks for."""
    spots = [one for one in caught if one.rule == fired.rule_name]
    if not spots:
        return ""
    first = spots[0]
    more = f" and {len(spots) - 1} more" if len(spots) > 1 else ""
    channel = first.channel.replace("_", " ")
    released = f"{first.released_chars:,} characters released before" if first.released_chars else "nothing released"
    return f"; found at {first.start}-{first.end} of the {channel}{more}, {released}"


def _reminded(after: int, reminders: Iterable[str]) -> Iterator[str]:
    for reminder in reminders:
        line = " ".join(reminder.split())
        short = line if len(line) <= REMINDER_CHARS_MAX else line[:REMINDER_CHARS_MAX] + "…"
        yield f"reminded after attempt {after}: {short}"
