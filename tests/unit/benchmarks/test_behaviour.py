"""A model's name means the same on both sides of the rig."""

from __future__ import annotations

import pytest

from benchmarks.behaviour import (
    STAMP_CHARS,
    Burst,
    Delayed,
    Hold,
    Trickle,
    Whole,
    behaviour_of,
    burst_text,
    read_stamps,
    read_waited,
    stamped,
    streams,
    uneven_pause_s,
    waited,
)
from benchmarks.loads import MODELS


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("json", Whole()),
        ("hold", Hold()),
        ("delay-20ms", Delayed(20)),
        ("sse-1000", Burst(1000)),
        ("slow-20x50ms", Trickle(20, 50)),
        ("openai/sse-50", Burst(50)),
    ],
)
def test_a_name_is_read_as_what_it_says(name: str, meant: object) -> None:
    assert behaviour_of(name) == meant


@pytest.mark.parametrize("name", ["", "sse-", "sse-0", "slow-5", "slow-0x5ms", "delay-0ms", "delay-99999ms", "json "])
def test_a_name_without_a_meaning_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"behaviour|bounds"):
        behaviour_of(name)


def test_every_model_of_the_loads_means_something() -> None:
    assert {streams(behaviour_of(model)) for model in MODELS} == {True, False}


def test_no_two_neighbouring_events_of_a_burst_say_the_same() -> None:
    deltas = burst_text(2_000).split()
    assert len(set(deltas)) == 2_000


def test_stamps_are_read_back_in_order() -> None:
    text = stamped(0, 5) + stamped(1, 2**62)
    assert len(text) == 2 * STAMP_CHARS
    assert read_stamps(text) == [(0, 5), (1, 2**62)]


@pytest.mark.parametrize("text", ["x", stamped(0, 5)[:-1], "(" + stamped(0, 5)[1:], stamped(0, 5).replace("5", "x")])
def test_a_damaged_stamp_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"stamp|literal"):
        read_stamps(text)


def test_a_wait_is_read_back() -> None:
    assert read_waited(waited(20_123_456)) == 20_123_456


def test_a_text_that_states_no_wait_is_refused() -> None:
    with pytest.raises(ValueError, match="does not state"):
        read_waited("waited long")


def test_pauses_differ_from_call_to_call_and_keep_their_mean() -> None:
    pauses_s = [uneven_pause_s(20, call) for call in range(1_000)]
    assert min(pauses_s) >= 0.015
    assert max(pauses_s) <= 0.025
    assert sum(pauses_s) / 1_000 == pytest.approx(0.02, rel=0.01)
    assert len(set(pauses_s)) == 1_000
