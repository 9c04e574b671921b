"""The official SDKs as judges of what we write and as authors of what we read."""

from __future__ import annotations

from typing import Any

import httpx2
from openai import OpenAI
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ParsedChatCompletion


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
