"""Reminders that a session hears once, or again after some turns: a past that each such rule declares of itself.

The rule earns the label `reminded.<id>` when its reminder is sent, and counts it like any other state.
"""

from __future__ import annotations

from typing import Final

from wardwright.contracts.policy import PolicyContract, RetryWithReminder, Rule, State, Window

PREFIX: Final = "reminded."
"""Before the id of a rule, in the name of its state and of its label. No author can write either."""


def reminded(rule: Rule) -> State | None:
    """What a rule remembers of its own reminders; None: nothing beyond the call."""
    action = next((one for one in rule.then if isinstance(one, RetryWithReminder)), None)
    if action is None or (action.after_turns is None and action.once_per not in ("session", "turn")):
        return None
    label = PREFIX + rule.id
    within = Window(turns=1 if action.once_per == "turn" else action.after_turns)
    return State(
        name=label,
        measure="count",
        events=(label,),
        scope="session",
        within=within,
        including_current=False,
        items_max=1,
    )


def states_of(policy: PolicyContract) -> tuple[State, ...]:
    """All that a policy keeps of the past: what its author declares, and what its reminders do."""
    return (*policy.state, *(state for rule in policy.rules if (state := reminded(rule)) is not None))
