"""The gate lets right answers through and names what is wrong with the others."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
import pytest

from benchmarks import behaviour
from benchmarks.behaviour import Behaviour, Burst, Delayed, Hold, Trickle, Whole
from benchmarks.gate import STRICT, UNDER_LOAD, Answer, Arrival, Exchange, Wrong, check

MS = 1_000_000


def whole(text: str, finish: str = "stop") -> bytes:
    return msgspec.json.encode({"choices": [{"message": {"content": text}, "finish_reason": finish}]})


def event(text: str | None, finish: str | None = None) -> bytes:
    delta = {} if text is None else {"content": text}
    return b"data: " + msgspec.json.encode({"choices": [{"delta": delta, "finish_reason": finish}]}) + b"\n\n"


def stream(texts: Sequence[str], finish: str = "stop") -> bytes:
    return b"".join(map(event, texts)) + event(None, finish) + b"data: [DONE]\n\n"


def exchange(body: bytes, arrivals: Sequence[Arrival] = (), status: int = 200) -> Exchange:
    arrivals = arrivals or [(5 * MS, len(body))]
    return Exchange(status=status, body=body, arrivals=arrivals, started_ns=1 * MS, ended_ns=arrivals[-1][0])


def verdict(meant: Behaviour, body: bytes) -> Answer | Wrong:
    return check(meant, exchange(body), STRICT)


def why(found: Answer | Wrong) -> str:
    assert isinstance(found, Wrong)
    return found.why


BURST = [behaviour.burst_delta(index) for index in range(5)]


def test_a_right_whole_answer_carries_its_times() -> None:
    assert verdict(Whole(), whole(behaviour.WHOLE_TEXT)) == Answer(total_ns=4 * MS, first_byte_ns=4 * MS, own_ns=4 * MS)


def test_the_time_that_the_upstream_states_is_not_the_gateways() -> None:
    found = verdict(Delayed(3), whole(behaviour.waited(3 * MS)))
    assert found == Answer(total_ns=4 * MS, first_byte_ns=4 * MS, own_ns=1 * MS)


def test_one_changed_character_is_found_with_its_place() -> None:
    text = behaviour.WHOLE_TEXT
    assert "at character 4" in why(verdict(Whole(), whole(text[:4] + "R" + text[5:])))


def test_a_shortened_text_is_found() -> None:
    assert "after 20 characters" in why(verdict(Burst(5), stream(BURST[:4])))


def test_a_status_other_than_200_is_wrong_and_quotes_the_body() -> None:
    assert why(check(Whole(), exchange(b"overloaded", status=503), STRICT)) == "status 503: overloaded"


def test_a_whole_answer_that_did_not_stop_is_wrong() -> None:
    assert "'length'" in why(verdict(Whole(), whole(behaviour.WHOLE_TEXT, "length")))


def test_an_answer_that_is_not_json_is_wrong() -> None:
    assert "malformed" in why(verdict(Whole(), b"<html>"))


def test_a_right_burst_passes() -> None:
    assert isinstance(verdict(Burst(5), stream(BURST)), Answer)


def test_events_may_use_other_line_ends_comments_and_further_fields() -> None:
    body = b": ping\r\n\r\n" + stream(BURST).replace(b"\n\n", b"\r\n\r\n").replace(b"data: ", b"id: 1\r\ndata:", 1)
    assert isinstance(verdict(Burst(5), body), Answer)


def test_a_usage_event_without_choices_is_passed_over() -> None:
    body = stream(BURST).replace(b"data: [DONE]", b'data: {"choices":[],"usage":{}}\n\ndata: [DONE]')
    assert isinstance(verdict(Burst(5), body), Answer)


@pytest.mark.parametrize(
    ("texts", "name"),
    [
        (BURST[:3] + BURST[4:], "lost"),
        ([*BURST[:3], BURST[2], *BURST[3:]], "doubled"),
        ([BURST[1], BURST[0], *BURST[2:]], "swapped"),
    ],
)
def test_lost_doubled_and_swapped_events_are_found(texts: list[str], name: str) -> None:
    assert "differs" in why(verdict(Burst(5), stream(texts))), name


def test_a_stream_without_done_is_wrong() -> None:
    assert "without [DONE]" in why(verdict(Burst(5), stream(BURST).replace(b"data: [DONE]\n\n", b"")))


def test_a_stream_with_a_false_finish_is_wrong() -> None:
    assert "'error'" in why(verdict(Burst(5), stream(BURST, "error")))


def test_a_stream_cut_inside_an_event_is_wrong() -> None:
    assert "cut inside" in why(verdict(Burst(5), stream(BURST)[:-1]))


def test_words_after_done_are_wrong() -> None:
    assert "after [DONE]" in why(verdict(Burst(5), stream(BURST) + event("more")))


def test_a_held_stream_that_ends_is_wrong() -> None:
    assert "ended" in why(verdict(Hold(), stream(["open"])))


SLOW = Trickle(events=5, pause_ms=10)


def trickle(left_ms: Sequence[int]) -> tuple[bytes, list[int]]:
    """The body of a trickled stream and where each of its events ends."""
    events = [event(behaviour.stamped(index, at * MS)) for index, at in enumerate(left_ms)]
    ends = [sum(map(len, events[: index + 1])) for index in range(len(events))]
    return b"".join(events) + event(None, "stop") + b"data: [DONE]\n\n", ends


def arrived(left_ms: Sequence[int], at_ms: Sequence[int]) -> Exchange:
    """A trickled stream whose events left and arrived at these instants."""
    body, ends = trickle(left_ms)
    arrivals = [(at * MS, end) for at, end in zip(at_ms, ends, strict=True)]
    return exchange(body, [*arrivals, (at_ms[-1] * MS, len(body))])


LEFT_MS = [10, 20, 30, 40, 50]


def test_a_trickle_that_keeps_its_pace_passes_with_the_hop_of_each_event() -> None:
    found = check(SLOW, arrived(LEFT_MS, [11, 22, 31, 42, 51]), STRICT)
    assert isinstance(found, Answer)
    assert found.hops_ns == (1 * MS, 2 * MS, 1 * MS, 2 * MS, 1 * MS)
    assert found.first_byte_ns == 10 * MS


@pytest.mark.parametrize("pace", [STRICT, UNDER_LOAD])
def test_a_relay_that_buffers_the_whole_stream_is_found(pace: object) -> None:
    body, _ = trickle(LEFT_MS)
    found = check(SLOW, exchange(body, [(60 * MS, len(body))]), STRICT if pace is STRICT else UNDER_LOAD)
    assert re.match(r"not streamed: 5 events sent over 40 ms arrived at 1 instants over 0 ms", why(found))


def test_a_relay_that_delivers_events_in_pairs_is_found() -> None:
    assert "not streamed" in why(check(SLOW, arrived(LEFT_MS, [20, 20, 40, 40, 50]), STRICT))


def test_a_relay_that_holds_back_and_then_hurries_is_found() -> None:
    assert "not streamed" in why(check(SLOW, arrived(LEFT_MS, [46, 47, 48, 49, 50]), STRICT))


def test_a_saturated_relay_may_catch_up_under_load() -> None:
    assert isinstance(check(SLOW, arrived(LEFT_MS, [46, 47, 48, 49, 50]), UNDER_LOAD), Answer)


def test_merged_events_are_found() -> None:
    stamps = [behaviour.stamped(index, at * MS) for index, at in enumerate(LEFT_MS)]
    body = stream([stamps[0] + stamps[1], *stamps[2:]])
    assert "merged" in why(check(SLOW, exchange(body), UNDER_LOAD))


def test_a_missing_event_of_a_trickle_is_found() -> None:
    assert "4 events came" in why(check(SLOW, arrived(LEFT_MS[:4], [11, 21, 31, 41]), STRICT))


def test_an_event_cannot_arrive_before_it_left() -> None:
    assert "before it was sent" in why(check(SLOW, arrived(LEFT_MS, [11, 19, 31, 41, 51]), STRICT))
