from __future__ import annotations

import json

import pytest

from parts import call_stage as stage
from parts.call_stage import DONE, FIRST, JSON, LAST, MS, SECOND, SSE
from wardwright.calls.effects import (
    Answer,
    Begin,
    Break,
    Cancel,
    Close,
    Effect,
    Finish,
    Open,
    Refuse,
    Release,
    Settle,
    Start,
)
from wardwright.calls.receipt import Receipt
from wardwright.calls.story import events_of
from wardwright.dialects.exchange import Failure
from wardwright.kernel.errors import WardwrightError
from wardwright.routing.plan import Attempt, Plan, Refusal


def receipt_of(effects: tuple[Effect, ...]) -> Receipt:
    (close,) = [effect for effect in effects if isinstance(effect, Close)]
    return close.receipt


def kinds(effects: tuple[Effect, ...]) -> list[str]:
    return [type(effect).__name__ for effect in effects]


def test_a_whole_answer_is_settled_recorded_and_then_given() -> None:
    call = stage.machine()
    assert stage.decided(call) == (Start(0),)
    call.head(200, JSON, 2 * MS)
    assert call.event(stage.whole("hello"), 3 * MS) == ()
    effects = call.end(4 * MS)
    assert kinds(effects) == ["Settle", "Close", "Answer"]
    answer = effects[2]
    assert isinstance(answer, Answer)
    body = json.loads(answer.body)
    assert (body["id"], body["model"]) == ("chatcmpl-rcp_1", "coding")
    receipt = receipt_of(effects)
    assert receipt.status == "completed"
    assert receipt.client.text_chars == len("hello")
    assert receipt.client.bytes == len(answer.body)
    assert (receipt.usage.input, receipt.usage.output, receipt.usage_source) == (10, 5, "reported")
    assert receipt.cost_nano_usd == 10 * 1000 + 5 * 2000
    assert receipt.timings.total_us == 4000
    assert receipt.selected is not None
    assert (receipt.selected.target, receipt.selected.fallback) == ("t0", False)
    assert [event.type for event in events_of(receipt)] == [
        "accepted", "decided", "attempt_started", "answer_started", "released", "attempt_finished", "closed",
    ]  # fmt: skip


def test_a_stream_opens_before_its_first_byte_and_closes_before_its_last() -> None:
    call = stage.machine(stream=True)
    stage.decided(call)
    call.head(200, SSE, 2 * MS)
    first = call.event(FIRST, 3 * MS)
    assert kinds(first) == ["Open", "Begin", "Release"]
    assert kinds(call.event(SECOND, 4 * MS)) == ["Release"]
    call.event(LAST, 5 * MS)
    effects = call.event(DONE, 6 * MS)
    assert kinds(effects) == ["Settle", "Close", "Release", "Finish"]
    last = effects[2]
    assert isinstance(last, Release)
    assert last.data.endswith(DONE)
    receipt = receipt_of(effects)
    assert receipt.timings.first_byte_us == 3000
    assert receipt.client.text_chars == 5
    assert call.end(7 * MS) == ()


def test_a_failure_before_the_first_byte_falls_through_to_the_next_target() -> None:
    call = stage.machine()
    stage.decided(call)
    effects = call.failed(Failure(kind="connect", message="refused"), 2 * MS)
    assert effects == (Settle(0, ok=False, failure=Failure(kind="connect", message="refused")), Start(1))
    call.head(200, JSON, 3 * MS)
    call.event(stage.whole(), 4 * MS)
    receipt = receipt_of(call.end(5 * MS))
    assert [tried.failure for tried in receipt.attempts] == ["connect", None]
    assert receipt.selected is not None
    assert receipt.selected.fallback


def test_an_error_status_is_classified_from_its_body_and_falls_through() -> None:
    call = stage.machine()
    stage.decided(call)
    call.head(500, JSON, 2 * MS)
    call.event(b'{"error":{"message":"boom"}}', 2 * MS)
    effects = call.end(3 * MS)
    assert kinds(effects) == ["Settle", "Start"]


def test_a_request_that_the_upstream_rejects_is_not_tried_elsewhere() -> None:
    call = stage.machine()
    stage.decided(call)
    call.head(400, JSON, 2 * MS)
    call.event(b'{"error":{"message":"temperature must be at most 2"}}', 2 * MS)
    effects = call.end(3 * MS)
    assert kinds(effects) == ["Settle", "Close", "Refuse"]
    refuse = effects[2]
    assert isinstance(refuse, Refuse)
    assert refuse.error.code == "upstream_rejected"
    assert len(receipt_of(effects).attempts) == 1


def test_after_the_first_byte_no_other_target_is_tried_and_the_stream_says_error() -> None:
    call = stage.machine(stream=True)
    stage.decided(call)
    call.head(200, SSE, 2 * MS)
    call.event(FIRST, 3 * MS)
    effects = call.failed(Failure(kind="reset", message="gone"), 4 * MS)
    assert kinds(effects) == ["Settle", "Close", "Break"]
    broken = effects[2]
    assert isinstance(broken, Break)
    assert broken.error.code == "upstream_stream_broken"
    receipt = receipt_of(effects)
    assert (receipt.status, receipt.error) == ("failed", "upstream_stream_broken")
    assert receipt.client.text_chars == 3
    assert receipt.usage_source == "estimated"


def test_a_stream_that_ends_without_its_end_is_broken_never_stopped() -> None:
    call = stage.machine(stream=True)
    stage.decided(call, targets=1)
    call.head(200, SSE, 2 * MS)
    call.event(FIRST, 3 * MS)
    effects = call.end(4 * MS)
    assert kinds(effects) == ["Settle", "Close", "Break"]


def test_an_event_that_was_cut_off_is_not_counted_as_heard() -> None:
    call = stage.machine(stream=True)
    stage.decided(call)
    call.head(200, SSE, 2 * MS)
    call.event(FIRST, 3 * MS)
    call.event(SECOND[:-1], 4 * MS)
    effects = call.end(5 * MS)
    assert kinds(effects) == ["Settle", "Close", "Break"]
    assert receipt_of(effects).client.text_chars == len("hel")


def test_an_empty_stream_falls_through_while_nothing_was_released() -> None:
    call = stage.machine(stream=True)
    stage.decided(call)
    call.head(200, SSE, 2 * MS)
    assert kinds(call.end(3 * MS)) == ["Settle", "Start"]


def test_an_error_inside_the_stream_cancels_the_rest_of_it() -> None:
    call = stage.machine(stream=True)
    stage.decided(call, targets=1)
    call.head(200, SSE, 2 * MS)
    call.event(FIRST, 3 * MS)
    effects = call.event(b'data: {"error":{"message":"overloaded"}}\n\n', 4 * MS)
    assert kinds(effects) == ["Cancel", "Settle", "Close", "Break"]


@pytest.mark.parametrize(
    ("event", "code", "failure"),
    [
        (b'{"error":{"message":"the engine died"}}', "upstream_failed", "malformed"),
        (b'{"error":{"message":"wait","type":"rate_limit_error"}}', "upstream_rate_limited", "rate_limited"),
        (b'{"error":{"message":"hm","code":"context_length_exceeded"}}', "context_length_exceeded", "context_length"),
        (b'{"error":{"message":"busy","type":"overloaded_error"}}', "upstream_unavailable", "overloaded"),
    ],
)
def test_what_an_upstream_says_inside_its_stream_reaches_the_client_and_the_receipt(
    event: bytes, code: str, failure: str
) -> None:
    call = stage.machine(stream=True)
    stage.decided(call, targets=1)
    call.head(200, SSE, 2 * MS)
    call.event(FIRST, 3 * MS)
    *_, close, broken = call.event(b"data: %b\n\n" % event, 4 * MS)
    assert isinstance(close, Close)
    assert isinstance(broken, Break)
    assert (broken.error.code, close.receipt.error) == (code, code)
    assert broken.error.message.startswith("the upstream reported an error: ")
    assert close.receipt.attempts[0].failure == failure


def test_a_stream_that_stalls_is_a_timeout_whatever_failed_before_it() -> None:
    call = stage.machine(stream=True)
    stage.decided(call)
    call.failed(Failure(kind="first_byte_timeout", message="slow"), 2 * MS)
    call.head(200, SSE, 3 * MS)
    call.event(FIRST, 4 * MS)
    *_, broken = call.failed(Failure(kind="between_bytes_timeout", message="slow"), 5 * MS)
    assert isinstance(broken, Break)
    assert (broken.error.code, broken.error.message) == (
        "upstream_timeout",
        "the answer stopped and did not go on in time",
    )


@pytest.mark.parametrize(
    ("kinds_of_failure", "code", "status"),
    [
        (["rate_limited", "rate_limited"], "upstream_rate_limited", 429),
        (["first_byte_timeout", "connect_timeout"], "upstream_timeout", 504),
        (["context_length", "context_length"], "context_length_exceeded", 400),
        (["credentials", "credentials"], "upstream_credentials", 502),
        (["resting", "resting"], "upstream_unavailable", 503),
        (["pool_full", "pool_full"], "overloaded", 503),
        (["connect", "rate_limited"], "upstream_failed", 502),
    ],
)
def test_when_all_targets_failed_the_caller_hears_the_most_telling_reason(
    kinds_of_failure: list[str], code: str, status: int
) -> None:
    call = stage.machine()
    stage.decided(call)
    effects: tuple[Effect, ...] = ()
    for number, kind in enumerate(kinds_of_failure):
        failure = Failure(kind=kind, message="m", retry_after_s=7 + number)  # type: ignore[arg-type]
        effects = call.failed(failure, (2 + number) * MS)
    refuse = effects[-1]
    assert isinstance(refuse, Refuse)
    assert (refuse.error.code, refuse.error.status) == (code, status)
    if code == "upstream_rate_limited":
        assert refuse.retry_after_s == 7


def test_a_plan_without_attempts_is_refused_before_anything_starts() -> None:
    call = stage.machine()
    plan = Plan(attempts=(), refusal=Refusal(code="context_length_exceeded", message="too long"))
    effects = call.decided(stage.CONTRACT, "dispatcher", stage.FACTS, plan, (), MS)
    assert kinds(effects) == ["Close", "Refuse"]
    receipt = receipt_of(effects)
    assert (receipt.status, receipt.client.status, receipt.attempts) == ("refused", 400, ())


def test_a_simulation_ends_at_its_plan_and_names_what_would_be_tried() -> None:
    call = stage.machine(simulation=True)
    receipt = receipt_of(stage.decided(call))
    assert (receipt.status, receipt.simulation, receipt.attempts) == ("simulated", True, ())
    assert receipt.selected is not None
    assert receipt.selected.target == "t0"


def test_a_client_that_leaves_cancels_the_upstream_and_is_no_failure_of_it() -> None:
    call = stage.machine(stream=True)
    stage.decided(call)
    call.head(200, SSE, 2 * MS)
    call.event(FIRST, 3 * MS)
    effects = call.client_left(4 * MS)
    assert effects[0] == Cancel()
    assert effects[1] == Settle(0, ok=False)
    receipt = receipt_of(effects)
    assert (receipt.status, receipt.client.left_us, receipt.client.upstream) == ("client_left", 4000, "cancelled")
    assert receipt.client.text_chars == 3
    assert receipt.attempts[0].failure is None
    assert call.event(SECOND, 5 * MS) == ()


def test_a_drained_answer_is_read_to_its_end_for_its_usage_and_none_of_it_released() -> None:
    call = stage.machine(stream=True)
    stage.decided(call, drain=True)
    call.head(200, SSE, 2 * MS)
    call.event(FIRST, 3 * MS)
    assert call.client_left(4 * MS) == ()
    assert call.event(SECOND, 5 * MS) == ()
    assert call.event(LAST, 6 * MS) == ()
    usage = b'data: {"id":"up-1","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2}}\n\n'
    assert call.event(usage, 7 * MS) == ()
    effects = call.event(DONE, 8 * MS)
    assert kinds(effects) == ["Settle", "Close"]
    receipt = receipt_of(effects)
    assert (receipt.client.upstream, receipt.client.text_chars) == ("drained", 3)
    assert (receipt.usage.input, receipt.usage.output, receipt.usage_source) == (9, 2, "reported")


def test_a_client_that_leaves_before_any_byte_is_recorded_with_499() -> None:
    call = stage.machine()
    stage.decided(call)
    receipt = receipt_of(call.client_left(2 * MS))
    assert (receipt.client.status, receipt.client.bytes) == (499, 0)


def test_the_deadline_ends_a_call_wherever_it_is() -> None:
    quiet = stage.machine()
    stage.decided(quiet)
    effects = quiet.tick(9 * MS)
    assert kinds(effects) == ["Cancel", "Settle", "Close", "Refuse"]
    refuse = effects[3]
    assert isinstance(refuse, Refuse)
    assert refuse.error.code == "deadline_exceeded"
    speaking = stage.machine(stream=True)
    stage.decided(speaking)
    speaking.head(200, SSE, 2 * MS)
    speaking.event(FIRST, 3 * MS)
    assert kinds(speaking.tick(9 * MS)) == ["Cancel", "Settle", "Close", "Break"]


def test_a_request_that_a_dialect_cannot_say_goes_to_the_next_target() -> None:
    call = stage.machine()
    stage.decided(call)
    effects = call.unsayable(WardwrightError("unsupported_capability", "no logprobs there"), 2 * MS)
    assert kinds(effects) == ["Settle", "Start"]


def test_a_call_whose_opening_cannot_be_journaled_is_given_up() -> None:
    call = stage.machine(stream=True)
    stage.decided(call)
    call.head(200, SSE, 2 * MS)
    assert isinstance(call.event(FIRST, 3 * MS)[0], Open)
    effects = call.abandon(WardwrightError("journal_unavailable", "disk full"), 4 * MS)
    assert kinds(effects) == ["Cancel", "Settle", "Close"]
    assert receipt_of(effects).error == "journal_unavailable"
    assert call.abandon(WardwrightError("journal_unavailable", "disk full"), 5 * MS) == ()


def test_a_stream_that_arrives_at_once_still_begins_and_finishes() -> None:
    call = stage.machine(stream=True)
    stage.decided(call)
    call.head(200, SSE, 2 * MS)
    effects = call.event(FIRST + SECOND + LAST + DONE, 3 * MS)
    assert [type(effect) for effect in effects] == [Open, Begin, Release, Settle, Close, Release, Finish]


@pytest.mark.parametrize(("target", "lost"), [("t0", 0), ("t1", stage.FACTS.input_tokens)])
def test_what_a_switch_of_targets_costs_in_cache_stands_in_the_receipt(target: str, lost: int) -> None:
    call = stage.machine()
    before = Attempt(contract="coding", lineage=("route",), model="m", provider="p", target=target)
    plan, terms = stage.planned(), stage.terms()
    call.decided(stage.CONTRACT, "alloy", stage.FACTS, plan, terms, MS, before=before)
    call.head(200, JSON, 2 * MS)
    call.event(stage.whole(), 3 * MS)
    assert receipt_of(call.end(4 * MS)).cache_lost_tokens == lost
