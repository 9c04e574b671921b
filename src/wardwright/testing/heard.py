"""A receiver that writes down what it hears, and when, and holds a transport to the order of calls."""

from __future__ import annotations

import asyncio

from wardwright.dialects.exchange import Exchange, Failure, Headers
from wardwright.providers.playback import Timer


class Heard:
    """One exchange as its receiver met it. Implements `dialects.exchange.Receiver`.

    Raises AssertionError from within a call that the seam does not allow, and from `ended`.
    """

    def __init__(self, loop: Timer) -> None:
        self._loop = loop
        self._over = asyncio.Event()
        self.exchange: Exchange | None = None
        """Set by who started it, to tell calls from within `start`."""
        self.status = 0
        self.headers: Headers = []
        self.bodies: list[bytes] = []
        self.arrivals_s: list[float] = []
        """Loop time of each body call."""
        self.failure: Failure | None = None
        self.is_complete = False
        self.is_cancelled = False
        self.faults: list[str] = []
        """Calls that the seam does not allow."""

    @property
    def body_bytes(self) -> bytes:
        return b"".join(self.bodies)

    def cancel(self) -> None:
        """Cancel the exchange; from now on it must be silent."""
        assert self.exchange is not None
        self.is_cancelled = True
        self.exchange.cancel()

    async def ended(self, within_s: float = 10.0) -> Heard:
        """Wait for `end` or `failed`, then check every call."""
        await asyncio.wait_for(self._over.wait(), within_s)
        self.check()
        return self

    async def heard_body(self, size: int = 1, within_s: float = 10.0) -> None:
        """Wait until this many bytes came."""
        deadline = self._loop.time() + within_s
        while sum(map(len, self.bodies)) < size and not self._over.is_set():
            assert self._loop.time() < deadline, f"{size} bytes did not come"
            await asyncio.sleep(0.002)

    def check(self) -> None:
        assert not self.faults, self.faults

    # --- the receiver's side

    def head(self, status: int, headers: Headers) -> None:
        self._note("head", before=self.status == 0 and not self.bodies)
        if not 200 <= status <= 999:
            self.faults.append(f"a head of status {status}")
        self.faults += [f"header {name!r} not in lower case" for name, _ in headers if name != name.lower()]
        self.status = status
        self.headers = headers

    def body(self, data: bytes) -> None:
        self._note("body", before=self.status != 0)
        if not data:
            self.faults.append("an empty body call")
        self.bodies.append(data)
        self.arrivals_s.append(self._loop.time())

    def end(self) -> None:
        self._note("end", before=self.status != 0)
        self.is_complete = True
        self._over.set()

    def failed(self, failure: Failure) -> None:
        self._note("failed", before=True)
        self.failure = failure
        self._over.set()

    def _note(self, call: str, *, before: bool) -> None:
        if self.exchange is None:
            self.faults.append(f"{call} from within start")
        if self.is_cancelled:
            self.faults.append(f"{call} after cancel")
        if self._over.is_set():
            self.faults.append(f"{call} after the end")
        if not before:
            self.faults.append(f"{call} out of order")
