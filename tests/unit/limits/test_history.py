"""The past of calls: scopes, windows, calls under way, what is dropped, and what is kept beside the journal."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from parts.pasts import LADDER, NOW_US, POLICY, asking, call, history, state
from wardwright.contracts.policy import AGE_S_MAX, State, Window
from wardwright.kernel.units import SECOND_US
from wardwright.limits.events import Unavailable
from wardwright.limits.history import History
from wardwright.limits.past import PastRow


def ended(kept: History, count: int, **scopes: Any) -> None:
    for index in range(count):
        kept.settle(call(1000 + index, "a", **scopes), NOW_US)


# The history matrix


def test_scope_isolation() -> None:
    one = state(scope="user")
    kept = history(one)
    ended(kept, 3, user="ann")
    found = [
        kept.read(POLICY, one, asking(call(1, tenant=tenant, user=user)))
        for tenant, user in (("t", "ann"), ("t", "bob"), ("other", "ann"))
    ]

    assert found == [3, 0, 0]


def test_deterministic_eviction_under_concurrent_writes() -> None:
    """Calls that overlap and end in any order leave the same past: the last by instant and receipt."""
    one = state(items_max=3)
    left: list[bytes] = []
    for order in ((0, 1, 2, 3, 4), (4, 2, 0, 3, 1), (1, 0, 4, 3, 2)):
        kept = history(one)
        calls = [call(index, "a", at=index // 2) for index in range(5)]
        for index in reversed(order):
            kept.reserve(calls[index])
        for index in order:
            kept.settle(calls[index], NOW_US)
        left += [row.value or b"" for row in kept.changes(NOW_US, 100) if "past" in row.key]

    assert len(left) == 3
    assert len(set(left)) == 1
    assert [seen.receipt for seen in msgspec.json.decode(left[0], type=PastRow).events] == [
        "rcp_000002",
        "rcp_000003",
        "rcp_000004",
    ]


def test_out_of_scope_matches_are_not_counted() -> None:
    one = state()
    kept = history(one)
    ended(kept, 2)
    for stranger in (
        call(1, "a", session="other"),
        call(2, "a", session=None),
        call(3, "a", tenant="other"),
        call(4, "b"),
        call(5, "a", policies=("another",)),
    ):
        kept.settle(stranger, NOW_US)

    assert kept.read(POLICY, one, asking(call(9))) == 2


@pytest.mark.parametrize(("before", "shown"), [(1, 2), (2, 3), (3, 4)])
def test_threshold_boundary(before: int, shown: int) -> None:
    """The call that earns the label counts itself, so the third call reads three."""
    one = state()
    kept = history(one)
    ended(kept, before)
    current = call(1, "a")
    kept.reserve(current)

    assert kept.read(POLICY, one, asking(current)) == shown


# What earlier gateways of this kind got wrong


def test_defect_17_a_call_without_a_session_reads_nothing_instead_of_every_session() -> None:
    one = state()
    kept = history(one)
    ended(kept, 5)
    ended(kept, 5, session="another")

    assert kept.read(POLICY, one, asking(call(1, session=None))) == Unavailable("has no session")


def test_defect_18_an_old_event_does_not_count_for_ever() -> None:
    one = state(within=Window(turns=2))
    kept = history(one)
    kept.settle(call(1, "a", turn=0), NOW_US)

    assert [kept.read(POLICY, one, asking(call(9, turn=turn))) for turn in (0, 1, 2, 3)] == [1, 1, 0, 0]


def test_defect_19_use_of_one_tool_with_other_arguments_is_no_loop() -> None:
    one = state(same=("tools.digest",))
    kept = history(one)
    for index, digest in enumerate(("x", "y", "x", "z", "x")):
        kept.settle(call(index, "a", at=index, fields={"tools.digest": digest}), NOW_US)
    found = [
        kept.read(POLICY, one, asking(call(9), 9, fields={"tools.digest": digest})) for digest in ("x", "y", "new")
    ]

    assert found == [3, 1, 0]


# Scopes


@pytest.mark.parametrize("scope", ["run", "session", "agent", "user", "model", "tenant"])
def test_every_scope_sees_its_own_value_alone(scope: str) -> None:
    one = state(scope=scope, within=Window(events=50))
    kept = history(one)
    whose: dict[str, Any] = {"run": "r", "session": "s", "agent": "a", "user": "u", "model": "m"}
    other: dict[str, Any] = {**whose, scope: "other"}
    ended(kept, 2, **whose)

    assert kept.read(POLICY, one, asking(call(1, **whose))) == 2
    assert kept.read(POLICY, one, asking(call(1, **other))) == 0


def test_an_attempt_sees_its_own_events_until_its_call_ends() -> None:
    one = state(scope="attempt")
    kept = history(one)
    current = call(1, "a", attempt=1)
    kept.reserve(current)
    found = [kept.read(POLICY, one, asking(current, attempt=attempt)) for attempt in (0, 1, 2)]
    kept.settle(current, NOW_US)

    assert found == [Unavailable("has no attempt"), 1, 0]
    assert kept.read(POLICY, one, asking(current, attempt=1)) == 0


def test_a_derived_session_does_not_do_where_a_declared_one_is_asked_for() -> None:
    one = state(session="declared")
    kept = history(one)
    ended(kept, 2, session_declared=False)
    ended(kept, 1)

    assert kept.read(POLICY, one, asking(call(1, session_declared=False))) == Unavailable("has no declared session")
    assert kept.read(POLICY, one, asking(call(1))) == 1


# Calls under way


def test_a_thousand_parallel_calls_each_read_their_own_number() -> None:
    one = state(items_max=2000)
    kept = history(one)
    found = []
    for index in range(1000):
        current = call(index, "a")
        kept.reserve(current)
        found.append(kept.read(POLICY, one, asking(current)))

    assert found == list(range(1, 1001))


def test_a_call_that_is_released_was_never_there() -> None:
    one = state(items_max=1)
    kept = history(one, machines=(LADDER,))
    ended(kept, 1, session="other")
    kept.settle(call(1, "b"), NOW_US)
    kept.reserve(call(2, "a", at=5))
    kept.release("rcp_000002")
    kept.release("rcp_000002")

    assert kept.read(POLICY, one, asking(call(9))) == 0
    assert kept.machine(POLICY, LADDER, call(9)) == "normal"


def test_without_the_current_call_only_others_count_those_under_way_too() -> None:
    one = state(including_current=False)
    kept = history(one)
    current = call(1, "a")
    kept.reserve(current)
    kept.reserve(call(2, "a"))

    assert kept.read(POLICY, one, asking(current)) == 1


def test_events_that_a_call_earns_later_are_added_to_those_it_had() -> None:
    one = state(events=("a", "b"))
    kept = history(one)
    kept.reserve(call(1, "a"))
    kept.reserve(call(1, "a", "b"))
    assert kept.read(POLICY, one, asking(call(1))) == 2

    kept.settle(call(1, "a", "b"), NOW_US)
    assert kept.read(POLICY, one, asking(call(9))) == 2


# Measures


def test_a_sum_is_unavailable_where_an_event_did_not_keep_its_amount() -> None:
    one = state("sum", of="size")
    kept = history(one)
    kept.settle(call(1, "a", fields={"size": 3}), NOW_US)
    kept.settle(call(2, "a", fields={"size": None}), NOW_US)
    assert kept.read(POLICY, one, asking(call(9))) == 3

    kept.settle(call(3, "a"), NOW_US)
    assert kept.read(POLICY, one, asking(call(9))) == Unavailable("counts an event that did not keep `size`")


def test_what_a_call_lacks_equals_nothing() -> None:
    one = state(same=("caller.user",))
    kept = history(one)
    kept.settle(call(1, "a", fields={"caller.user": None}), NOW_US)

    found = kept.read(POLICY, one, asking(call(9), fields={"caller.user": None}))
    assert found == Unavailable("has no `caller.user` to compare with")


@pytest.mark.parametrize(("labels", "holds"), [("ab", True), ("ba", False), ("axb", True), ("a", False), ("bab", True)])
def test_a_sequence_holds_in_its_order_with_others_between(labels: str, holds: bool) -> None:
    one = state("sequence", events=("a", "b"))
    kept = history(one)
    for index, label in enumerate(labels):
        kept.settle(call(index, label, at=index), NOW_US)

    assert kept.read(POLICY, one, asking(call(9))) is holds


@pytest.mark.parametrize(("age_s", "shown"), [(9, 0), (10, 1), (11, 1)])
def test_an_event_that_is_exactly_as_old_as_the_window_still_counts(age_s: int, shown: int) -> None:
    one = state(within=Window(age_s=age_s))
    kept = history(one)
    kept.settle(call(1, "a", at=0), NOW_US)

    assert kept.read(POLICY, one, asking(call(9), at=10)) == shown


# Room


def test_a_past_that_was_dropped_for_room_is_unavailable_and_not_empty() -> None:
    one = state(within=Window(age_s=100))
    kept = history(one, events_max=2)
    for index in range(3):
        kept.settle(call(index, "a", at=index, session=f"s{index}"), NOW_US)

    def found(session: str, at: int) -> object:
        return kept.read(POLICY, one, asking(call(9, session=session), at=at))

    assert found("s0", 3) == Unavailable("reaches further back than what is kept")
    assert found("never", 3) == Unavailable("reaches further back than what is kept")
    assert [found("s1", 3), found("s2", 3)] == [1, 1]
    assert found("s0", 101) == 0


def test_pasts_that_no_window_reaches_are_let_go_of() -> None:
    one = state()
    kept = history(one, machines=(LADDER,))
    kept.settle(call(1, "a"), NOW_US)
    kept.changes(NOW_US, 100)
    rows = kept.changes(NOW_US + (AGE_S_MAX + 1) * SECOND_US, 100)

    assert sorted(row.key.split('"')[1] for row in rows if row.value is None) == ["crowded", "machine", "past"]
    assert kept.read(POLICY, one, asking(call(9), at=AGE_S_MAX + 1)) == 0


# Versions


def test_two_served_versions_of_a_policy_each_read_their_own_labels() -> None:
    old, new = state(events=("a",)), state(events=("a", "b"))
    kept = History()
    kept.declare({POLICY: [((old,), ()), ((new,), ())]})
    kept.settle(call(1, "a", "b"), NOW_US)

    assert [kept.read(POLICY, one, asking(call(9))) for one in (old, new)] == [1, 2]


@pytest.mark.parametrize(("items_max", "shown"), [(5, 2), (4, Unavailable("reaches further back than what is kept"))])
def test_a_version_that_counts_less_passes_over_what_an_earlier_one_counted(items_max: int, shown: object) -> None:
    old, new = state(events=("a", "b"), items_max=items_max), state(items_max=items_max)
    kept = history(old)
    for index, label in enumerate("aabbb"):
        kept.settle(call(index, label, at=index), NOW_US)
    kept.declare({POLICY: [((new,), ())]})

    assert kept.read(POLICY, new, asking(call(9))) == shown
    assert kept.read(POLICY, old, asking(call(9))) == items_max


# Beside the journal


def test_changes_come_once_and_again_where_they_could_not_be_stored() -> None:
    kept = history(state(), machines=(LADDER,))
    kept.settle(call(1, "a"), NOW_US)
    rows = kept.changes(NOW_US, 100)
    assert [row.key.split('"')[1] for row in rows] == ["order", "past", "machine"]
    assert kept.changes(NOW_US, 100) == ()

    kept.unsaved(rows)
    assert kept.changes(NOW_US, 100) == rows


def test_changes_come_in_steps_of_any_size() -> None:
    kept = history(state(), machines=(LADDER,))
    for index in range(5):
        kept.settle(call(index, "a", session=f"s{index}"), NOW_US)
    steps = [len(kept.changes(NOW_US, 4)) for _ in range(4)]

    assert steps == [4, 4, 3, 0]


def test_a_state_survives_a_restart() -> None:
    one: State = state()
    before = history(one, machines=(LADDER,))
    before.settle(call(1, "a"), NOW_US)
    after = history(one, machines=(LADDER,))
    after.restore((row.key, row.value) for row in before.changes(NOW_US, 100) if row.value is not None)

    assert after.read(POLICY, one, asking(call(9))) == 1
    assert after.machine(POLICY, LADDER, call(9)) == "review"
