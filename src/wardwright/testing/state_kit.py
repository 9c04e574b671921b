"""The conformance kit of state stores: what one promises, one case a promise.

Run it over your own store, from any test runner:

    @pytest.mark.parametrize("case", state_kit.CASES, ids=str)
    def test_my_store(case):
        case.run(MySubject())
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from wardwright.journal.state import Reached, Snapshot, StateStore
from wardwright.journal.store import ChainKey, Cursor
from wardwright.kernel.errors import WardwrightError


class Subject(Protocol):
    """A store under test that outlives whoever opened it."""

    def open(self) -> StateStore:
        """The store, as a process finds it that starts; what had it open before is gone."""
        ...

    def break_disk(self) -> None:
        """From now on nothing can be written by the store that is open."""
        ...


class Case(msgspec.Struct, frozen=True):
    """One promise."""

    name: str
    check: Callable[[Subject], None]

    def __str__(self) -> str:
        return self.name

    def run(self, subject: Subject) -> None:
        self.check(subject)


def _reached(offset: int, writer: str = "node/gateway-0") -> Reached:
    return Reached(ChainKey(writer, "calls"), Cursor(1, offset), 10, f"id-{offset}")


def _code(write: Callable[[], None]) -> str | None:
    """The code of the error that a write raises."""
    try:
        write()
    except WardwrightError as error:
        return error.code
    return None


def a_projection_that_was_never_saved_is_empty(subject: Subject) -> None:
    assert subject.open().load("history") == Snapshot()


def what_was_saved_is_found_by_the_next_process(subject: Subject) -> None:
    subject.open().save("history", {"a": b"1", "b": b"2"}, (_reached(5),))

    assert subject.open().load("history") == Snapshot(rows={"a": b"1", "b": b"2"}, reached=(_reached(5),))


def rows_are_replaced_and_dropped_one_by_one(subject: Subject) -> None:
    store = subject.open()
    store.save("history", {"a": b"1", "b": b"2", "c": b"3"}, ())
    store.save("history", {"a": b"4", "b": None, "never": None}, ())

    assert store.load("history").rows == {"a": b"4", "c": b"3"}


def the_cursor_is_replaced_whole_and_sorted(subject: Subject) -> None:
    store = subject.open()
    store.save("history", {}, (_reached(5), _reached(5, "node/gateway-1")))
    store.save("history", {}, (_reached(9, "node/gateway-2"), _reached(7)))

    assert store.load("history").reached == (_reached(7), _reached(9, "node/gateway-2"))


def projections_do_not_meet(subject: Subject) -> None:
    store = subject.open()
    store.save("history", {"a": b"1"}, (_reached(5),))
    store.save("budgets", {"a": b"2"}, ())
    store.clear("history")

    assert store.load("history") == Snapshot()
    assert store.load("budgets").rows == {"a": b"2"}


def any_key_and_any_bytes_are_kept(subject: Subject) -> None:
    rows = {'["past","t\u00fc","\\""]': bytes(range(256)), "": b""}
    subject.open().save("history", rows, ())

    assert subject.open().load("history").rows == rows


def what_cannot_be_written_is_told_and_changes_nothing(subject: Subject) -> None:
    store = subject.open()
    store.save("history", {"a": b"1"}, (_reached(5),))
    subject.break_disk()
    assert _code(lambda: store.save("history", {"a": b"2", "b": b"3"}, ())) == "state_write"
    assert _code(lambda: store.clear("history")) == "state_write"

    assert subject.open().load("history") == Snapshot(rows={"a": b"1"}, reached=(_reached(5),))


CASES: Final = tuple(
    Case(check.__name__.replace("_", " "), check)
    for check in (
        a_projection_that_was_never_saved_is_empty,
        what_was_saved_is_found_by_the_next_process,
        rows_are_replaced_and_dropped_one_by_one,
        the_cursor_is_replaced_whole_and_sorted,
        projections_do_not_meet,
        any_key_and_any_bytes_are_kept,
        what_cannot_be_written_is_told_and_changes_nothing,
    )
)
"""Every promise."""
