"""Detectors propose, one arbiter decides.

    block > require_approval > retry, retry_with_reminder, reroute > rewrite > drop > restrict_routes, switch_model
        > inject_reminder, set_argument, transform > annotate, alert, oblige, allow

Rule 1: the outcome is a function of the *set* of proposals, never of the order of files, rules or evaluation: joining
two decisions is associative, commutative and idempotent.
Rule 2: what ends the call or the attempt (`block`, the retries) leaves nothing weaker but labels, alerts and
obligations, which always stand. Under `require_approval` the changes of rank 1 and 2 stand too: whoever approves a call
lifts that one rule, and what others demand of the call holds when it runs.
Rule 3: of `block`, `require_approval`, `rewrite` or `drop`, `switch_model`, and `set_argument` of one argument, one
stands: the higher priority, then the lower policy and rule. Restrictions, reminders, transforms and retries all stand:
they combine.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, assert_never

from wardwright.contracts.policy import Action, ActionName, Rewrite, SetArgument, SwitchModel
from wardwright.kernel import canonical
from wardwright.policy.decision import NOTHING, Decision, Fired, Proposal

RANKS: Final[dict[ActionName, int]] = {
    "block": 7,
    "require_approval": 6,
    "retry": 5,
    "retry_with_reminder": 5,
    "reroute": 5,
    "rewrite": 4,
    "drop": 3,
    "restrict_routes": 2,
    "switch_model": 2,
    "inject_reminder": 1,
    "set_argument": 1,
    "transform": 1,
    "annotate": 0,
    "alert": 0,
    "oblige": 0,
    "allow": 0,
}
"""The lattice; the higher wins."""

ENDS: Final = 5
"""From this rank an action ends the call or the attempt."""
_SPAN: Final = frozenset({3, 4})
"""Ranks that say what becomes of a span: one of them stands."""


def arbitrate(
    proposals: Iterable[Proposal], shadow: Iterable[Proposal] = (), reasons: Iterable[Fired] = ()
) -> Decision:
    """What becomes of the proposals of one phase."""
    ranked = in_order(proposals)
    if not ranked:
        hidden, told = in_order(shadow), _reasons(reasons)
        return Decision(reasons=told, shadow=hidden) if hidden or told else NOTHING
    top = RANKS[ranked[0].effect]
    kept: list[Proposal] = []
    lost: list[Proposal] = []
    for one in ranked:
        (kept if _stands(one, top, kept) else lost).append(one)
    return Decision(
        effect=kept[0].effect,
        kept=tuple(kept),
        lost=tuple(lost),
        reasons=_reasons(reasons),
        shadow=in_order(shadow),
    )


def join(left: Decision, right: Decision) -> Decision:
    """One decision over all that two have seen."""
    return arbitrate(
        (*left.kept, *left.lost, *right.kept, *right.lost),
        (*left.shadow, *right.shadow),
        (*left.reasons, *right.reasons),
    )


def in_order(proposals: Iterable[Proposal]) -> tuple[Proposal, ...]:
    """Strongest first, then by priority, policy and rule; each once."""
    found = list(proposals)
    if len(found) < 2:
        return tuple(found)
    keyed = {(_key(one), canonical.encode(one)): one for one in found}
    return tuple(keyed[key] for key in sorted(keyed))


def competes(left: Action, right: Action) -> bool:
    """Whether two actions cannot both be carried out as their authors meant, though neither is stronger."""
    match left, right:
        case SwitchModel(), SwitchModel():
            return left.model != right.model
        case Rewrite(), Rewrite():
            return left.replacement != right.replacement
        case SetArgument(), SetArgument():
            return left.name == right.name and (type(left.to), left.to) != (type(right.to), right.to)
        case _:
            return False


def _key(one: Proposal) -> tuple[int, int, str, str]:
    return (-RANKS[one.effect], -one.priority, one.policy, one.rule)


def _stands(one: Proposal, top: int, kept: list[Proposal]) -> bool:
    """Whether a proposal is kept beside the stronger ones that are."""
    rank = RANKS[one.effect]
    match one.effect:
        case "annotate" | "alert" | "oblige" | "allow":
            return True
        case "block" | "require_approval":
            return rank == top and not any(other.effect == one.effect for other in kept)
        case "retry" | "retry_with_reminder" | "reroute":
            return rank == top
        case "rewrite" | "drop":
            return top < ENDS and not any(RANKS[other.effect] in _SPAN for other in kept)
        case "switch_model":
            return _may_run(top) and not any(other.effect == "switch_model" for other in kept)
        case "set_argument":
            return _may_run(top) and not any(_sets_the_same(one.action, other.action) for other in kept)
        case "restrict_routes" | "inject_reminder" | "transform":
            return _may_run(top)
        case _:
            assert_never(one.effect)


def _sets_the_same(left: Action, right: Action) -> bool:
    return isinstance(left, SetArgument) and isinstance(right, SetArgument) and left.name == right.name


def _may_run(top: int) -> bool:
    """Whether the call goes on, now or once it is approved."""
    return top < ENDS or top == RANKS["require_approval"]


def _reasons(reasons: Iterable[Fired]) -> tuple[Fired, ...]:
    found = list(reasons)
    if len(found) < 2:
        return tuple(found)
    keyed = {(one.policy, one.rule, one.shadow, one.unknown): one for one in found}
    return tuple(keyed[key] for key in sorted(keyed))
