"""How workers of one gateway ask each other: HTTP over Unix sockets inside the state directory.

Rule 1: whoever may open the state directory may ask, and no one else; who the caller is is still decided by whoever
answers, from the headers that came along.
Rule 2: nothing of a call goes this way: what is asked here may wait, and may fail.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, TypeAlias

import httpx2
import msgspec

from wardwright.kernel.errors import WardwrightError
from wardwright.runtime.worker import Worker, door_of

ANSWER_S: Final = 30.0
"""How long one worker waits for another."""

BACKLOG: Final = 128

Fields: TypeAlias = Iterable[tuple[bytes, bytes]]

_HOP_BY_HOP: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker answered."""

    status: int
    media_type: str
    content: bytes


class Siblings:
    """The other workers, as one of them sees them. `aclose` it on the loop that it was used on."""

    def __init__(self, state: Path, worker: Worker) -> None:
        self.worker = worker
        self._clients = {
            number: httpx2.AsyncClient(
                transport=httpx2.AsyncHTTPTransport(uds=str(door_of(state, number))),
                base_url="http://worker",
                timeout=ANSWER_S,
                trust_env=False,
            )
            for number in worker.siblings
        }

    async def all(self, method: str, target: str, headers: Fields, content: bytes) -> dict[int, Heard]:
        """What the others answer, by number; without those that cannot be reached."""
        fields = [(name, value) for name, value in end_to_end(headers) if name != b"content-length"]
        heard = await asyncio.gather(*(self._one(number, method, target, fields, content) for number in self._clients))
        return {number: one for number, one in zip(self._clients, heard, strict=True) if one is not None}

    async def _one(self, number: int, method: str, target: str, headers: Fields, content: bytes) -> Heard | None:
        try:
            answer = await self._clients[number].request(method, target, headers=list(headers), content=content)
        except httpx2.HTTPError:
            return None
        return Heard(
            content=answer.content, media_type=answer.headers.get("content-type", ""), status=answer.status_code
        )

    @asynccontextmanager
    async def keeper(
        self, method: str, target: str, headers: Fields, content: AsyncIterator[bytes]
    ) -> AsyncIterator[httpx2.Response]:
        """The keeper's answer to somebody's request. Raises `not_ready` where it cannot be reached."""
        request = self._clients[0].build_request(method, target, headers=list(end_to_end(headers)), content=content)
        try:
            response = await self._clients[0].send(request, stream=True)
        except httpx2.HTTPError as failure:
            raise WardwrightError("not_ready", "the worker that answers this is starting again") from failure
        try:
            yield response
        finally:
            await response.aclose()

    async def aclose(self) -> None:
        for client in self._clients.values():
            await client.aclose()


def end_to_end(headers: Fields) -> list[tuple[bytes, bytes]]:
    """What is not about one connection alone."""
    return [(name, value) for name, value in headers if name.lower() not in _HOP_BY_HOP]


def open_door(state: Path, worker: Worker) -> socket.socket:
    """The listening socket on which this worker answers the others. The worker holds its journal's lock: what lies
    there is left over. Raises OSError."""
    path = door_of(state, worker.number)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with suppress(FileNotFoundError):
        path.unlink()
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    door.bind(str(path))
    path.chmod(0o600)
    door.listen(BACKLOG)
    door.setblocking(False)
    return door
