"""Reads one HTTP/1.1 answer after another off a connection: bytes in, a head and body pieces out.

Rule 1: the parser's callbacks only take note; whoever feeds the reader looks at its fields afterwards.
Rule 2: interim heads (1xx) leave no trace but the room they took; 101 is refused.
Rule 3: what an upstream may make us hold is bounded: heads, framing between body bytes, the whole answer.
Rule 4: bytes after the end of an answer are never taken for the next one.
"""

from __future__ import annotations

from typing import Final

import httptools
import msgspec

from wardwright.dialects.exchange import Failure, Headers
from wardwright.providers import failures


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What one answer may make a transport hold or read."""

    response_head_bytes_max: int = 65_536
    """All heads of one answer, interim ones counted; also its framing and trailers between two body bytes."""
    body_bytes_max: int = 268_435_456
    """Bytes of one answer on the wire. A bound for safety: the receiver of a whole body has its own."""


BOUNDS: Final = Bounds()


class AnswerReader:
    """The parser of a connection and what it noted of the answer under way."""

    __slots__ = (
        "_bounds", "_framing_room", "_headers", "_interim", "_parser", "bytes_read", "head", "is_begun", "is_complete",
        "is_reusable", "on_body", "pieces", "status",
    )  # fmt: skip

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self.pieces: list[bytes] = []
        """Body bytes of the last read, transfer coding removed. Whoever takes them clears it."""
        self.on_body = self.pieces.append
        self.status = 0
        """Of the final head; 0 until that is whole."""
        self.head: Headers = []
        """The headers of the final head."""
        self.is_begun = False
        """A byte of the final answer came."""
        self.is_complete = False
        """The answer ended where it said it would."""
        self.is_reusable = False
        """Complete, nothing followed, and the upstream keeps the connection."""
        self.bytes_read = 0
        self._headers: Headers = []
        self._interim = False
        self._framing_room = bounds.response_head_bytes_max
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)

    def expect(self) -> None:
        """Forget the last answer and read the next one. Only when it was reusable."""
        if self.pieces:
            self.pieces.clear()
        self.status = 0
        self.head = []
        self.is_begun = self.is_complete = self.is_reusable = False
        self.bytes_read = 0
        self._headers = []
        self._framing_room = self._bounds.response_head_bytes_max

    def feed(self, data: bytes) -> Failure | None:
        """Read on. A failure beside `is_complete` means that more bytes followed a whole answer."""
        assert self._parser is not None
        size = len(data)
        self.bytes_read += size
        try:
            if self.status == 0 and size > self._framing_room:
                self._parser.feed_data(data[: self._framing_room])
                if self.status == 0:
                    return failures.HEAD_TOO_LARGE
                data = data[self._framing_room :]
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.is_reusable = False
            return failures.NOT_HTTP
        if self.pieces:
            self._framing_room = self._bounds.response_head_bytes_max
        else:
            self._framing_room -= size
            if self._framing_room < 0 and not self.is_complete:
                return failures.FRAMING_TOO_LARGE
        return None if self.bytes_read <= self._bounds.body_bytes_max else failures.BODY_TOO_LARGE

    @property
    def ends_at_close(self) -> bool:
        """The body is whatever comes until the connection closes (RFC 9112 §6.3)."""
        return self.status != 0 and not any(name in (b"content-length", b"transfer-encoding") for name, _ in self.head)

    def release(self) -> None:
        """Break the cycle of reader and parser. Nothing is read afterwards."""
        self._parser = None

    # --- the parser's side

    def on_message_begin(self) -> None:
        if self.is_complete:
            raise _ExtraBytes
        self.is_begun = True

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        status = self._parser.get_status_code()
        if status >= 200:
            self.status = status
            self.head = self._headers
        elif status == 101:
            raise _Switched
        else:
            self._interim = True
        self._headers = []  # trailers follow into a list of their own

    def on_message_complete(self) -> None:
        assert self._parser is not None
        if self._interim:
            self._interim = self.is_begun = False
            return
        self.is_complete = True
        self.is_reusable = self._parser.should_keep_alive()


class _ExtraBytes(Exception):
    """Bytes after the end of an answer. The parser turns it into its own error."""


class _Switched(Exception):
    """The upstream wants to speak something else."""
