"""What rules remember of earlier calls: in sessions, over restarts, and never of somebody else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

from parts.contracts import chat, model, scripted
from parts.gateway_thread import Document, GatewayThread, running

LABEL: Document = {
    "id": "leak", "phase": "request", "when": {"contains": ["text.last_user", "hunter2"]},
    "then": [{"annotate": {"label": "leaked"}}], "why": "to be counted",
}  # fmt: skip
THIRD: Document = {
    "id": "third-leak", "phase": "request", "when": {"gte": ["state.leaks", 3]},
    "then": [{"block": {"code": "leak_limit"}}], "why": "it loops on credentials",
}  # fmt: skip
LEAKS: Document = {
    "name": "leaks",
    "measure": "count",
    "events": ["leaked"],
    "scope": "session",
    "within": {"turns": 50},
}


def policy(*rules: Document, **members: Any) -> Document:
    return {"kind": "policy", "name": "p", "rules": list(rules)} | members


def counting() -> list[Document]:
    return [scripted("s", {}), model("m", "s", policies=["p"]), policy(LABEL, THIRD, state=[LEAKS])]


def say(gateway: GatewayThread, text: str = "it is hunter2", session: str | None = "a", **headers: str) -> str:
    """What becomes of a call: `ok`, or the code of its error."""
    messages = [{"role": "user", "content": text}]
    sent = headers | ({} if session is None else {"x-wardwright-session-id": session})
    with openai.OpenAI(base_url=gateway.base_url, api_key="none", max_retries=0) as client:
        try:
            client.chat.completions.create(**chat("m", messages=messages), extra_headers=sent)
        except openai.APIStatusError as error:
            return str(error.code)
    return "ok"


def test_the_third_of_a_session_is_stopped_and_other_sessions_are_not(tmp_path: Path) -> None:
    with running(tmp_path, counting()) as gateway:
        assert [say(gateway) for _ in range(3)] == ["ok", "ok", "leak_limit"]
        assert say(gateway, session="b") == "ok"
        assert say(gateway, "all is well", session="c") == "ok"
        third = gateway.ended(5)[2].receipt
    assert dict(third.policy[0].facts)["state.leaks"] == 3
    assert third.history is not None
    assert third.history.events[0].label == "leaked"


def test_a_past_survives_a_restart_and_the_loss_of_what_was_stored_beside_the_journal(tmp_path: Path) -> None:
    with running(tmp_path, counting()) as gateway:
        assert say(gateway) == "ok"
        gateway.rest()
    with running(tmp_path, counting()) as gateway:
        assert say(gateway) == "ok"
        gateway.rest()
    for file in (tmp_path / "state").glob("remembered.sqlite*"):
        file.unlink()
    with running(tmp_path, counting()) as gateway:
        assert say(gateway) == "leak_limit"


def test_a_rule_about_a_session_is_told_where_the_call_names_none(tmp_path: Path) -> None:
    documents = counting()
    documents[2]["state"] = [LEAKS | {"session": "declared"}]
    with running(tmp_path, documents) as gateway:
        assert say(gateway, session=None) == "policy_indeterminate"
        receipt = gateway.ended_once().receipt
    assert dict(receipt.policy[0].unavailable) == {"state.leaks": "has no declared session"}


def test_a_reminder_comes_once_in_a_session_where_its_rule_says_so(tmp_path: Path) -> None:
    once = {
        "id": "old-client", "phase": "stream", "on": ["text"], "match": {"regex": r"OldClient\("},
        "then": [{"retry_with_reminder": {"text": "Use NewClient.", "once_per": "session"}}], "why": "it was removed",
    }  # fmt: skip
    slip, clean = {"text": "OldClient() it is"}, {"text": "NewClient() it is"}
    documents = [scripted("s", slip, clean, slip, slip, clean), model("m", "s", policies=["p"]), policy(once)]
    with running(tmp_path, documents) as gateway:
        for session in ("a", "a", "b"):
            assert say(gateway, session=session) == "ok"
        receipts = [ended.receipt for ended in gateway.ended(3)]
    assert [len(receipt.attempts) for receipt in receipts] == [2, 1, 2]
    assert receipts[1].policy[0].caught[0].action == "annotate"


def test_budgets_survive_a_restart(tmp_path: Path) -> None:
    twice: Document = {
        "name": "calls", "of": "requests", "limit": 2, "per": "tenant", "within": {"age_s": 3600},
        "on_exceeded": "block", "why": "somebody pays",
    }  # fmt: skip
    documents = [scripted("s", {}), model("m", "s", policies=["p"]), policy(budgets=[twice])]
    with running(tmp_path, documents) as gateway:
        assert say(gateway) == "ok"
        gateway.rest()
    with running(tmp_path, documents) as gateway:
        assert [say(gateway), say(gateway)] == ["ok", "budget_exceeded"]


@contextmanager
def approving(tmp_path: Path) -> Iterator[GatewayThread]:
    asks: Document = {
        "id": "big", "phase": "request", "when": {"gt": ["request.output_tokens", 1000]},
        "then": [{"require_approval": {"message": "That is a lot."}}], "why": "somebody pays",
    }  # fmt: skip
    with running(tmp_path, [scripted("s", {}), model("m", "s", policies=["p"]), policy(asks)]) as gateway:
        yield gateway


def ask(gateway: GatewayThread, approval: str | None = None, tokens: int = 2000) -> Any:
    headers = {} if approval is None else {"x-wardwright-approval-id": approval}
    with openai.OpenAI(base_url=gateway.base_url, api_key="none", max_retries=0) as client:
        return client.chat.completions.create(**chat("m", max_tokens=tokens), extra_headers=headers)


def test_a_request_that_needs_approval_runs_once_after_it_was_given(tmp_path: Path) -> None:
    with approving(tmp_path) as gateway:
        with pytest.raises(openai.PermissionDeniedError) as caught:
            ask(gateway)
        assert caught.value.code == "approval_required"
        (approval,) = gateway.runtime.approvals.all()
        with pytest.raises(openai.PermissionDeniedError):
            ask(gateway, approval.id)
        gateway.run(gateway.runtime.approvals.approve(approval.id, by="ann"))
        with pytest.raises(openai.APIStatusError, match="approves another request"):
            ask(gateway, approval.id, tokens=3000)
        assert ask(gateway, approval.id).model == "m"
        with pytest.raises(openai.APIStatusError, match="was used already"):
            ask(gateway, approval.id)
        assert ask(gateway, tokens=10).model == "m"
        used = [ended.receipt for ended in gateway.ended(6)][3]
    assert (used.status, used.approval) == ("completed", approval.id)


def test_an_approved_request_runs_under_all_that_other_rules_demand_of_it(tmp_path: Path) -> None:
    private: Document = {
        "id": "near", "phase": "request", "when": {"exists": "request.output_tokens"},
        "then": [{"restrict_routes": "near/*"}, {"transform": {"preamble": "The house rules."}}],
        "why": "it stays here",
    }  # fmt: skip
    asks: Document = {
        "id": "big", "phase": "request", "when": {"exists": "request.output_tokens"},
        "then": ["ask"], "why": "somebody pays",
    }  # fmt: skip
    far_first = model("m", "far", "near", policies=["p"])
    with running(tmp_path, [scripted("far", {}), scripted("near", {}), far_first, policy(private, asks)]) as gateway:
        with pytest.raises(openai.PermissionDeniedError):
            ask(gateway)
        (approval,) = gateway.runtime.approvals.all()
        gateway.run(gateway.runtime.approvals.approve(approval.id, by="ann"))
        assert ask(gateway, approval.id).model == "m"
        refused, ran = (ended.receipt for ended in gateway.ended(2))
    assert (refused.status, ran.status) == ("refused", "completed")
    assert [attempt.provider for attempt in ran.attempts] == ["near"]


def test_alerts_of_every_phase_are_told_and_stand_in_the_receipt(tmp_path: Path) -> None:
    def tells(phase: str, **members: Any) -> Document:
        return {"id": phase, "phase": phase, "then": [{"alert": {"message": phase}}], "why": "to know"} | members

    rules = [
        tells("request"),
        tells("stream", on=["text"], match={"contains": "ok"}),
        tells("receipt", when={"eq": ["receipt.status", "completed"]}),
    ]
    with running(tmp_path, [scripted("s", {}), model("m", "s", policies=["p"]), policy(*rules)]) as gateway:
        assert say(gateway) == "ok"
        receipt = gateway.ended_once().receipt
        lines = tmp_path / "state" / "alerts.jsonl"
        gateway.until(lambda: lines.exists() and lines.read_text().count("\n") == 3, "three alerts")
        told = lines.read_text()
    assert [(one.phase, one.outcome) for one in receipt.alerts] == [
        ("request", "queued"),
        ("stream", "queued"),
        ("receipt", "queued"),
    ]
    assert told.count(receipt.receipt) == 3
    assert "hunter2" not in told
