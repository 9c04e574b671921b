"""How Anthropic's Messages API is spoken to and understood."""

from __future__ import annotations

from typing import Final

from wardwright.dialects import failures
from wardwright.dialects.answer import ANSWER_BYTES_MAX, Identity
from wardwright.dialects.anthropic_request import messages_body
from wardwright.dialects.anthropic_stream import AnthropicEvents
from wardwright.dialects.anthropic_whole import AnthropicWhole
from wardwright.dialects.anthropic_words import VERSION
from wardwright.dialects.event_reader import Decoder, EventReader
from wardwright.dialects.exchange import Failure, Headers, HttpRequest
from wardwright.dialects.handover import mark_of
from wardwright.dialects.openai_render import SEALED_BY_ANTHROPIC, ChunkRenderer, Renderer, WholeRenderer
from wardwright.dialects.openai_voice import is_event_stream
from wardwright.dialects.voice import Ask, Reader, Spoken
from wardwright.kernel.errors import WardwrightError

_HEADERS: Final = ((b"content-type", b"application/json"), (b"anthropic-version", VERSION))


class AnthropicVoice:
    """A `voice.Voice` for Anthropic and those that speak Messages."""

    __slots__ = ()

    def request(self, ask: Ask) -> Spoken:
        if ask.kind != "chat":
            raise WardwrightError("unsupported_capability", "this provider makes no embeddings")
        told = messages_body(
            ask.members,
            model=ask.model,
            stream=ask.stream,
            output_tokens=ask.output_tokens,
            mark=mark_of(ask.target),
            drop=ask.unsupported,
        )
        own = (pair for pair in ask.headers if not pair[0].startswith(b"openai-"))
        return Spoken(HttpRequest("/messages", (*_HEADERS, *own), told.body), told.changed)

    def reader(
        self, identity: Identity, *, stream: bool, include_usage: bool, headers: Headers, target: str = ""
    ) -> Reader:
        decoder = self.decoder(headers, streamed=stream)
        renderer = self.renderer(identity, stream=stream, include_usage=include_usage, target=target)
        relayed = stream and isinstance(decoder, AnthropicEvents)
        return EventReader(decoder, renderer, answer_bytes_max=None if relayed else ANSWER_BYTES_MAX)

    def decoder(self, headers: Headers, *, streamed: bool) -> Decoder:
        return AnthropicEvents() if is_event_stream(headers, expected=streamed) else AnthropicWhole()

    def renderer(self, identity: Identity, *, stream: bool, include_usage: bool, target: str = "") -> Renderer:
        mark = mark_of(target) if target else None
        if stream:
            return ChunkRenderer(identity, include_usage=include_usage, mark=mark, sealed_as=SEALED_BY_ANTHROPIC)
        return WholeRenderer(identity, mark=mark, sealed_as=SEALED_BY_ANTHROPIC)

    def failure_of(self, status: int, headers: Headers, body: bytes) -> Failure:
        return failures.failure_of(status, headers, body)
