"""The conformance kit of stores of shared limits: what one promises, one case a promise.

Run it over your own store, from any test runner:

    @pytest.mark.parametrize("case", shares_kit.CASES, ids=str)
    def test_my_store(case):
        case.run(MySubject())
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from wardwright.kernel.errors import WardwrightError
from wardwright.limits.shares import Key, Part, Parts, ShareStore

ANN: Final = Key("t", "p/b:requests:user:day", "ann")
BOB: Final = Key("t", "p/b:requests:user:day", "bob")


class Subject(Protocol):
    """What several workers share."""

    def open(self) -> ShareStore:
        """The store as one more worker finds it; those that have it open already keep it."""
        ...

    def break_all(self) -> None:
        """From now on the stores that are open cannot be used."""
        ...


class Case(msgspec.Struct, frozen=True):
    """One promise."""

    name: str
    check: Callable[[Subject], None]

    def __str__(self) -> str:
        return self.name

    def run(self, subject: Subject) -> None:
        self.check(subject)


def _code(use: Callable[[], object]) -> str | None:
    try:
        use()
    except WardwrightError as error:
        return error.code
    return None


def what_nobody_told_is_empty(subject: Subject) -> None:
    store = subject.open()
    assert (dict(store.look(ANN)), store.joined()) == ({}, frozenset())


def a_part_is_decided_upon_with_all_parts_in_view(subject: Subject) -> None:
    one, two = subject.open(), subject.open()
    one.exchange(ANN, 0, lambda parts: Part(5, ((7, 3),)))
    seen: list[Parts] = []

    def decide(parts: Parts) -> Part:
        seen.append(dict(parts))
        return Part(2)

    assert dict(two.exchange(ANN, 1, decide)) == {0: Part(5, ((7, 3),)), 1: Part(2)}
    assert seen == [{0: Part(5, ((7, 3),))}]
    assert dict(one.look(ANN)) == {0: Part(5, ((7, 3),)), 1: Part(2)}


def a_decision_that_fails_changes_nothing(subject: Subject) -> None:
    store = subject.open()
    store.exchange(ANN, 0, lambda parts: Part(5))

    def fail(parts: Parts) -> Part:
        raise KeyError("no decision")

    try:
        store.exchange(ANN, 0, fail)
    except KeyError:
        pass
    else:
        raise AssertionError("what the decision raised is lost")
    assert dict(subject.open().look(ANN)) == {0: Part(5)}
    store.exchange(ANN, 0, lambda parts: Part(6))


def keys_do_not_meet(subject: Subject) -> None:
    store = subject.open()
    store.put(0, {ANN: Part(1), BOB: Part(2)})
    assert (dict(store.look(ANN)), dict(store.look(BOB))) == ({0: Part(1)}, {0: Part(2)})


def parts_are_put_and_dropped_one_by_one(subject: Subject) -> None:
    one, two = subject.open(), subject.open()
    one.put(0, {ANN: Part(1), BOB: Part(2)})
    two.put(1, {ANN: Part(3)})
    one.put(0, {ANN: None, BOB: Part(4, ((1, 1), (2, 3)))})
    assert dict(two.look(ANN)) == {1: Part(3)}
    assert dict(two.look(BOB)) == {0: Part(4, ((1, 1), (2, 3)))}


def joining_replaces_what_the_worker_told_before(subject: Subject) -> None:
    one, two = subject.open(), subject.open()
    one.put(0, {ANN: Part(1), BOB: Part(2)})
    two.put(1, {ANN: Part(3)})
    one.join(0, {BOB: Part(7)})
    assert (dict(two.look(ANN)), dict(two.look(BOB))) == ({1: Part(3)}, {0: Part(7)})
    assert two.joined() == {0}
    two.join(1, {})
    assert one.joined() == {0, 1}
    assert dict(one.look(ANN)) == {}


def any_name_is_kept(subject: Subject) -> None:
    key = Key("t\u00e9\x00'\";", "p/b:tokens:session:64s", "a\u2028 \U0001f9ed")
    subject.open().put(3, {key: Part(2**53 - 1, ((2**40, 2**53 - 1),))})
    assert dict(subject.open().look(key)) == {3: Part(2**53 - 1, ((2**40, 2**53 - 1),))}


def what_cannot_be_used_is_told(subject: Subject) -> None:
    store = subject.open()
    subject.break_all()
    assert _code(lambda: store.look(ANN)) == "state_write"
    assert _code(lambda: store.put(0, {ANN: Part(1)})) == "state_write"
    assert _code(lambda: store.join(0, {})) == "state_write"
    assert _code(lambda: store.joined()) == "state_write"
    assert _code(lambda: store.exchange(ANN, 0, lambda parts: Part(1))) == "state_write"


CASES: Final = tuple(
    Case(check.__name__.replace("_", " "), check)
    for check in (
        what_nobody_told_is_empty,
        a_part_is_decided_upon_with_all_parts_in_view,
        a_decision_that_fails_changes_nothing,
        keys_do_not_meet,
        parts_are_put_and_dropped_one_by_one,
        joining_replaces_what_the_worker_told_before,
        any_name_is_kept,
        what_cannot_be_used_is_told,
    )
)
