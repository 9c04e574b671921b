"""Receipts as text."""

from __future__ import annotations

import pytest

from wardwright.calls.receipt import Caller, Client, Receipt, Request, Timings, Tried
from wardwright.calls.ruling import Ruling
from wardwright.cli.receipt_words import BAR_CELLS, waterfall, way
from wardwright.contracts.policy import Block
from wardwright.policy.decision import Decision, Proposal


def tried(target: str, started_us: int, took_us: int, **members: object) -> Tried:
    return Tried(
        contract="c",
        model="m",
        provider="p",
        target=target,
        started_us=started_us,
        took_us=took_us,
        **members,  # type: ignore[arg-type]
    )


def receipt(*attempts: Tried, total_us: int, policy: tuple[Ruling, ...] = ()) -> Receipt:
    return Receipt(
        policy=policy,
        attempts=attempts,
        caller=Caller(),
        client=Client(),
        receipt="rcp_x",
        request=Request(),
        started_at=0,
        status="completed",
        timings=Timings(total_us=total_us),
    )


def test_attempts_stand_where_they_happened_in_the_call() -> None:
    call = receipt(
        tried("a", 0, 500, failure="server_error", http_status=503),
        tried("b", 500, 500, finish=("stop",)),
        total_us=1000,
    )
    first, second = waterfall(call)
    half = BAR_CELLS // 2
    assert first.startswith("a  " + "█" * half + " " * half)
    assert second.startswith("b  " + " " * half + "█" * half)
    assert first.endswith("500 µs  server error (HTTP 503)")
    assert second.endswith("500 µs  ok, stop")


@pytest.mark.parametrize(
    ("started_us", "took_us", "total_us"), [(0, 0, 0), (0, 1, 10**9), (10**9, 5, 10), (9, 10**9, 10)]
)
def test_every_attempt_shows_and_none_leaves_its_column(started_us: int, took_us: int, total_us: int) -> None:
    (line,) = waterfall(receipt(tried("a", started_us, took_us), total_us=total_us))
    bar = line[3 : 3 + BAR_CELLS]
    assert bar.strip()
    assert line[3 + BAR_CELLS] == " "


def test_the_way_of_a_call_reads_in_order() -> None:
    call = receipt(tried("a", 0, 1, failure="connect"), tried("b", 1, 1), total_us=2)
    assert way(call) == "a failed: connect -> b answered"
    assert way(receipt(total_us=1)) == "nobody was asked"


def test_the_way_of_a_call_names_the_rule_that_stopped_it() -> None:
    block = Proposal(action=Block(), policy="desk", rule="no-keys")
    decision = Decision(effect="block", kept=(block,))
    stopped = receipt(
        tried("a", 0, 1, failure="stopped"), total_us=2, policy=(Ruling(attempt=0, decision=decision, phase="stream"),)
    )
    refused = receipt(total_us=1, policy=(Ruling(decision=decision, phase="request"),))
    assert way(stopped) == "a stopped by desk/no-keys, refused"
    assert way(refused) == "refused by desk/no-keys"
