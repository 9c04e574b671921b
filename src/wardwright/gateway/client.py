"""The seam towards whoever waits for an answer: the HTTP edge, or a caller in this process."""

from __future__ import annotations

from typing import Protocol

from wardwright.kernel.errors import WardwrightError


class Client(Protocol):
    """One waiting caller. Exactly one of: `answer`; `begin`, `send`…, `finish`; `refuse`."""

    def answer(self, body: bytes, headers: bytes) -> None:
        """The whole answer, JSON. `headers` are rendered lines, each with its CRLF."""
        ...

    def begin(self, headers: bytes) -> None:
        """The head of a stream."""
        ...

    def send(self, data: bytes) -> None: ...

    def finish(self) -> None: ...

    def refuse(self, error: WardwrightError, receipt: str | None, retry_after_s: int | None) -> None:
        """An error instead of an answer."""
        ...
