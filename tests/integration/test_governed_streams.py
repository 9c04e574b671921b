"""Rules over answers, as a client meets them: with the official SDK, against a gateway on a socket."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import openai
import pytest

from parts.contracts import chat, model, scripted
from parts.gateway_thread import Document, GatewayThread, running

REMINDER = "Use NewClient."


def policy(*rules: Document, name: str = "house-rules") -> Document:
    return {"kind": "policy", "name": name, "rules": list(rules)}


def rule(match: str, *then: Document, id_: str = "r", **members: Any) -> Document:
    found: Document = {"id": id_, "phase": "stream", "on": ["text"], "match": {"regex": match}}
    return found | {"then": list(then), "why": "it must not"} | members


def client(gateway: GatewayThread) -> openai.OpenAI:
    return openai.OpenAI(base_url=gateway.base_url, api_key="none", max_retries=0)


def streamed(gateway: GatewayThread, name: str = "m") -> str:
    """What a client that reads to the end sees."""
    with client(gateway) as caller, caller.chat.completions.create(**chat(name), stream=True) as stream:
        return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def whole(gateway: GatewayThread, name: str = "m") -> str:
    with client(gateway) as caller:
        return caller.chat.completions.create(**chat(name)).choices[0].message.content or ""


def drain(stream: Iterable[Any], into: list[Any]) -> None:
    for chunk in stream:
        into.append(chunk)  # noqa: PERF402  # what came before the error must stay


SLIP = {"text": "First do client = OldClient(token) and go on."}
CLEAN = {"text": "First do client = NewClient(token) and go on."}
REMIND = {"retry_with_reminder": {"text": REMINDER}}


@pytest.mark.parametrize("ask", [streamed, whole])
def test_an_answer_that_begins_wrong_is_asked_for_again_and_the_client_sees_the_clean_one(
    tmp_path: Path, ask: Any
) -> None:
    documents = [
        scripted("s", SLIP, CLEAN),
        model("m", "s", policies=["house-rules"]),
        policy(rule(r"OldClient\(", REMIND)),
    ]
    with running(tmp_path, documents) as gateway:
        assert ask(gateway) == CLEAN["text"]
        receipt = gateway.ended_once().receipt
    assert [tried.failure for tried in receipt.attempts] == ["stopped", None]
    assert receipt.status == "completed"
    first = receipt.policy[0]
    assert (first.phase, first.attempt, first.caught[0].action) == ("stream", 0, "retry")
    assert (first.caught[0].start, first.caught[0].released_chars) == (18, 0)
    assert receipt.replans[0].reminders == (REMINDER,)
    assert receipt.usage.output > receipt.attempts[1].usage.output, "what was thrown away was paid for too"


@pytest.mark.parametrize("ask", [streamed, whole])
def test_a_blocked_answer_is_an_error_with_its_rule_and_nothing_of_it_is_released(tmp_path: Path, ask: Any) -> None:
    block = {"block": {"code": "no_old_client", "message": "The class was removed."}}
    whole_answer: Document = {"hold": {"mode": "full"}}
    documents = [
        scripted("s", SLIP),
        model("m", "s", policies=["house-rules"]),
        policy(rule(r"OldClient\(", block, **whole_answer)),
    ]
    with running(tmp_path, documents) as gateway:
        with pytest.raises(openai.PermissionDeniedError) as caught:
            ask(gateway)
        receipt = gateway.ended_once().receipt
    assert caught.value.code == "no_old_client"
    assert caught.value.body["rule"] == "house-rules/r"  # type: ignore[index]
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert (receipt.status, receipt.error, receipt.client.bytes) == ("blocked", "policy_blocked", 0)


def test_a_block_after_text_has_left_ends_the_stream_in_an_error_and_not_in_stop(tmp_path: Path) -> None:
    documents = [
        scripted("s", {"chunks": ["It is fine. ", "Then OldCli", "ent(token)", " and more"]}),
        model("m", "s", policies=["house-rules"]),
        policy(rule(r"OldClient\(", {"block": {}})),
    ]
    seen: list[Any] = []
    with running(tmp_path, documents) as gateway:
        with client(gateway) as caller:
            stream = caller.chat.completions.create(**chat("m"), stream=True)
            with pytest.raises(openai.APIError) as caught:
                drain(stream, seen)
        receipt = gateway.ended_once().receipt
    assert "".join(chunk.choices[0].delta.content or "" for chunk in seen) == "It is fine. Then "
    assert {chunk.choices[0].finish_reason for chunk in seen} == {None}
    assert caught.value.code == "policy_blocked"
    assert (receipt.status, receipt.client.text_chars) == ("blocked", 17)


@pytest.mark.parametrize("ask", [streamed, whole])
def test_a_rewrite_across_chunks_is_all_the_client_sees(tmp_path: Path, ask: Any) -> None:
    documents = [
        scripted("s", {"chunks": ["The account acct", "_12345678 is", " yours, acct_", "87654321 too."]}),
        model("m", "s", policies=["house-rules"]),
        policy(rule(r"acct_[0-9]{8}", {"rewrite": {"replacement": "[account]"}})),
    ]
    with running(tmp_path, documents) as gateway:
        assert ask(gateway) == "The account [account] is yours, [account] too."
        receipt = gateway.ended_once().receipt
    assert [one.action for one in receipt.policy[0].caught] == ["rewrite", "rewrite"]


def test_when_its_retries_are_spent_a_rule_does_what_follows_them(tmp_path: Path) -> None:
    spent: Document = {"after_retries": [{"block": {"code": "kept_slipping"}}]}
    documents = [
        scripted("s", SLIP),
        model("m", "s", policies=["house-rules"]),
        policy(rule(r"OldClient\(", {"retry_with_reminder": {"text": REMINDER, "max": 2}}, **spent)),
    ]
    with running(tmp_path, documents) as gateway:
        with pytest.raises(openai.PermissionDeniedError) as caught:
            streamed(gateway)
        receipt = gateway.ended_once().receipt
    assert caught.value.code == "kept_slipping"
    assert [tried.failure for tried in receipt.attempts] == ["stopped"] * 3
    assert len(receipt.replans) == 2


def test_a_request_rule_refuses_restricts_reminds_and_switches(tmp_path: Path) -> None:
    def asked(id_: str, application: str, then: Document) -> Document:
        when = {"eq": ["caller.application", application]}
        return {"id": id_, "phase": "request", "when": when, "then": [then], "why": "it is so"}

    rules = policy(
        asked("refused", "spy", {"block": {"code": "go_away", "message": "Not you."}}),
        asked("kept-home", "clinic", {"restrict_routes": "home"}),
        asked("moved", "cheap", {"switch_model": "small"}),
        asked("reminded", "forgetful", {"inject_reminder": "Be brief."}),
    )
    small = model("small", "tiny")
    documents = [
        scripted("far", {}),
        scripted("home", {}),
        scripted("tiny", {}),
        model("m", "far", "home", policies=["house-rules"]),
        small,
        rules,
    ]
    with running(tmp_path, documents) as gateway:

        def call(application: str) -> Any:
            headers = {"x-wardwright-application-id": application}
            with client(gateway) as caller:
                return caller.chat.completions.create(**chat("m"), extra_headers=headers)

        with pytest.raises(openai.PermissionDeniedError) as caught:
            call("spy")
        assert caught.value.code == "go_away"
        for application in ("clinic", "cheap", "forgetful"):
            assert call(application).model == "m"
        refused, kept, moved, reminded = (ended.receipt for ended in gateway.ended(4))
    assert (refused.status, refused.attempts) == ("refused", ())
    assert kept.selected is not None
    assert kept.selected.target == "home"
    assert moved.contract is not None
    assert (moved.contract.name, moved.contract.switched_from) == ("small", "m")
    assert reminded.attempts[0].usage.input > kept.attempts[0].usage.input


def test_shadow_rules_say_what_they_would_have_done_and_change_nothing(tmp_path: Path) -> None:
    documents = [
        scripted("s", SLIP),
        model("m", "s", policies=["house-rules"]),
        policy(rule(r"OldClient\(", {"block": {}}, enforce="shadow")),
    ]
    with running(tmp_path, documents) as gateway:
        assert streamed(gateway) == SLIP["text"]
        receipt = gateway.ended_once().receipt
    assert receipt.policy[0].caught[0].shadow
    assert receipt.policy[0].decision.shadow[0].effect == "block"


def test_an_output_rule_judges_the_whole_answer_before_any_of_it_leaves(tmp_path: Path) -> None:
    finished = {
        "id": "cut-short", "phase": "output", "when": {"any_of": ["output.finish", ["length"]]},
        "then": [{"retry": {"max": 1}}], "after_retries": [{"block": {"code": "cut_short"}}], "why": "half an answer",
    }  # fmt: skip
    documents = [
        scripted("s", {"text": "half of", "finish": "length"}, {"text": "all of it"}),
        model("m", "s", policies=["house-rules"]),
        policy(finished),
    ]
    with running(tmp_path, documents) as gateway:
        assert streamed(gateway) == "all of it"
        receipt = gateway.ended_once().receipt
    assert [ruling.phase for ruling in receipt.policy] == ["output", "output"]
    assert receipt.policy[0].decision.effect == "retry"


def test_a_model_goes_on_from_what_the_client_has_seen_where_its_provider_can(tmp_path: Path) -> None:
    onward = {"retry_with_reminder": {"text": REMINDER, "after_release": "continue"}}
    documents = [
        scripted(
            "s",
            {"chunks": ["First do client = ", "OldCli", "ent(token) and go on."], "chunk_delay_ms": 40},
            {"chunks": ["NewClient(", "token) and go on."]},
            continues_answers="last_message",
        ),
        model("m", "s", policies=["house-rules"]),
        policy(rule(r"OldClient\(", onward, hold={"mode": "exact"})),
    ]
    with running(tmp_path, documents) as gateway:
        assert streamed(gateway) == "First do client = NewClient(token) and go on."
        receipt = gateway.ended_once().receipt
    assert (receipt.status, receipt.client.text_chars) == ("completed", 45)
    assert [tried.failure for tried in receipt.attempts] == ["stopped", None]


def test_elsewhere_a_retry_that_comes_too_late_ends_the_answer(tmp_path: Path) -> None:
    documents = [
        scripted("s", {"chunks": ["First do client = ", "OldCli", "ent(token) and go on."], "chunk_delay_ms": 40}),
        model("m", "s", policies=["house-rules"]),
        policy(rule(r"OldClient\(", REMIND, hold={"mode": "exact"})),
    ]
    with running(tmp_path, documents) as gateway:
        with pytest.raises(openai.APIError) as caught:
            streamed(gateway)
        receipt = gateway.ended_once().receipt
    assert caught.value.code == "policy_blocked"
    assert (receipt.status, receipt.client.text_chars) == ("blocked", 18)


def test_rules_that_look_at_no_text_rule_once_an_attempt(tmp_path: Path) -> None:
    watched: Document = {
        "id": "asked", "phase": "stream", "when": {"eq": ["attempt.provider", "s"]},
        "then": [{"alert": {"message": "asked"}}], "why": "to know",
    }  # fmt: skip
    documents = [scripted("s", {}), model("m", "s", policies=["house-rules"]), policy(watched)]
    with running(tmp_path, documents) as gateway:
        assert streamed(gateway) == "ok"
        receipt = gateway.ended_once().receipt
    assert [(ruling.phase, ruling.attempt) for ruling in receipt.policy] == [("stream", 0)]
    assert [one.outcome for one in receipt.alerts] == ["queued"]
