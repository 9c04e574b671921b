"""What the scripted provider answers, and when; the SDKs of both dialects read it."""

from __future__ import annotations

import anthropic
import httpx2
import msgspec
import openai
import pytest

from wardwright.contracts.provider import Dialect, Provider, Script, ScriptStep, ScriptToolCall, Timeouts
from wardwright.dialects.exchange import HttpRequest
from wardwright.providers.scripted import ScriptedTransport
from wardwright.testing.hand_timers import HandTimers
from wardwright.testing.heard import Heard


class World:
    """A scripted provider, its timers, and a way to ask."""

    def __init__(self, *steps: ScriptStep, dialect: Dialect = "openai", model: str = "m") -> None:
        self.timers = HandTimers()
        scripts = (Script(model=model, steps=steps),) if steps else ()
        timeouts = Timeouts(first_byte_s=20, between_bytes_s=10, total_s=100)
        provider = Provider(name="p", transport="scripted", dialect=dialect, scripts=scripts, timeouts=timeouts)
        self.transport = ScriptedTransport(provider, self.timers.wheel, self.timers)

    def start(self, body: dict[str, object] | bytes | None = None, path: str = "/chat/completions") -> Heard:
        heard = Heard(self.timers)
        if not isinstance(body, bytes):
            body = msgspec.json.encode({"model": "m", "stream": True} | (body or {}))
        heard.exchange = self.transport.start(HttpRequest(path, (), body), heard)
        return heard

    def ask(self, body: dict[str, object] | bytes | None = None, path: str = "/chat/completions") -> Heard:
        heard = self.start(body, path)
        self.timers.turn()
        heard.check()
        return heard

    def serve(self, request: httpx2.Request) -> httpx2.Response:
        """The provider as an HTTP server, for an SDK."""
        heard = Heard(self.timers)
        path = request.url.path.removeprefix("/v1")
        heard.exchange = self.transport.start(HttpRequest(path, (), request.content, request.method), heard)
        self.timers.pass_time(60)
        heard.check()
        assert heard.is_complete
        return httpx2.Response(heard.status, headers=heard.headers, content=heard.body_bytes)

    def openai(self) -> openai.OpenAI:
        http = httpx2.Client(transport=httpx2.MockTransport(self.serve))
        return openai.OpenAI(api_key="-", base_url="http://script/v1", http_client=http, max_retries=0)

    def anthropic(self) -> anthropic.Anthropic:
        http = httpx2.Client(transport=httpx2.MockTransport(self.serve))
        return anthropic.Anthropic(api_key="-", base_url="http://script", http_client=http, max_retries=0)


RICH = ScriptStep(
    text="Call the tool, then answer.",
    reasoning="They want the weather.",
    tool_calls=(
        ScriptToolCall(name="weather", arguments='{"city":"Reykjavík","days":[1,2,3],"unit":"celsius"}'),
        ScriptToolCall(name="now", arguments="{}"),
    ),
    input_tokens=31,
    output_tokens=17,
)
HELLO = {"role": "user", "content": "hello"}


def chunks(heard: Heard) -> list[dict[str, object]]:
    """The decoded events of an OpenAI stream, its last one dropped."""
    events = heard.body_bytes.decode().removesuffix("\n\n").split("\n\n")
    return [msgspec.json.decode(event.removeprefix("data: ")) for event in events if event != "data: [DONE]"]


def kind_of(heard: Heard) -> str | None:
    return None if heard.failure is None else heard.failure.kind


# --- as the SDKs see it


def test_the_openai_sdk_reads_a_whole_answer() -> None:
    answer = World(RICH).openai().chat.completions.create(model="m", messages=[{"role": "user", "content": "hello"}])
    choice = answer.choices[0]
    assert choice.message.content == RICH.text
    assert choice.finish_reason == "tool_calls"
    calls = choice.message.tool_calls or []
    assert [(call.type, call.function.name) for call in calls if call.type == "function"] == [
        ("function", "weather"),
        ("function", "now"),
    ]
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (31, 17, 48)


def test_the_openai_sdk_accumulates_a_stream_to_the_same_answer() -> None:
    client = World(RICH).openai()
    with client.chat.completions.stream(
        model="m", messages=[{"role": "user", "content": "hello"}], stream_options={"include_usage": True}, n=2
    ) as stream:
        answer = stream.get_final_completion()
    assert len(answer.choices) == 2
    for choice in answer.choices:
        assert choice.message.content == RICH.text
        assert choice.finish_reason == "tool_calls"
        calls = choice.message.tool_calls or []
        assert [call.function.arguments for call in calls] == [call.arguments for call in RICH.tool_calls]
        assert len({call.id for call in calls}) == 2
    assert answer.usage is not None
    assert answer.usage.total_tokens == 48


def test_the_openai_sdk_reads_embeddings_in_both_encodings() -> None:
    client = World().openai()
    packed = client.embeddings.create(model="m", input=["one", "two", "one"])
    plain = client.embeddings.create(model="m", input="one", encoding_format="float", dimensions=3)
    vectors = [item.embedding for item in packed.data]
    assert vectors[0] == vectors[2] != vectors[1]
    assert all(-1 <= value <= 1 for vector in vectors for value in vector)
    assert plain.data[0].embedding == pytest.approx(vectors[0][:3], abs=1e-6)
    assert packed.usage.prompt_tokens > 0


def test_the_openai_sdk_raises_its_own_errors() -> None:
    world = World(ScriptStep(status=429, retry_after_s=7), ScriptStep(status=503), ScriptStep(status=401))
    with pytest.raises(openai.RateLimitError) as limited:
        world.openai().chat.completions.create(model="m", messages=[{"role": "user", "content": "hello"}])
    assert limited.value.response.headers["retry-after"] == "7"
    with pytest.raises(openai.InternalServerError):
        world.openai().chat.completions.create(model="m", messages=[{"role": "user", "content": "hello"}])
    with pytest.raises(openai.AuthenticationError):
        world.openai().chat.completions.create(model="m", messages=[{"role": "user", "content": "hello"}])
    with pytest.raises(openai.NotFoundError):
        world.openai().chat.completions.create(model="other", messages=[{"role": "user", "content": "hello"}])


def test_the_openai_sdk_lists_the_scripted_models() -> None:
    assert [model.id for model in World(RICH).openai().models.list()] == ["m"]


def test_the_anthropic_sdk_reads_a_whole_message() -> None:
    message = (
        World(RICH, dialect="anthropic")
        .anthropic()
        .messages.create(model="m", max_tokens=100, messages=[{"role": "user", "content": "hello"}])
    )
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert message.stop_reason == "tool_use"
    assert (message.usage.input_tokens, message.usage.output_tokens) == (31, 17)


def test_the_anthropic_sdk_accumulates_a_stream_to_the_same_message() -> None:
    def client() -> anthropic.Anthropic:
        return World(RICH, dialect="anthropic").anthropic()

    whole = client().messages.create(model="m", max_tokens=100, messages=[{"role": "user", "content": "hello"}])
    with client().messages.stream(model="m", max_tokens=100, messages=[{"role": "user", "content": "hello"}]) as stream:
        streamed = stream.get_final_message()
    assert msgspec.json.encode([block.to_dict() for block in streamed.content]) == msgspec.json.encode(
        [block.to_dict() for block in whole.content]
    )
    assert streamed.stop_reason == whole.stop_reason
    assert streamed.usage.output_tokens == 17


def test_the_anthropic_sdk_raises_its_own_errors() -> None:
    world = World(ScriptStep(status=529), dialect="anthropic")
    with pytest.raises(anthropic.APIStatusError) as caught:
        world.anthropic().messages.create(model="m", max_tokens=1, messages=[{"role": "user", "content": "hello"}])
    assert caught.value.status_code == 529


# --- the script


def test_steps_play_in_order_and_the_last_repeats() -> None:
    world = World(ScriptStep(text="one"), ScriptStep(text="two"))
    texts = [msgspec.json.decode(world.ask({"stream": False}).body_bytes) for _ in range(3)]
    assert [text["choices"][0]["message"]["content"] for text in texts] == ["one", "two", "two"]
    assert world.transport.calls == {"m": 3}


def test_a_provider_without_scripts_answers_ok_to_any_model() -> None:
    answer = msgspec.json.decode(World().ask({"model": "whatever", "stream": False}).body_bytes)
    assert answer["choices"][0]["message"]["content"] == "ok"
    assert answer["model"] == "whatever"


def test_a_script_plays_the_same_every_time() -> None:
    asked: dict[str, object] = {"stream_options": {"include_usage": True}, "messages": [HELLO]}
    assert World(RICH).ask(asked).body_bytes == World(RICH).ask(asked).body_bytes


def test_a_stream_opens_with_the_role_and_ends_with_finish_usage_done() -> None:
    heard = World(ScriptStep(chunks=("Hel", "lo"))).ask({"stream_options": {"include_usage": True}})
    events = chunks(heard)
    deltas = [event["choices"][0]["delta"] for event in events[:-1]]  # type: ignore[index]
    assert deltas == [{"role": "assistant", "content": ""}, {"content": "Hel"}, {"content": "lo"}, {}]
    assert [event["usage"] for event in events[:-1]] == [None] * 4
    assert events[-1]["choices"] == []
    assert events[-1]["usage"]["completion_tokens"] == 2  # type: ignore[index]
    assert heard.body_bytes.endswith(b"data: [DONE]\n\n")
    assert len({event["id"] for event in events}) == 1


def test_usage_is_sent_only_where_it_was_asked_for() -> None:
    assert b"usage" not in World(ScriptStep(text="x")).ask().body_bytes


def test_a_body_that_is_no_request_is_an_error_answer() -> None:
    for body in (b"", b"{", b"[]", b'{"model":1}', b'{"model":"\xff"}'):
        heard = World(RICH).ask(body)
        assert heard.status == 400
        assert msgspec.json.decode(heard.body_bytes)["error"]["type"] == "invalid_request_error"


# --- time


def test_without_delays_an_answer_is_one_head_one_body_one_end() -> None:
    heard = World(ScriptStep(text="a few words here")).ask()
    assert heard.is_complete
    assert len(heard.bodies) == 1


def test_delays_are_kept() -> None:
    world = World(ScriptStep(chunks=("a", "b", "c"), delay_ms=500, chunk_delay_ms=200))
    heard = world.start()
    world.timers.pass_time(0.49)
    assert heard.status == 0
    world.timers.pass_time(5)
    assert heard.is_complete
    assert heard.arrivals_s == pytest.approx([0.5, 0.7, 0.9])


@pytest.mark.parametrize(("after", "bodies"), [(0, 0), (1, 1), (2, 2)])
@pytest.mark.parametrize("stream", [True, False])
def test_a_break_is_a_reset_after_so_many_deltas(after: int, bodies: int, stream: bool) -> None:
    world = World(ScriptStep(chunks=("a", "b", "c"), chunk_delay_ms=1, break_after_chunks=after))
    heard = world.start({"stream": stream})
    world.timers.pass_time(1)
    assert heard.failure is not None
    assert heard.failure.kind == "reset"
    assert heard.status == (200 if after else 0)
    assert len(heard.bodies) == (bodies if stream else min(bodies, 1))
    assert b'finish_reason":"stop' not in heard.body_bytes
    assert b"[DONE]" not in heard.body_bytes


@pytest.mark.parametrize(("after", "kind", "at_s"), [(0, "first_byte_timeout", 20), (2, "between_bytes_timeout", 10)])
def test_a_stall_meets_the_providers_bounds(after: int, kind: str, at_s: int) -> None:
    world = World(ScriptStep(chunks=("a", "b", "c"), stall_after_chunks=after))
    heard = world.start()
    world.timers.pass_time(at_s - 0.5)
    assert kind_of(heard) is None
    assert len(heard.bodies) == (after > 0)
    world.timers.pass_time(1)
    assert kind_of(heard) == kind


def test_a_stream_longer_than_the_total_ends_there() -> None:
    world = World(ScriptStep(chunks=("a",) * 50, chunk_delay_ms=4000))
    heard = world.start()
    world.timers.pass_time(99)
    assert kind_of(heard) is None
    world.timers.pass_time(2)
    assert kind_of(heard) == "total_timeout"


def test_a_paused_answer_waits_without_a_bound_but_the_total() -> None:
    world = World(ScriptStep(chunks=("a", "b", "c"), chunk_delay_ms=100))
    heard = world.start()
    world.timers.pass_time(0.05)
    assert heard.exchange is not None
    heard.exchange.pause()
    world.timers.pass_time(50)
    assert len(heard.bodies) == 1
    assert heard.failure is None
    heard.exchange.resume()
    world.timers.pass_time(1)
    assert heard.is_complete
    assert len(heard.bodies) == 3


def test_a_cancelled_answer_is_silent() -> None:
    world = World(ScriptStep(chunks=("a", "b", "c"), chunk_delay_ms=100))
    heard = world.start()
    world.timers.pass_time(0.15)
    heard.cancel()
    world.timers.pass_time(200)
    heard.check()
    assert len(heard.bodies) == 2
    assert world.transport.gauges().connections == 0
