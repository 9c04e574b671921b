"""The queue between the loop and the writer's thread."""

from __future__ import annotations

import msgspec
import pytest

from wardwright.journal.entry import Entry
from wardwright.kernel.errors import WardwrightError
from wardwright.storage.pending import Pending
from wardwright.testing.hand_loop import HandLoop


class Nothing(msgspec.Struct, frozen=True):
    """No data."""


def entry(told: list[Exception | None]) -> Entry:
    return Entry("test", Nothing(), at=0, on_durable=told.append)


def test_entries_come_out_in_the_order_in_which_they_were_put() -> None:
    pending = Pending(HandLoop(), 10)
    put = [entry([]) for _ in range(5)]
    for one in put:
        pending.put(one)
    assert pending.take(3) + pending.take(10) == put


def test_a_full_queue_refuses_and_counts() -> None:
    loop, told = HandLoop(), list[Exception | None]()
    pending = Pending(loop, 2)
    for _ in range(5):
        pending.put(entry(told))
    loop.turn()
    assert (len(pending), pending.refused) == (2, 3)
    assert [error.code for error in told if isinstance(error, WardwrightError)] == ["overloaded"] * 3


def test_an_entry_put_during_a_failure_is_told_at_once_and_stays() -> None:
    loop, told = HandLoop(), list[Exception | None]()
    pending = Pending(loop, 2)
    pending.failure = OSError("full")
    put = entry(told)
    pending.put(put)
    loop.turn()
    assert told == [pending.failure]
    assert pending.take(1) == [put]
    assert put.on_durable is None


def test_a_callback_that_fails_does_not_keep_others_from_being_told() -> None:
    loop, told = HandLoop(), list[Exception | None]()

    def defect(failure: Exception | None) -> None:
        raise ValueError("a defect")

    Pending(loop, 2).tell([told.append, defect, told.append], None)
    with pytest.raises(ExceptionGroup):
        loop.turn()
    assert told == [None, None]


def test_a_wake_before_the_wait_is_not_forgotten() -> None:
    pending = Pending(HandLoop(), 2)
    pending.wake()
    pending.wake()
    pending.wait()  # returns: it was woken
    pending.put(entry([]))
    pending.wait()  # returns: there is an entry
    assert len(pending) == 1
