"""Which voice speaks to a provider."""

from __future__ import annotations

from typing import assert_never

from wardwright.contracts.provider import Provider
from wardwright.dialects.anthropic_voice import AnthropicVoice
from wardwright.dialects.openai_voice import OpenAIVoice
from wardwright.dialects.voice import Voice


def voice_of(provider: Provider) -> Voice:
    match provider.dialect:
        case "openai":
            return OpenAIVoice(continues=provider.continues_answers, stream_options=provider.stream_options)
        case "anthropic":
            return AnthropicVoice()
        case _:
            assert_never(provider.dialect)
