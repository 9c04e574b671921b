"""Answers that pass through kernel events: any dialect that decodes into them, any client form that renders them."""

from __future__ import annotations

from typing import Protocol, assert_never

from wardwright.dialects.answer import Tally
from wardwright.dialects.openai_render import Renderer
from wardwright.kernel.events import (
    Broken,
    Event,
    Finish,
    ReasoningDelta,
    RefusalDelta,
    Start,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStart,
    UsageReport,
)


class Decoder(Protocol):
    """Makes kernel events of an upstream's bytes."""

    @property
    def upstream_id(self) -> str | None:
        """Known once a `Start` came; so is the model."""
        ...

    @property
    def upstream_model(self) -> str | None: ...

    @property
    def done(self) -> bool:
        """The upstream sent its own terminator."""
        ...

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete. After a `Broken` there are none."""
        ...

    def close(self) -> list[Event]:
        """The upstream ended: what is left, the usage at the latest now."""
        ...


class Count:
    """What the events of one answer add up to."""

    __slots__ = ("_started", "tally")

    def __init__(self) -> None:
        self._started: set[int] = set()
        self.tally = Tally()

    @property
    def finished(self) -> bool:
        """Every choice that started has said why it ended."""
        return bool(self.tally.finish) and self._started <= self.tally.finish.keys()

    def add(self, event: Event) -> None:
        tally = self.tally
        tally.events += 1
        match event:
            case TextDelta():
                tally.text_chars += len(event.text)
                self._started.add(event.choice)
            case ToolArgumentsDelta():
                tally.argument_chars += len(event.text)
            case ReasoningDelta():
                tally.reasoning_chars += len(event.text)
                self._started.add(event.choice)
            case RefusalDelta():
                tally.refusal_chars += len(event.text)
                self._started.add(event.choice)
            case ToolCallStart():
                tally.tool_calls += 1
                self._started.add(event.choice)
            case Finish():
                tally.finish[event.choice] = event.reason
            case UsageReport():
                tally.usage = event.usage
            case Start() | Broken():
                pass
            case _:
                assert_never(event)

    def identify(self, decoder: Decoder) -> None:
        """Note what the upstream calls its answer; known once it started."""
        self.tally.upstream_id = decoder.upstream_id
        self.tally.upstream_model = decoder.upstream_model


class EventReader:
    """A `voice.Reader` made of a decoder and a renderer."""

    __slots__ = ("_count", "_decoder", "_renderer", "_room", "broken", "tally")

    def __init__(self, decoder: Decoder, renderer: Renderer, *, answer_bytes_max: int | None = None) -> None:
        """`answer_bytes_max`: for renderers that hold the answer."""
        self._decoder = decoder
        self._renderer = renderer
        self._room = answer_bytes_max
        self._count = Count()
        self.tally = self._count.tally
        self.broken: Broken | None = None

    @property
    def done(self) -> bool:
        return self._decoder.done

    @property
    def finished(self) -> bool:
        return self._count.finished

    def feed(self, data: bytes) -> bytes:
        if self.broken is not None:
            return b""
        if self._room is not None:
            self._room -= len(data)
            if self._room < 0:
                self.broken = Broken("upstream_failed", "the upstream's answer is larger than the gateway holds")
                return b""
        return self._take(self._decoder.feed(data))

    def close(self) -> bytes:
        out = self._take(self._decoder.close()) if self.broken is None else b""
        if self.broken is None and not self.finished:
            self.broken = Broken("upstream_stream_broken", "the upstream's stream ended before its answer did")
        return b"" if self.broken is not None else out + self._renderer.close()

    def _take(self, events: list[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            self._count.add(event)
            if isinstance(event, Start):
                self._count.identify(self._decoder)
            elif isinstance(event, Broken):
                self.broken = event
                break
            if written := self._renderer.write(event):
                out.append(written)
        return b"".join(out)
