"""A deadline may move both ways while the wheel watches it."""

from __future__ import annotations

from wardwright.limits.deadlines import NEVER, TICK_S, Deadline, Wheel


class Noted(Deadline):
    def __init__(self) -> None:
        super().__init__()
        self.fired: list[float] = []

    def expired(self, now: float) -> None:
        self.fired.append(now)


def turn(wheel: Wheel, until_s: float) -> None:
    while wheel.now < until_s:
        wheel.advance(wheel.now + TICK_S)


def armed(wheel: Wheel, at: float) -> Noted:
    noted = Noted()
    noted.at = at
    wheel.arm(noted)
    return noted


def test_moved_later_without_arming_it_fires_at_the_later_instant_alone() -> None:
    wheel = Wheel(0.0)
    noted = armed(wheel, 1.0)
    noted.at = 3.0
    turn(wheel, 5.0)
    assert len(noted.fired) == 1
    assert 3.0 <= noted.fired[0] <= 3.0 + 2 * TICK_S


def test_moved_earlier_and_armed_again_it_fires_at_the_earlier_instant_alone() -> None:
    wheel = Wheel(0.0)
    noted = armed(wheel, 4.0)
    noted.at = 1.0
    wheel.arm(noted)
    turn(wheel, 6.0)
    assert len(noted.fired) == 1
    assert 1.0 <= noted.fired[0] <= 1.0 + 2 * TICK_S
    assert len(wheel) == 0


def test_back_in_a_bucket_that_holds_a_stale_entry_it_still_fires_once() -> None:
    wheel = Wheel(0.0)
    noted = armed(wheel, 4.0)
    noted.at = 1.0
    wheel.arm(noted)
    noted.at = 4.0
    turn(wheel, 6.0)
    assert len(noted.fired) == 1
    assert noted.fired[0] >= 4.0


def test_disarmed_it_never_fires_and_leaves_the_wheel() -> None:
    wheel = Wheel(0.0)
    noted = armed(wheel, 1.0)
    noted.at = NEVER
    turn(wheel, 2.0)
    assert noted.fired == []
    assert len(wheel) == 0
