"""OpenAI answers as kernel events, and kernel events as OpenAI answers."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from parts import sdk_oracles
from wardwright.dialects.answer import DONE, Identity
from wardwright.dialects.event_reader import EventReader
from wardwright.dialects.openai_events import OpenAIEvents, OpenAIWhole
from wardwright.dialects.openai_render import ChunkRenderer, WholeRenderer
from wardwright.kernel.events import (
    Broken,
    Event,
    Finish,
    ReasoningDelta,
    RefusalDelta,
    Start,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStart,
    UsageReport,
)
from wardwright.kernel.usage import Usage

OURS = Identity("chatcmpl-rcp_1", "coding", 1_700_000_000)
ANSWER: list[Event] = [
    Start(),
    ReasoningDelta(0, "hm"),
    ReasoningDelta(0, "", signature="s"),
    ReasoningDelta(0, "", cipher="c"),
    TextDelta(0, "hé"),
    RefusalDelta(0, "no"),
    ToolCallStart(0, 0, "call_a", "f"),
    ToolArgumentsDelta(0, 0, "{}"),
    ToolCallStart(0, 1, "call_b", "g"),
    ToolArgumentsDelta(0, 1, '{"x":1}'),
    Finish(0, "tool_calls"),
    UsageReport(Usage(input=5, cached_input=2, output=3, reasoning=1)),
]


def rendered(events: list[Event]) -> bytes:
    renderer = ChunkRenderer(OURS, include_usage=True)
    return b"".join([renderer.write(event) for event in events]) + renderer.close()


def whole(events: list[Event]) -> bytes:
    renderer = WholeRenderer(OURS)
    assert all(renderer.write(event) == b"" for event in events)
    return renderer.close()


def decoded(stream: bytes) -> list[Event]:
    decoder = OpenAIEvents()
    return decoder.feed(stream) + decoder.close()


def decoded_whole(body: bytes) -> list[Event]:
    decoder = OpenAIWhole()
    return decoder.feed(body[:40]) + decoder.feed(body[40:]) + decoder.close()


def test_what_is_written_as_a_stream_is_read_back() -> None:
    assert decoded(rendered(ANSWER)) == ANSWER


def test_what_is_written_whole_is_read_back() -> None:
    assert decoded_whole(whole(ANSWER)) == ANSWER


def test_both_forms_are_one_answer_to_the_sdk() -> None:
    streamed, at_once = sdk_oracles.completion(rendered(ANSWER)), sdk_oracles.whole(whole(ANSWER))
    for read in (streamed, at_once):
        message = read.choices[0].message
        assert (message.content, message.refusal, read.choices[0].finish_reason) == ("hé", "no", "tool_calls")
        assert read.usage is not None
        assert (read.usage.prompt_tokens, read.usage.completion_tokens, read.usage.total_tokens) == (7, 4, 11)


@given(st.lists(st.tuples(st.integers(0, 2), st.text(min_size=1, max_size=5)), max_size=8))
def test_choices_that_take_turns_come_back_in_order(texts: list[tuple[int, str]]) -> None:
    used = sorted({choice for choice, _ in texts})
    events: list[Event] = [Start(), *[TextDelta(choice, text) for choice, text in texts]]
    events += [Finish(choice, "stop") for choice in used]
    if used:
        assert decoded(rendered(events)) == events


def test_a_stream_that_breaks_ends_in_one_broken() -> None:
    half = rendered(ANSWER)[:900]
    events = decoded(half)
    assert [event for event in events if isinstance(event, Broken)] == events[-1:]
    assert isinstance(decoded_whole(b"{}")[0], Broken)


def test_an_error_in_the_stream_is_the_last_event() -> None:
    decoder = OpenAIEvents()
    events = decoder.feed(rendered(ANSWER[:2]).replace(DONE, b"") + b'data: {"error":{"message":"boom"}}\n\n')
    assert events == [
        Start(),
        ReasoningDelta(0, "hm"),
        Broken("upstream_failed", "the upstream reported an error: boom"),
    ]
    assert decoder.feed(b"data: {}\n\n") == decoder.close() == []


def test_a_reader_of_events_counts_what_it_releases() -> None:
    reader = EventReader(OpenAIEvents(), ChunkRenderer(OURS, include_usage=True))
    assert reader.feed(rendered(ANSWER)) + reader.close() == rendered(ANSWER)
    tally = reader.tally
    assert (tally.text_chars, tally.reasoning_chars, tally.refusal_chars) == (2, 2, 2)
    assert (tally.tool_calls, tally.argument_chars, tally.finish) == (2, 9, {0: "tool_calls"})


def test_a_choice_that_started_must_finish() -> None:
    reader = EventReader(OpenAIEvents(), WholeRenderer(OURS), answer_bytes_max=10_000)
    reader.feed(rendered([Start(), TextDelta(0, "a"), TextDelta(1, "b"), Finish(0, "stop")]))
    assert (reader.close(), reader.finished) == (b"", False)
    assert reader.broken is not None


def test_an_answer_past_the_bound_is_not_held() -> None:
    reader = EventReader(OpenAIEvents(), WholeRenderer(OURS), answer_bytes_max=100)
    assert reader.feed(rendered(ANSWER)) == b""
    assert (reader.close(), reader.broken is not None) == (b"", True)


def test_chunks_without_meaning_make_no_events() -> None:
    chunk: dict[str, Any] = {"choices": [{"index": 0, "delta": {"content": "", "tool_calls": []}}]}
    decoder = OpenAIEvents()
    assert decoder.feed(b"data: " + json.dumps(chunk).encode() + b"\n\n") == [Start()]
