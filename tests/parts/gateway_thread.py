"""The gateway in a thread of this process: a loop of its own, real sockets, a real journal; up in milliseconds.

Rule 1: a test looks at it from outside, through its sockets and its journal; `on_loop` is for what neither shows.
Rule 2: `ended` waits until every call is over and on disk, so that what it does not show never happened.
Rule 3: closing it fails the test where the gateway reported a defect of its own, or left what `parts.audit` objects to.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import queue
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

import msgspec
import uvloop
from uvicorn import Server

from parts.audit import audit
from wardwright.api.serving import listen, server_config, url_of
from wardwright.calls.receipt import Receipt
from wardwright.gateway.core.heading import Heading
from wardwright.journal.entry import Record
from wardwright.journal.life import CLOSED, OPENED, receipt_of
from wardwright.journal.record import parse
from wardwright.journal.store import START, ChainKey, Cursor
from wardwright.kernel.errors import WardwrightError
from wardwright.runtime.settings import load
from wardwright.runtime.wiring import Runtime

T = TypeVar("T")
Document: TypeAlias = dict[str, Any]

SOON_S: Final = 10.0
"""Bound on everything that should be a matter of milliseconds: the machine may be busy."""
POLL_S: Final = 0.003

_receipt = msgspec.json.Decoder(Receipt)


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """One call as the journal tells it."""

    opened: bool
    receipt: Receipt


class _Heard:
    """A client that only notes its receipt."""

    def __init__(self) -> None:
        self.receipt: str | None = None

    def answer(self, body: bytes, headers: bytes) -> None: ...

    def begin(self, headers: bytes) -> None: ...

    def send(self, data: bytes) -> None: ...

    def finish(self) -> None: ...

    def refuse(self, error: WardwrightError, receipt: str | None, retry_after_s: int | None) -> None:
        self.receipt = receipt


class GatewayThread:
    """A gateway that answers."""

    def __init__(self, runtime: Runtime, url: str, loop: asyncio.AbstractEventLoop, server: Server) -> None:
        self.runtime = runtime
        self.url = url
        self.port = int(url.rpartition(":")[2])
        self.server = server
        self.defects: list[BaseException] = []
        """What the gateway reported of itself. A test that provokes one takes it out."""
        self.credential: str | None = None
        """The key that `rest` calls with, where keyless callers are refused."""
        self._loop = loop
        self._closed: set[str] = set()
        self._opened: set[str] = set()
        self._told: dict[str, Ended] = {}
        self._read: dict[ChainKey, Cursor] = {}

    @property
    def base_url(self) -> str:
        """What an OpenAI client wants."""
        return f"{self.url}/v1"

    def on_loop(self, ask: Callable[[], T]) -> T:
        """What a function says on the gateway's own thread."""

        async def asked() -> T:
            return ask()

        return self.run(asked())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The outcome of a coroutine on the gateway's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(SOON_S)

    def turn(self) -> None:
        """Wait until the gateway has taken in what lies in its sockets."""
        for _ in range(2):  # the first turn may have looked at them already
            self.on_loop(lambda: None)

    def until(self, claim: Callable[[], bool], what: str = "the claim", within_s: float = SOON_S) -> None:
        until(claim, what, within_s)

    def rest(self) -> None:
        """Wait until no call is under way, and every receipt so far is on disk."""
        gateway = self.runtime.gateway
        self.until(lambda: not self.on_loop(lambda: bool(gateway.live)), "the end of all calls")
        written = self.on_loop(self._refused_call)
        self.until(lambda: written in self._take(), "a receipt on disk")
        self._told.pop(written)

    def ended(self, count: int | None = None) -> list[Ended]:
        """The calls that ended since this was last asked, in that order; `count`: exactly so many, waited for.

        Fails where a call has two receipts, or was opened after it was closed.
        """
        self.rest()
        self.until(lambda: len(self._take()) >= (count or 0), f"{count} receipts")
        self.rest()
        found, self._told = list(self._told.values()), {}
        assert not self._opened, f"opened and not closed: {self._opened}"
        assert count is None or len(found) == count, found
        return found

    def ended_once(self) -> Ended:
        return self.ended(1)[0]

    def _take(self) -> dict[str, Ended]:
        """What the journal tells that nobody asked for yet, by receipt."""
        reader = self.runtime.journal.reader
        for key in reader.chains():
            if key.chain == "calls":
                for line in reader.lines(key, self._read.get(key, START)):
                    if line.whole:
                        self._read[key] = line.next
                        record = parse(line.text)
                        receipt = receipt_of(record)
                        if receipt is not None and not record.kind.startswith("tool."):
                            self._hear(record, receipt)
        return self._told

    def _hear(self, record: Record, receipt: str) -> None:
        assert receipt not in self._closed, f"{record.kind} after the receipt of {receipt}"
        if record.kind == OPENED:
            assert receipt not in self._opened, f"{receipt} was opened twice"
            self._opened.add(receipt)
        else:
            assert record.kind == CLOSED, f"{record.kind} of {receipt} in a gateway that runs"
            self._closed.add(receipt)
            opened = receipt in self._opened
            self._opened.discard(receipt)
            self._told[receipt] = Ended(opened=opened, receipt=_receipt.decode(record.data))

    def _refused_call(self) -> str:
        """A call that is refused at once: whatever ended before it is written before it. The id of its receipt."""
        heard = _Heard()
        headers = {b"host": b"127.0.0.1"}
        if self.credential is not None:
            headers[b"authorization"] = b"Bearer " + self.credential.encode()
        self.runtime.gateway.call("chat", Heading(headers), b"", heard)
        assert heard.receipt is not None, "a call without a receipt"
        return heard.receipt

    def ask(
        self, path: str, body: Document | bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], Any]:
        """One plain request to its end: status, headers by lower-case name, decoded JSON. With a body a POST."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SOON_S)
        try:
            content = json.dumps(body) if isinstance(body, dict) else body
            connection.request("GET" if body is None else "POST", path, content, headers or {})
            answer = connection.getresponse()
            said = answer.read()
            return answer.status, {name.lower(): value for name, value in answer.headers.items()}, json.loads(said)
        finally:
            connection.close()


def until(claim: Callable[[], bool], what: str = "the claim", within_s: float = SOON_S) -> None:
    """Wait until a claim holds."""
    give_up_at = time.monotonic() + within_s
    while not claim():
        assert time.monotonic() < give_up_at, f"{what} did not come within {within_s} s"
        time.sleep(POLL_S)


@contextmanager
def running(
    folder: Path,
    documents: Sequence[Document],
    *,
    environment: dict[str, str] | None = None,
    **settings: Any,
) -> Iterator[GatewayThread]:
    """Serve documents from below `folder`. `settings` are members of `wardwright.yaml`."""
    contracts = folder / "contracts"
    contracts.mkdir(parents=True, exist_ok=True)
    for document in documents:
        (contracts / f"{document['kind']}-{document['name']}.json").write_text(json.dumps(document))
    if settings:
        (contracts / "wardwright.json").write_text(json.dumps(settings))
    runtime = Runtime(
        [contracts], folder / "state", load(contracts, {}, bind="127.0.0.1:0"), environment=environment or {}
    )
    ready: queue.Queue[GatewayThread | BaseException] = queue.Queue()
    thread = threading.Thread(target=_serve, args=(runtime, ready), name="gateway")
    thread.start()
    started = ready.get(timeout=SOON_S)
    if isinstance(started, BaseException):
        thread.join()
        raise started
    try:
        refused = started.runtime.control.state.errors
        assert not refused, [str(error) for error in refused]
        yield started
    finally:
        started.server.should_exit = True
        thread.join(SOON_S)
        assert not thread.is_alive(), "the gateway did not end"
    assert not started.defects, started.defects
    audit(folder / "state")


def _serve(runtime: Runtime, ready: queue.Queue[GatewayThread | BaseException]) -> None:
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(runtime, ready))
    except BaseException as error:
        ready.put(error)


async def _run(runtime: Runtime, ready: queue.Queue[GatewayThread | BaseException]) -> None:
    loop = asyncio.get_running_loop()
    listener = listen(runtime.settings.bind)
    url = url_of(listener)
    await runtime.open(address=url)
    server = _Server(server_config(runtime), lambda: ready.put(gateway))
    gateway = GatewayThread(runtime, url, loop, server)
    runtime.gateway.report = gateway.defects.append
    loop.set_exception_handler(lambda _, told: gateway.defects.append(told.get("exception") or _Told(str(told))))
    try:
        await server.serve([listener])
    finally:
        await runtime.aclose()


class _Told(Exception):
    """What the loop complained of without an exception."""


class _Server(Server):
    def __init__(self, config: Any, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self._announce()
