"""Several workers that share one address: calls in all of them, one gateway to whoever looks at it from outside.

A test reaches one worker by its own door, the Unix socket on which workers ask each other: which of them takes a
connection of the shared address is the system's choice.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx2
import msgspec
import pytest

from parts import children
from parts.audit import audit
from parts.contracts import chat, model, scripted
from parts.gateway_process import GatewayProcess, running
from parts.gateway_thread import Document
from wardwright.cli.main import run

Found = TypeVar("Found")

HEARD_WITHIN_S: Final = 10.0
"""Generous: workers hear of each other within a fifth of a second on a machine that is not busy."""


def write(folder: Path, documents: Sequence[Document]) -> Path:
    folder.mkdir(exist_ok=True)
    for number, document in enumerate(documents):
        (folder / f"{number}.json").write_text(json.dumps(document))
    return folder


def crew(tmp_path: Path, *documents: Document, workers: int = 2, options: Sequence[str] = ()) -> Any:
    config = write(tmp_path / "contracts", documents)
    return running(config, tmp_path / "state", options=["--workers", str(workers), *options])


def door(tmp_path: Path, worker: int) -> httpx2.Client:
    """One worker, by itself."""
    transport = httpx2.HTTPTransport(uds=str(tmp_path / "state" / "workers" / f"{worker}.sock"))
    return httpx2.Client(transport=transport, base_url="http://127.0.0.1", timeout=60)


def call(tmp_path: Path, worker: int, headers: dict[str, str] | None = None, name: str = "m") -> httpx2.Response:
    with door(tmp_path, worker) as client:
        return client.post("/v1/chat/completions", json=chat(name), headers=headers)


def until(what: str, look: Callable[[], Found | None]) -> Found:
    give_up_at = time.monotonic() + HEARD_WITHIN_S
    while time.monotonic() < give_up_at:
        if (found := look()) is not None:
            return found
        time.sleep(children.POLL_S)
    raise AssertionError(f"not {what} within {HEARD_WITHIN_S} s")


def admin(tmp_path: Path) -> dict[str, str]:
    return {"authorization": f"Bearer {(tmp_path / 'state' / 'admin-token').read_text().strip()}"}


def spending(limit: int, **members: Any) -> Document:
    budget = {"name": "calls", "of": "requests", "limit": limit, "per": "tenant", "within": {"age_s": 3600}}
    budget |= {"on_exceeded": "block", "why": "somebody pays"} | members
    return {"kind": "policy", "name": "rules", "budgets": [budget], "rules": []}


PLAIN: Final = (scripted("s", {}), model("m", "s"))
REQUEST: Final[Document] = {"phase": "request", "why": "somebody wants it so"}
WHOLE: Final[Document] = {"eq": ["request.stream", False]}


def test_calls_of_all_workers_are_one_gateway_s_calls(tmp_path: Path) -> None:
    with crew(tmp_path, *PLAIN, workers=3) as gateway:
        ids = [call(tmp_path, worker).headers["x-wardwright-receipt-id"] for worker in (0, 1, 2, 1)]
        with httpx2.Client(base_url=gateway.url) as client:

            def all_listed() -> bool | None:
                listed = client.get("/v1/receipts").json()["data"]
                return sorted(one["receipt"] for one in listed) == sorted(ids) or None

            until("all listed", all_listed)
            for id_ in ids:
                assert client.get(f"/v1/receipts/{id_}").status_code == 200
            runtime = client.get("/admin/runtime", headers=admin(tmp_path)).json()
            metrics = client.get("/metrics").text
        assert (runtime["workers"], runtime["models"][0]["calls"]) == (3, {"completed": 4})
        counted = [line for line in metrics.splitlines() if line.startswith("wardwright_calls_total{")]
        assert sorted((line.partition('worker="')[2][0], line.rpartition(" ")[2]) for line in counted) == [
            ("0", "1.0"), ("1", "2.0"), ("2", "1.0"),
        ]  # fmt: skip
        assert gateway.stop() == 0
    assert len(audit(tmp_path / "state").receipts) == 4


def test_every_worker_takes_connections_of_the_one_address(tmp_path: Path) -> None:
    async def ask(gateway: GatewayProcess) -> None:
        limits = httpx2.Limits(max_connections=64)
        async with httpx2.AsyncClient(base_url=gateway.url, limits=limits, timeout=60) as client:
            await asyncio.gather(*(client.post("/v1/chat/completions", json=chat("m")) for _ in range(256)))

    with crew(tmp_path, scripted("s", {"delay_ms": 20}), model("m", "s")) as gateway:
        asyncio.run(ask(gateway))
        gateway.stop()
    writers = Counter(path.parent.parent.name for path in (tmp_path / "state").glob("journal/*/*/calls/*.jsonl"))
    assert set(writers) == {"gateway-0", "gateway-1"}
    assert len(audit(tmp_path / "state").receipts) == 256


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_a_thousand_calls_at_once_end_at_the_limit_and_not_past_it(tmp_path: Path, workers: int) -> None:
    documents = (scripted("s", {"delay_ms": 50}), model("m", "s", policies=["rules"]), spending(250))

    async def ask(gateway: GatewayProcess) -> list[int]:
        limits = httpx2.Limits(max_connections=200)
        async with httpx2.AsyncClient(base_url=gateway.url, limits=limits, timeout=60) as client:

            async def one() -> int:
                return (await client.post("/v1/chat/completions", json=chat("m"))).status_code

            return await asyncio.gather(*(one() for _ in range(1000)))

    with crew(tmp_path, *documents, workers=workers) as gateway:
        statuses = Counter(asyncio.run(ask(gateway)))
        gateway.stop()
    assert statuses == {200: 250, 429: 750}
    ended = Counter(receipt.status for receipt in audit(tmp_path / "state").receipts)
    assert ended == {"completed": 250, "refused": 750}


def test_what_workers_used_of_a_budget_outlives_them(tmp_path: Path) -> None:
    documents = (scripted("s", {}), model("m", "s", policies=["rules"]), spending(6))
    with crew(tmp_path, *documents) as gateway:
        assert [call(tmp_path, worker).status_code for worker in (0, 1, 0, 1)] == [200] * 4
        gateway.stop()
    with crew(tmp_path, *documents, workers=3) as gateway:
        # A third worker joined: its part of what is left is in reach of each.
        assert [call(tmp_path, worker).status_code for worker in (2, 2, 2, 0, 1)] == [200, 200, 429, 429, 429]
        gateway.stop()
    with crew(tmp_path, *documents, workers=1) as gateway, httpx2.Client(base_url=gateway.url) as client:
        # Alone again: all that any worker ever wrote is counted.
        assert client.post("/v1/chat/completions", json=chat("m")).status_code == 429
        gateway.stop()
    audit(tmp_path / "state")


def test_rules_look_back_on_what_other_workers_settled(tmp_path: Path) -> None:
    documents = (
        scripted("s", {}),
        model("m", "s", policies=["rules"]),
        {
            "kind": "policy",
            "name": "rules",
            "state": [
                {
                    "name": "asked", "events": ["asked"], "measure": "count", "scope": "user",
                    "within": {"age_s": 3600},
                }
            ],
            "rules": [
                {"id": "note", "when": WHOLE, "then": [{"annotate": {"label": "asked"}}]} | REQUEST,
                {"id": "enough", "when": {"gte": ["state.asked", 2]}, "then": [{"block": {}}]} | REQUEST,
            ],
        },
    )  # fmt: skip
    ann = {"x-wardwright-user-id": "ann"}
    with crew(tmp_path, *documents) as gateway:
        assert [call(tmp_path, worker, ann).status_code for worker in (0, 1)] == [200, 200]
        until("refused", lambda: call(tmp_path, 1, ann).status_code == 403 or None)
        until("refused", lambda: call(tmp_path, 0, ann).status_code == 403 or None)
        assert call(tmp_path, 0, {"x-wardwright-user-id": "ben"}).status_code == 200
        gateway.stop()
    audit(tmp_path / "state")


APPROVED: Final = (
    scripted("s", {}),
    model("m", "s", policies=["rules"]),
    {
        "kind": "policy",
        "name": "rules",
        "rules": [
            {
                "id": "careful", "when": WHOLE, "then": [{"require_approval": {"message": "somebody must look"}}],
            } | REQUEST
        ],
    },
)  # fmt: skip


def test_an_approval_asked_for_in_one_worker_runs_once_in_any(tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    with crew(tmp_path, *APPROVED) as gateway:
        refused = call(tmp_path, 1)
        assert refused.status_code == 403
        id_ = "apr_" + refused.text.partition("apr_")[2][:28]
        known = f"{gateway.url}/api/approvals/{id_}"
        until("known to the keeper", lambda: httpx2.get(known, headers=admin(tmp_path)).is_success or None)
        assert id_ in call(tmp_path, 0).text, "the same request finds the approval that it has"
        assert run(["approval", "approve", id_, "--state", state]) == 0
        header = {"x-wardwright-approval-id": id_}

        async def both() -> list[int]:
            async def one(worker: int) -> int:
                path = str(tmp_path / "state" / "workers" / f"{worker}.sock")
                transport = httpx2.AsyncHTTPTransport(uds=path)
                async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                    return (await client.post("/v1/chat/completions", json=chat("m"), headers=header)).status_code

            return await asyncio.gather(*(one(number % 2) for number in range(8)))

        assert Counter(asyncio.run(both())) == {200: 1, 403: 7}
        gateway.stop()
    claims = tmp_path / "state" / "claims"
    assert [path.name for path in claims.iterdir()] == [id_]
    with crew(tmp_path, *APPROVED) as gateway:
        assert list(claims.iterdir()) == [], "what was used is not claimed for ever"
        gateway.stop()
    audit(tmp_path / "state")


def test_keys_and_contracts_that_change_change_in_every_worker(tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    with crew(tmp_path, *PLAIN, options=["--keys", "required"]) as gateway:
        made = httpx2.post(
            f"{gateway.url}/api/keys", json={"tenant": "acme", "label": "ci"}, headers=admin(tmp_path)
        ).json()
        key = {"authorization": f"Bearer {made['token']}"}
        for worker in (0, 1):
            until("let in", partial(answers, tmp_path, worker, key, 200))
        assert run(["key", "revoke", made["key"]["id"], "--state", state]) == 0
        for worker in (0, 1):
            until("turned away", partial(answers, tmp_path, worker, key, 401))

        again = httpx2.post(
            f"{gateway.url}/api/keys", json={"tenant": "acme", "label": "cd"}, headers=admin(tmp_path)
        ).json()
        key = {"authorization": f"Bearer {again['token']}"}
        write(tmp_path / "contracts", [scripted("s", {"text": "changed"}), model("m", "s")])
        gateway.send(signal.SIGHUP)
        for worker in (0, 1):
            until("served anew", partial(answers, tmp_path, worker, key, 200, "changed"))
        gateway.stop()
    audit(tmp_path / "state")


def answers(tmp_path: Path, worker: int, key: dict[str, str], status: int, text: str = "") -> bool | None:
    answer = call(tmp_path, worker, key)
    return (answer.status_code == status and text in answer.text) or None


def listens(tmp_path: Path, worker: int) -> bool | None:
    with socket.socket(socket.AF_UNIX) as asking:
        return asking.connect_ex(str(tmp_path / "state" / "workers" / f"{worker}.sock")) == 0 or None


def is_gone(pid: int) -> bool | None:
    return not Path(f"/proc/{pid}").exists() or None


def pids(tmp_path: Path) -> dict[int, int]:
    """Process ids by worker, as their locks say."""
    locks = (tmp_path / "state").glob("journal/*/gateway-*/lock")
    return {int(path.parent.name.rpartition("-")[2]): json.loads(path.read_bytes())["pid"] for path in locks}


@pytest.mark.parametrize("worker", [0, 1])
def test_a_worker_that_is_killed_comes_again_and_the_other_goes_on(tmp_path: Path, worker: int) -> None:
    slow = (scripted("slow", {"delay_ms": 30_000}), model("slow", "slow"))
    with crew(tmp_path, *PLAIN, *slow) as gateway:
        first = pids(tmp_path)[worker]

        def live() -> bool | None:
            runtime = httpx2.get(f"{gateway.url}/admin/runtime", headers=admin(tmp_path)).json()
            return runtime["calls_live"] == 1 or None

        with ThreadPoolExecutor(1) as pool:
            cut = pool.submit(call, tmp_path, worker, name="slow")
            until("under way", live)
            os.kill(first, signal.SIGKILL)
            assert isinstance(cut.exception(), httpx2.HTTPError)
        assert call(tmp_path, 1 - worker).status_code == 200
        until("started anew", lambda: pids(tmp_path)[worker] != first or None)

        until("listening again", partial(listens, tmp_path, worker))
        assert call(tmp_path, worker).status_code == 200
        assert httpx2.get(f"{gateway.url}/v1/models").status_code == 200
        assert gateway.stop() == 0
    audit(tmp_path / "state", ended_well=False)


def test_workers_end_with_the_process_above_them(tmp_path: Path) -> None:
    with crew(tmp_path, *PLAIN) as gateway:
        call(tmp_path, 1)
        workers = list(pids(tmp_path).values())
        gateway.kill()
        for pid in workers:
            until("ended", partial(is_gone, pid))
    assert len(audit(tmp_path / "state").receipts) == 1, "they ended in good order"


def test_what_the_keeper_refuses_ends_all_with_its_words(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with crew(tmp_path, *PLAIN) as gateway:
        command = ["serve", str(tmp_path / "contracts"), "--bind", "127.0.0.1:0", "--state", str(state)]
        second = subprocess.run(
            [sys.executable, "-m", "wardwright", *command, "--workers", "2"], capture_output=True, text=True, timeout=60
        )
        assert second.returncode == 1
        assert "holds this writer" in second.stderr
        told = subprocess.run(
            [sys.executable, "-m", "wardwright", *command, "--workers", "2", "--json"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert msgspec.json.decode(told.stdout)["error"]["code"] == "journal_locked"
        assert call(tmp_path, 0).status_code == 200
        gateway.stop()


def test_dead_letters_of_all_workers_are_listed_and_settled_together(tmp_path: Path) -> None:
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "wardwright.toml").write_text(
        '[sinks.ops]\nkind = "webhook"\nurl = "http://127.0.0.1:9/"\nsecret = "env:HOOK_SECRET"\nattempts_max = 1\n'
    )
    documents = (
        scripted("s", {}),
        model("m", "s", policies=["rules"]),
        {
            "kind": "policy",
            "name": "rules",
            "rules": [
                {
                    "id": "tell", "when": WHOLE, "then": [{"alert": {"sink": "ops", "message": "look"}}],
                } | REQUEST
            ],
        },
    )  # fmt: skip
    config = write(tmp_path / "contracts", documents)
    secret = {"HOOK_SECRET": "0123456789abcdef" * 2}
    with running(config, tmp_path / "state", options=["--workers", "2"], env=secret) as gateway:
        for worker in (0, 1):
            assert call(tmp_path, worker).status_code == 200
        with httpx2.Client(base_url=gateway.url, headers=admin(tmp_path)) as client:

            def dead() -> list[str] | None:
                found = client.get("/api/alerts", params={"state": "dead"}).json()["data"]
                return [one["id"] for one in found] if len(found) == 2 else None

            ids = until("two dead letters", dead)
        gateway.stop()
    # One worker after two: it has what the other left behind.
    for workers in (1, 2):
        with (
            running(config, tmp_path / "state", options=["--workers", str(workers)], env=secret) as gateway,
            httpx2.Client(base_url=gateway.url, headers=admin(tmp_path)) as client,
        ):
            found = client.get("/api/alerts", params={"state": "dead"}).json()["data"]
            assert sorted(one["id"] for one in found) == sorted(ids)
            unknown = client.post("/api/alerts/drop", json={"ids": ["alt_nobody"]})
            assert (unknown.status_code, unknown.json()["code"]) == (404, "alert_not_found")
            if workers == 2:
                assert client.post("/api/alerts/drop", json={"ids": ids}).json() == {"ids": sorted(ids)}
                assert client.get("/api/alerts").json()["data"] == []
            gateway.stop()
    audit(tmp_path / "state")
