"""The gateway as users run it: `wardwright serve` in a process of its own, on a port that the system chose."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from parts import children
from parts.children import Child

ADDRESS_FILE: Final = "server.json"
"""Where a serving gateway says, inside its state directory, how to reach it."""

# What a developer's shell may hold and a test must not depend on.
_FOREIGN: Final = ("WARDWRIGHT_", "OPENAI_", "ANTHROPIC_")


class Address(msgspec.Struct, frozen=True):
    """The part of the address file that tests need."""

    url: str
    pid: int


@dataclass(frozen=True)
class GatewayProcess:
    """A gateway that answers."""

    url: str
    """Without a path: `http://127.0.0.1:40123`."""
    child: Child

    @property
    def base_url(self) -> str:
        """What an OpenAI client wants."""
        return f"{self.url}/v1"

    def send(self, signum: signal.Signals) -> None:
        self.child.process.send_signal(signum)

    def kill(self) -> None:
        """End it as a power cut would: no drain, nothing flushed."""
        self.child.process.kill()
        self.child.process.wait()

    def stop(self) -> int:
        """Ask it to drain and end; its exit code."""
        self.child.process.terminate()
        return self.child.process.wait(children.END_TIMEOUT_S)


@contextmanager
def running(
    config_dir: Path,
    state_dir: Path,
    *,
    env: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
    ready_timeout_s: float = children.READY_TIMEOUT_S,
) -> Iterator[GatewayProcess]:
    """Serve the contracts of a directory; ends with the block, however that ends."""
    command = [
        *(sys.executable, "-m", "wardwright", "serve", str(config_dir)),
        *("--bind", "127.0.0.1:0", "--state", str(state_dir), *options),
    ]
    own = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    with children.running(command, env=own | dict(env or {})) as child:
        address = child.wait_for(
            f"an address in {ADDRESS_FILE}", lambda: address_of(state_dir, child.pid), timeout_s=ready_timeout_s
        )
        yield GatewayProcess(address.url, child)


def address_of(state_dir: Path, pid: int) -> Address | None:
    """Where the gateway with this process id answers; None until it says so.

    The file of an earlier gateway on the same state names another process and does not count.
    """
    try:
        address = msgspec.json.decode((state_dir / ADDRESS_FILE).read_bytes(), type=Address)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return address if address.pid == pid else None
