"""What a governed call leaves behind when it is over: its receipt, and nothing that waits for the collector."""

from __future__ import annotations

import gc
from pathlib import Path

from parts import raw_upstream
from parts.contracts import model, provider
from parts.gateway_thread import Document, running
from parts.governed_client import policy, rule, streamed
from parts.raw_upstream import DONE, ROLE, STOP, Turn, text
from wardwright.gateway.live import Live
from wardwright.streams.governor import Governor

CALLS = 20


def documents(base_url: str) -> list[Document]:
    return [
        provider("up", base_url),
        model("m", "up", policies=["house-rules"]),
        policy(rule(r"OldClient\(", {"block": {}})),
    ]


def test_a_call_that_is_over_is_freed_without_the_collector(tmp_path: Path) -> None:
    def play(turn: Turn) -> None:
        turn.stream(ROLE, text("fine, Old"), text("Cloud and Ol"), text("d"), STOP, DONE)

    with raw_upstream.running(play) as upstream, running(tmp_path, documents(upstream.base_url)) as gateway:
        streamed(gateway)
        gateway.ended()
        gc.collect()
        gc.disable()
        try:
            for _ in range(CALLS):
                assert streamed(gateway).text == "fine, OldCloud and Old"
            gateway.ended(CALLS)
            left = [one for one in gc.get_objects() if isinstance(one, Live | Governor)]
        finally:
            gc.enable()
    assert len(left) < CALLS // 2, f"{len(left)} objects of {CALLS} calls wait for the collector"
