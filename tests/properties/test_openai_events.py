"""Plain chunks are read by a shorter way, and mean what they mean by the long one."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from wardwright.dialects import openai_chunk
from wardwright.dialects.answer import Identity
from wardwright.dialects.openai_events import OpenAIEvents
from wardwright.dialects.openai_render import ChunkRenderer
from wardwright.kernel.events import Event, Finish, ReasoningDelta, TextDelta

ABSENT = st.just(...)
TEXTS = st.text('ab\u00e9\U0001f600 "\\\n\x01', max_size=4)
INDICES = st.sampled_from((0, 0, 0, 1, 2, -1, None))


@st.composite
def deltas(draw: st.DrawFn) -> dict[str, Any]:
    members: dict[str, Any] = {
        "content": draw(st.one_of(TEXTS, TEXTS, TEXTS, ABSENT, st.sampled_from((None, [], 7)))),
        "role": draw(st.one_of(ABSENT, ABSENT, ABSENT, st.sampled_from((None, "assistant", "user")))),
        "reasoning_content": draw(st.one_of(ABSENT, ABSENT, ABSENT, st.none(), TEXTS)),
        "refusal": draw(st.one_of(ABSENT, ABSENT, ABSENT, st.none(), TEXTS)),
        "tool_calls": draw(st.one_of(ABSENT, ABSENT, ABSENT, st.sampled_from((None, [])))),
        "unheard_of": draw(st.one_of(ABSENT, ABSENT, st.none(), TEXTS)),
    }
    return {name: value for name, value in members.items() if value is not ...}


@st.composite
def chunks(draw: st.DrawFn) -> bytes:
    choices = [
        {
            "index": draw(INDICES),
            "delta": draw(deltas()),
            "finish_reason": draw(st.sampled_from((None,) * 12 + ("stop", "", "error"))),
            "logprobs": draw(st.sampled_from((None, {"content": []}))),
        }
        for _ in range(draw(st.sampled_from((1, 1, 1, 1, 1, 0, 2))))
    ]
    members: dict[str, Any] = {
        "id": draw(st.one_of(ABSENT, st.just("up-1"), st.none(), st.just(7))),
        "model": draw(st.one_of(ABSENT, st.just("m"))),
        "system_fingerprint": draw(st.one_of(ABSENT, st.just("fp"), st.none())),
        "usage": draw(st.one_of(ABSENT, ABSENT, st.none(), st.just({"prompt_tokens": 1, "completion_tokens": 2}))),
        "error": draw(st.one_of(ABSENT, ABSENT, ABSENT, ABSENT, ABSENT, st.none(), st.just({"message": "no"}))),
        "choices": choices,
    }
    return msgspec.json.encode({name: value for name, value in members.items() if value is not ...})


ODD: st.SearchStrategy[bytes] = st.sampled_from(
    (
        b'{"choices":[{"index":0,"delta":{"content":"\xff"}}]}',
        b'{"choices":[{"index":0,"delta":{"content":"\\ud800"}}]}',
        b'{"choices":[{"index":0,\ndata: "delta":{"content":"x"}}]}',
        b"nonsense",
        b"[DONE]",
    )
)
STREAMS = st.lists(st.one_of(chunks(), chunks(), chunks(), chunks(), ODD), max_size=24)


def read(sent: bytes, places: list[int], *, short: bool) -> tuple[list[Event], Any]:
    decoder = OpenAIEvents()
    if not short:
        decoder._repair._skimmed_in_vain = openai_chunk.SKIMMED_IN_VAIN_MAX
    edges = sorted({0, len(sent), *(place % (len(sent) + 1) for place in places)})
    events: list[Event] = []
    for start, end in pairwise(edges):
        events += decoder.feed(sent[start:end])
    events += decoder.close()
    return events, msgspec.structs.asdict(decoder.tally)


@given(STREAMS, st.lists(st.integers(0, 4000), max_size=8))
def test_plain_chunks_mean_the_same_by_the_short_way_and_by_the_long_one(
    payloads: list[bytes], places: list[int]
) -> None:
    sent = b"".join(b"data: %b\n\n" % payload for payload in payloads)
    assert read(sent, places, short=True) == read(sent, places, short=False)


EVENTS = st.one_of(
    st.builds(TextDelta, st.integers(0, 2), TEXTS),
    st.builds(TextDelta, st.integers(0, 2), TEXTS),
    st.builds(ReasoningDelta, st.integers(0, 2), TEXTS),
    st.builds(Finish, st.integers(0, 2), st.just("stop")),
)


@given(st.lists(EVENTS, max_size=20), st.booleans())
def test_what_is_written_of_text_is_a_chunk_like_any_other(events: list[Event], include_usage: bool) -> None:
    renderer = ChunkRenderer(Identity('chat"1', 'm"", ""', 1), include_usage=include_usage)
    spoken: set[int] = set()
    for event in events:
        written = renderer.write(event)
        assert not isinstance(event, TextDelta) or written
        if not written:
            continue
        chunk = msgspec.json.decode(written.removeprefix(b"data: "))
        (choice,) = chunk["choices"]
        assert written.endswith(b"\n\n")
        assert (chunk["id"], chunk["model"], "usage" in chunk) == ('chat"1', 'm"", ""', include_usage)
        assert ("role" in choice["delta"]) == (choice["index"] not in spoken)
        spoken.add(choice["index"])
        if isinstance(event, TextDelta):
            assert (choice["index"], choice["delta"]["content"]) == (event.choice, event.text)
            assert (choice["finish_reason"], choice["logprobs"]) == (None, None)
