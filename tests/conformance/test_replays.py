"""What was recorded off a real socket with bad manners sounds the same when it is played again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from wardwright.contracts.provider import Provider
from wardwright.dialects.exchange import Transport
from wardwright.limits.deadlines import Wheel
from wardwright.providers.http1 import NativeTransport
from wardwright.providers.replay import RecordingTransport, ReplayTransport
from wardwright.providers.spawn import Spawn
from wardwright.testing.heard import Heard
from wardwright.testing.nasty_server import TRICKLE_EVENTS, TRICKLE_PAUSE_S
from wardwright.testing.rig import CREDENTIAL, Setting, rig

PATHS = (
    "/whole", "/chunked", "/gzip", "/interim", "/trailers", "/close-delimited", "/status/204", "/status/429",
    "/status/503", "/short", "/lost-chunks", "/bad-chunk", "/garbage", "/slam/now", "/slam/head", "/reset/body",
    "/endless-head", "/trickle",
)  # fmt: skip


def ask(directory: Path, *, records: bool) -> list[Heard]:
    """Ask for every path, of the server itself or of what was recorded."""

    def build(
        provider: Provider, credential: bytes, wheel: Wheel, loop: asyncio.AbstractEventLoop, spawn: Spawn
    ) -> Transport:
        if records:
            native = NativeTransport(provider, credential, (), wheel, loop, spawn)
            return RecordingTransport(native, directory / "nasty.jsonl", loop)
        return ReplayTransport(Provider(name="again", recordings=str(directory)), wheel, loop)

    async def main() -> list[Heard]:
        async with rig(build, Setting()) as world:
            heard = [await world.ask(path) for path in PATHS]
            assert bool(world.server.seen) == records
            return heard

    return asyncio.run(main())


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Heard, Heard]]:
    directory = tmp_path_factory.mktemp("recordings")
    originals = ask(directory, records=True)
    assert CREDENTIAL not in (directory / "nasty.jsonl").read_bytes()
    return dict(zip(PATHS, zip(originals, ask(directory, records=False), strict=True), strict=True))


@pytest.mark.parametrize("path", PATHS)
def test_a_replay_is_the_answer_that_was_recorded(path: str, both: dict[str, tuple[Heard, Heard]]) -> None:
    original, again = both[path]
    assert (again.status, again.body_bytes) == (original.status, original.body_bytes)
    assert (again.is_complete, again.failure) == (original.is_complete, original.failure)


def test_a_replay_takes_its_time(both: dict[str, tuple[Heard, Heard]]) -> None:
    _, again = both["/trickle"]
    assert len(again.bodies) == TRICKLE_EVENTS
    assert again.arrivals_s[-1] - again.arrivals_s[0] >= TRICKLE_PAUSE_S * (TRICKLE_EVENTS - 1) * 0.8
