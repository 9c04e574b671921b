"""Where labels lead: transitions, budgets, calls under way, restrictions, room."""

from __future__ import annotations

import msgspec
import pytest

from parts.pasts import LADDER, NOW_US, POLICY, call, history
from wardwright.contracts.policy import MachineState
from wardwright.limits.events import Unavailable
from wardwright.limits.machines import Machines, restrictions


@pytest.mark.parametrize(
    ("labels", "state"),
    [
        ("", "normal"),
        ("b", "normal"),
        ("a", "review"),
        ("aa", "review"),
        ("ab", "normal"),
        ("abab", "normal"),
        ("ababab", "held"),
        ("abababab", "held"),
    ],
)
def test_labels_lead_on_until_a_budget_is_spent(labels: str, state: str) -> None:
    kept = history(machines=(LADDER,))
    for index, label in enumerate(labels):
        kept.settle(call(index, label), NOW_US)

    assert kept.machine(POLICY, LADDER, call(99)) == state


def test_a_call_under_way_is_seen_by_others_and_by_itself() -> None:
    kept = history(machines=(LADDER,))
    current = call(1, "a")
    kept.reserve(current)

    assert [kept.machine(POLICY, LADDER, one) for one in (current, call(2))] == ["review", "review"]


def test_a_call_that_is_told_twice_moves_a_machine_once() -> None:
    kept = history(machines=(LADDER,))
    first = kept.settle(call(1, "a"), NOW_US)
    kept.settle(call(2, "b"), NOW_US)
    kept.apply(first)

    assert kept.machine(POLICY, LADDER, call(99)) == "normal"


def test_orders_rise_though_the_clock_does_not() -> None:
    kept = history(machines=(LADDER,))
    orders = [kept.settle(call(index, "a"), at).order for index, at in enumerate((NOW_US, NOW_US - 5, NOW_US))]

    assert orders == [NOW_US, NOW_US + 1, NOW_US + 2]


def test_sessions_do_not_share_a_machine() -> None:
    kept = history(machines=(LADDER,))
    kept.settle(call(1, "a"), NOW_US)
    found = [kept.machine(POLICY, LADDER, one) for one in (call(2, session="x"), call(2, tenant="x"))]

    assert found == ["normal", "normal"]


def test_a_missing_scope_value_cannot_be_told_and_is_held_to_every_restriction() -> None:
    kept = history(machines=(LADDER,))
    unknown = kept.machine(POLICY, LADDER, call(1, session=None))

    assert unknown == Unavailable("has no session")
    assert restrictions(LADDER, unknown) == (("nowhere",), ("reviewed",))


@pytest.mark.parametrize(("state", "to"), [("normal", ()), ("review", (("reviewed",),)), ("held", (("nowhere",),))])
def test_a_state_restricts_routes(state: str, to: tuple[tuple[str, ...], ...]) -> None:
    assert restrictions(LADDER, state) == to


def test_a_state_that_a_later_version_lacks_cannot_be_told() -> None:
    kept = history(machines=(LADDER,))
    kept.settle(call(1, "a"), NOW_US)
    later = msgspec.structs.replace(LADDER, states=(MachineState(name="normal"),))

    assert kept.machine(POLICY, later, call(2)) == Unavailable("was left in `review`, which this version does not have")


def test_a_machine_that_was_dropped_for_room_is_unavailable_and_not_where_it_begins() -> None:
    machines = Machines(values_max=2)
    machines.declare({POLICY: [LADDER]})
    for index in range(3):
        ended = msgspec.structs.replace(call(index, "a", session=f"s{index}"), order=index + 1)
        machines.fold(ended)
    found = [machines.read(POLICY, LADDER, call(9, session=f"s{index}")) for index in range(3)]

    assert found == [Unavailable("may have been dropped for room"), "review", "review"]


def test_a_machine_that_was_dropped_for_room_stays_untold_when_its_key_calls_again() -> None:
    machines = Machines(values_max=2)
    machines.declare({POLICY: [LADDER]})
    for index, session in enumerate(("s0", "s1", "s2", "s0")):
        machines.fold(msgspec.structs.replace(call(index, "a", session=session), order=index + 1))

    assert machines.read(POLICY, LADDER, call(9, session="s0")) == Unavailable("may have been dropped for room")


def test_users_stay_where_they_are_and_sessions_pass_away() -> None:
    of_users = msgspec.structs.replace(LADDER, name="of-users", scope="user")
    machines = Machines()
    machines.declare({POLICY: [LADDER, of_users]})
    machines.fold(msgspec.structs.replace(call(1, "a", user="ann"), order=5))
    machines.forget(6)

    found = [machines.read(POLICY, machine, call(2, user="ann")) for machine in (LADDER, of_users)]
    assert found == ["normal", "review"]


def test_a_machine_of_a_policy_that_was_withdrawn_moves_no_more_and_stands_where_it_stood() -> None:
    machines = Machines()
    machines.declare({POLICY: [LADDER]})
    machines.fold(msgspec.structs.replace(call(1, "a"), order=1))
    under_way = call(2, "b")
    machines.reserve(under_way)
    machines.declare({})
    machines.reserve(under_way)
    machines.release(under_way.receipt)
    machines.fold(msgspec.structs.replace(under_way, order=2))

    assert machines.read(POLICY, LADDER, call(9)) == "review"
