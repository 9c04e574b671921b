"""How providers that speak OpenAI's dialect are spoken to and understood."""

from __future__ import annotations

from functools import partial
from typing import Final

from msgspec import Raw

from wardwright.contracts.provider import Continuation
from wardwright.dialects import failures
from wardwright.dialects.answer import Identity, Whole
from wardwright.dialects.event_reader import Decoder
from wardwright.dialects.exchange import Failure, Headers, HttpRequest
from wardwright.dialects.handover import ToolIdShape, hand_over, mark_of
from wardwright.dialects.openai_embeddings import read_embeddings
from wardwright.dialects.openai_events import OpenAIEvents, OpenAIWhole
from wardwright.dialects.openai_gather import OpenAIGather
from wardwright.dialects.openai_render import ChunkRenderer, Renderer, WholeRenderer
from wardwright.dialects.openai_stream import OpenAIRelay
from wardwright.dialects.openai_whole import as_stream, read_whole
from wardwright.dialects.openai_wire import upstream_body
from wardwright.dialects.voice import FIRST_HOP, Ask, Reader, Spoken
from wardwright.dialects.whole_reader import WholeReader
from wardwright.kernel.events import Broken

_HEADERS: Final = ((b"content-type", b"application/json"),)
_FIRST_HOP: Final[tuple[tuple[bytes, bytes], ...]] = (*_HEADERS, *FIRST_HOP)


_GO_ON: Final = {"add_generation_prompt": Raw(b"false"), "continue_final_message": Raw(b"true")}
"""How vLLM is told that the last message is not complete."""


class OpenAIVoice:
    """A `voice.Voice` for OpenAI and the many that speak like it."""

    __slots__ = ("_ask_usage", "_continues", "_tool_ids")

    def __init__(
        self,
        *,
        continues: Continuation = "never",
        stream_options: bool = True,
        tool_ids: ToolIdShape = "openai",
    ) -> None:
        """`stream_options`: the provider knows `include_usage`, so usage is always asked for."""
        self._ask_usage = stream_options
        self._continues = continues
        self._tool_ids = tool_ids

    def request(self, ask: Ask) -> Spoken:
        members = ask.members
        changed: tuple[str, ...] = ()
        if ask.kind == "chat" and ask.continues and "messages" in members:
            messages, changed = hand_over(members["messages"], mark=mark_of(ask.target), shape=self._tool_ids)
            if changed:
                members = {**members, "messages": messages}
        if ask.begun and self._continues == "vllm":
            members = {**members, **_GO_ON}
        streams = ask.stream and ask.kind == "chat"
        body, dropped = upstream_body(
            members, model=ask.model, stream=streams, ask_usage=self._ask_usage, drop=ask.unsupported
        )
        path = "/chat/completions" if ask.kind == "chat" else "/embeddings"
        headers = _FIRST_HOP
        if ask.headers is not FIRST_HOP:
            headers = (*_HEADERS, *(pair for pair in ask.headers if not pair[0].startswith(b"anthropic-")))
        return Spoken(HttpRequest(path, headers, body), (*dropped, *changed))

    def reader(
        self, identity: Identity, *, stream: bool, include_usage: bool, headers: Headers, target: str = ""
    ) -> Reader:
        mark = mark_of(target) if target else None
        if is_event_stream(headers, expected=stream):
            if stream:
                return OpenAIRelay(identity, include_usage=include_usage, mark=mark)
            return OpenAIGather(identity, mark=mark)
        read = partial(_read_any, identity=identity, mark=mark)
        if stream:
            return WholeReader(read, render=partial(as_stream, include_usage=include_usage))
        return WholeReader(read)

    def decoder(self, headers: Headers, *, streamed: bool) -> Decoder:
        return OpenAIEvents() if is_event_stream(headers, expected=streamed) else OpenAIWhole()

    def renderer(self, identity: Identity, *, stream: bool, include_usage: bool, target: str = "") -> Renderer:
        mark = mark_of(target) if target else None
        if stream:
            return ChunkRenderer(identity, include_usage=include_usage, mark=mark)
        return WholeRenderer(identity, mark=mark)

    def failure_of(self, status: int, headers: Headers, body: bytes) -> Failure:
        return failures.failure_of(status, headers, body)


def is_event_stream(headers: Headers, *, expected: bool) -> bool:
    """What the answer says it is; where it says neither, what was asked for."""
    for name, value in headers:
        if name == b"content-type":
            kind = value.lower()
            if kind.startswith(b"text/event-stream"):
                return True
            return expected and b"json" not in kind
    return expected


def _read_any(body: bytes, identity: Identity, mark: str | None) -> Whole | Broken:
    """A whole answer of either kind: only one of the two has `choices`, only the other is a `list`."""
    whole = read_whole(body, identity, mark=mark)
    if isinstance(whole, Broken) and b'"choices"' not in body and b'"data"' in body:
        return read_embeddings(body, identity.model)
    return whole
