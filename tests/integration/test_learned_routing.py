"""A gateway that sends calls where they have succeeded: told by its own receipts, over a restart too."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx2

from parts.audit import audit
from parts.contracts import chat, scripted
from parts.gateway_thread import Document, GatewayThread, running

LEARNED_WITHIN_S = 10.0
FAILS: Document = {"status": 500}


def documents() -> list[Document]:
    targets = [{"name": one, "provider": one, "model": "m", "context_window": "64K"} for one in ("flaky", "steady")]
    route = {"cascade": {"members": ["flaky", "steady"], "order": "learned"}}
    breaker = {"calls_min": 1000}
    return [
        scripted("flaky", FAILS, breaker=breaker),
        scripted("steady", {}, breaker=breaker),
        {"kind": "model", "name": "m", "targets": targets, "route": route},
    ]


def served_by(gateway: GatewayThread, house: str = "") -> list[Any]:
    headers = {"x-wardwright-house": house} if house else {}
    answer = httpx2.post(f"{gateway.url}/v1/chat/completions", json=chat("m"), headers=headers)
    assert answer.status_code == 200
    id_ = answer.headers["x-wardwright-receipt-id"]
    (attempts,) = [one.receipt.attempts for one in gateway.ended() if one.receipt.receipt == id_]
    return [tried.target for tried in attempts]


def test_a_target_that_keeps_failing_is_tried_last_once_that_is_known_and_after_a_restart(tmp_path: Path) -> None:
    with running(tmp_path, documents()) as gateway:
        assert served_by(gateway) == ["flaky", "steady"]
        give_up_at = time.monotonic() + LEARNED_WITHIN_S
        while served_by(gateway) != ["steady"]:
            assert time.monotonic() < give_up_at, "nothing was learned"
        assert served_by(gateway, house="ezra") == ["flaky", "steady"], "each house learns by itself"
    with running(tmp_path, documents()) as gateway:
        assert served_by(gateway) == ["steady"]
        gateway.rest()
        found = audit(gateway.runtime.state, ended_well=False)
    assert found.reproduced >= 10, "the order is made again from the facts of each receipt"
