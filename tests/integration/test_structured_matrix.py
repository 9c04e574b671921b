"""The matrix of structured output, row by row, through HTTP: a client that streams and one that waits are told alike.

`unit/policy/test_expectation` has the same rows in the judge alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parts import raw_upstream
from parts.contracts import model, provider, scripted
from parts.expectations import FORMS, VERDICT
from parts.gateway_thread import Document, GatewayThread, running
from parts.governed_client import Asking, Seen, policy, streamed, whole
from parts.raw_upstream import DONE, ROLE, STOP, Turn, text
from parts.structured import expectation_of
from wardwright.calls import receipt as rc
from wardwright.streams.ruleset import RETRIES_MAX

BOTH = pytest.mark.parametrize("ask", [streamed, whole])
GOOD = '{"company": "Acme", "confidence": 0.9}'
UNSURE = '{"company": "Acme", "confidence": 0.4}'
MISSHAPEN = '{"company": "Acme"}'
BROKEN = '{"company": "Acme", "confidence": 0.9'
FENCED = f"```json\n{GOOD}\n```"
SPENT: Document = {"block": {"code": "no_verdict", "message": "The model gave no verdict."}}


def verdict_rule(max_: int = 3, *, expect: str = VERDICT, keep: bool = False, id_: str = "verdict") -> Document:
    reminder: Document = {"text": "Answer with one JSON object.", "max": max_}
    return {
        "id": id_,
        "phase": "output",
        "expect": expectation_of(expect),
        "then": [{"retry_with_reminder": reminder | ({"keep_partial": True} if keep else {})}],
        "after_retries": [SPENT],
        "why": "downstream reads it",
    }


class Told:
    """What a client saw, and what the receipt says."""

    def __init__(self, seen: Seen, receipt: rc.Receipt) -> None:
        self.seen = seen
        self.receipt = receipt

    @property
    def kinds(self) -> list[str]:
        """For each attempt what was wrong with it, in order; empty: nothing."""
        return [
            "+".join(sorted({one.kind for _, unmet in ruling.unmet for each in unmet for one in each.verdict.problems}))
            for ruling in self.receipt.policy
            if ruling.phase == "output"
        ]

    @property
    def attempts(self) -> list[str | None]:
        return [one.failure for one in self.receipt.attempts]


@contextmanager
def answering(folder: Path, *answers: str | Document, rules: tuple[Document, ...] = ()) -> Iterator[GatewayThread]:
    """A gateway whose model says these, one an attempt; the last repeats."""
    steps = [{"text": one} if isinstance(one, str) else one for one in answers]
    documents = [
        scripted("s", *steps),
        model("m", "s", policies=["house-rules"]),
        policy(*(rules or (verdict_rule(),))),
    ]
    with running(folder, documents) as gateway:
        yield gateway


def told(folder: Path, ask: Asking, *answers: str | Document, rules: tuple[Document, ...] = ()) -> Told:
    with answering(folder, *answers, rules=rules) as gateway:
        seen = ask(gateway)
        return Told(seen, gateway.ended_once().receipt)


def hold_success(found: Told, retries: int) -> None:
    """The client sees the good answer alone."""
    assert (found.seen.text, found.seen.finish, found.seen.error) == (GOOD, "stop", None)
    assert found.attempts == [rc.STOPPED] * retries + [None]
    assert found.receipt.status == "completed"
    assert found.receipt.client.text_chars == len(GOOD)


def hold_failure(found: Told, attempts: int) -> None:
    """The client sees an error and no byte of an answer."""
    assert (found.seen.text, found.seen.status, found.seen.code) == ("", 403, "no_verdict")
    assert found.seen.rule == "house-rules/verdict"
    assert found.attempts == [rc.STOPPED] * attempts
    assert (found.receipt.status, found.receipt.client.bytes) == ("blocked", 0)


@BOTH
def test_valid_first(tmp_path: Path, ask: Asking) -> None:
    found = told(tmp_path, ask, GOOD)
    hold_success(found, 0)
    assert found.kinds == [""]


@BOTH
def test_semantic_then_ok(tmp_path: Path, ask: Asking) -> None:
    found = told(tmp_path, ask, UNSURE, GOOD)
    hold_success(found, 1)
    assert found.kinds == ["semantic", ""]
    assert "must be one that is at least `0.7`" in found.receipt.replans[0].reminders[0]


@BOTH
def test_syntax_schema_semantic_then_ok_in_order(tmp_path: Path, ask: Asking) -> None:
    found = told(tmp_path, ask, BROKEN, MISSHAPEN, UNSURE, GOOD)
    hold_success(found, 3)
    assert found.kinds == ["syntax", "schema", "semantic", ""]


@BOTH
def test_fenced_json(tmp_path: Path, ask: Asking) -> None:
    found = told(tmp_path, ask, FENCED, GOOD)
    hold_success(found, 1)
    assert "stands in a code fence" in found.receipt.replans[0].reminders[0]


@BOTH
def test_fenced_json_where_it_is_accepted(tmp_path: Path, ask: Asking) -> None:
    found = told(tmp_path, ask, FENCED, rules=(verdict_rule(expect="{json: {fenced: accept}}"),))
    assert (found.seen.text, found.attempts) == (FENCED, [None]), "what is judged is not what is changed"


@BOTH
def test_refusal(tmp_path: Path, ask: Asking) -> None:
    found = told(tmp_path, ask, "I cannot help with that.", GOOD)
    hold_success(found, 1)
    assert found.kinds == ["syntax", ""]


@BOTH
def test_refusal_in_its_own_member(tmp_path: Path, ask: Asking) -> None:
    """A model that refuses in the member for it has given no verdict either."""

    def play(turn: Turn) -> None:
        turn.stream(ROLE, raw_upstream.event({"refusal": "I will not."}), STOP, DONE)

    with raw_upstream.running(play) as upstream:
        documents = [
            provider("up", upstream.base_url),
            model("m", "up", policies=["house-rules"]),
            policy(verdict_rule(1)),
        ]
        with running(tmp_path, documents) as gateway:
            hold_failure(Told(ask(gateway), gateway.ended_once().receipt), 2)


@BOTH
def test_truncated(tmp_path: Path, ask: Asking) -> None:
    found = told(tmp_path, ask, {"text": BROKEN, "finish": "length"}, GOOD)
    hold_success(found, 1)
    assert found.receipt.attempts[0].finish == ("length",)
    assert "ends before its JSON value does" in found.receipt.replans[0].reminders[0]


@BOTH
def test_extra_field(tmp_path: Path, ask: Asking) -> None:
    found = told(tmp_path, ask, '{"company": "Acme", "confidence": 0.9, "mood": "good"}', GOOD)
    hold_success(found, 1)
    assert found.kinds == ["schema", ""]


@BOTH
def test_wrong_type(tmp_path: Path, ask: Asking) -> None:
    found = told(tmp_path, ask, '{"company": "Acme", "confidence": "0.9"}', GOOD)
    hold_success(found, 1)
    assert "`/confidence` must be a number, not text" in found.receipt.replans[0].reminders[0]


@BOTH
def test_over_correction(tmp_path: Path, ask: Asking) -> None:
    """Told that it was not sure enough, the model is surer than can be; what is judged last is what counts."""
    found = told(tmp_path, ask, UNSURE, '{"company": "Acme", "confidence": 7, "note": "surely"}', GOOD)
    hold_success(found, 2)
    assert found.kinds == ["semantic", "schema", ""]


@BOTH
def test_budget_by_syntax(tmp_path: Path, ask: Asking) -> None:
    hold_failure(told(tmp_path, ask, "no", BROKEN, f"{GOOD} indeed", GOOD, rules=(verdict_rule(2),)), 3)


@BOTH
def test_mixed(tmp_path: Path, ask: Asking) -> None:
    found = told(tmp_path, ask, UNSURE, BROKEN, UNSURE, MISSHAPEN, GOOD)
    hold_failure(found, 4)
    assert found.kinds == ["semantic", "syntax", "semantic", "schema"]


@BOTH
def test_v2_alternative(tmp_path: Path, ask: Asking) -> None:
    second = '{"version": 2, "verdicts": [1]}'
    found = told(tmp_path, ask, second, rules=(verdict_rule(expect=FORMS),))
    assert (found.seen.text, found.attempts) == (second, [None])


@BOTH
def test_none_matches(tmp_path: Path, ask: Asking) -> None:
    found = told(tmp_path, ask, '{"version": 2, "verdicts": []}', rules=(verdict_rule(1, expect=FORMS),))
    hold_failure(found, 2)
    assert "measured against `v2`, which comes closest" in found.receipt.replans[0].reminders[0]


@BOTH
def test_per_rule_budget(tmp_path: Path, ask: Asking) -> None:
    """Each rule counts what it gave up itself; whichever is spent first ends the call."""
    sure = verdict_rule(1, expect="{json: {where: [{pointer: /confidence, gte: 0.7}]}}", id_="sure")
    sure["after_retries"] = [{"block": {"code": "never_sure"}}]
    shaped = verdict_rule(3, expect="{json: {schema: {required: [company]}}}", id_="shaped")
    nameless = '{"confidence": 0.9}'
    found = told(tmp_path, ask, nameless, UNSURE, nameless, UNSURE, GOOD, rules=(sure, shaped))
    assert (found.seen.code, found.seen.rule) == ("never_sure", "house-rules/sure")
    assert found.attempts == [rc.STOPPED] * 4


@BOTH
def test_total_budget(tmp_path: Path, ask: Asking) -> None:
    """Two rules that ask for more together than a call may have."""
    rules = tuple(verdict_rule(RETRIES_MAX, id_=name) for name in ("first", "second"))
    found = told(tmp_path, ask, "no", rules=rules)
    assert found.seen.code == "no_verdict"
    assert len(found.attempts) == RETRIES_MAX // 2 + 1, "both rules spend of one total"


@BOTH
def test_the_error_and_the_bad_output_are_shown_back(tmp_path: Path, ask: Asking) -> None:
    answers = [MISSHAPEN, GOOD]

    def play(turn: Turn) -> None:
        turn.stream(ROLE, text(answers[turn.nth - 1]), STOP, DONE)

    with raw_upstream.running(play) as upstream:
        documents = [
            provider("up", upstream.base_url),
            model("m", "up", policies=["house-rules"]),
            policy(verdict_rule(keep=True)),
        ]
        with running(tmp_path, documents) as gateway:
            assert ask(gateway).text == GOOD
            receipt = gateway.ended_once().receipt
        assert len(upstream.turns[0].asked["messages"]) == 1
        _, shown, reminded = upstream.turns[1].asked["messages"]
    assert (shown["role"], shown["content"]) == ("assistant", MISSHAPEN)
    assert reminded["content"].startswith("Answer with one JSON object.")
    assert "it needs the member `confidence`" in reminded["content"]
    assert receipt.replans[0].kept_chars == len(MISSHAPEN)
    assert MISSHAPEN not in json.dumps(receipt.replans[0].reminders)


def test_a_streamed_structured_answer_is_held_until_it_is_judged(tmp_path: Path) -> None:
    """No byte of it has left when its last one comes."""
    with answering(tmp_path, {"text": GOOD, "chunk_delay_ms": 20}) as gateway:
        assert streamed(gateway).text == GOOD
        timings = gateway.ended_once().receipt.timings
    assert timings.first_byte_us is not None
    assert timings.first_byte_us >= 20_000 * (len(GOOD.split()) - 1), "it left before the last word came"


def test_a_rule_without_an_action_that_ends_anything_lets_the_stream_flow(tmp_path: Path) -> None:
    notes = verdict_rule()
    notes["then"] = [{"annotate": "prose"}]
    del notes["after_retries"]
    with answering(tmp_path, {"text": "This is prose.", "chunk_delay_ms": 60}, rules=(notes,)) as gateway:
        assert streamed(gateway).text == "This is prose."
        receipt = gateway.ended_once().receipt
    assert receipt.timings.first_byte_us is not None
    assert receipt.timings.total_us - receipt.timings.first_byte_us > 100_000, "two words came after it"
    assert receipt.policy[-1].decision.effect == "annotate"


# What holds of all


@pytest.fixture(scope="module")
def told_by_request(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayThread]:
    """A model that says what the request's last message holds, attempt by attempt."""

    def play(turn: Turn) -> None:
        asked = turn.asked["messages"]
        answers = json.loads(asked[0]["content"])
        attempt = len(asked) - 1
        turn.stream(ROLE, text(answers[min(attempt, len(answers) - 1)]), STOP, DONE)

    with raw_upstream.running(play) as upstream:
        documents = [
            provider("up", upstream.base_url),
            model("m", "up", policies=["house-rules"]),
            policy(verdict_rule(2)),
        ]
        with running(tmp_path_factory.mktemp("structured"), documents, commit_delay_ms=1) as gateway:
            yield gateway


@BOTH
def test_a_confidence_below_0_7_never_completes_and_invalid_answers_end_after_exactly_their_attempts(
    told_by_request: GatewayThread, ask: Asking
) -> None:
    gateway = told_by_request
    gateway.ended()
    answer = st.one_of(
        st.integers(0, 100).map(lambda hundredths: f'{{"company": "Acme", "confidence": {hundredths / 100}}}'),
        st.sampled_from((GOOD, UNSURE, MISSHAPEN, BROKEN, FENCED, "no", "")),
    )

    def accepted(said: str) -> bool:
        try:
            value = json.loads(said)
        except ValueError:
            return False
        return "confidence" in value and value["confidence"] >= 0.7

    @settings(max_examples=settings().max_examples // 4)
    @given(st.lists(answer, min_size=1, max_size=4))
    def property_holds(answers: list[str]) -> None:
        played = [*answers, *[answers[-1]] * 3][:3]
        good = next((index for index, said in enumerate(played) if accepted(said)), None)
        seen = ask(gateway, messages=[{"role": "user", "content": json.dumps(answers)}])
        receipt = gateway.ended_once().receipt
        judged = [ruling for ruling in receipt.policy if ruling.phase == "output"]
        if good is None:
            assert (seen.text, seen.code) == ("", "no_verdict")
            assert len(judged) == len(receipt.attempts) == 3
            assert all(ruling.unmet for ruling in judged)
        else:
            assert (seen.text, seen.finish) == (played[good], "stop")
            assert len(receipt.attempts) == good + 1

    property_holds()
