"""What a caller hears instead of an answer: of failed upstreams, and of rules.

Rule: a message names no target, no pattern and no address.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from wardwright.calls import receipt as rc
from wardwright.contracts.policy import Block
from wardwright.dialects.exchange import Failure
from wardwright.kernel.errors import Said, WardwrightError
from wardwright.policy.compiled import INDETERMINATE_CODE
from wardwright.policy.decision import Decision
from wardwright.streams.effects import Abort

_TIMEOUTS: Final = frozenset({"connect_timeout", "first_byte_timeout", "between_bytes_timeout", "total_timeout"})

_BOUNDS: Final[dict[str, str]] = {
    "held_chars": "more text waited for a rule than may be held",
    "held_age": "text waited for a rule for longer than it may be held",
    "call_size": "its tool calls are larger than what may be held",
    "indeterminate": "a rule could not be judged",
}


def verdict(last: Failure, tried: Sequence[rc.Tried], *, released: bool) -> tuple[WardwrightError, int | None]:
    """What the caller hears when no target is left: the most telling of all failures, and when to come again."""
    if last.kind == "rejected":
        return WardwrightError("upstream_rejected", last.message), None
    if released and last.kind in _TIMEOUTS:
        return WardwrightError("upstream_timeout", "the answer stopped and did not go on in time"), None
    if released:
        return WardwrightError("upstream_stream_broken", "the answer broke off before its end"), None
    failed = [one for one in tried if one.failure != rc.STOPPED]
    kinds = {one.failure for one in failed}
    count = len({(one.contract, one.target) for one in failed})
    what = "the target" if count == 1 else f"all {count} targets"
    if kinds <= {"context_length"}:
        return WardwrightError("context_length_exceeded", f"{what} refused the request as too long"), None
    if kinds <= {"rate_limited"}:
        waits = [one.retry_after_s for one in failed if one.retry_after_s is not None]
        soonest = min(waits) if len(waits) == len(failed) else None
        return WardwrightError("upstream_rate_limited", f"{what} of this model is rate limited"), soonest
    if kinds <= _TIMEOUTS:
        return WardwrightError("upstream_timeout", f"{what} of this model gave no answer in time"), None
    if kinds <= {"credentials"}:
        return WardwrightError("upstream_credentials", "an upstream refused the gateway's own credentials"), None
    if kinds <= {"resting"}:
        return WardwrightError("upstream_unavailable", f"{what} of this model is cooling down"), None
    if kinds <= {"pool_full"}:
        return WardwrightError("overloaded", "the gateway's queue towards this model is full"), 1
    return WardwrightError("upstream_failed", f"{what} of this model failed"), None


def blocked(decision: Decision) -> WardwrightError:
    """A decision whose effect is `block`, as its rule's author says it."""
    winner = decision.winner
    assert winner is not None
    assert isinstance(winner.action, Block)
    name = winner.rule_name
    if winner.because == "indeterminate" or winner.action.code == INDETERMINATE_CODE:
        why = next((one.unknown for one in decision.reasons if one.rule == winner.rule and one.unknown), ())
        message = f"the rule `{name}` could not be told, and refuses then"
        return WardwrightError(
            "policy_indeterminate", f"{message}: {why[0]}" if why else message, said=Said(INDETERMINATE_CODE, name)
        )
    message = winner.action.message or f"the rule `{name}` refuses this"
    return WardwrightError("policy_blocked", message, said=Said(winner.action.code, name))


def stopped(abort: Abort, decision: Decision) -> WardwrightError:
    """An answer that was ended while it was written."""
    if decision.effect == "block":
        return blocked(decision)
    said = None if abort.rule is None else Said("policy_blocked", abort.rule)
    if abort.cause in _BOUNDS:
        said = None if abort.rule is None else Said(INDETERMINATE_CODE, abort.rule)
        return WardwrightError("policy_indeterminate", f"the answer was stopped: {_BOUNDS[abort.cause]}", said=said)
    message = "the answer was stopped by a rule, after a part of it had left"
    return WardwrightError("policy_blocked", message, said=said)


def too_late(decision: Decision) -> WardwrightError:
    """A decision to try again, of which the client has seen too much already."""
    winner = decision.winner
    assert winner is not None
    message = "the answer was stopped by a rule, after a part of it had left"
    return WardwrightError("policy_blocked", message, said=Said("policy_blocked", winner.rule_name))
