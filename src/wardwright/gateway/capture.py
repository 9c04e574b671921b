"""A tape between a call and its client: keeps what the client sent and what it is told, and hands both on at the end.

Rule 1: it exists only where capture is on; a call without one pays nothing.
Rule 2: the receipt says `captured` before the client has heard the last of it, so a place is promised when the call
closes, and filled when the client has been told everything, or has left, whichever comes last.
"""

from __future__ import annotations

from wardwright.dialects.openai_wire import error_body
from wardwright.gateway.client import Client
from wardwright.journal.captures import Body, Capture, CaptureWriter, body_of
from wardwright.kernel.errors import WardwrightError


class Tape:
    """One call's client, overheard. Implements `gateway.client.Client`."""

    __slots__ = (
        "_admitted", "_answer", "_answer_bytes", "_client", "_over", "_receipt", "_request", "_room", "_tenant",
        "_writer",
    )  # fmt: skip

    def __init__(self, writer: CaptureWriter, tenant: str, receipt: str, request: bytes, client: Client) -> None:
        self._admitted = False
        self._answer: list[bytes] = []
        self._answer_bytes = 0
        self._client = client
        self._over = False
        """The client has been told everything, or has left."""
        self._receipt = receipt
        self._request = request
        self._room = writer.bytes_max
        """How much more of the answer is kept."""
        self._tenant = tenant
        self._writer = writer

    # -- what the call does --------------------------------------------------------------------------------------------

    def closed(self) -> bool:
        """The call's receipt is about to be written: whether its bodies will be kept. Called once."""
        self._admitted = self._writer.admit()
        if self._over:
            self._put()
        return self._admitted

    def left(self) -> None:
        """The client closed its connection: it hears no more."""
        self._end()

    # -- what the client is told (gateway.client.Client) ---------------------------------------------------------------

    def answer(self, body: bytes, headers: bytes) -> None:
        self._keep(body)
        self._end()
        self._client.answer(body, headers)

    def begin(self, headers: bytes) -> None:
        self._client.begin(headers)

    def send(self, data: bytes) -> None:
        self._keep(data)
        self._client.send(data)

    def finish(self) -> None:
        self._end()
        self._client.finish()

    def refuse(self, error: WardwrightError, receipt: str | None, retry_after_s: int | None) -> None:
        self._keep(error_body(error, receipt))
        self._end()
        self._client.refuse(error, receipt, retry_after_s)

    # -- keeping -------------------------------------------------------------------------------------------------------

    def _keep(self, data: bytes) -> None:
        self._answer_bytes += len(data)
        if self._room:
            kept = data[: self._room]
            self._room -= len(kept)
            self._answer.append(kept)

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self._put()

    def _put(self) -> None:
        if self._admitted:
            capture = Capture(
                answer=Body(content=b"".join(self._answer), size=self._answer_bytes),
                request=body_of(self._request, self._writer.bytes_max),
            )
            self._writer.put(self._tenant, self._receipt, capture)
