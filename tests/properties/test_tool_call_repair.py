"""However a server numbers and names the pieces of parallel tool calls, the SDK puts the calls together."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any, Literal

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from parts import sdk_oracles
from wardwright.dialects.answer import DONE, Identity
from wardwright.dialects.openai_gather import OpenAIGather
from wardwright.dialects.openai_stream import OpenAIRelay

OURS = Identity("chatcmpl-rcp_1", "coding", 1_700_000_000)

Habit = Literal["proper", "all at 0", "no index", "from 1", "repeats itself", "no ids", "no ids at 0", "nulls"]
HABITS: list[Habit] = [
    "proper", "all at 0", "no index", "from 1", "repeats itself", "no ids", "no ids at 0", "nulls",
]  # fmt: skip


class Called(msgspec.Struct, frozen=True):
    """One call as the model meant it."""

    name: str
    pieces: tuple[str, ...]


@st.composite
def called(draw: st.DrawFn) -> Called:
    value = draw(st.dictionaries(st.text(max_size=3), st.one_of(st.integers(), st.text(max_size=4)), max_size=3))
    text = json.dumps(value, ensure_ascii=False)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
    places = [0, *cuts, len(text)]
    pieces = tuple(text[start:end] for start, end in pairwise(places))
    return Called(draw(st.sampled_from(["f", "g", "look_up"])), pieces)


def fragments(number: int, call: Called, habit: Habit) -> list[dict[str, Any]]:
    """The entries of `delta.tool_calls` in which a server with this habit would send a call."""
    sent: list[dict[str, Any]] = []
    for place, piece in enumerate(call.pieces):
        opens = place == 0
        entry: dict[str, Any] = {"index": number, "function": {"arguments": piece}}
        if opens or habit == "repeats itself":
            entry |= {"id": f"call_{number}", "type": "function"}
            entry["function"]["name"] = call.name
        elif habit == "nulls":
            entry |= {"id": None, "type": None}
            entry["function"]["name"] = None
        if habit in ("all at 0", "no ids at 0"):
            entry["index"] = 0
        if habit == "no index":
            del entry["index"]
        if habit == "from 1":
            entry["index"] += 1
        if habit in ("no ids", "no ids at 0"):
            entry.pop("id", None)
        sent.append(entry)
    return sent


def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
    head = {"id": "up", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    chunk = {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    return b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"


@settings(deadline=None)
@given(st.lists(called(), min_size=1, max_size=4), st.sampled_from(HABITS), st.booleans())
def test_every_habit_gives_the_calls_that_were_meant(calls: list[Called], habit: Habit, role: bool) -> None:
    events = [event({"role": "assistant", "content": None})] if role else []
    for number, call in enumerate(calls):
        events += [event({"tool_calls": [entry]}) for entry in fragments(number, call, habit)]
    stream = b"".join((*events, event({}, "tool_calls"), DONE))
    relay, gather = OpenAIRelay(OURS), OpenAIGather(OURS)
    relayed = relay.feed(stream) + relay.close()
    gather.feed(stream)
    for answer in (sdk_oracles.completion(relayed), sdk_oracles.whole(gather.close())):
        made = [call for call in answer.choices[0].message.tool_calls or [] if call.type == "function"]
        assert [(call.function.name, call.function.arguments) for call in made] == [
            (call.name, "".join(call.pieces)) for call in calls
        ]
        assert len({call.id for call in made}) == len(calls)
    assert relay.tally == gather.tally
    assert relay.tally.tool_calls == len(calls)
    assert relay.tally.argument_chars == sum(len(piece) for call in calls for piece in call.pieces)
