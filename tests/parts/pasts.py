"""A small world of calls for history: states, calls, and a naive reading of what they leave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wardwright.contracts.policy import AGE_S_MAX, Machine, MachineState, State, Transition, Window
from wardwright.kernel.units import SECOND_US
from wardwright.limits.events import Asking, CallEvents, Earned, Kept, Scopes, Unavailable
from wardwright.limits.history import History

POLICY = "p"
NOW_US = 1_800_000_000_000_000

LADDER = Machine(
    name="ladder",
    initial="normal",
    scope="session",
    states=(
        MachineState(name="held", restrict_routes=("nowhere",), terminal=True),
        MachineState(name="normal"),
        MachineState(name="review", restrict_routes=("reviewed",)),
    ),
    transitions=(
        Transition(origin="normal", on="a", to="review"),
        Transition(origin="review", on="b", to="normal", max=2),
    ),
    on_exhausted="held",
)


def state(measure: str = "count", **members: object) -> State:
    """A state of the label `a` in a session, of 100 turns unless something else is said."""
    given: dict[str, object] = {
        "name": "seen",
        "measure": measure,
        "events": ("a",),
        "scope": "session",
        "within": Window(turns=100),
        **members,
    }
    return State(**given)  # type: ignore[arg-type]


def call(
    receipt: int,
    *labels: str,
    at: int = 0,
    turn: int = 0,
    step: int = 0,
    attempt: int = 0,
    fields: Mapping[str, Kept] | None = None,
    policies: tuple[str, ...] = (POLICY,),
    **scopes: str | bool | None,
) -> CallEvents:
    """A call of tenant `t` in the declared session `s`, `at` seconds after the world began."""
    whose: dict[str, object] = {"tenant": "t", "session": "s", "session_declared": True, **scopes}
    kept = tuple(sorted((fields or {}).items()))
    when = NOW_US + at * SECOND_US
    return CallEvents(
        events=tuple(Earned(at=when, attempt=attempt, fields=kept, label=label) for label in labels),
        policies=policies,
        receipt=f"rcp_{receipt:06d}",
        scopes=Scopes(**whose),  # type: ignore[arg-type]
        step=step,
        turn=turn,
    )


def history(*states: State, machines: tuple[Machine, ...] = (), events_max: int = 1 << 18) -> History:
    made = History(events_max=events_max)
    made.declare({POLICY: [(states, machines)]})
    return made


def asking(current: CallEvents, at: int = 0, attempt: int = 0, fields: Mapping[str, Kept] | None = None) -> Asking:
    return Asking(call=current, now_us=NOW_US + at * SECOND_US, attempt=attempt, fields=fields or {})


def naive(calls: Iterable[CallEvents], one: State, asks: Asking) -> int | bool | Unavailable:
    """What a reader of the contract would say, from every call there was."""
    value = asks.call.scopes.of(one.scope, declared=one.session == "declared")
    if isinstance(value, Unavailable):
        return value
    found = sorted(
        ((event.at, past.receipt, place, event, past) for past in calls for place, event in enumerate(past.events)),
        key=lambda item: item[:3],
    )
    found = [
        item
        for item in found
        if item[3].label in one.events
        and item[4].scopes.tenant == asks.call.scopes.tenant
        and item[4].scopes.of(one.scope, declared=one.session == "declared") == value
        and (one.including_current or item[1] != asks.call.receipt)
    ]
    found = found[-min(one.items_max, one.within.events or one.items_max) :]
    age_us = (one.within.age_s or AGE_S_MAX) * SECOND_US
    shown = [
        (event, past)
        for at, _, _, event, past in found
        if asks.now_us - at <= age_us
        and (one.within.turns is None or asks.call.turn - past.turn < one.within.turns)
        and (one.within.steps is None or asks.call.step - past.step < one.within.steps)
    ]
    kept = [dict(event.fields) for event, _ in shown]
    if one.same:
        chosen = [all(fields[name] == asks.fields[name] for name in one.same) for fields in kept]
        shown = [item for item, keep in zip(shown, chosen, strict=True) if keep]
        kept = [item for item, keep in zip(kept, chosen, strict=True) if keep]
    labels = iter([event.label for event, _ in shown])
    match one.measure:
        case "count":
            return len(shown)
        case "formerly":
            return bool(shown)
        case "absent":
            return not shown
        case "sequence":
            return all(label in labels for label in one.events)
        case "sum":
            return sum(amount for fields in kept if isinstance(amount := fields[one.of or ""], int))
        case "distinct":
            return len({fields[one.of or ""] for fields in kept if fields[one.of or ""] is not None})
