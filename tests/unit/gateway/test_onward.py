from __future__ import annotations

from typing import get_args

from wardwright.calls.effects import Effect
from wardwright.dialects.anthropic_voice import AnthropicVoice
from wardwright.dialects.openai_request import decode_chat
from wardwright.dialects.openai_voice import OpenAIVoice
from wardwright.dialects.voice import Ask, Voice
from wardwright.gateway import live
from wardwright.gateway.core.heading import Heading
from wardwright.gateway.intake import Intake
from wardwright.routing.draw import Keyed

BODY = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'


def onward(headers: dict[bytes, bytes]) -> tuple[tuple[bytes, bytes], ...]:
    intake = Intake("chat", Heading(headers), BODY, None)
    intake.read(Keyed(b"secret"))
    return intake.onward()


def sent(voice: Voice, headers: tuple[tuple[bytes, bytes], ...]) -> dict[bytes, bytes]:
    members, _ = decode_chat(BODY)
    ask = Ask(headers=headers, members=members, model="x", output_tokens=9, stream=False, target="c/t=x")
    return dict(voice.request(ask).request.headers)


def test_a_hop_is_counted_so_that_a_circle_of_gateways_is_found() -> None:
    assert sent(OpenAIVoice(), onward({}))[b"x-wardwright-hops"] == b"1"
    assert sent(OpenAIVoice(), onward({b"x-wardwright-hops": b"2"}))[b"x-wardwright-hops"] == b"3"
    assert sent(AnthropicVoice(), onward({b"x-wardwright-hops": b"2"}))[b"x-wardwright-hops"] == b"3"


def test_only_listed_headers_travel_and_each_dialect_gets_its_own() -> None:
    headers = {
        b"authorization": b"Bearer wwk_secret",
        b"cookie": b"a=b",
        b"x-wardwright-session-id": b"s",
        b"traceparent": b"00-1-2-01",
        b"idempotency-key": b"k",
        b"openai-beta": b"assistants=v2",
        b"anthropic-beta": b"tools",
    }
    to_openai = sent(OpenAIVoice(), onward(headers))
    to_anthropic = sent(AnthropicVoice(), onward(headers))
    shared = {b"content-type", b"x-wardwright-hops", b"traceparent", b"idempotency-key"}
    assert to_openai.keys() == shared | {b"openai-beta"}
    assert to_anthropic.keys() == shared | {b"anthropic-version", b"anthropic-beta"}


def test_every_effect_of_the_machine_is_carried_out_by_something() -> None:
    assert set(live._CARRIED) == set(get_args(Effect))
