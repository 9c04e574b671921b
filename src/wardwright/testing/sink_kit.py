"""The conformance kit of sinks, one case a promise.

Run it over your own sink, from any test runner:

    @pytest.mark.parametrize("case", sink_kit.CASES, ids=str)
    def test_my_sink(case):
        case.run(MySubject)

Rule 1: a case speaks to a `Subject`: the sink, and what its receiver has got.
Rule 2: nothing sleeps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeAlias

from wardwright.journal.sinks import Delivered, Later, Letter, Sink


class Subject(Protocol):
    """A sink under test and its receiver."""

    @property
    def sink(self) -> Sink: ...

    def received(self) -> list[bytes]:
        """The bodies that the receiver has got, in the order of arrival."""
        ...

    def break_receiver(self) -> None:
        """From now on letters cannot be delivered, which may change."""
        ...

    def mend_receiver(self) -> None: ...


Play: TypeAlias = Callable[[Subject], Awaitable[None]]


class Case:
    """One promise."""

    def __init__(self, name: str, play: Play) -> None:
        self.name = name
        self._play = play

    def __str__(self) -> str:
        return self.name

    def run(self, make: Callable[[], Subject]) -> None:
        """Raises AssertionError where the promise is broken."""

        async def played() -> None:
            subject = make()
            try:
                await self._play(subject)
            finally:
                await subject.sink.aclose()

        asyncio.run(played())


CASES: Final[list[Case]] = []


def _case(play: Play) -> Play:
    CASES.append(Case(getattr(play, "__name__", "").replace("_", " "), play))
    return play


def letter(number: int = 1) -> Letter:
    return Letter(body=b'{"number":%d,"text":"Gr\xc3\xbc\xc3\x9fe \\n"}' % number, id=f"alt_{number}")


@_case
async def a_letter_arrives_byte_for_byte(subject: Subject) -> None:
    await subject.sink.open()
    assert isinstance(await subject.sink.deliver(letter()), Delivered)
    assert subject.received() == [letter().body]


@_case
async def letters_arrive_in_the_order_in_which_they_were_handed_over(subject: Subject) -> None:
    await subject.sink.open()
    for number in range(5):
        await subject.sink.deliver(letter(number))
    assert subject.received() == [letter(number).body for number in range(5)]


@_case
async def letters_side_by_side_all_arrive_whole(subject: Subject) -> None:
    await subject.sink.open()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_delivered(subject.sink, letter(number))) for number in range(8)]
    assert [task.result() for task in tasks] == [True] * 8
    assert sorted(subject.received()) == sorted(letter(number).body for number in range(8))


@_case
async def a_receiver_in_trouble_is_no_exception_and_takes_letters_once_it_is_mended(subject: Subject) -> None:
    await subject.sink.open()
    subject.break_receiver()
    outcome = await subject.sink.deliver(letter())
    assert isinstance(outcome, Later)
    assert outcome.why
    subject.mend_receiver()
    assert isinstance(await subject.sink.deliver(letter()), Delivered)
    assert subject.received() == [letter().body]


@_case
async def a_letter_may_come_twice(subject: Subject) -> None:
    await subject.sink.open()
    for _ in range(2):
        assert isinstance(await subject.sink.deliver(letter()), Delivered)
    assert subject.received() == [letter().body] * 2


@_case
async def a_sink_opens_again_after_it_was_closed_twice(subject: Subject) -> None:
    await subject.sink.open()
    await subject.sink.aclose()
    await subject.sink.aclose()
    await subject.sink.open()
    assert isinstance(await subject.sink.deliver(letter()), Delivered)


async def _delivered(sink: Sink, one: Letter) -> bool:
    return isinstance(await sink.deliver(one), Delivered)
