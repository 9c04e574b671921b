"""Server-sent events, incrementally: bytes in, events out, by the WHATWG rules for event streams.

Rule 1: how the bytes are cut never matters: any split of a stream gives the same events.
Rule 2: lines end with CR, LF or CRLF; `LineEnds` makes them all LF first, so everything after it knows one form.
Rule 3: an event larger than `event_bytes_max` is never held: `too_large` is set and nothing more comes out.

`id` and `retry` fields are ignored: nobody reconnects to a model's answer.
"""

from __future__ import annotations

from typing import Final

import msgspec

EVENT_BYTES_MAX: Final = 4 * 1024 * 1024
"""The largest event held by default: a whole tool call or image can stand in one."""

_BOM: Final = b"\xef\xbb\xbf"


class ServerEvent(msgspec.Struct, frozen=True):
    """One dispatched event."""

    name: str
    """The `event` field; `message` where there is none."""
    data: bytes
    """The data lines joined by LF, not yet decoded."""


class LineEnds:
    """Turns every line end into LF and drops a byte order mark at the start.

    A caller may skip `normalise` for data without CR while `settled` holds.
    """

    __slots__ = ("_head", "settled")

    def __init__(self) -> None:
        self._head: bytes | None = b""
        """What could still become a byte order mark; None once that is decided."""
        self.settled = False
        """The start is behind us and the last byte was no CR."""

    def normalise(self, data: bytes) -> bytes:
        after_cr = False
        if self._head is not None:
            data = self._head + data
            if len(data) < len(_BOM) and _BOM.startswith(data):
                self._head = data
                return b""
            self._head = None
            data = data.removeprefix(_BOM)
        else:
            after_cr = not self.settled
        if not data:
            self.settled = not after_cr
            return b""
        ends_in_cr = data.endswith(b"\r")
        if after_cr and data.startswith(b"\n"):
            data = data[1:]
        self.settled = not ends_in_cr
        if b"\r" not in data:  # one byte is found many times faster than a pair is replaced
            return data
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def read_block(block: bytes) -> ServerEvent | None:
    """The event of one block of LF lines (without the blank line that ends it); None where it has no data.

    >>> read_block(b": hello\\nevent: ping\\ndata: {}")
    ServerEvent(name='ping', data=b'{}')
    """
    if block.startswith(b"data: ") and b"\n" not in block:
        return ServerEvent("message", block[6:])
    name = "message"
    lines: list[bytes] = []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        if value.startswith(b" "):
            value = value[1:]
        if field == b"data":
            lines.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace") or "message"
    if not lines:
        return None
    return ServerEvent(name, lines[0] if len(lines) == 1 else b"\n".join(lines))


class Framer:
    """Events out of a stream of bytes."""

    __slots__ = ("_ends", "_pending", "event_bytes_max", "too_large")

    def __init__(self, event_bytes_max: int = EVENT_BYTES_MAX) -> None:
        self.event_bytes_max = event_bytes_max
        self.too_large = False
        """An event passed the bound; the framer has stopped."""
        self._ends = LineEnds()
        self._pending = b""

    def feed(self, data: bytes) -> list[ServerEvent]:
        """The events that `data` completes."""
        if self.too_large:
            return []
        if not self._ends.settled or b"\r" in data:
            data = self._ends.normalise(data)
        data = self._pending + data
        events: list[ServerEvent] = []
        start = 0
        while (cut := data.find(b"\n\n", start)) >= 0:
            block = data[start:cut]
            start = cut + 2
            if len(block) > self.event_bytes_max and len(block.lstrip(b"\n")) > self.event_bytes_max:
                return self._overflow(events)
            if (event := read_block(block)) is not None:
                events.append(event)
        self._pending = data[start:]
        if len(self._pending) > self.event_bytes_max + 2:  # a line end before it and one after it belong to no event
            return self._overflow(events)
        return events

    def close(self) -> list[ServerEvent]:
        """The stream ended. An event without its blank line is handed out all the same.

        The WHATWG rules discard it; servers that close right after their last line are common, and what was cut short
        is not JSON, so nothing false gets through.
        """
        return self.feed(b"\n\n")

    def _overflow(self, events: list[ServerEvent]) -> list[ServerEvent]:
        self.too_large = True
        self._pending = b""
        return events
