from __future__ import annotations

import asyncio
from typing import cast

from wardwright.providers.outbox import Outbox
from wardwright.testing.hand_timers import HandTimers


class Socket:
    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.gone = False

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def is_closing(self) -> bool:
        return self.gone

    def as_transport(self) -> asyncio.WriteTransport:
        return cast(asyncio.WriteTransport, self)


def outbox_on(timers: HandTimers) -> Outbox:
    return Outbox(cast(asyncio.AbstractEventLoop, timers))


def test_what_goes_to_one_connection_in_one_turn_is_one_write_in_order() -> None:
    timers, one, other = HandTimers(), Socket(), Socket()
    outbox = outbox_on(timers)
    outbox.write(one.as_transport(), b"a")
    outbox.write(one.as_transport(), b"b")
    outbox.write(other.as_transport(), b"x")
    outbox.write(one.as_transport(), b"c")
    assert one.writes == other.writes == []
    timers.turn()
    assert one.writes == [b"ab", b"c"]
    assert other.writes == [b"x"]
    outbox.write(one.as_transport(), b"d")
    timers.turn()
    assert one.writes == [b"ab", b"c", b"d"]


def test_a_flush_writes_now_and_the_turn_writes_nothing_twice() -> None:
    timers, one = HandTimers(), Socket()
    outbox = outbox_on(timers)
    outbox.write(one.as_transport(), b"a")
    outbox.flush()
    assert one.writes == [b"a"]
    timers.turn()
    assert one.writes == [b"a"]


def test_a_connection_that_went_meanwhile_is_not_written_to() -> None:
    timers, one, other = HandTimers(), Socket(), Socket()
    outbox = outbox_on(timers)
    outbox.write(one.as_transport(), b"a")
    outbox.write(other.as_transport(), b"b")
    one.gone = True
    timers.turn()
    assert one.writes == []
    assert other.writes == [b"b"]
