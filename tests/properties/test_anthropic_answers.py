"""What Anthropic's SDK reads of a stream, OpenAI's SDK reads of ours; and no cut of the bytes matters."""

from __future__ import annotations

import json
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from parts import messages_stream as up
from parts import sdk_oracles
from wardwright.dialects.answer import Identity, Tally
from wardwright.dialects.anthropic_voice import AnthropicVoice
from wardwright.dialects.anthropic_words import STOP_REASONS
from wardwright.kernel.events import Broken

OURS = Identity("chatcmpl-rcp_1", "coding", 1_700_000_000)
PIECES = st.lists(st.text(max_size=5), min_size=1, max_size=4)
ARGUMENTS = st.dictionaries(st.text(max_size=3), st.one_of(st.integers(), st.text(max_size=4)), max_size=3)


@st.composite
def blocks(draw: st.DrawFn) -> list[bytes]:
    made: list[bytes] = []
    for index in range(draw(st.integers(0, 5))):
        match draw(st.sampled_from(["text", "thinking", "redacted", "tool"])):
            case "text":
                made.append(up.text(index, *draw(PIECES)))
            case "thinking":
                made.append(up.thinking(index, "sig", *draw(PIECES)))
            case "redacted":
                made.append(up.redacted(index, "cipher"))
            case _:
                text = json.dumps(draw(ARGUMENTS), ensure_ascii=False)
                cut = draw(st.integers(0, len(text)))
                made.append(up.tool(index, f"toolu_{index}", "f", text[:cut], text[cut:]))
    return made


STREAMS = st.builds(
    lambda made, reason: up.start() + b"".join(made) + up.end(reason), blocks(), st.sampled_from(sorted(STOP_REASONS))
)


def read(pieces: list[bytes], *, stream: bool) -> tuple[bytes, Tally, Broken | None]:
    reader = AnthropicVoice().reader(
        OURS, stream=stream, include_usage=True, headers=[(b"content-type", b"text/event-stream")], target="t"
    )
    out = b"".join([reader.feed(piece) for piece in pieces])
    return out + reader.close(), reader.tally, reader.broken


@settings(max_examples=50, deadline=None)
@given(STREAMS)
def test_both_sdks_read_the_same_answer(stream: bytes) -> None:
    theirs = sdk_oracles.message(stream)
    out, tally, broken = read([stream], stream=False)
    assert broken is None
    (choice,) = sdk_oracles.whole(out).choices
    assert choice.finish_reason == STOP_REASONS[theirs.stop_reason or ""]
    texts = [block.text for block in theirs.content if block.type == "text"]
    assert (choice.message.content or "") == "".join(texts)
    thought = [block.thinking for block in theirs.content if block.type == "thinking"]
    assert (choice.message.model_extra or {}).get("reasoning_content", "") == "".join(thought)
    calls = [(block.id, block.name, block.input) for block in theirs.content if block.type == "tool_use"]
    ours = [call for call in choice.message.tool_calls or [] if call.type == "function"]
    assert calls == [(call.id, call.function.name, json.loads(call.function.arguments)) for call in ours]
    assert tally.usage is not None
    assert tally.usage.output_total == theirs.usage.output_tokens


@given(STREAMS, st.booleans(), st.lists(st.integers(0, 4_000), max_size=6), st.integers(0, 4_000))
def test_any_split_gives_the_same_bytes_and_counts(stream: bytes, streamed: bool, cuts: list[int], end: int) -> None:
    for given_bytes in (stream, stream[:end]):
        places = sorted({min(cut, len(given_bytes)) for cut in cuts} | {0, len(given_bytes)})
        pieces = [given_bytes[start:stop] for start, stop in pairwise(places)]
        expected = read([given_bytes], stream=streamed)
        assert read(pieces, stream=streamed) == expected
        assert read([bytes([byte]) for byte in given_bytes], stream=streamed) == expected
        assert (expected[2] is None) == bool(expected[1].finish)
