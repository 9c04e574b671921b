"""The process above several workers: it holds the listening socket, starts them, and starts those anew that end.

Rule 1: no request passes through here. Workers take connections from the one socket, which stays open while any of them
starts anew: a connection that comes meanwhile waits for another.
Rule 2: the keeper comes first. What it refuses (a broken journal, an address in use) ends the crew with its exit code.
Rule 3: a worker that ends unasked is started anew, RESTARTS_MAX times within RESTARTS_WITHIN_S; then all end.
Rule 4: workers end when this process does, however it ends: they hold the other end of a pipe.
Rule 5: this process alone speaks to the service manager. Where there is a watchdog, workers feed one here: one that is
stuck is killed, and started anew by rule 3.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from wardwright.runtime.notify import SILENT, Notifier
from wardwright.runtime.pulses import Pulses

READY: Final = b"serving "
"""How the line begins by which a worker says that it serves, and what."""

READY_S: Final = 60.0
"""How long a worker may take from its start until it serves."""

RESTARTS_MAX: Final = 5
RESTARTS_WITHIN_S: Final = 60.0
REST_S: Final = 1.0
"""Before a worker is started anew."""

ENDING: Final = (signal.SIGINT, signal.SIGTERM)

log = logging.getLogger("wardwright")


class Crew:
    """Construct, `run` once."""

    def __init__(
        self,
        command: Callable[[int], Sequence[str]],
        count: int,
        *,
        listener: int,
        notifier: Notifier = SILENT,
        rest_s: float = REST_S,
    ) -> None:
        """`command` is the command line of a worker; each inherits the descriptor `listener`, and writes a line that
        begins with READY to its standard output once it serves. Whatever else it writes there is passed on."""
        self._command = command
        self._count = count
        self._ending = False
        self._exit = 0
        self._fault = asyncio.Event()
        """A worker cannot be kept running, or somebody wants the end."""
        self._listener = listener
        self._notifier = notifier
        self._pulses = Pulses(notifier.watchdog_s, self._hear)
        self._serves = False
        """All serve, and the service manager knows."""
        self._rest_s = rest_s
        self._processes: dict[int, asyncio.subprocess.Process] = {}

    async def run(self, ready: Callable[[bytes], None]) -> int:
        """Serve until SIGINT or SIGTERM; the exit code. `ready` hears what the keeper serves once all do."""
        loop = asyncio.get_running_loop()
        for number in ENDING:
            loop.add_signal_handler(number, self._end, 0)
        loop.add_signal_handler(signal.SIGHUP, lambda: self._send(0, signal.SIGHUP))
        tasks: list[asyncio.Task[None]] = []
        self._pulses.open()
        try:
            served = await self._start(0)
            if served is not None:
                others = await asyncio.gather(*(self._start(number) for number in range(1, self._count)))
                if None not in others:
                    ready(served)
                    self._serves = True
                    tasks = [loop.create_task(self._keep(number)) for number in range(self._count)]
                    tasks.append(loop.create_task(self._notifier.feed()))
                    tasks.append(loop.create_task(self._pulses.keep(self._kill)))
                    await self._fault.wait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._stop()
            self._pulses.close()
            for number in (*ENDING, signal.SIGHUP):
                loop.remove_signal_handler(number)
        return self._exit

    async def _start(self, number: int) -> bytes | None:
        """Start a worker; what it serves, None where it does not, or shall not any more."""
        process = self._processes[number] = await asyncio.create_subprocess_exec(
            *self._command(number),
            env=self._pulses.environment(os.environ),
            pass_fds=[self._listener],
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        line = b""
        try:
            line = await asyncio.wait_for(process.stdout.readline(), READY_S)
        except TimeoutError:
            log.error("worker %d did not serve within %d s", number, READY_S)
            process.kill()
        if line.startswith(READY):
            self._pulses.begin(process.pid)
            return None if self._ending else line.removeprefix(READY)
        sys.stdout.buffer.write(line + await process.stdout.read())
        sys.stdout.flush()
        self._end(await process.wait() or 1)
        return None

    async def _keep(self, number: int) -> None:
        ends: deque[float] = deque()
        loop = asyncio.get_running_loop()
        while True:
            process = self._processes[number]
            code = await process.wait()
            self._pulses.end(process.pid)
            if self._ending:
                return
            log.error("worker %d ended with %d; it is started anew", number, code)
            ends.append(loop.time())
            while ends and ends[0] < loop.time() - RESTARTS_WITHIN_S:
                ends.popleft()
            if len(ends) > RESTARTS_MAX:
                log.error("worker %d ended %d times within %d s", number, len(ends), RESTARTS_WITHIN_S)
                self._end(1)
                return
            await asyncio.sleep(self._rest_s)
            if await self._start(number) is None:
                return

    def _hear(self, pid: int, lines: frozenset[str]) -> None:
        """What the keeper tells of reading the contract files again is passed on."""
        if pid != self._processes[0].pid or self._ending:
            return
        if "RELOADING=1" in lines:
            self._notifier.reloading()
        elif "READY=1" in lines and self._serves:
            self._notifier.tell("READY=1")

    def _kill(self, pid: int) -> None:
        for number, process in self._processes.items():
            if process.pid == pid and process.returncode is None and not self._ending:
                log.error("worker %d is stuck: it is killed", number)
                process.kill()

    def _end(self, code: int) -> None:
        if not self._ending:
            self._notifier.stopping("waiting for the workers to drain")
        self._ending = True
        self._exit = self._exit or (code if code >= 0 else 1)
        for number in self._processes:
            self._send(number, signal.SIGTERM)
        self._fault.set()

    def _send(self, number: int, signum: signal.Signals) -> None:
        process = self._processes.get(number)
        if process is not None and process.returncode is None:
            process.send_signal(signum)

    async def _stop(self) -> None:
        """Wait until all have drained and ended."""
        self._end(0)
        for process in self._processes.values():
            await process.wait()


def worker_command(arguments: Sequence[str]) -> list[str]:
    """The command line of this program with other arguments."""
    return [sys.executable, "-m", "wardwright", *arguments]
