"""The fast way through the relay is the slow way, only faster; and no cut of the bytes matters to either."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from wardwright.dialects.answer import DONE, Identity, Tally
from wardwright.dialects.openai_stream import OpenAIRelay
from wardwright.kernel.events import Broken

OURS = Identity("chatcmpl-rcp_1", "coding", 1_700_000_000)
TEXT = st.one_of(
    st.sampled_from(["", "a", " token", "data: ", "\n\n", '"finish_reason":"stop"', "\\", "é€", "\U0001f600", "}\n{"]),
    st.text(max_size=6),
)


class SlowRelay(OpenAIRelay):
    """Every chunk with care."""

    __slots__ = ()

    def _run(self, run: bytes) -> bytes:
        return b""


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


def fragment(index: Any, **members: Any) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, **members}]}


def repeat_role(body: Any) -> Any:
    """As Ollama and OpenRouter write it."""
    if isinstance(body, bytes) or not isinstance(body.get("choices"), list):
        return body
    entries = [{**entry, "delta": {"role": "assistant", **entry["delta"]}} for entry in body["choices"]]
    return {**body, "choices": entries}


TEXTS = st.builds(lambda text: chunk({"content": text}), TEXT)
REASONING = st.builds(lambda text: chunk({"reasoning_content": text}), TEXT)
ARGUMENTS = st.builds(lambda text: chunk(fragment(0, function={"arguments": text})), TEXT)
PLAIN = st.one_of(
    TEXTS,
    REASONING,
    ARGUMENTS,
    st.builds(lambda text: chunk({"reasoning": text, "content": ""}), TEXT),
    st.builds(lambda text: chunk({"refusal": text}), TEXT),
    st.builds(lambda text: chunk({"content": text}, usage=None), TEXT),
    st.builds(lambda text: chunk({"content": text}, obfuscation=text), TEXT),
)
ODD = st.one_of(
    st.builds(lambda text: chunk({"role": "assistant", "content": text}), TEXT),
    st.builds(lambda text: chunk({"content": [{"type": "text", "text": text}]}), TEXT),
    st.builds(lambda text: chunk({"function_call": {"arguments": text}}), TEXT),
    st.builds(
        lambda at, name, text: chunk(fragment(at, id=f"call_{name}", function={"name": name, "arguments": text})),
        st.sampled_from([0, 0, 1, 2, None]),
        st.sampled_from(["f", "g"]),
        TEXT,
    ),
    st.builds(lambda at, text: chunk(fragment(at, function={"arguments": text})), st.sampled_from([0, 1, None]), TEXT),
    st.builds(lambda text: {"choices": [{"index": 1, "delta": {"content": text}, "finish_reason": None}]}, TEXT),
    st.builds(lambda at: {"choices": [{"index": at, "delta": {}, "finish_reason": "stop"}]}, st.sampled_from([0, 1])),
    st.just(chunk({}, "")),
    st.just(chunk({"content": "x"}, usage={"prompt_tokens": 3, "completion_tokens": 1})),
    st.just({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}),
    st.just({"choices": []}),
    st.just({}),
    st.just({"error": None, **chunk({"content": "x"})}),
)
FATAL = st.sampled_from(
    [
        {"error": {"message": "boom", "type": "server_error"}},
        {"choices": 7},
        chunk({}, "error"),
        b"data: not json\n\n",
        b'data: {"choices":[{"index":0,"delta":{"content":"\xff"}}]}\n\n',
    ]
)


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """The events of one stream, as one of the servers we know would write them."""
    plain = draw(st.sampled_from([TEXTS, TEXTS, REASONING, ARGUMENTS, PLAIN]))
    odd = draw(st.sampled_from([plain, plain, ODD, st.one_of(PLAIN, ODD)]))
    bodies: list[Any] = [chunk({"role": "assistant", "content": ""})] if draw(st.booleans()) else []
    if plain is ARGUMENTS or draw(st.booleans()):
        bodies.append(chunk(fragment(0, id="call_0", type="function", function={"name": "f", "arguments": ""})))
    bodies += draw(st.lists(plain, min_size=1, max_size=8))
    bodies += draw(st.lists(odd, max_size=3))
    bodies += draw(st.lists(plain, min_size=2, max_size=8))
    if draw(st.integers(0, 5)) == 5:
        bodies.append(draw(FATAL))
    if draw(st.integers(0, 4)) != 4:
        bodies.append(chunk({}, draw(st.sampled_from(["stop", "length", "tool_calls", "eos"]))))
        late = st.one_of(PLAIN, st.just({"choices": [], "usage": {"prompt_tokens": 1}}))
        bodies += draw(st.lists(late, max_size=2))
    style = draw(st.sampled_from(["head", "head", "tail", "split", "spaced", "mixed"]))
    if draw(st.integers(0, 3)) == 3:
        bodies = [repeat_role(body) for body in bodies]
    ticks = draw(st.sampled_from([0, 0, 3]))
    created = 5
    events: list[bytes] = []
    for body in bodies:
        if isinstance(body, bytes):
            events.append(body)
            continue
        created += ticks > 0 and len(events) % ticks == 0
        one = {"id": "chatcmpl-A", "object": "chat.completion.chunk", "created": created, "model": "m-1"}
        if style == "split":
            written = {"id": one["id"], **body, "created": created, "model": "m-1"}
        elif style == "tail" or (style == "mixed" and draw(st.booleans())):
            written = {**body, "created": created, "id": one["id"], "model": "m-1", "object": one["object"]}
        else:
            written = {**one, "system_fingerprint": "fp", **body}
        spaced = style == "spaced" or (style == "mixed" and draw(st.booleans()))
        text = json.dumps(written, ensure_ascii=draw(st.booleans()), separators=None if spaced else (",", ":"))
        events.append(b"data: " + text.encode() + b"\n\n")
    if draw(st.booleans()):
        events.insert(draw(st.integers(0, len(events))), b": ping\n\n")
    if draw(st.booleans()):
        events.append(DONE)
    return events


Seen = tuple[bytes, Tally, Broken | None, bool, bool]


def relay(kind: type[OpenAIRelay], pieces: list[bytes], *, include_usage: bool, bound: int = 10_000) -> Seen:
    reader = kind(OURS, include_usage=include_usage, mark="here", event_bytes_max=bound)
    out = b"".join(reader.feed(piece) for piece in pieces)
    done = reader.done
    out += reader.close()
    return out, reader.tally, reader.broken, reader.finished, done


@settings(max_examples=300)
@given(streams(), st.booleans(), st.lists(st.integers(0, 4_000), max_size=6), st.sampled_from([10_000, 10_000, 220]))
def test_any_split_and_either_way_give_the_same_bytes_and_counts(
    events: list[bytes], include_usage: bool, cuts: list[int], bound: int
) -> None:
    stream = b"".join(events)
    places = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    pieces = [stream[start:end] for start, end in pairwise(places)]
    slow = relay(SlowRelay, events, include_usage=include_usage, bound=bound)
    for cut in ([stream], pieces, events, [bytes([byte]) for byte in stream]):
        assert relay(OpenAIRelay, cut, include_usage=include_usage, bound=bound) == slow


@given(streams(), st.booleans())
def test_what_leaves_is_always_a_stream_of_our_chunks(events: list[bytes], include_usage: bool) -> None:
    out, tally, broken, finished, _ = relay(OpenAIRelay, [b"".join(events)], include_usage=include_usage)
    blocks = out.split(b"\n\n")
    assert blocks.pop() == b""
    assert (blocks[-1:] == [b"data: [DONE]"]) == (finished and broken is None)
    chunks = [json.loads(block.removeprefix(b"data: ")) for block in blocks if block != b"data: [DONE]"]
    assert all((c["id"], c["model"], c["created"]) == (OURS.id, OURS.model, OURS.created) for c in chunks)
    assert all(c["object"] == "chat.completion.chunk" for c in chunks)
    roles = [entry["index"] for c in chunks for entry in c["choices"] if entry["delta"].get("role")]
    assert len(roles) == len(set(roles))
    finishes = {e["index"]: e["finish_reason"] for c in chunks for e in c["choices"] if e["finish_reason"]}
    assert finishes == tally.finish
    usages = [c for c in chunks if c.get("usage")]
    assert len(usages) <= include_usage
    assert usages == [] or (usages == chunks[-1:] and usages[0]["choices"] == [])
    if include_usage:
        assert all("usage" in c for c in chunks)
    texts = [e["delta"].get("content") for c in chunks for e in c["choices"]]
    assert sum(len(text) for text in texts if isinstance(text, str)) == tally.text_chars
