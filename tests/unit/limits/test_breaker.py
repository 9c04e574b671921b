from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wardwright.contracts import provider
from wardwright.limits.breaker import PROBE_S_MAX, REST_S_MAX, Breaker

SETTINGS = provider.Breaker(failure_ppm=500_000, calls_min=4, window_s=10, open_s=5)


def failing(count: int, now: float = 0.0) -> Breaker:
    breaker = Breaker(SETTINGS)
    for _ in range(count):
        breaker.record(False, now)
    return breaker


def test_fewer_failures_than_calls_min_never_open_it() -> None:
    assert failing(3).admits(0.0)


def test_it_opens_when_the_failure_rate_is_reached_on_enough_calls() -> None:
    breaker = failing(4)
    assert not breaker.admits(0.1)
    assert breaker.resting(0.1) == "breaker_open"
    assert breaker.health(0.1).free_at == 5.0


def test_a_rate_below_the_threshold_keeps_it_closed() -> None:
    breaker = Breaker(SETTINGS)
    for ok in [True, True, False] * 20:
        breaker.record(ok, 1.0)
    assert breaker.admits(1.0)


def test_a_success_never_opens_it() -> None:
    breaker = failing(3)
    breaker.record(True, 0.0)
    assert breaker.admits(0.0)


def test_failures_that_left_the_window_count_no_more() -> None:
    breaker = failing(3, now=0.0)
    breaker.record(False, 11.0)
    assert breaker.admits(11.0)
    assert breaker.health(11.0).failures == 1


def test_failures_spread_over_the_window_count_together() -> None:
    breaker = Breaker(SETTINGS)
    for now in (0.0, 2.5, 5.0, 7.5):
        breaker.record(False, now)
    assert not breaker.admits(7.5)


def test_exactly_one_probe_goes_when_the_rest_is_over() -> None:
    breaker = failing(4)
    assert not breaker.admits(4.9)
    assert [breaker.admits(5.0) for _ in range(3)] == [True, False, False]


def test_asking_whether_it_rests_does_not_take_the_probe() -> None:
    breaker = failing(4)
    assert breaker.resting(5.0) is None
    assert breaker.resting(5.0) is None
    assert breaker.admits(5.0)
    assert breaker.resting(5.0) == "breaker_open"


def test_a_probe_that_succeeds_closes_it_with_a_clean_window() -> None:
    breaker = failing(4)
    breaker.admits(5.0)
    breaker.record(True, 5.5)
    assert all(breaker.admits(5.5) for _ in range(5))
    breaker.record(False, 5.6)
    assert breaker.health(5.6).state == "closed"


def test_a_probe_that_fails_opens_it_again_for_the_whole_rest() -> None:
    breaker = failing(4)
    breaker.admits(5.0)
    breaker.record(False, 6.0)
    assert not breaker.admits(10.9)
    assert breaker.admits(11.0)


def test_verdicts_of_calls_that_began_before_it_opened_change_nothing() -> None:
    breaker = failing(4)
    breaker.record(True, 1.0)
    breaker.record(False, 4.0)
    assert not breaker.admits(4.5)
    assert breaker.admits(5.0)


def test_the_end_of_an_older_call_is_not_taken_for_the_probes() -> None:
    for end in ("ok", "failed", "abandoned"):
        breaker = failing(4)
        assert breaker.admits(5.0)
        if end == "abandoned":
            breaker.abandoned(began=4.0)
        else:
            breaker.record(end == "ok", 5.5, began=4.0)
        assert breaker.resting(5.6) == "breaker_open"
        breaker.record(True, 6.0, began=5.0)
        assert breaker.health(6.0).state == "closed"


def test_an_abandoned_probe_makes_room_for_another() -> None:
    breaker = failing(4)
    assert breaker.admits(5.0)
    breaker.abandoned()
    assert breaker.admits(5.1)


def test_a_probe_that_never_reports_is_taken_for_lost() -> None:
    breaker = failing(4)
    assert breaker.admits(5.0)
    assert not breaker.admits(5.0 + PROBE_S_MAX - 0.1)
    assert breaker.admits(5.0 + PROBE_S_MAX)


def test_retry_after_is_obeyed_and_is_no_failure() -> None:
    breaker = Breaker(SETTINGS)
    breaker.rest_until(7.0, now=0.0)
    assert breaker.resting(6.9) == "rate_limited"
    assert not breaker.admits(6.9)
    assert [breaker.admits(7.0) for _ in range(3)] == [True, True, True]


def test_retry_after_cannot_silence_a_target_for_ever() -> None:
    breaker = Breaker(SETTINGS)
    breaker.rest_until(1e9, now=10.0)
    assert breaker.health(10.0).free_at == 10.0 + REST_S_MAX
    assert breaker.admits(10.0 + REST_S_MAX)


def test_a_later_shorter_retry_after_does_not_cut_the_rest_short() -> None:
    breaker = Breaker(SETTINGS)
    breaker.rest_until(20.0, now=0.0)
    breaker.rest_until(5.0, now=1.0)
    assert not breaker.admits(19.0)


def test_a_probe_answered_with_retry_after_rests_and_then_probes_again() -> None:
    breaker = failing(4)
    breaker.admits(5.0)
    breaker.rest_until(8.0, now=5.5)
    assert breaker.resting(6.0) == "rate_limited"
    assert [breaker.admits(8.0), breaker.admits(8.0)] == [True, False]


@given(
    st.lists(
        st.tuples(st.floats(0, 4, allow_nan=False), st.sampled_from(["ask", "ok", "failed", "abandoned", "quiet"])),
        max_size=80,
    )
)
def test_whatever_happened_it_admits_again_after_the_longest_rest(history: list[tuple[float, str]]) -> None:
    breaker, now = Breaker(SETTINGS), 0.0
    for pause, event in history:
        now += pause
        match event:
            case "ask":
                breaker.admits(now)
            case "abandoned":
                breaker.abandoned()
            case "quiet":
                breaker.rest_until(now + 1e6, now)
            case verdict:
                breaker.record(verdict == "ok", now)
        health = breaker.health(now)
        assert 0 <= health.failures <= health.calls
        assert (health.rest is None) == (health.free_at <= now)
    assert breaker.admits(now + max(REST_S_MAX, PROBE_S_MAX))


@given(st.lists(st.tuples(st.floats(0, 3, allow_nan=False), st.booleans()), max_size=60))
def test_a_closed_breaker_counts_the_declared_window_give_or_take_a_slice(
    verdicts: list[tuple[float, bool]],
) -> None:
    breaker = Breaker(provider.Breaker(failure_ppm=1_000_000, calls_min=10_000, window_s=10))
    now, seen = 0.0, []
    for pause, ok in verdicts:
        now += pause
        breaker.record(ok, now)
        seen.append((now, ok))
    calls = breaker.health(now).calls
    assert len([at for at, _ in seen if at > now - 9]) <= calls <= len([at for at, _ in seen if at > now - 11])
