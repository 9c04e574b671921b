"""An OpenAI-compatible upstream that costs little: raw asyncio protocols over uvloop and httptools.

    python -m benchmarks.mock_upstream

prints its address and serves until it is ended. What a model does stands in its name (`behaviour`). It writes as real
servers do: keep-alive, one HTTP chunk per event, `[DONE]`, usage where `stream_options.include_usage` asks for it.

Rule 1: it counts the calls it answers, so that a gateway that answers from a cache is found out (`GET /bench/calls`).
Rule 2: one request at a time on a connection; no proxy under test pipelines.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator
from typing import Final, assert_never, cast

import httptools
import msgspec
import uvloop

from benchmarks import behaviour
from benchmarks.behaviour import Behaviour, Burst, Delayed, Hold, Trickle, Whole

CREATED: Final = 1_790_000_000
PROMPT_TOKENS: Final = 200
BACKLOG: Final = 4096


class Counts(msgspec.Struct):
    """What this upstream has seen."""

    calls: int = 0
    """Chat completions asked for."""
    open_streams: int = 0
    """Streams begun and neither ended nor left by the client."""


class StreamOptions(msgspec.Struct, gc=False):
    include_usage: bool = False


class Asked(msgspec.Struct, gc=False):
    """The members of a request that this upstream reads."""

    model: str
    stream: bool = False
    stream_options: StreamOptions | None = None


_asked: Final = msgspec.json.Decoder(Asked)


def _chunk(payload: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(payload), payload)


def _event(model: str, delta: dict[str, str], finish: str | None = None) -> bytes:
    """One event of a stream as its own HTTP chunk."""
    body = {
        "id": "chatcmpl-bench0000000000000000000",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": model,
        "system_fingerprint": "fp_bench",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
    }
    return _chunk(b"data: " + msgspec.json.encode(body) + b"\n\n")


def _usage_event(model: str, events: int) -> bytes:
    body = {
        "id": "chatcmpl-bench0000000000000000000",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": model,
        "choices": [],
        "usage": _usage(events),
    }
    return _chunk(b"data: " + msgspec.json.encode(body) + b"\n\n")


def _usage(completion_tokens: int) -> dict[str, int]:
    return {
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": completion_tokens,
        "total_tokens": PROMPT_TOKENS + completion_tokens,
    }


_STREAM_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\nserver: bench\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
)
_LAST_CHUNK: Final = b"0\r\n\r\n"
_DONE: Final = _chunk(b"data: [DONE]\n\n")


def whole_answer(model: str, text: str) -> bytes:
    """A complete HTTP response with one message."""
    return _json_response(
        b"200 OK",
        msgspec.json.encode(
            {
                "id": "chatcmpl-bench0000000000000000000",
                "object": "chat.completion",
                "created": CREATED,
                "model": model,
                "choices": [
                    {
                        "index": 0,
                        "message": {"role": "assistant", "content": text, "refusal": None},
                        "logprobs": None,
                        "finish_reason": "stop",
                    }
                ],
                "usage": _usage(32),
                "service_tier": "default",
                "system_fingerprint": "fp_bench",
            }
        ),
    )


def _json_response(status: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %b\r\nserver: bench\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
        status,
        len(body),
        body,
    )


def stream_start(model: str) -> bytes:
    """The head of a stream and its first event, which carries the role and no text."""
    return _STREAM_HEAD + _event(model, {"role": "assistant", "content": ""})


def stream_end(model: str, events: int, with_usage: bool) -> bytes:
    """The finish, the usage if asked for, `[DONE]` and the last chunk."""
    usage = _usage_event(model, events) if with_usage else b""
    return _event(model, {}, "stop") + usage + _DONE + _LAST_CHUNK


@functools.lru_cache(maxsize=64)
def burst_response(model: str, events: int, with_usage: bool) -> bytes:
    """A complete HTTP response that streams `events` events."""
    middle = b"".join(_event(model, {"content": behaviour.burst_delta(index)}) for index in range(events))
    return stream_start(model) + middle + stream_end(model, events, with_usage)


@functools.lru_cache(maxsize=64)
def _meaning(model: str) -> Behaviour:
    return behaviour.behaviour_of(model)


class UpstreamProtocol(asyncio.Protocol):
    """One connection of one client."""

    def __init__(self, counts: Counts, connections: set[UpstreamProtocol]) -> None:
        self._counts = counts
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._body: list[bytes] = []
        self._target = b""
        self._timer: asyncio.TimerHandle | None = None
        self._streaming = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class, not a subclass
        self._connections.add(self)

    def drop(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._streaming:
            self._streaming = False
            self._counts.open_streams -= 1

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            if self._transport is not None:
                self._transport.close()

    def on_message_begin(self) -> None:
        self._body.clear()
        self._target = b""

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._target.endswith(b"/chat/completions"):
            self._complete(b"".join(self._body))
        elif self._target == b"/bench/calls":
            self._write(_json_response(b"200 OK", msgspec.json.encode(self._counts)))
        else:
            self._write(_json_response(b"404 Not Found", b'{"error":{"message":"no such path","type":"not_found"}}'))

    def _complete(self, body: bytes) -> None:
        try:
            asked = _asked.decode(body)
            meaning = _meaning(asked.model)
        except (msgspec.DecodeError, ValueError) as problem:
            error = {"error": {"message": str(problem), "type": "invalid_request_error", "code": None}}
            self._write(_json_response(b"400 Bad Request", msgspec.json.encode(error)))
            return
        self._counts.calls += 1
        match meaning:
            case Whole():
                self._write(_json_answer(asked.model))
            case Delayed(pause_ms):
                self._timer = self._loop.call_later(
                    behaviour.uneven_pause_s(pause_ms, self._counts.calls),
                    self._answer_late,
                    asked.model,
                    time.monotonic_ns(),
                )
            case Burst(events):
                self._burst(asked, events)
            case Trickle():
                self._begin_stream(asked.model)
                self._trickle(asked, meaning, 0)
            case Hold():
                self._begin_stream(asked.model)
                self._write(_event(asked.model, {"content": behaviour.HOLD_TEXT}))
            case _:
                assert_never(meaning)

    def _answer_late(self, model: str, since_ns: int) -> None:
        self._timer = None
        self._write(whole_answer(model, behaviour.waited(time.monotonic_ns() - since_ns)))

    def _burst(self, asked: Asked, events: int) -> None:
        if asked.stream:
            self._write(burst_response(asked.model, events, _wants_usage(asked)))
        else:
            self._write(whole_answer(asked.model, behaviour.burst_text(events)))

    def _begin_stream(self, model: str) -> None:
        self._streaming = True
        self._counts.open_streams += 1
        self._write(stream_start(model))

    def _trickle(self, asked: Asked, meaning: Trickle, index: int) -> None:
        self._write(_event(asked.model, {"content": behaviour.stamped(index, time.monotonic_ns())}))
        if index + 1 < meaning.events:
            self._timer = self._loop.call_later(meaning.pause_ms / 1000, self._trickle, asked, meaning, index + 1)
            return
        self._timer = None
        self._streaming = False
        self._counts.open_streams -= 1
        self._write(stream_end(asked.model, meaning.events, _wants_usage(asked)))

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


def _wants_usage(asked: Asked) -> bool:
    return asked.stream_options is not None and asked.stream_options.include_usage


@functools.lru_cache(maxsize=64)
def _json_answer(model: str) -> bytes:
    return whole_answer(model, behaviour.WHOLE_TEXT)


@contextlib.asynccontextmanager
async def serving(port: int = 0) -> AsyncIterator[int]:
    """An upstream on loopback that accepts at once, as its port; port 0 lets the system choose. Clients are dropped
    at the end."""
    counts = Counts()
    connections: set[UpstreamProtocol] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: UpstreamProtocol(counts, connections), "127.0.0.1", port, backlog=BACKLOG)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for connection in connections:
            connection.drop()
        await asyncio.sleep(0)  # the loop closes dropped connections on its next turn


async def _serve(port: int) -> None:
    async with serving(port) as chosen:
        print(f"listening on 127.0.0.1:{chosen}", flush=True)
        await asyncio.get_running_loop().create_future()


def main() -> None:
    arguments = argparse.ArgumentParser(description="Serve the mock upstream until ended.")
    arguments.add_argument("--port", type=int, default=0, help="0 lets the system choose (default)")
    uvloop.run(_serve(arguments.parse_args().port))


if __name__ == "__main__":
    main()
