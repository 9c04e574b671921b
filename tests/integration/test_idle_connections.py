"""Ten thousand clients that say nothing: they cost little, they hold nobody up, and they are let go in time."""

from __future__ import annotations

import json
import os
import resource
import select
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from parts import contracts, gateway_process
from parts.contracts import chat
from parts.gateway_process import GatewayProcess
from parts.raw_client import RawClient, request

WANTED: Final = 10_000
SPARE_FILES: Final = 500
SERVED_EVERY: Final = 10
"""One in so many has made a call before it falls silent."""
IDLE_TIMEOUT_S: Final = 8
SOFT_LIMIT: Final = 1024
"""With how many files a process may start on a plain Debian."""
CALLS: Final = 100
SLACK: Final = 4
"""Connections of earlier calls that the gateway may not have closed when it is looked at."""

PLAIN: Final = request(json.dumps(chat("m")).encode())


@contextmanager
def files_limited_to(soft: int) -> Iterator[None]:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def latencies_s(port: int) -> list[float]:
    """How long calls take on a connection of their own, sorted."""
    found = []
    with RawClient(port) as client:
        for _ in range(CALLS):
            started = time.perf_counter()
            assert client.ask(PLAIN).status == 200
            found.append(time.perf_counter() - started)
    return sorted(found)


def files_of(gateway: GatewayProcess) -> int:
    """How many it has open."""
    return len(os.listdir(f"/proc/{gateway.child.pid}/fd"))


def memory_of(gateway: GatewayProcess) -> int:
    """Resident bytes."""
    return int(Path(f"/proc/{gateway.child.pid}/statm").read_text().split()[1]) * resource.getpagesize()


def test_ten_thousand_idle_connections_cost_little_and_end_in_time(tmp_path: Path) -> None:
    folder = tmp_path / "contracts"
    folder.mkdir()
    limits = {"head_timeout_s": IDLE_TIMEOUT_S, "idle_timeout_s": IDLE_TIMEOUT_S}
    (folder / "wardwright.json").write_text(json.dumps({"limits": limits}))
    for document in (contracts.scripted("s", {"text": "hello"}), contracts.model("m", "s")):
        (folder / f"{document['kind']}.json").write_text(json.dumps(document))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard - SPARE_FILES)
    with ExitStack() as stack:
        with files_limited_to(SOFT_LIMIT):
            gateway = stack.enter_context(gateway_process.running(folder, tmp_path / "state"))
        stack.enter_context(files_limited_to(count + SPARE_FILES))
        port = int(gateway.url.rpartition(":")[2])
        alone = latencies_s(port)
        memory, files = memory_of(gateway), files_of(gateway)
        started = time.monotonic()
        clients: dict[int, socket.socket] = {}
        for n in range(count):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            clients[client.fileno()] = client
            if n % SERVED_EVERY == 0:
                client.sendall(PLAIN)
        for client in list(clients.values())[::SERVED_EVERY]:
            while not client.recv(65_536).endswith(b"}"):
                continue
        gateway.child.wait_for("all connections", lambda: files_of(gateway) >= files + count - SLACK or None)
        connected_s = time.monotonic() - started
        each = (memory_of(gateway) - memory) / count
        crowded = latencies_s(port)
        assert files_of(gateway) >= files + count - SLACK, "connections were let go before their time"
        assert each < 16_384
        assert statistics.median(crowded) < 5 * statistics.median(alone) + 0.005
        wait_for_the_end_of(clients, started + connected_s + IDLE_TIMEOUT_S + 10)
        ended_s = time.monotonic() - started
        assert ended_s >= IDLE_TIMEOUT_S
        assert latencies_s(port)
        gateway.child.wait_for("closed files", lambda: files_of(gateway) < files + 50 or None)
    print(
        f"{count} idle connections: {each:.0f} bytes of memory each, made in {connected_s:.1f} s, all ended after "
        f"{ended_s:.1f} s; a call takes {1e6 * statistics.median(crowded):.0f} µs beside them (p99 "
        f"{1e6 * crowded[-2]:.0f}), {1e6 * statistics.median(alone):.0f} alone (p99 {1e6 * alone[-2]:.0f})"
    )


def wait_for_the_end_of(clients: dict[int, socket.socket], give_up_at: float) -> None:
    """Until the gateway has closed every one."""
    still_open = set(clients)
    with select.epoll() as poll:
        for fd in clients:
            poll.register(fd, select.EPOLLIN)
        while still_open:
            assert time.monotonic() < give_up_at, f"{len(still_open)} connections are still open"
            for fd, _ in poll.poll(0.1):
                assert clients[fd].recv(65_536) == b""
                poll.unregister(fd)
                still_open.discard(fd)
