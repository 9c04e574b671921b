"""A client that says exactly the bytes a test wants, and hears exactly what came back."""

from __future__ import annotations

import json
import select
import socket
import struct
from types import TracebackType
from typing import Any, Final

import msgspec

PATIENCE_S: Final = 10.0
CHAT: Final = "/v1/chat/completions"


class HungUp(Exception):
    """The server closed where an answer should go on."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    """By lower-case name; a header that came twice fails the reading."""
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        """The `error` of OpenAI's envelope."""
        error = self.json["error"]
        assert set(error) == {"message", "type", "param", "code", "receipt_id"}, error
        return error

    @property
    def code(self) -> str:
        code = self.error["code"]
        assert isinstance(code, str)
        return code

    @property
    def is_last(self) -> bool:
        """The server said that it closes."""
        return self.headers.get("connection") == "close"


def request(body: bytes, *headers: str, path: str = CHAT, method: str = "POST", version: str = "1.1") -> bytes:
    """A request with a plain head, `headers` added as they are."""
    lines = (
        f"{method} {path} HTTP/{version}",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *headers,
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class RawClient:
    """One connection. A context manager; nothing it waits for takes longer than its patience."""

    def __init__(self, port: int, *, receive_buffer_bytes: int | None = None, patience_s: float = PATIENCE_S) -> None:
        self.socket = socket.socket()
        if receive_buffer_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(patience_s)
        try:
            self.socket.connect(("127.0.0.1", port))
        except OSError:
            self.socket.close()
            raise
        self._heard = b""

    def __enter__(self) -> RawClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.socket.sendall(piece)

    def send_unheard(self, data: bytes) -> None:
        """Send what the server may refuse before its end."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return

    def reset(self) -> None:
        """Leave with an RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def ask(self, data: bytes) -> Answer:
        self.send(data)
        return self.answer()

    def head(self) -> Answer:
        """The head of an answer, interim ones too; what follows it stays."""
        lines = self.until(b"\r\n\r\n")[:-4].decode("latin-1").split("\r\n")
        headers: dict[str, str] = {}
        for line in lines[1:]:
            name, _, value = line.partition(": ")
            assert name.lower() not in headers, f"{name} came twice"
            headers[name.lower()] = value
        version, status, _ = lines[0].split(" ", 2)
        assert version == "HTTP/1.1", lines[0]
        return Answer(status=int(status), headers=headers, body=b"")

    def answer(self) -> Answer:
        """A whole answer."""
        head = self.head()
        if head.headers.get("transfer-encoding") == "chunked":
            body = b"".join(iter(self.chunk, b""))
        elif "content-length" in head.headers:
            body = self.exactly(int(head.headers["content-length"]))
        elif head.status == 204:
            body = b""
        else:
            body = self.to_the_end()
        return msgspec.structs.replace(head, body=body)

    def chunk(self) -> bytes:
        """The next chunk of a chunked body; empty at its end."""
        size = int(self.until(b"\r\n"), 16)
        data = self.exactly(size + 2)
        assert data.endswith(b"\r\n")
        return data[:-2]

    def until(self, mark: bytes) -> bytes:
        while mark not in self._heard:
            self._hear()
        said, _, self._heard = self._heard.partition(mark)
        return said + mark

    def exactly(self, size: int) -> bytes:
        while len(self._heard) < size:
            self._hear()
        said, self._heard = self._heard[:size], self._heard[size:]
        return said

    def to_the_end(self) -> bytes:
        """Everything until the server closes; an RST counts as the end."""
        while True:
            try:
                data = self.socket.recv(1 << 20)
            except ConnectionResetError:
                data = b""
            if not data:
                said, self._heard = self._heard, b""
                return said
            self._heard += data

    def hears(self, within_s: float) -> bool:
        """Whether the server says something, or closes, within a time."""
        return bool(self._heard or select.select([self.socket], [], [], within_s)[0])

    def _hear(self) -> None:
        data = self.socket.recv(1 << 20)
        if not data:
            raise HungUp(f"the server closed after {self._heard!r}")
        self._heard += data
