"""Request bodies towards upstreams that speak OpenAI's dialect."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from wardwright.dialects.openai_request import Members
from wardwright.dialects.openai_voice import OpenAIVoice, is_event_stream
from wardwright.dialects.openai_wire import upstream_body
from wardwright.dialects.voice import Ask


def members(**given: Any) -> Members:
    return {name: msgspec.Raw(json.dumps(value).encode()) for name, value in given.items()}


def body(drop: tuple[str, ...] = (), *, stream: bool = False, ask_usage: bool = True, **given: Any) -> Any:
    written, _ = upstream_body(members(**given), model="up-1", stream=stream, ask_usage=ask_usage, drop=drop)
    return json.loads(written)


def test_unknown_members_go_upstream_and_the_model_is_the_targets() -> None:
    assert body(model="coding", messages=[], top_k=5, odd={"a": [1.50]}) == {
        "model": "up-1",
        "messages": [],
        "top_k": 5,
        "odd": {"a": [1.5]},
    }


def test_members_that_a_target_lacks_are_left_out_and_told() -> None:
    written, dropped = upstream_body(
        members(model="m", seed=1), model="up-1", stream=False, ask_usage=True, drop=("logprobs", "seed")
    )
    assert dropped == ("seed",)
    assert "seed" not in json.loads(written)


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}, {"include_usage": True}])
def test_a_streamed_answer_is_always_asked_for_its_usage(options: object) -> None:
    assert body(stream=True, stream_options=options)["stream_options"] == {"include_usage": True}


def test_other_stream_options_stay() -> None:
    sent = body(stream=True, stream_options={"include_obfuscation": False})
    assert sent["stream_options"] == {"include_obfuscation": False, "include_usage": True}


def test_an_upstream_that_does_not_know_the_option_is_not_sent_it() -> None:
    assert body(stream=True, ask_usage=False, stream_options={"include_usage": True})["stream_options"] == {}
    assert "stream_options" not in body(stream=True, ask_usage=False)


def test_stream_options_without_a_stream_are_left_out() -> None:
    assert body(stream=False, stream_options={"include_usage": True}) == {"model": "up-1"}


def ask(**given: Any) -> Ask:
    return Ask(members=members(**given), model="up-1", stream=False, output_tokens=10, target="coding/local")


def test_a_conversation_that_comes_from_elsewhere_is_handed_over() -> None:
    foreign = {"role": "assistant", "content": "x", "reasoning_content": "hm", "reasoning_details": [
        {"type": "reasoning.text", "signature": "s", "wardwright_target": "0123"}]}  # fmt: skip
    spoken = OpenAIVoice().request(ask(model="coding", messages=[foreign]))
    assert json.loads(spoken.request.body)["messages"] == [{"role": "assistant", "content": "x"}]
    assert spoken.changed == ("foreign_reasoning",)
    assert spoken.request.path == "/chat/completions"


def test_embeddings_go_to_their_own_path() -> None:
    embed = Ask(kind="embeddings", members=members(input="x"), model="e", stream=False, output_tokens=1, target="t")
    spoken = OpenAIVoice().request(embed)
    assert (spoken.request.path, json.loads(spoken.request.body)) == ("/embeddings", {"input": "x", "model": "e"})


@pytest.mark.parametrize(
    ("content_type", "expected", "streams"),
    [
        (b"text/event-stream; charset=utf-8", False, True),
        (b"application/json", True, False),
        (b"text/plain", True, True),
        (b"text/plain", False, False),
    ],
)
def test_what_the_answer_says_it_is_wins_over_what_was_asked(
    content_type: bytes, expected: bool, streams: bool
) -> None:
    assert is_event_stream([(b"content-type", content_type)], expected=expected) is streams
