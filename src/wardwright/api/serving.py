"""The listening socket and uvicorn's server on it, with the edge as the protocol of its connections."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
from uvicorn import Config, Server

from wardwright.api.app import build_app
from wardwright.api.edge import Edge
from wardwright.api.workers import Forwarding
from wardwright.kernel.errors import WardwrightError
from wardwright.runtime import memory
from wardwright.runtime.crew import Crew
from wardwright.runtime.settings import address_of
from wardwright.runtime.siblings import open_door
from wardwright.runtime.wiring import Runtime

BACKLOG: Final = 4096
SERVER_FILE: Final = "server.json"
STDIN: Final = 0
ENDING: Final = (signal.SIGINT, signal.SIGTERM)
"""Signals on which the gateway drains and ends in good order."""


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """`server.json` in the state directory: where the running gateway is found. Gone when none runs."""

    pid: int
    url: str


async def serve(runtime: Runtime, *, started: Callable[[str], None], listener: socket.socket | None = None) -> None:
    """Run a gateway until SIGINT or SIGTERM; SIGHUP reads the contract files again. `started` hears the URL.

    One of several workers is handed the `listener` that they share, and ends with the process that holds the other end
    of its standard input. Raises what `Runtime.open` raises, and `settings_invalid` where the address cannot be had.
    """
    loop = asyncio.get_running_loop()
    _allow_many_connections()
    listener = listener or listen(runtime.settings.bind)
    url = url_of(listener)
    try:
        await runtime.open(address=url)
    except BaseException:
        listener.close()
        raise
    marker = Marker(runtime.state) if runtime.worker.alone else None
    try:

        def announce() -> None:
            if marker is not None:
                marker.write(url)
            started(url)

        server = DrainingServer(server_config(runtime), announce)
        memory.settle()
        runtime.connection_count = lambda: len(server.server_state.connections)
        sockets = [listener]
        if runtime.worker.keeper:
            loop.add_signal_handler(signal.SIGHUP, lambda: runtime.supervisor.spawn(_reload(runtime)))
            runtime.supervisor.spawn(runtime.watch())
        if not runtime.worker.alone:
            sockets.append(open_door(runtime.state, runtime.worker))
            loop.add_reader(STDIN, lambda: _end_with_crew(loop, server))
        await server.serve(sockets)
    finally:
        if marker is not None:
            marker.remove()
        await runtime.aclose()


def _end_with_crew(loop: asyncio.AbstractEventLoop, server: Server) -> None:
    if not os.read(STDIN, 1):
        loop.remove_reader(STDIN)
        server.handle_exit(signal.SIGTERM, None)


async def serve_together(
    state: Path,
    bind: str,
    workers: int,
    command: Callable[[int, int], Sequence[str]],
    *,
    started: Callable[[bytes], None],
) -> int:
    """Run a gateway of several workers until SIGINT or SIGTERM; its exit code. `started` hears what the keeper says of
    itself once all serve.

    `command` is the command line of a worker, from its number and the descriptor that it inherits. Raises
    `settings_invalid` where the address cannot be had.
    """
    listener = listen(bind)
    url, marker = url_of(listener), Marker(state)
    descriptor = listener.fileno()

    def ready(served: bytes) -> None:
        marker.write(url)
        started(served)

    try:
        return await Crew(lambda number: command(number, descriptor), workers, listener=descriptor).run(ready)
    finally:
        marker.remove()
        listener.close()


def _allow_many_connections() -> None:
    """Lift the soft limit on open files to the hard one: many systems start a process with room for a thousand."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def listen(bind: str) -> socket.socket:
    """A listening socket on the address. Raises `settings_invalid` where it cannot be had."""
    host, port = address_of(bind)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        raise WardwrightError(
            "settings_invalid",
            f"cannot listen on `{bind}`: {error.strerror or error}",
            hint="another gateway may run there; choose another address with `--bind`",
        ) from error
    return listener


def url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class DrainingServer(Server):
    """uvicorn's server that says when it listens."""

    def __init__(self, config: Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Let SIGINT and SIGTERM ask for a drain.

        uvicorn would raise them anew once it has drained, and so end the process before the journal is closed.
        """
        loop = asyncio.get_running_loop()
        for number in ENDING:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in ENDING:
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._announce()


def server_config(runtime: Runtime) -> Config:
    """uvicorn's part: the app, the edge as its protocol, and nothing of its own that we do otherwise."""
    protocol = partial(
        Edge,
        gateway=runtime.gateway,
        limits=runtime.settings.limits,
        outbox=runtime.outbox,
        wheel=runtime.wheel,
    )
    app = build_app(runtime)
    return Config(
        app if runtime.siblings is None or runtime.worker.keeper else Forwarding(app, runtime.siblings),
        access_log=False,
        http=protocol,  # type: ignore[arg-type]  # a protocol factory is all that uvicorn asks of it
        lifespan="off",
        log_config=None,
        loop="none",
        server_header=False,
        timeout_graceful_shutdown=runtime.settings.drain_s,
        ws="none",
    )


class Marker:
    """`server.json`, as long as a gateway serves."""

    def __init__(self, state: Path) -> None:
        self._path = state / SERVER_FILE

    def write(self, url: str) -> None:
        fresh = self._path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(Running(pid=os.getpid(), url=url)))
        fresh.replace(self._path)

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)


async def _reload(runtime: Runtime) -> None:
    await runtime.reload()
