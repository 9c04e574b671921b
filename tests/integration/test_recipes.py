"""Every recipe under `examples/` does what its page says: played with the official SDK, fires and near misses.

The recipes are served as they ship, by one gateway over the whole folder; their upstreams are scripted.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

import openai
import pytest

from parts.examples import serving
from parts.gateway_thread import GatewayThread
from wardwright.calls.receipt import Receipt
from wardwright.contracts.policy import ActionName


class Desk:
    """A caller of one model, and the receipts of its calls."""

    def __init__(self, gateway: GatewayThread, model: str, **headers: str) -> None:
        self._gateway = gateway
        self._model = model
        self._client = openai.OpenAI(
            base_url=gateway.base_url, api_key="none", max_retries=0, default_headers=_named(headers)
        )

    def ask(self, *messages: Any, **members: Any) -> str:
        """The text of a whole answer."""
        asked: list[Any] = [{"role": "user", "content": one} if isinstance(one, str) else one for one in messages]
        answer = self._client.chat.completions.create(model=self._model, messages=asked, **members)
        return answer.choices[0].message.content or ""

    def watch(self, question: str) -> str:
        """What a client sees of a streamed answer."""
        stream = self._client.chat.completions.create(
            model=self._model, messages=[{"role": "user", "content": question}], stream=True
        )
        return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)

    def receipt(self) -> Receipt:
        """Of the one call since this was last asked."""
        return self._gateway.ended_once().receipt

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {f"X-Wardwright-{name.replace('_', '-')}": value for name, value in headers.items()}


OpenDesk: TypeAlias = Callable[..., Desk]


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayThread]:
    with serving(tmp_path) as served:
        yield served


@pytest.fixture
def open_desk(gateway: GatewayThread) -> Iterator[OpenDesk]:
    """Makes callers of a model; keyword arguments are headers."""
    with ExitStack() as desks:
        yield lambda model, **headers: desks.enter_context(Desk(gateway, model, **headers))


def kept(receipt: Receipt) -> list[tuple[str, ActionName]]:
    """What rules did in this call: `policy/rule` and effect, in order."""
    return [(f"{one.policy}/{one.rule}", one.effect) for ruling in receipt.policy for one in ruling.decision.kept]


def facts(receipt: Receipt, phase: str) -> dict[str, object]:
    return dict(next(ruling for ruling in receipt.policy if ruling.phase == phase).facts)


# Tool loop brake


def step(result: str, path: str = "settings.toml") -> list[dict[str, Any]]:
    """The agent reads a file, and this comes back."""
    function = {"name": "read_file", "arguments": f'{{"path": "{path}"}}'}
    return [
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": "c", "content": result},
    ]


def loop(times: int) -> list[Any]:
    return ["Which port does it use?", *(message for _ in range(times) for message in step("[server]"))]


def test_the_third_time_the_same_step_comes_back_the_model_is_reminded(open_desk: OpenDesk) -> None:
    desk = open_desk("tool-loop-brake")
    desk.ask(*loop(3))
    receipt = desk.receipt()
    assert kept(receipt) == [
        ("tool-loop-brake/third-time", "inject_reminder"),
        ("tool-loop-brake/third-time", "annotate"),
    ]
    assert facts(receipt, "request") == {"tools.latest": ("read_file",), "tools.repeats": 3}


def test_the_fifth_time_the_run_ends_and_nobody_is_asked(open_desk: OpenDesk) -> None:
    desk = open_desk("tool-loop-brake")
    with pytest.raises(openai.PermissionDeniedError) as caught:
        desk.ask(*loop(5))
    receipt = desk.receipt()
    assert caught.value.code == "tool_loop"
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert (receipt.status, receipt.attempts) == ("refused", ())
    assert kept(receipt)[0] == ("tool-loop-brake/fifth-time", "block")


def test_two_times_other_arguments_and_other_results_are_no_loop(open_desk: OpenDesk) -> None:
    desk = open_desk("tool-loop-brake")
    other_files = ["Look.", *(message for name in "abcdef" for message in step("[server]", f"{name}.toml"))]
    other_results = ["Look.", *(message for line in range(6) for message in step(f"line {line}"))]
    for conversation in (loop(2), other_files, other_results):
        desk.ask(*conversation)
        assert kept(desk.receipt()) == []


# Ambiguous success


EXPECTS = {"metadata": {"expects": "pull-request"}}


def test_a_claim_without_an_artifact_is_told_and_let_through(open_desk: OpenDesk) -> None:
    desk = open_desk("ambiguous-success")
    assert desk.ask("Fix the test.", extra_body=EXPECTS) == "All done, the tests are green."
    receipt = desk.receipt()
    assert kept(receipt) == [
        ("ambiguous-success/done-without-artifact", "alert"),
        ("ambiguous-success/done-without-artifact", "annotate"),
    ]
    assert facts(receipt, "output")["metadata.expects"] == "pull-request"


def test_where_nobody_reads_along_the_claim_is_asked_for_its_artifact(open_desk: OpenDesk) -> None:
    desk = open_desk("ambiguous-success")
    unattended = {"metadata": EXPECTS["metadata"] | {"tags": "unattended"}}
    assert desk.ask("Fix the test.", extra_body=unattended).endswith("Artifact: PR-1287")
    receipt = desk.receipt()
    assert kept(receipt) == [("ambiguous-success/unattended-without-artifact", "retry_with_reminder")]
    assert [tried.failure for tried in receipt.attempts] == ["stopped", None]


def test_the_same_claim_is_fine_where_no_artifact_is_expected_or_one_is_named(open_desk: OpenDesk) -> None:
    desk = open_desk("ambiguous-success")
    desk.ask("Fix the test.")
    assert kept(desk.receipt()) == []
    assert "PR-1287" in desk.ask("Fix the test.", extra_body=EXPECTS)
    assert kept(desk.receipt()) == []


# JSON contract


def test_what_is_no_verdict_is_shown_back_until_it_is_one(open_desk: OpenDesk) -> None:
    desk = open_desk("json-contract")
    assert '"confidence": 0.91' in desk.watch("Is this article relevant?")
    receipt = desk.receipt()
    assert [tried.failure for tried in receipt.attempts] == ["stopped", "stopped", None]
    kinds = [
        problem.kind
        for ruling in receipt.policy
        for _, unmet in ruling.unmet
        for one in unmet
        for problem in one.verdict.problems
    ]
    assert kinds == ["syntax", "semantic"]
    assert "below that a person decides" in receipt.replans[1].reminders[0]


def test_a_verdict_that_is_one_leaves_at_once(open_desk: OpenDesk) -> None:
    desk = open_desk("json-contract")
    desk.ask("The first article.")  # the script ends on a verdict, which it repeats
    desk.receipt()
    desk.ask("The second article.")
    receipt = desk.receipt()
    assert (len(receipt.attempts), kept(receipt)) == (1, [])


# Deprecated API


def test_the_stream_never_shows_the_removed_class(open_desk: OpenDesk) -> None:
    desk = open_desk("deprecated-api")
    seen = desk.watch("How do I fetch the reports?")
    receipt = desk.receipt()
    assert "OldClient" not in seen
    assert "NewClient(token)" in seen
    assert receipt.policy[0].caught[0].action == "retry"
    assert receipt.policy[0].caught[0].released_chars == 0
    assert [tried.failure for tried in receipt.attempts] == ["stopped", None]


def test_an_answer_with_the_class_of_today_passes_in_one_attempt(open_desk: OpenDesk) -> None:
    desk = open_desk("deprecated-api")
    desk.ask("first")
    desk.receipt()
    assert "NewClient(token)" in desk.ask("second")
    assert len(desk.receipt().attempts) == 1


# Spend and uncertainty


def test_an_agent_begins_cheap_steps_up_and_somebody_hears_of_it(open_desk: OpenDesk) -> None:
    desk = open_desk("spend-and-uncertainty", agent_id="nightly", run_id="r-1")
    served = []
    alerts = []
    for _ in range(3):
        desk.ask("Why did the step fail?")
        receipt = desk.receipt()
        served.append(receipt.selected.target if receipt.selected else None)
        alerts.append([rule for rule, effect in kept(receipt) if effect == "alert"])
    assert served == ["small", "large", "small"]
    assert alerts == [
        ["uncertainty-alerts/dear-call"],
        ["spend-step-up/told-at-eighty", "uncertainty-alerts/dear-call"],
        ["uncertainty-alerts/unsure-answer"],
    ]


def test_alerts_land_in_the_sinks_that_the_settings_name(
    tmp_path: Path, gateway: GatewayThread, open_desk: OpenDesk
) -> None:
    desk = open_desk("spend-and-uncertainty", agent_id="nightly", run_id="r-1")
    receipts = []
    for _ in range(3):
        desk.ask("Why did the step fail?")
        receipts.append(desk.receipt().receipt)

    def alerts(file: str) -> list[tuple[str, str]]:
        path = tmp_path / "state" / file
        lines = path.read_text().splitlines() if path.exists() else []
        told = [json.loads(line)["alert"] for line in lines]
        return sorted((one["receipt"], one["rule"]) for one in told)

    usual = [(receipts[0], "dear-call"), (receipts[1], "dear-call"), (receipts[2], "unsure-answer")]
    gateway.until(lambda: alerts("alerts.jsonl") == usual, "the alerts of the default sink")
    gateway.until(
        lambda: alerts("cost-alerts.jsonl") == [(receipts[1], "told-at-eighty")], "the alert of the cost sink"
    )


def test_what_one_agent_spends_is_not_counted_against_another(gateway: GatewayThread, open_desk: OpenDesk) -> None:
    desk = open_desk("spend-and-uncertainty", agent_id="nightly", run_id="r-1")
    for _ in range(2):
        desk.ask("Why did the step fail?")
    other = open_desk("spend-and-uncertainty", agent_id="daily", run_id="r-2")
    other.ask("Why did the step fail?")
    shares = [facts(ended.receipt, "receipt")["budget.agent-day.share_ppm"] for ended in gateway.ended(3)]
    assert shares[1] == 812_000, "of the agent that spent"
    assert isinstance(shares[2], int)
    assert shares[2] < 50_000, "of the one that did not"


def test_a_call_without_an_agent_is_refused_since_nobody_would_pay(open_desk: OpenDesk) -> None:
    desk = open_desk("spend-and-uncertainty")
    with pytest.raises(openai.PermissionDeniedError):
        desk.ask("Why did the step fail?")
    assert desk.receipt().status == "refused"


# Prompt experiment


def test_each_conversation_keeps_its_arm_and_the_receipt_names_it(open_desk: OpenDesk) -> None:
    desk = open_desk("prompt-experiment")
    arms: dict[str, str | None] = {}
    for task in [f"task {number}" for number in range(12)] * 2:
        desk.ask(task)
        receipt = desk.receipt()
        assert receipt.contract is not None
        arm = receipt.contract.variant
        assert arms.setdefault(task, arm) == arm
        assert receipt.request.preamble == (arm == "plan-first")
    assert set(arms.values()) == {"plain", "plan-first"}


def test_outcomes_are_grouped_by_arm(gateway: GatewayThread, open_desk: OpenDesk) -> None:
    desk = open_desk("prompt-experiment")
    arms: Counter[str | None] = Counter()
    for number in range(12):
        desk.ask(f"task {number}")
        receipt = desk.receipt()
        assert receipt.contract is not None
        arms[receipt.contract.variant] += 1
    status, _, told = gateway.ask("/v1/receipts/groups?by=variant&model=prompt-experiment")
    assert status == 200
    assert {one["value"]: one["completed"] for one in told["data"]} == arms
    assert {one["completed_ppm"] for one in told["data"]} == {1_000_000}
    assert sum(one["output_tokens"] for one in told["data"]) == 12 * 16


# Local-first privacy gate


def test_a_request_with_a_credential_is_answered_in_the_house(open_desk: OpenDesk) -> None:
    desk = open_desk("private-helpdesk")
    assert desk.ask("It says AKIA" + "IOSFODNN7EXAMPLE in the log.").startswith("Revoke that key")
    receipt = desk.receipt()
    assert receipt.selected is not None
    assert receipt.selected.target == "local"
    assert receipt.plan is not None
    assert [(skip.target, skip.reason) for skip in receipt.plan.skipped] == [("hosted", "restricted")]
    assert kept(receipt)[0] == ("secrets-stay-home/credential-in-prompt", "restrict_routes")


def test_a_question_about_keys_goes_to_the_hosted_model(open_desk: OpenDesk) -> None:
    desk = open_desk("private-helpdesk")
    desk.ask("How do I rotate an access key?")
    receipt = desk.receipt()
    assert receipt.selected is not None
    assert (receipt.selected.target, kept(receipt)) == ("hosted", [])


def test_a_credential_that_fits_no_private_model_goes_nowhere(open_desk: OpenDesk) -> None:
    desk = open_desk("private-helpdesk")
    with pytest.raises(openai.BadRequestError) as caught:
        desk.ask("AKIA" + "IOSFODNN7EXAMPLE " + "log line " * 40_000)
    assert caught.value.code == "context_length_exceeded"
    assert desk.receipt().attempts == ()


# Credential redaction ladder


def test_account_numbers_cut_in_two_never_leave(open_desk: OpenDesk) -> None:
    desk = open_desk("credential-redaction")
    assert desk.watch("Who owns it?") == "The first one is [account]."
    receipt = desk.receipt()
    assert [(one.action, one.start) for one in receipt.policy[0].caught] == [("rewrite", 17)]


def climbed(desk: Desk) -> list[Any]:
    """The conversation after three answers with a number, and who gave each."""
    said: list[Any] = []
    for question in ("The first?", "The second?", "The third?"):
        said += [question]
        said.append({"role": "assistant", "content": desk.ask(*said)})
    return said


def test_after_the_third_number_the_reviewed_model_serves_the_session(
    gateway: GatewayThread, open_desk: OpenDesk
) -> None:
    desk = open_desk("credential-redaction", session_id="ticket-1")
    said = climbed(desk)
    climbing = [ended.receipt for ended in gateway.ended(3)]
    assert [facts(receipt, "receipt")["state.numbers"] for receipt in climbing] == [1, 2, 3]
    assert [receipt.selected.target for receipt in climbing if receipt.selected] == ["fast"] * 3
    desk.ask(*said, "What now?")
    receipt = desk.receipt()
    assert receipt.selected is not None
    assert receipt.selected.target == "reviewed"


def test_another_session_is_not_held_to_review_by_the_first(gateway: GatewayThread, open_desk: OpenDesk) -> None:
    climbed(open_desk("credential-redaction", session_id="ticket-1"))
    gateway.ended(3)
    other = open_desk("credential-redaction", session_id="ticket-2")
    with pytest.raises(openai.PermissionDeniedError):
        other.ask("Which token do I use?")  # the fast model's fourth answer begins one
    receipt = other.receipt()
    assert [tried.target for tried in receipt.attempts] == ["fast"]
    assert facts(receipt, "receipt")["state.numbers"] == 0


def test_an_answer_that_begins_a_live_token_ends_before_it(gateway: GatewayThread, open_desk: OpenDesk) -> None:
    climbed(open_desk("credential-redaction", session_id="ticket-1"))
    gateway.ended(3)
    desk = open_desk("credential-redaction", session_id="ticket-2")
    seen: list[str] = []
    with pytest.raises(openai.APIError) as caught:
        seen.append(desk.watch("Give me the token."))
    receipt = desk.receipt()
    assert (caught.value.code, seen) == ("credential_in_answer", [])
    assert (receipt.status, receipt.client.text_chars) == ("blocked", len("Use this: "))


# Session escalation


def sent(desk: Desk, *texts: str) -> list[str | None]:
    """Who served each turn of one conversation."""
    said: list[Any] = []
    served = []
    for text in texts:
        said.append({"role": "user", "content": text})
        said.append({"role": "assistant", "content": desk.ask(*said)})
        receipt = desk.receipt()
        served.append(receipt.selected.target if receipt.selected else None)
    return served


def credential(digit: str) -> str:
    return "Deploy with AKIA" + "IOSFODNN7EXAMPL" + digit


def test_the_third_turn_with_a_credential_moves_the_session_to_review(open_desk: OpenDesk) -> None:
    desk = open_desk("session-escalation", session_id="s-1")
    turns = [credential("A"), credential("B"), "And without one?", credential("C"), "And now?"]
    assert sent(desk, *turns) == ["usual", "usual", "usual", "reviewed", "reviewed"]


def test_one_credential_that_comes_again_with_every_call_is_one(open_desk: OpenDesk) -> None:
    desk = open_desk("session-escalation", session_id="s-1")
    assert sent(desk, credential("A"), "Why?", "How?", "When?", "Who?") == ["usual"] * 5


def test_credentials_of_other_sessions_do_not_count(open_desk: OpenDesk) -> None:
    for turns, session in enumerate(("s-1", "s-2", "s-3")):
        desk = open_desk("session-escalation", session_id=session)
        assert sent(desk, *["Hi."] * turns, credential("A"))[-1] == "usual"


# Context windows


@pytest.mark.parametrize(
    ("words", "served", "skipped"),
    [(10, "small", []), (10_000, "medium", ["small"]), (60_000, "large", ["small", "medium"])],
)
def test_the_smallest_window_that_fits_answers(
    open_desk: OpenDesk, words: int, served: str, skipped: list[str]
) -> None:
    desk = open_desk("long-context-safe")
    desk.ask("word " * words)
    receipt = desk.receipt()
    assert receipt.selected is not None
    assert receipt.plan is not None
    assert receipt.selected.target == served
    assert [skip.target for skip in receipt.plan.skipped] == skipped


def test_what_fits_no_window_is_refused_with_the_largest_named(open_desk: OpenDesk) -> None:
    desk = open_desk("long-context-safe")
    with pytest.raises(openai.BadRequestError) as caught:
        desk.ask("word " * 900_000)
    assert caught.value.code == "context_length_exceeded"
    assert "838860 tokens" in str(caught.value), "four fifths of the largest window"
    assert desk.receipt().attempts == ()


@pytest.mark.parametrize(
    ("words", "voices"),
    [(10, {"quick", "careful", "thorough"}), (10_000, {"careful", "thorough"}), (40_000, {"thorough"})],
)
def test_members_that_a_conversation_has_outgrown_drop_out_of_the_alloy(
    open_desk: OpenDesk, words: int, voices: set[str]
) -> None:
    desk = open_desk("partial-alloy-ladder")
    said: list[Any] = ["word " * words]
    served = set()
    for _ in range(3):
        said.append({"role": "assistant", "content": desk.ask(*said)})
        said.append("Go on.")
        receipt = desk.receipt()
        assert receipt.selected is not None
        served.add(receipt.selected.target)
    assert served == voices
