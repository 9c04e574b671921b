"""History against a naive reading of every call, and the laws of its fold."""

from __future__ import annotations

from itertools import accumulate

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from parts.pasts import LADDER, NOW_US, POLICY, asking, call, history, naive, state
from wardwright.contracts.policy import State, Window
from wardwright.kernel import canonical
from wardwright.kernel.units import SECOND_US
from wardwright.limits.events import Asking, CallEvents, Unavailable
from wardwright.limits.history import History, Row
from wardwright.limits.machines import advance, begin

ROWS_MAX = 10_000


def mostly(usual: object, *others: object) -> st.SearchStrategy[object]:
    """The usual value in most cases: else calls would rarely meet."""
    return (
        st.integers(0, 5)
        .map(lambda drawn: usual if drawn else None)
        .flatmap(lambda value: st.just(value) if value is not None else st.sampled_from(others))
    )


scopes = st.fixed_dictionaries(
    {
        "tenant": mostly("t", "u"),
        "session": mostly("s", None, "s2"),
        "session_declared": mostly(True, False),
        "user": mostly("ann", None, "bob"),
        "agent": mostly("x", None),
    }
)
windows = st.builds(
    Window,
    steps=st.none() | st.integers(1, 4),
    turns=st.none() | st.integers(1, 4),
    events=st.none() | st.integers(1, 4),
    age_s=st.none() | st.integers(1, 20),
)
states = st.builds(
    lambda measure, scope, within, same, current, items, session: state(
        measure,
        events=("a", "b") if measure == "sequence" else ("a",),
        scope=scope,
        within=within,
        same=same,
        of="size" if measure in ("sum", "distinct") else None,
        including_current=current,
        items_max=items,
        session=session if scope == "session" else "any",
    ),
    st.sampled_from(("count", "sum", "distinct", "formerly", "sequence", "absent")),
    st.sampled_from(("session", "user", "agent", "tenant")),
    windows,
    st.sampled_from(((), ("who",))),
    st.booleans(),
    st.integers(4, 6),
    st.sampled_from(("any", "declared")),
)


@st.composite
def some_calls(draw: st.DrawFn) -> list[CallEvents]:
    drawn = draw(
        st.lists(
            st.tuples(
                mostly(["a"], ["b"], ["b", "a"], ["other", "a", "b"], []),
                st.integers(0, 30),
                st.integers(0, 3),
                st.integers(0, 3),
                st.sampled_from((1, 2, None)),
                st.sampled_from(("w1", "w2")),
                scopes,
            ),
            min_size=4,
            max_size=14,
        )
    )
    return [
        call(index, *labels, at=at, turn=turn, step=step, fields={"size": size, "who": who}, **whose)
        for index, (labels, at, turn, step, size, who, whose) in enumerate(drawn)
    ]


asked = st.builds(
    lambda receipt, at, turn, step, who, whose: asking(
        call(receipt, at=at, turn=turn, step=step, **whose), at=at, fields={"who": who}
    ),
    st.integers(20, 30),
    st.integers(0, 40),
    st.integers(0, 6),
    st.integers(0, 6),
    st.sampled_from(("w1", "w2")),
    scopes,
)


@given(states, st.data(), some_calls())
def test_a_reading_is_what_a_naive_reader_of_every_call_says(
    one: State, data: st.DataObject, calls: list[CallEvents]
) -> None:
    kept: History = history(one)
    here: list[CallEvents] = []
    under_way: list[CallEvents] = []
    for each in calls:
        match data.draw(st.sampled_from(("settle", "reserve", "reserve and settle", "reserve and release", "apply"))):
            case "settle":
                kept.settle(each, NOW_US)
            case "apply":
                kept.apply(each)
                kept.apply(each)
            case "reserve":
                kept.reserve(each)
                under_way.append(each)
            case "reserve and settle":
                kept.reserve(msgspec.structs.replace(each, events=each.events[:1]))
                kept.reserve(each)
                kept.settle(each, NOW_US)
            case _:
                kept.reserve(each)
                kept.release(each.receipt)
                continue
        here.append(each)
    asks = data.draw(asked)
    if under_way:
        asks = msgspec.structs.replace(asks, call=data.draw(st.sampled_from(under_way)))

    assert kept.read(POLICY, one, asks) == naive(here, one, asks)


@settings(max_examples=400)
@given(
    windows,
    st.integers(4, 6),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1), st.integers(0, 1)), min_size=3, max_size=9),
    st.booleans(),
    st.integers(0, 3),
)
def test_a_window_shows_what_lies_within_every_bound(
    within: Window, items_max: int, steps: list[tuple[int, int, int]], turned_back: bool, ahead: int
) -> None:
    """A conversation that goes on, or was taken up again from an earlier place."""
    one = state(within=within, items_max=items_max)
    at, turn, step = (list(accumulate(some)) for some in zip(*steps, strict=True))
    if turned_back:
        turn, step = turn[::-1], step[::-1]
    calls = [call(index, "a", at=at[index], turn=turn[index], step=step[index]) for index in range(len(steps))]
    kept = history(one)
    for each in calls:
        kept.settle(each, NOW_US)
    asks = asking(call(99, turn=max(turn) + ahead, step=max(step) + ahead), at=at[-1] + ahead)

    assert kept.read(POLICY, one, asks) == naive(calls, one, asks)


@given(states, some_calls(), asked, st.integers(1, 6))
def test_what_was_dropped_for_room_makes_a_reading_unavailable_and_never_wrong(
    one: State, calls: list[CallEvents], asks: Asking, room: int
) -> None:
    kept = history(one, events_max=room)
    for each in calls:
        kept.settle(each, NOW_US)
    read = kept.read(POLICY, one, asks)

    assert isinstance(read, Unavailable) or read == naive(calls, one, asks)


@given(st.lists(states, min_size=1, max_size=1), st.data(), some_calls())
def test_what_is_kept_does_not_depend_on_the_order_in_which_calls_end(
    some: list[State], data: st.DataObject, calls: list[CallEvents]
) -> None:
    shuffled = data.draw(st.permutations(calls))

    assert pasts(folded(some, calls)) == pasts(folded(some, shuffled))


@given(st.lists(states, min_size=1, max_size=1), some_calls())
def test_the_fold_of_receipts_is_what_was_lived(some: list[State], calls: list[CallEvents]) -> None:
    lived = history(*some, machines=(LADDER,))
    for each in calls:
        lived.reserve(each)
    receipts = [canonical.encode(lived.settle(each, NOW_US)) for each in calls]
    again = history(*some, machines=(LADDER,))
    for receipt in receipts:
        again.apply(msgspec.json.decode(receipt, type=CallEvents))

    assert stored(again) == stored(lived)


@given(
    st.lists(states, min_size=1, max_size=1), some_calls(), st.integers(0, 14), st.integers(0, 14), st.integers(1, 3)
)
def test_a_snapshot_and_the_tail_are_the_whole_fold(
    some: list[State], calls: list[CallEvents], cut: int, cursor: int, rows_max: int
) -> None:
    lived = history(*some, machines=(LADDER,))
    ended: list[CallEvents] = []
    rows: dict[str, bytes] = {}
    for index, each in enumerate(calls):
        ended.append(lived.settle(each, NOW_US + index))
        if index == cut:
            rows = stored(lived, rows_max)
    restored = history(*some, machines=(LADDER,))
    restored.restore(rows.items())
    for each in ended[min(cursor, cut + 1) if rows else 0 :]:
        restored.apply(each)

    def readings(kept: History) -> list[object]:
        asks = [asking(one, at=30, fields={"who": "w1"}) for one in calls]
        return [*(kept.read(POLICY, some[0], one) for one in asks), *(kept.machine(POLICY, LADDER, c) for c in calls)]

    assert readings(restored) == readings(lived)
    assert restored.settle(call(99, "a"), 0).order == lived.settle(call(99, "a"), 0).order


@given(some_calls())
def test_a_machine_is_where_its_labels_lead_in_the_order_in_which_calls_ended(calls: list[CallEvents]) -> None:
    kept = history(machines=(LADDER,))
    standing = begin(LADDER)
    for each in calls:
        kept.settle(each, NOW_US)
        if (each.scopes.tenant, each.scopes.session) == ("t", "s"):
            for event in each.events:
                standing = advance(LADDER, standing, event.label)

    assert kept.machine(POLICY, LADDER, call(99)) == standing.state


@given(st.lists(st.sampled_from(("a", "b")), max_size=40))
def test_a_machine_comes_to_rest_whatever_labels_come(labels: list[str]) -> None:
    standing, moves = begin(LADDER), 0
    for label in labels:
        after = advance(LADDER, standing, label)
        moves += after.state != standing.state
        standing = after

    assert moves <= 2 * 2 + 2


def folded(some: list[State], calls: list[CallEvents]) -> History:
    made = history(*some)
    for each in calls:
        made.apply(each)
    return made


def pasts(kept: History) -> dict[str, bytes]:
    return {key: value for key, value in stored(kept).items() if key.startswith('["past"')}


def stored(kept: History, rows_max: int = ROWS_MAX) -> dict[str, bytes]:
    rows: dict[str, bytes] = {}
    while True:
        some: tuple[Row, ...] = kept.changes(NOW_US + 60 * SECOND_US, rows_max)
        rows |= {row.key: row.value for row in some if row.value is not None}
        if len(some) < rows_max:
            return rows
