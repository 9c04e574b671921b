"""The official SDKs as judges of what we write and as authors of what we read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import httpx2
from anthropic import Anthropic
from anthropic.types import Message
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from openai import OpenAI
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ParsedChatCompletion
from pydantic import TypeAdapter


def _client(body: bytes, content_type: str, status: int = 200) -> OpenAI:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, headers={"content-type": content_type}, content=body)

    return OpenAI(
        api_key="none",
        base_url="http://gateway.test/v1",
        max_retries=0,
        http_client=httpx2.Client(transport=httpx2.MockTransport(answer)),
    )


def chunks(stream: bytes) -> list[ChatCompletionChunk]:
    """What the SDK's own parser makes of a stream; raises openai.APIError for an error event."""
    with _client(stream, "text/event-stream") as client:
        return list(client.chat.completions.create(model="m", messages=[], stream=True))


def completion(stream: bytes) -> ParsedChatCompletion[Any]:
    """What the SDK's accumulator makes of a stream."""
    state: ChatCompletionStreamState[Any] = ChatCompletionStreamState()
    for chunk in chunks(stream):
        state.handle_chunk(chunk)
    return state.get_final_completion()


def whole(body: bytes, status: int = 200) -> ChatCompletion:
    """What the SDK makes of a whole answer; raises openai.APIStatusError for an error."""
    with _client(body, "application/json", status) as client:
        return client.chat.completions.create(model="m", messages=[])


def message(stream: bytes) -> Message:
    """What Anthropic's SDK makes of a Messages stream; raises where the transcript is not one."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=stream)

    http_client = httpx2.Client(transport=httpx2.MockTransport(answer))
    with (
        Anthropic(api_key="none", base_url="http://up.test", max_retries=0, http_client=http_client) as client,
        client.messages.stream(model="m", max_tokens=1, messages=[]) as events,
    ):
        return events.get_final_message()


_PARAMS: Final[TypeAdapter[Any]] = TypeAdapter(MessageCreateParamsNonStreaming)


def require_message_params(body: Mapping[str, Any]) -> None:
    """Raise unless the SDK's own types admit this Messages request, all the way down."""
    _exhaust(_PARAMS.validate_python({name: value for name, value in body.items() if name != "stream"}))


def _exhaust(value: Any) -> None:
    """Pydantic validates an Iterable while it is read."""
    if isinstance(value, Mapping):
        for item in value.values():
            _exhaust(item)
    elif isinstance(value, Iterator | list):
        for item in value:
            _exhaust(item)
