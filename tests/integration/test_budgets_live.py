"""Budgets as callers meet them: counted across calls, refused at the limit, given back where nothing was used."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from parts import gateway_process
from parts.audit import audit
from parts.contracts import chat, model, scripted
from parts.gateway_thread import Document, GatewayThread, running


def spending(*budgets: Document, rules: list[Document] | None = None) -> Document:
    return {"kind": "policy", "name": "spending", "budgets": list(budgets), "rules": rules or []}


def budget(name: str, of: str, limit: Any, per: str, **members: Any) -> Document:
    found: Document = {"name": name, "of": of, "limit": limit, "per": per, "within": {"age_s": 3600}}
    return found | {"on_exceeded": "block", "why": "somebody pays"} | members


def call(gateway: GatewayThread, user: str = "ann", **members: Any) -> Any:
    headers = {"x-wardwright-user-id": user}
    with openai.OpenAI(base_url=gateway.base_url, api_key="none", max_retries=0) as client:
        return client.chat.completions.create(**chat("m", **members), extra_headers=headers)


def test_a_caller_past_its_budget_is_told_when_to_come_again_and_no_other_is(tmp_path: Path) -> None:
    documents = [
        scripted("s", {}),
        model("m", "s", policies=["spending"]),
        spending(budget("calls", "requests", 2, "user")),
    ]
    with running(tmp_path, documents) as gateway:
        call(gateway)
        call(gateway)
        with pytest.raises(openai.RateLimitError) as caught:
            call(gateway)
        call(gateway, user="ben")
        refused = gateway.ended(4)[2].receipt
    assert caught.value.code == "budget_exceeded"
    assert 3000 < int(caught.value.response.headers["retry-after"]) <= 3600 + 3600 // 64
    assert (refused.status, refused.attempts) == ("refused", ())
    assert refused.budget_refused is not None
    assert (refused.budget_refused.budget, refused.budget_refused.used) == ("spending/calls", 2)


def test_what_is_reserved_is_given_back_when_less_was_used_or_nothing(tmp_path: Path) -> None:
    documents = [
        scripted("s", {"status": 500}, {"output_tokens": 5, "input_tokens": 10}),
        model("m", "s", policies=["spending"]),
        spending(budget("tokens", "output_tokens", 100, "tenant")),
    ]
    with running(tmp_path, documents) as gateway:
        with pytest.raises(openai.InternalServerError):
            call(gateway, max_tokens=90)
        call(gateway, max_tokens=90)
        with pytest.raises(openai.RateLimitError):
            call(gateway, max_tokens=96)
        call(gateway, max_tokens=95)
        failed, used, _, _ = (ended.receipt for ended in gateway.ended(4))
    assert [charge.amount for charge in failed.budgets] == [0]
    assert [(charge.amount, charge.used) for charge in used.budgets] == [(5, 5)]


def test_calls_in_flight_count_so_that_together_they_do_not_pass_the_limit(tmp_path: Path) -> None:
    documents = [
        scripted("s", {"delay_ms": 400}),
        model("m", "s", policies=["spending"]),
        spending(budget("calls", "requests", 1, "tenant")),
    ]
    with (
        running(tmp_path, documents) as gateway,
        openai.OpenAI(base_url=gateway.base_url, api_key="none", max_retries=0) as client,
    ):
        under_way = client.chat.completions.with_streaming_response
        with pytest.raises(openai.RateLimitError), under_way.create(**chat("m", stream=True)):
            call(gateway)
        gateway.ended(2)


def test_a_rule_reads_how_much_of_a_budget_is_gone_and_steps_down(tmp_path: Path) -> None:
    step_down: Document = {
        "id": "step-down", "phase": "request", "when": {"gte": ["budget.calls.share_ppm", 500_000]},
        "then": [{"restrict_routes": "cheap"}], "why": "half is gone",
    }  # fmt: skip
    documents = [
        scripted("dear", {}),
        scripted("cheap", {}),
        model("m", "dear", "cheap", policies=["spending"]),
        spending(budget("calls", "requests", 4, "user", on_exceeded="fact"), rules=[step_down]),
    ]
    with running(tmp_path, documents) as gateway:
        for _ in range(3):
            call(gateway)
        served = [ended.receipt.selected for ended in gateway.ended(3)]
    assert [one.target for one in served if one is not None] == ["dear", "dear", "cheap"]


def test_a_thousand_calls_at_once_end_at_the_limit_and_not_past_it(tmp_path: Path) -> None:
    documents = [
        scripted("s", {"delay_ms": 50}),
        model("m", "s", policies=["spending"]),
        spending(budget("calls", "requests", 250, "tenant")),
    ]

    async def ask(gateway: GatewayThread) -> list[int]:
        limits = httpx2.Limits(max_connections=200)
        async with httpx2.AsyncClient(base_url=gateway.url, limits=limits, timeout=60) as client:

            async def one() -> int:
                return (await client.post("/v1/chat/completions", json=chat("m"))).status_code

            return await asyncio.gather(*(one() for _ in range(1000)))

    with running(tmp_path, documents) as gateway:
        statuses = Counter(asyncio.run(ask(gateway)))
        ended = Counter(ended.receipt.status for ended in gateway.ended(1000))
    assert statuses == {200: 250, 429: 750}
    assert ended == {"completed": 250, "refused": 750}


def test_a_budget_of_money_over_targets_without_prices_is_refused_and_what_served_serves_on(tmp_path: Path) -> None:
    documents = [
        scripted("s", {}),
        model("m", "s", policies=["spending"]),
        spending(budget("calls", "requests", 5, "tenant")),
    ]
    with running(tmp_path, documents) as gateway:
        (file,) = (tmp_path / "contracts").glob("policy-*")
        file.write_text(json.dumps(spending(budget("money", "cost_usd", 5, "tenant"))))
        (error,) = gateway.run(gateway.runtime.reload()).errors
        call(gateway)
    with gateway_process.running(tmp_path / "contracts", tmp_path / "state") as again:
        with openai.OpenAI(base_url=f"{again.url}/v1", api_key="none", max_retries=0) as client:
            client.chat.completions.create(**chat("m"))
        assert again.stop() == 0
    counted = [charge.meter for receipt in audit(tmp_path / "state").receipts for charge in receipt.budgets]
    assert (error.code, error.hint) == ("policy_unenforceable", "give the target a price, or count tokens")
    assert error.place is not None
    assert error.place.path == "targets[0]"
    assert counted == ["spending/calls:requests:tenant:3600s"] * 2
